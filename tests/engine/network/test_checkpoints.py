from __future__ import annotations

import errno
import pickle
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from engine.benchmark import notebook
from engine.data.datasets import Dataset
from engine.network.checkpoints import load_tensors, load_weights, save_tensors, save_weights
from engine.network.model import CNN, seeded_cnn
from engine.network.requests import Architecture
from engine.request import RequestError

both_variants = pytest.mark.parametrize("batch_norm", [False, True])


def state() -> dict[str, torch.Tensor]:
    return dict(CNN().state_dict())


@both_variants
def test_the_notebooks_file_loads_here(tmp_path: Path, small: Dataset, batch_norm: bool) -> None:
    theirs = notebook.network(batch_norm)
    theirs(small.train.images[:64])  # gives batch norm a memory
    theirs.eval()
    path = tmp_path / "CNN_assign_model.pth"
    torch.save(theirs.state_dict(), path)
    ours = load_weights(path)
    assert ours.architecture == Architecture(batch_norm=batch_norm)
    assert not ours.training
    images = small.test.images[:50]
    assert torch.equal(ours(images), theirs(images)[0])


@both_variants
def test_our_file_loads_in_the_notebook(tmp_path: Path, small: Dataset, batch_norm: bool) -> None:
    ours = seeded_cnn(Architecture(batch_norm=batch_norm), 9).to(memory_format=torch.channels_last)
    ours(small.train.images[:64])
    ours.eval()
    path = tmp_path / "ours.pth"
    save_weights(path, ours)
    theirs = notebook.network(batch_norm).eval()
    theirs.load_state_dict(torch.load(path, weights_only=True), strict=True)
    images = small.test.images[:50]
    torch.testing.assert_close(theirs(images)[0], ours(images), rtol=1e-5, atol=1e-5)
    for key, value in theirs.state_dict().items():
        assert torch.equal(value, ours.state_dict()[key])


@pytest.mark.parametrize(
    "architecture",
    [
        Architecture(),
        Architecture(batch_norm=True, channels=3, hidden=5),
        Architecture(channels=1, kernel_size=1, stride=1, padding=0, hidden=1),
        Architecture(channels=2, kernel_size=5, stride=2, padding=2, hidden=4),
        Architecture(channels=2, kernel_size=3, stride=1, padding=5, hidden=4),
        Architecture(channels=2, kernel_size=1, stride=5, padding=14, hidden=4),
        Architecture(channels=2, kernel_size=6, stride=4, padding=6, hidden=4),
    ],
    ids=lambda a: f"{a.variant}-{a.channels}-{a.kernel_size}-{a.stride}-{a.padding}-{a.hidden}",
)
def test_safetensors_round_trip(tmp_path: Path, architecture: Architecture) -> None:
    model = seeded_cnn(architecture, 1).eval()
    path = tmp_path / "model.safetensors"
    save_weights(path, model)
    loaded = load_weights(path)
    assert loaded.architecture == architecture
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in loaded.state_dict().items())
    images = torch.rand(3, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    assert all(value.data_ptr() % 64 == 0 for value in loaded.state_dict().values() if value.dim())
    assert torch.equal(loaded(images), model(images))
    assert [file.name for file in tmp_path.iterdir()] == ["model.safetensors"]


def test_tensors_round_trip(tmp_path: Path) -> None:
    tensors = {"a.b": torch.arange(6).view(2, 3).t(), "c": torch.tensor(1.5)}
    save_tensors(tmp_path / "x.safetensors", tensors, {"epoch": "3"})
    loaded, metadata = load_tensors(tmp_path / "x.safetensors")
    assert metadata == {"epoch": "3"}
    assert all(torch.equal(loaded[key], value) for key, value in tensors.items())


class RunsCode:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (open, (str(self.path), "w"))


def pth(content: object) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        torch.save(content, folder / "bad.pth")
        return folder / "bad.pth"

    return write


def raw(name: str, data: bytes) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return write


def truncated(name: str, keep: float) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        save_weights(folder / name, CNN())
        data = (folder / name).read_bytes()
        (folder / name).write_bytes(data[: int(len(data) * keep)])
        return folder / name

    return write


def safetensors(content: dict[str, torch.Tensor], metadata: dict[str, str] | None = None) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        save_file(content, folder / "bad.safetensors", metadata)
        return folder / "bad.safetensors"

    return write


def without(key: str) -> dict[str, torch.Tensor]:
    return {name: value for name, value in state().items() if name != key}


def folder_as_file(name: str) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        (folder / name).mkdir()
        return folder / name

    return write


BAD_FILES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing pth": (lambda folder: folder / "bad.pth", "no file"),
    "missing safetensors": (lambda folder: folder / "bad.safetensors", "no file"),
    "folder pth": (folder_as_file("bad.pth"), "bad.pth"),
    "folder safetensors": (folder_as_file("bad.safetensors"), "bad.safetensors"),
    "truncated pth": (truncated("bad.pth", 0.5), "is cut off or damaged"),
    "truncated safetensors": (truncated("bad.safetensors", 0.5), "not a complete safetensors"),
    "truncated header": (truncated("bad.safetensors", 0.00001), "not a complete safetensors"),
    "empty pth": (raw("bad.pth", b""), "is empty"),
    "empty safetensors": (raw("bad.safetensors", b""), "is empty"),
    "zeros pth": (raw("bad.pth", bytes(100)), "zeros only"),
    "text pth": (raw("bad.pth", b"hello, I am no weights file\n" * 9), "is a text file"),
    "text safetensors": (raw("bad.safetensors", b"hello, I am no weights file\n" * 9), "is a text file"),
    "random pth": (raw("bad.pth", random_bytes := bytes(i * 7919 % 251 for i in range(4000))), "is not a weights file"),
    "random safetensors": (raw("bad.safetensors", random_bytes), "is not a weights file"),
    "a plain pickle": (raw("bad.pth", pickle.dumps({"a": 1}, protocol=2)), "bad.pth"),
    "a whole model": (pth(notebook.CNN()), "without running code"),
    "a list": (pth([torch.zeros(3)]), "no state dict"),
    "another network": (
        pth({"layer.weight": torch.zeros(3, 3)}),
        "0 convolutions and 1 fully connected layers. It has layer.weight (3, 3);",
    ),
    "an empty state dict": (pth({}), "no state dict"),
    "a missing key": (pth(without("conv2.0.bias")), "conv2.0.bias is missing"),
    "a missing first key": (safetensors(without("conv1.0.weight")), "1 convolutions and 2 fully connected layers"),
    "one key too many": (pth(state() | {"fc.9.weight": torch.zeros(2)}), "fc.9.weight"),
    "a wrong shape": (
        pth(state() | {"fc.3.weight": torch.zeros(7, 500)}),
        "fc.3.weight (7, 500) has 7 outputs instead of 10",
    ),
    "a wrong rank": (
        pth(state() | {"conv1.0.weight": torch.zeros(32, 9)}),
        "1 convolutions and 3 fully connected layers",
    ),
    "a linear layer that fits nothing": (
        pth(state() | {"fc.1.weight": torch.zeros(500, 1569)}),
        "does not fit a 28x28 image",
    ),
    "colour images": (
        pth(state() | {"conv1.0.weight": torch.zeros(32, 3, 3, 3)}),
        "conv1.0.weight (32, 3, 3, 3) has 3 input channels",
    ),
    "batch norm half there": (
        pth(state() | {"conv1.1.weight": torch.zeros(32)}),
        "conv1.1.weight belongs to no expected layer",
    ),
    "metadata of no network": (safetensors(state(), {"architecture": "{"}), "metadata"),
    "metadata out of bounds": (
        safetensors(state(), {"architecture": '{"request":"architecture","channels":0}'}),
        "metadata",
    ),
    "metadata of another network": (
        safetensors(state(), {"architecture": '{"request":"architecture","hidden":3}'}),
        "fc.1.weight is (500, 1568)",
    ),
}


@pytest.mark.parametrize("kind", list(BAD_FILES))
def test_bad_file_is_refused_in_one_line(tmp_path: Path, kind: str) -> None:
    make, what = BAD_FILES[kind]
    path = make(tmp_path)
    with pytest.raises(RequestError) as caught:
        load_weights(path)
    message = str(caught.value)
    assert "\n" not in message
    assert str(path) in message
    assert what in message


@pytest.mark.parametrize("how", ["torch.save", "in a state dict", "pickle"])
def test_code_in_a_file_never_runs(tmp_path: Path, how: str) -> None:
    path, trace = tmp_path / "evil.pth", tmp_path / "trace"
    if how == "pickle":
        path.write_bytes(pickle.dumps(RunsCode(trace), protocol=2))
    else:
        torch.save(RunsCode(trace) if how == "torch.save" else state() | {"evil": RunsCode(trace)}, path)
    with pytest.raises(RequestError, match="without running code"):
        load_weights(path)
    assert not trace.exists()
    if how == "torch.save":
        torch.load(path, weights_only=False).close()  # it is a trap indeed
        assert trace.exists()


@contextmanager
def tiny_disk() -> Iterator[None]:
    """No file may grow beyond 4096 bytes: writing fails half-way, as on a full disk.

    Around the write alone: the test runner's own output may be a file too.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["model.safetensors", "model.pth"])
def test_full_disk_leaves_the_old_file_and_raises_os_error(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    old = seeded_cnn(Architecture(), 1)
    save_weights(path, old)
    new = seeded_cnn(Architecture(), 2)
    with tiny_disk(), pytest.raises(OSError, match=r"(?i)file too large|writ") as caught:
        save_weights(path, new)
    assert caught.value.errno in (None, errno.EFBIG)
    assert [file.name for file in tmp_path.iterdir()] == [name]
    assert torch.equal(load_weights(path).state_dict()["fc.3.weight"], old.state_dict()["fc.3.weight"])


def test_a_small_file_that_claims_a_large_network(tmp_path: Path) -> None:
    """Views of one number, metadata without tensors: refused before any memory is taken."""
    one = torch.zeros(1)
    state = {"conv1.0.weight": one.expand(1024, 1, 3, 3), "fc.1.weight": one.expand(65536, 1024 * 7 * 7)}
    torch.save(state, tmp_path / "views.pth")
    with pytest.raises(RequestError, match=r"conv1.0.weight is larger than its data in the file"):
        load_weights(tmp_path / "views.pth")
    claims = '{"request":"architecture","channels":1024,"hidden":65536}'
    save_tensors(tmp_path / "claims.safetensors", {"conv1.0.weight": torch.zeros(1)}, {"architecture": claims})
    with pytest.raises(RequestError, match=r"0 convolutions and 0 fully connected layers"):
        load_weights(tmp_path / "claims.safetensors")
