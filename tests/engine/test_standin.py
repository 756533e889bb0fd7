"""Every operation on a device that is not the CPU: on a stand-in that keeps CUDA's rules, and on a GPU where one is."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
import torch

from engine.operations import OPERATIONS
from tests.standin.device import available
from tests.standin.operations import operations
from tests.standin.runs import Findings

pytestmark = pytest.mark.timeout(600)  # all of it is in one fixture

WAITS = {
    "attack noise": 14,
    "attack targeted": 16,
    "attack pgd": 20,
    "attack pgd l2": 20,
    "attack deepfool": 22,
    "attack cw": 16,
    "robustness linf": 24,
    "robustness l2": 24,
    "transfer": 14,
    "beta": 12,
    "occlude one": 14,
}
"""Times that the host may wait for the device at most: reading and copying once a result, not once a step."""
KERNELS = {"cnn": 34, "cnn-bn": 45}
"""Of a training step: two of them find its images, and count it, so that it needs nothing from the host."""
UPLOADS = 2
"""Times that the host may wait in an epoch besides: the order of its images, and the number of steps done."""


class Answer(msgspec.Struct):
    found: Findings


def driver(*arguments: str) -> Findings:
    """What the driver finds, in a process of its own: a backend is registered for good."""
    command = [sys.executable, "-m", "tests.standin", "--json", *arguments]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return msgspec.json.decode(done.stdout, type=Answer).found


@pytest.fixture(scope="module")
def standin() -> Findings:
    if not available():
        pytest.skip("this PyTorch has no hook for devices written in Python")
    return driver()


def wrong(found: Findings) -> list[str]:
    """A line for each operation and check that is off."""
    lines = [f"{each.name}: {each.problem}" for each in found.operations if each.problem]
    return lines + [f"{name}: {problem}" for name, problem in found.checks.items() if problem]


def test_every_operation_that_takes_a_device_is_tried() -> None:
    computing = {kind for kind in OPERATIONS if "device" in kind.__struct_fields__}
    # The first writes what the others computed, the second is a check of its own, the third only takes times.
    others = {"Export", "Resume", "Bench"}
    assert {type(each.request) for each in operations("cpu")} == {k for k in computing if k.__name__ not in others}


def test_a_device_gives_what_the_cpu_gives(standin: Findings) -> None:
    assert not wrong(standin)
    assert {each.name for each in standin.operations} == {each.name for each in operations("cuda")}


def test_training_keeps_the_device_busy(standin: Findings) -> None:
    for variant, most in KERNELS.items():
        step = standin.steps[variant]
        assert 0 < step.kernels <= most
        assert step.waits == 1, "the host waits for more than the loss of a chunk"
        assert 0 < step.outside <= UPLOADS


def test_operations_wait_for_the_device_once_a_result(standin: Findings) -> None:
    waits = {each.name: each.waits for each in standin.operations}
    for name, most in WAITS.items():
        assert 0 < sum(waits[name].values()) <= most, f"{name}: {waits[name]}"


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA GPU")
def test_a_gpu_gives_what_the_cpu_gives() -> None:
    assert not wrong(driver("--gpu"))
