from __future__ import annotations

import re
import subprocess
import sys
import warnings
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import operations
from engine.event import Event, JobFailed
from engine.inspection.requests import Evaluate, ShowFilters
from engine.lab import Lab
from engine.network import devices, gpu
from engine.network.devices import choose_device, fallback
from engine.network.events import DeviceFellBack
from engine.operations import perform
from engine.request import DeviceFailed, Request, RequestError
from engine.training.requests import Train

NO_CODE = torch.AcceleratorError(
    "CUDA error: no kernel image is available for execution on the device\nSearch for `cudaErrorNoKernelImageForDevice'"
)
FULL = torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 MiB. GPU 0 has a total capacity of 79.10 GiB")
ALONE = torch.AcceleratorError(
    "CUDA error: CUDA-capable device(s) is/are busy or unavailable\nCUDA kernel errors might"
)
LOST = torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nCUDA kernel errors might be")


def forget() -> None:
    for cached in (gpu.count, gpu._tried):
        cached.cache_clear()
    for kept in (gpu._lost, devices._taken):
        kept.clear()


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    forget()
    yield
    forget()


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> dict[int, Exception | None]:
    """Two old GPUs; by number what a look at each ends in: an error, or None for a convolution that works."""
    found: dict[int, Exception | None] = {0: None, 1: None}
    ones = torch.ones

    def tried(size: Any, device: torch.device, requires_grad: bool = False) -> torch.Tensor:
        if error := found[device.index]:
            raise error
        return ones(size, requires_grad=requires_grad)

    monkeypatch.setattr(torch, "ones", tried)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (3, 7))
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75", "sm_120", "compute_120"])
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (70_000 << 20, 80_000 << 20))
    return found


def test_the_default_number_of_threads_comes_back() -> None:
    code = """
import torch
from engine.network.devices import set_threads
from engine.network.cores import cores
default = torch.get_num_threads()
assert set_threads(default + 1) == default + 1
assert set_threads(0) == min(default, cores())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_gpu_that_works_is_taken_and_computes_exactly(two_gpus: dict[int, Exception | None]) -> None:
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 0)
    assert choose_device("cuda:1") == torch.device("cuda", 1)
    assert not fallback()
    assert gpu.precision_modes() == {"cuda products": "ieee", "cudnn convolutions": "ieee"}
    assert torch.backends.cudnn.deterministic
    assert not torch.backends.cudnn.benchmark


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (NO_CODE, "cuda:0 is too old for this PyTorch"),
        (FULL, "cuda:0 is out of memory: 70,000 MB are free"),
        (ALONE, "cuda:0 is used exclusively by another process"),
        (LOST, "cuda:0 failed (CUDA error: an illegal memory access was encountered)"),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_INITIALIZED"), "cuda:0 is out of memory: 70,000 MB are free"),
        (
            RuntimeError("The NVIDIA driver on your system is too old (found version 11040). Please update your GPU"),
            "cuda:0 cannot be used (The NVIDIA driver on your system is too old (found version 11040))",
        ),
    ],
)
def test_a_gpu_that_cannot_be_used_is_refused_with_the_reason(
    two_gpus: dict[int, Exception | None], error: Exception, why: str
) -> None:
    two_gpus[0] = error
    with pytest.raises(RequestError) as refused:
        choose_device("cuda")
    assert str(refused.value) == f"{why}: use --device cpu"
    assert choose_device("auto") == torch.device("cuda", 1)  # the other one works
    assert not fallback()
    forget()
    two_gpus[1] = NO_CODE
    assert choose_device("auto") == torch.device("cpu")
    assert fallback() == f"{why}; cuda:1 is too old for this PyTorch: using the CPU"


def test_auto_leaves_a_gpu_with_little_memory_alone(
    two_gpus: dict[int, Exception | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (300 << 20, 80_000 << 20))
    assert choose_device("auto") == torch.device("cpu")
    assert fallback().startswith("cuda:0 has only 300 MB free; cuda:1")
    assert choose_device("cuda") == torch.device("cuda", 0)  # who asks for it gets it


def test_a_gpu_is_looked_at_once(two_gpus: dict[int, Exception | None]) -> None:
    assert choose_device("auto").type == "cuda"
    two_gpus[0] = NO_CODE
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda", 0)


@pytest.mark.parametrize("passing", [FULL, ALONE])
def test_what_may_pass_is_asked_again(two_gpus: dict[int, Exception | None], passing: Exception) -> None:
    two_gpus[0], two_gpus[1] = passing, NO_CODE
    assert choose_device("auto") == torch.device("cpu")
    assert fallback()
    with pytest.raises(RequestError):
        choose_device("cuda")
    two_gpus[0] = two_gpus[1] = None
    with pytest.raises(RequestError, match="too old"):  # that does not pass
        choose_device("cuda:1")
    assert choose_device("cuda") == choose_device("auto") == torch.device("cuda", 0)
    assert not fallback()


def test_auto_stays_on_the_gpu_that_this_process_fills(
    two_gpus: dict[int, Exception | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert choose_device("auto") == torch.device("cuda", 0)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (300 << 20, 80_000 << 20))
    assert choose_device("auto") == torch.device("cuda", 0)


def test_a_gpu_that_is_not_there(two_gpus: dict[int, Exception | None], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="there is no cuda:2: the last GPU is cuda:1"):
        choose_device("cuda:2")
    forget()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == torch.device("cpu")
    assert not fallback()
    with pytest.raises(RequestError, match=r"there is no CUDA GPU that PyTorch can use: use --device cpu$"):
        choose_device("cuda")


def test_a_driver_that_is_too_old_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def unavailable() -> bool:
        warnings.warn(
            "CUDA initialization: The NVIDIA driver is too old (found version 11040). Update it", stacklevel=1
        )
        return False

    monkeypatch.setattr(torch.cuda, "is_available", unavailable)
    assert choose_device("auto") == torch.device("cpu")
    why = "PyTorch cannot use the GPU (CUDA initialization: The NVIDIA driver is too old (found version 11040))"
    assert fallback() == f"{why}: using the CPU"


def test_the_look_at_a_device_is_a_convolution_forth_and_back() -> None:
    assert gpu.probe(torch.device("cpu")) == ""
    with torch.inference_mode():
        gpu._tried.cache_clear()
        assert gpu.probe(torch.device("cpu")) == ""


@pytest.mark.parametrize("name", ["gpu", "cuda:", "cuda:-1", "cuda:123", "CUDA", "", "mps", "cuda:1\n"])
def test_what_is_no_device_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="device must be auto, cpu, cuda or cuda:N, not"):
        Train(device=name)


def operation(error: Exception) -> Any:
    def broken(_request: Request, _root: Path) -> Generator[Event, None, None]:
        yield from ()
        raise error

    return broken


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Let one operation meet an error."""

    def fail(error: Exception) -> None:
        monkeypatch.setattr("engine.inspection.filters.show_filters", operation(error))

    return fail


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FULL, "cuda:0 is out of memory: 212 MB are free: use --device cpu, or free some memory"),
        (
            torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
            "cuda:0 is out of memory: 212 MB are free: use --device cpu, or free some memory",
        ),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            "cuda:0 is out of memory: 212 MB are free: use --device cpu, or free some memory",
        ),
        (NO_CODE, "cuda:0 is too old for this PyTorch: use --device cpu"),
    ],
)
def test_what_gives_out_on_a_gpu_is_one_line(
    two_gpus: dict[int, Exception | None], failing: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, said: str
) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (212 << 20, 80_000 << 20))
    failing(error)
    with pytest.raises(DeviceFailed) as failed:
        list(perform(ShowFilters(what="pretrained:cnn", device="cuda"), Path()))
    assert str(failed.value) == said
    choose_device("cuda")  # goes on: the context is as it was


def test_where_even_to_ask_for_memory_takes_too_much(
    two_gpus: dict[int, Exception | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: torch.device) -> tuple[int, int]:
        raise FULL

    monkeypatch.setattr(torch.cuda, "mem_get_info", full)
    assert gpu.failure(FULL) == "cuda:0 is out of memory: use --device cpu, or free some memory"


def test_after_an_error_that_costs_the_context_all_jobs_say_so(
    two_gpus: dict[int, Exception | None], failing: Any, tmp_path: Path
) -> None:
    said = (
        "the GPU failed (CUDA error: an illegal memory access was encountered) and this process cannot use it any more"
    )
    failing(LOST)
    for request in (ShowFilters(what="pretrained:cnn"), Train(epochs=1), Evaluate(what="pretrained:cnn-bn")):
        lab_, jobs = Lab(tmp_path), []
        jobs.append(lab_.submit(request))
        assert jobs[0].wait(60)
        (failed,) = [event for _, event in lab_.drain() if isinstance(event, JobFailed)]
        assert failed.reason == f"{said}: restart, or use --device cpu"
        assert not failed.bad_request
        assert lab_.close()
    assert choose_device("cpu") == torch.device("cpu")


def test_errors_that_are_no_gpus_stay_what_they_are(failing: Any) -> None:
    for error in (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("CUDA error: not one")):
        assert not gpu.failure(error)
        failing(error)
        with pytest.raises(type(error)):
            list(perform(ShowFilters(what="pretrained:cnn", device="cpu"), Path()))


def test_each_job_says_why_the_cpu_computes(two_gpus: dict[int, Exception | None]) -> None:
    two_gpus[0] = two_gpus[1] = NO_CODE
    first, *_ = perform(ShowFilters(what="pretrained:cnn"), Path())
    assert isinstance(first, DeviceFellBack)
    assert first.reason.startswith("cuda:0 is too old for this PyTorch; cuda:1")
    first, *_ = perform(ShowFilters(what="pretrained:cnn", device="cpu"), Path())
    assert not isinstance(first, DeviceFellBack)


def test_tf32_is_for_training_steps_alone_and_for_gpus_that_have_it(
    two_gpus: dict[int, Exception | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    gpu.compute_exactly()
    exact = {"cuda products": "ieee", "cudnn convolutions": "ieee"}
    assert gpu.precision_modes("fp32") == exact
    assert gpu.precision_modes("tf32") == dict.fromkeys(exact, "tf32")
    assert gpu.precision_modes("fp32") == exact
    for device in (torch.device("cpu"), torch.device("cuda", 0)):  # the old GPU
        gpu.check_precision("fp32", device)
        gpu.check_precision("bf16", device)
        with pytest.raises(RequestError, match=f"tf32 needs an NVIDIA GPU from 2020 or later, not {device}"):
            gpu.check_precision("tf32", device)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    gpu.check_precision("tf32", torch.device("cuda", 0))


def test_a_run_in_tf32_is_refused_on_a_cpu_before_it_has_a_folder(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="--precision fp32"):
        list(operations.perform(Train(precision="tf32", device="cpu"), tmp_path))
    assert not list(tmp_path.iterdir())


def test_more_threads_than_the_system_gives_are_refused() -> None:
    """Otherwise OpenMP would end the process: without a word in the app, whose standard error is elsewhere."""
    code = """
import resource
from engine.network.devices import set_threads
from engine.request import RequestError
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 29), used + (1 << 29)))
try:
    set_threads(1000)
except RequestError as error:
    print(error)
import torch
print(torch.rand(512, 512).mm(torch.rand(512, 512)).shape[0])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    refused, computed = done.stdout.splitlines()
    assert re.fullmatch(r"the system allows this process only \d+ more threads, not 1,000: lower threads", refused)
    assert computed == "512"
