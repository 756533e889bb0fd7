"""Files of weights as other people make them: read where they hold this network, else refused with what they are."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import struct
import zipfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.network.checkpoints import load_weights, read_weights, save_weights
from engine.network.model import CNN, seeded_cnn
from engine.network.pickles import Made, read_pickle
from engine.network.requests import Architecture, Reading
from engine.network.tensorfiles import opened
from engine.request import RequestError
from engine.runs.finding import pretrained

State = dict[str, Tensor]
CNN_STATE: State = load_file(pretrained("cnn").model_file)
BN_STATE: State = load_file(pretrained("cnn-bn").model_file)


def renamed(state: State, *table: tuple[str, str]) -> State:
    """In the order of the table, which is the order of the network."""
    return {new + key[len(old) :]: value for old, new in table for key, value in state.items() if key.startswith(old)}


FLAT = (("conv1.0.", "conv1."), ("conv2.0.", "conv2."), ("fc.1.", "fc1."), ("fc.3.", "fc2."))
LAYERS = (("conv1.0.", "layer1.0."), ("conv2.0.", "layer2.0."), ("fc.1.", "layer3.0."), ("fc.3.", "layer4."))
NUMBERS = (("conv1.0.", "net.0."), ("conv2.0.", "net.3."), ("fc.1.", "net.7."), ("fc.3.", "net.10."))
BEHIND = (("conv1.0.", "c1."), ("conv2.0.", "c2."), ("fc.1.", "d1."), ("fc.4.", "d2."), ("conv1.1.", "bn1."),
          ("conv2.1.", "bn2."), ("fc.2.", "bn3."))  # fmt: skip
FLAT_BN = (("conv1.0.", "conv1."), ("conv1.1.", "bn1."), ("conv2.0.", "conv2."), ("conv2.1.", "bn2."),
           ("fc.1.", "fc1."), ("fc.2.", "bn3."), ("fc.4.", "fc2."))  # fmt: skip


def prefixed(prefix: str, state: State = CNN_STATE) -> State:
    return {prefix + key: value for key, value in state.items()}


def adam() -> dict[str, Any]:
    optimizer = torch.optim.Adam([nn.Parameter(value.clone()) for value in CNN_STATE.values()])
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    return optimizer.state_dict()


def recipe(**more: Any) -> dict[str, Any]:
    return {"epoch": 7, "model_state_dict": CNN_STATE, "optimizer_state_dict": adam(), "loss": 0.04, **more}


READABLE: dict[str, tuple[object, State]] = {
    "flat.pt": (renamed(CNN_STATE, *FLAT), CNN_STATE),
    "layers.ckpt": (renamed(CNN_STATE, *LAYERS), CNN_STATE),
    "numbers.pth": (renamed(CNN_STATE, *NUMBERS), CNN_STATE),
    "backwards.pth": (dict(reversed(renamed(CNN_STATE, *FLAT).items())), CNN_STATE),
    "norms-last.pth": (renamed(BN_STATE, *BEHIND), BN_STATE),
    "flat-norms.pth": (renamed(BN_STATE, *FLAT_BN), BN_STATE),
    "compiled-ddp.PTH": (prefixed("_orig_mod.module."), CNN_STATE),
    "lightning": ({"state_dict": prefixed("model.net."), "hyper_parameters": Namespace(lr=1)}, CNN_STATE),
    "recipe.pth.tar": (recipe(), CNN_STATE),
    "numpy.pth": ({"state_dict": CNN_STATE, "best_acc": np.float64(0.99), "history": np.arange(3)}, CNN_STATE),
    "net.bin": ({"net": CNN_STATE, "args": Namespace(a=1)}, CNN_STATE),
    "parameters.pth": ({key: nn.Parameter(value) for key, value in CNN_STATE.items()}, CNN_STATE),
    "fp16.pth": ({key: value.half() for key, value in CNN_STATE.items()}, CNN_STATE),
    "bf16.pth": ({key: value.bfloat16() for key, value in CNN_STATE.items()}, CNN_STATE),
    "fp64.pth": ({key: value.double() for key, value in CNN_STATE.items()}, CNN_STATE),
    "transposed.pth": (CNN_STATE | {"fc.1.weight": CNN_STATE["fc.1.weight"].t().contiguous().t()}, CNN_STATE),
    "no-count.pth": ({key: value for key, value in BN_STATE.items() if "num_b" not in key}, BN_STATE),
}


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
@pytest.mark.parametrize("name", list(READABLE))
def test_it_is_this_network(tmp_path: Path, name: str, legacy: bool) -> None:
    content, expected = READABLE[name]
    torch.save(content, tmp_path / name, _use_new_zipfile_serialization=not legacy)
    weights = read_weights(tmp_path / name)
    assert weights.model.architecture == Architecture(batch_norm=expected is BN_STATE)
    assert not weights.ours
    exact = name[:2] not in ("fp", "bf")
    for key, value in weights.model.state_dict().items():
        if "num_b" not in key:
            assert value.dtype == torch.float32
            torch.testing.assert_close(value, expected[key], rtol=0 if exact else 1e-2, atol=0 if exact else 1e-6)


def test_which_name_became_which_is_one_line(tmp_path: Path) -> None:
    torch.save({"state_dict": prefixed("module.", renamed(CNN_STATE, *FLAT))}, tmp_path / "a.pth")
    (note,) = read_weights(tmp_path / "a.pth").notes
    assert note == (
        "read as conv1.0 <- module.conv1, conv2.0 <- module.conv2, fc.1 <- module.fc1, fc.3 <- module.fc2 "
        "(from state_dict)"
    )
    torch.save(CNN_STATE, tmp_path / "b.pth")
    assert read_weights(tmp_path / "b.pth").notes == ()


def theirs(norms: tuple[str, ...], bias: bool = True) -> nn.Sequential:
    """Another person's network: batch norm where they like it."""
    layers: list[nn.Module] = []
    for name, depth in (("conv1", 1), ("conv2", 4)):
        layers += [nn.Conv2d(depth, 4, 3, padding=1, bias=bias), *([nn.BatchNorm2d(4)] if name in norms else [])]
        layers += [nn.ReLU(), nn.MaxPool2d(2)]
    layers += [nn.Flatten(), nn.Linear(196, 16), *([nn.BatchNorm1d(16)] if "fc1" in norms else []), nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(16, 10), *([nn.BatchNorm1d(10)] if "logits" in norms else []))


@pytest.mark.parametrize(
    "norms", [("conv1",), ("conv2",), ("conv1", "conv2"), ("logits",), ("conv1", "conv2", "fc1", "logits"), ("fc1",)]
)
@pytest.mark.parametrize("form", ["pth", "safetensors"])
def test_batch_norm_behind_any_layer(tmp_path: Path, norms: tuple[str, ...], form: str) -> None:
    torch.manual_seed(1)
    other = theirs(norms, bias="conv2" not in norms)
    images = torch.rand(32, 1, 28, 28)
    for _ in range(3):
        other(images)  # gives batch norm a memory
    other.eval()
    path = tmp_path / f"other.{form}"
    if form == "pth":
        torch.save(other.state_dict(), path)
    else:
        save_file(other.state_dict(), path)
    model = load_weights(path)
    assert model.architecture.norms == norms
    assert model.architecture.variant == "cnn-bn"
    torch.testing.assert_close(model(images), other(images))
    save_weights(again := tmp_path / "again.pth", model)
    assert load_weights(again).architecture == model.architecture
    torch.testing.assert_close(load_weights(again)(images), model(images))


def one_norm(*names: str) -> State:
    """Flat names in the order given: `conv1`, `bn1` and so on."""
    torch.manual_seed(2)
    kinds = {
        "conv1": nn.Conv2d(1, 4, 3),
        "conv2": nn.Conv2d(4, 4, 3),
        "fc1": nn.Linear(100, 16),
        "fc2": nn.Linear(16, 10),
    }
    layers = {name: kinds.get(name) or nn.BatchNorm2d(4) for name in names}
    return {f"{name}.{key}": value for name, layer in layers.items() for key, value in layer.state_dict().items()}


@pytest.mark.parametrize(
    ("names", "slot"),
    [
        (("conv1", "bn1", "conv2", "fc1", "fc2"), "conv1"),
        (("conv1", "conv2", "bn2", "fc1", "fc2"), "conv2"),
        (("conv1", "conv2", "bn1", "fc1", "fc2"), ""),
        (("conv1", "conv2", "fc1", "fc2", "bn"), ""),
        (("bn", "conv1", "conv2", "fc1", "fc2"), ""),
    ],
)
def test_where_batch_norm_stands_is_never_guessed(tmp_path: Path, names: tuple[str, ...], slot: str) -> None:
    torch.save(one_norm(*names), tmp_path / "a.pth")
    if slot:
        assert load_weights(tmp_path / "a.pth").architecture.norms == (slot,)
        return
    with pytest.raises(RequestError, match=r"batch norm .* may follow conv1.weight .* or conv2.weight"):
        load_weights(tmp_path / "a.pth")


def test_layers_that_fit_either_way_need_their_names(tmp_path: Path) -> None:
    """With one channel both convolutions have one shape."""
    model = seeded_cnn(Architecture(channels=1, hidden=16), 3)
    state = renamed(dict(model.state_dict()), *FLAT)
    torch.save(state, tmp_path / "a.pth")
    assert torch.equal(
        load_weights(tmp_path / "a.pth").get_parameter("conv2.0.weight"), model.get_parameter("conv2.0.weight")
    )
    turned = {**{key: state[key] for key in ("conv2.weight", "conv2.bias")}, **state}
    torch.save(turned, tmp_path / "b.pth")
    with pytest.raises(RequestError, match="fit in either order"):
        load_weights(tmp_path / "b.pth")
    save_file(turned, tmp_path / "c.safetensors")  # whose order says nothing
    assert torch.equal(
        load_weights(tmp_path / "c.safetensors").get_parameter("conv2.0.weight"), model.get_parameter("conv2.0.weight")
    )


class WholeModel(nn.Module):
    """Saved as an object."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(2, 2)


class RunsCode:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self.path), "w")


def saved(content: object, **options: Any) -> Callable[[Path], object]:
    return lambda path: torch.save(content, path, **options)


def data(content: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(content)


def saved_bytes(content: object) -> bytes:
    torch.save(content, buffer := io.BytesIO())
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore")
def scripted(path: Path) -> None:
    torch.jit.save(torch.jit.script(nn.Linear(2, 2)), str(path))


def archive(**parts: bytes) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in parts.items():
                file.writestr(name.replace("__", "/").replace("_pkl", ".pkl"), content)

    return write


def cut_legacy(path: Path) -> None:
    torch.save(CNN_STATE, path, _use_new_zipfile_serialization=False)
    os.truncate(path, path.stat().st_size // 2)


def odd(value: Tensor) -> Callable[[Path], object]:
    return saved(CNN_STATE | {"fc.3.bias": value})


def old_form(*values: object) -> bytes:
    return b"".join(pickle.dumps(value, 2) for value in values) + bytes(8)


def in_itself() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found.update((f"k{n}", found) for n in range(40))
    return found


def long_list() -> bytes:
    """A zip archive whose last record says that the list of contents is empty, and the one of ZIP64 what it is."""
    listed = bytes(5 << 20)
    real = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, len(listed), 4)
    place = struct.pack("<4sLQL", b"PK\6\7", 0, 4 + len(listed), 1)
    return b"PK\3\4" + listed + real + place + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 0, 0, 0)


def packed(method: int) -> Callable[[Path], object]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(io.BytesIO(WHOLE)) as whole, zipfile.ZipFile(path, "w", method) as file:
            name = next(name for name in whole.namelist() if name.endswith("data.pkl"))
            file.writestr(name, whole.read(name))

    return write


OF_NORM = ("weight", "bias", "running_mean", "running_var")
WIDER = CNN_STATE | {
    "conv1.0.weight": torch.zeros(16, 1, 3, 3),
    "conv1.0.bias": torch.zeros(16),
    "conv2.0.weight": torch.zeros(32, 16, 3, 3),
}
KERNELS = CNN_STATE | {"conv2.0.weight": torch.zeros(32, 32, 5, 5)}
WHOLE = saved_bytes(CNN_STATE)

REFUSED: dict[str, tuple[Callable[[Path], object], str]] = {
    "a pointer of Git LFS": (data(b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"), "git lfs pull"),
    "a web page": (data(b"\n<!DOCTYPE html><title>Sign in</title>"), "is a web page"),
    "nothing": (data(b""), "is empty"),
    "half": (data(WHOLE[: len(WHOLE) // 2]), "is cut off"),
    "compressed": (data(gzip.compress(WHOLE, 1)), "gunzip it first"),
    "half of the old form": (cut_legacy, "is cut off"),
    "a program": (scripted, "is TorchScript"),
    "a whole model": (saved(WholeModel()), "save its weights with torch.save(model.state_dict()"),
    "a whole model in the old form": (saved(WholeModel(), _use_new_zipfile_serialization=False), "a whole model"),
    "NumPy arrays": (lambda path: np.savez(path.open("wb"), a=np.zeros(3)), "archive of NumPy arrays"),
    "another archive": (archive(**{"a.txt": b"hello"}), "is a zip archive, but not one of PyTorch"),
    "a plain pickle": (data(pickle.dumps({"a": 1})), "is a plain pickle"),
    "widths": (
        saved(WIDER),
        "conv1.0.weight (16, 1, 3, 3) has 16 output channels and conv2.0.weight (32, 16, 3, 3) has 32",
    ),
    "kernels": (saved(KERNELS), "conv1.0.weight (32, 1, 3, 3) and conv2.0.weight (32, 32, 5, 5) have kernels of diff"),
    "two networks": (saved({"state_dict": CNN_STATE, "model": CNN_STATE}), "2 times (state_dict, model)"),
    "an optimizer": (saved({"optimizer": {"state": CNN_STATE}}), "holds no state dict"),
    "whole numbers": (odd(torch.zeros(10, dtype=torch.int64)), "fc.3.bias is int64"),
    "truths": (odd(torch.zeros(10, dtype=torch.bool)), "fc.3.bias is bool"),
    "complex": (odd(torch.zeros(10, dtype=torch.complex64)), "fc.3.bias is complex64"),
    "float8": (odd(torch.zeros(10).to(torch.float8_e4m3fn)), "fc.3.bias is float8_e4m3fn"),
    "sparse": (odd(torch.zeros(10).to_sparse()), "fc.3.bias is sparse"),
    "meta": (odd(torch.zeros(10, device="meta")), "fc.3.bias is meta"),
    "repeated": (odd(torch.zeros(1).expand(10)), "fc.3.bias is larger than its data in the file"),
    "escapes": (
        saved(CNN_STATE | {"\x1b[2Jx.weight": torch.zeros(3)}),
        "\\x1b[2Jx.weight belongs to no expected layer",
    ),
    "an object for a key in the old form": (
        data(old_form(0x1950A86A20F9469CFC6C, 1001, {}, {}, [[]])),
        "is cut off",
    ),
    "many dimensions": (odd(torch.zeros([1] * 9)), "a tensor of too many dimensions"),
    "more batch norms than layers": (
        saved(CNN_STATE | {f"bn{n}.{key}": torch.zeros(32) for n in range(5) for key in OF_NORM}),
        "5 batch norms, for only 4 layers",
    ),
    "dicts in themselves": (saved(in_itself()), "endlessly nested dicts"),
    "a list of contents without end": (data(long_list()), "a zip archive with too many parts"),
    "bzip2 inside": (packed(zipfile.ZIP_BZIP2), "compressed in a way that torch.save never uses"),
    "LZMA inside": (packed(zipfile.ZIP_LZMA), "compressed in a way that torch.save never uses"),
    "an object among the weights": (saved(CNN_STATE | {"x": Namespace()}), "without running code"),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", list(REFUSED))
def test_what_it_is_instead_is_one_line(tmp_path: Path, kind: str) -> None:
    make, words = REFUSED[kind]
    make(path := tmp_path / "net.pth")
    with pytest.raises(RequestError) as caught:
        load_weights(path)
    message = str(caught.value)
    assert words in message
    assert str(path) in message
    assert message.isprintable()


@pytest.mark.filterwarnings("ignore")
def test_quantised_and_nested_tensors(tmp_path: Path) -> None:
    for word, value in (
        ("quantised", torch.quantize_per_tensor(torch.zeros(10), 0.1, 0, torch.qint8)),
        ("nested", torch.nested.nested_tensor([torch.zeros(3), torch.zeros(7)])),
    ):
        torch.save(CNN_STATE | {"fc.3.bias": value}, tmp_path / "a.pth")
        with pytest.raises(RequestError, match=f"fc.3.bias is {word}"):
            load_weights(tmp_path / "a.pth")


def test_code_beside_the_weights_does_not_run(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    torch.save({"state_dict": CNN_STATE, "extra": RunsCode(trap)}, tmp_path / "a.pth")
    assert torch.equal(load_weights(tmp_path / "a.pth").get_parameter("fc.1.weight"), CNN_STATE["fc.1.weight"])
    assert not trap.exists()


BOMBS: dict[str, bytes] = {
    "objects": b"\x80\x02" + b"]" * 1_000_000,
    "objects in memory": b"\x80\x02]r\xff\xff\xff\x7f" + b"]" * 300_000 + b".",
    "nested": b"\x80\x02)" + b"\x85" * 190_000 + b"}" + b"N0" * 3 + b"\x85.",
    "a nested key": b"\x80\x02})" + b"\x85" * 190_000 + b"Ns.",
    "a text as long as it says": b"\x80\x02X\xff\xff\xff\x7fabc.",
    "zeros": bytes(40 << 20),
}


@pytest.mark.parametrize("kind", list(BOMBS))
def test_what_a_small_file_unpacks_to_is_counted(tmp_path: Path, kind: str) -> None:
    """Some kilobytes that ask for gigabytes, or for a stack without end."""
    path = tmp_path / "bomb.pth"
    archive(**{"archive__data_pkl": BOMBS[kind]})(path)
    assert path.stat().st_size < 1 << 20
    words = r"unpacks to more than 16 MiB|has more than 200,000 pickle instructions|is |no state dict"
    with pytest.raises(RequestError, match=words):
        load_weights(path)


def test_no_key_has_a_hash_that_a_file_can_choose() -> None:
    """All of these have the hash of 0, and a dict of them takes the square of their count."""
    prime = (1 << 61) - 1
    for value in (
        {n * prime: 0 for n in range(1, 9)},
        {n * prime for n in range(1, 9)},
        {(n * prime,) for n in (1, 2)},
    ):
        found = read_pickle(io.BytesIO(pickle.dumps(value, 4)), lambda *_: NotImplemented, str)
        assert all(isinstance(each, Made) for each in found)
    few = {0: "a", 1 << 60: "b", "c": 1, None: 2}
    assert read_pickle(io.BytesIO(pickle.dumps(few, 4)), lambda *_: NotImplemented, str) == few


def test_too_little_memory_is_one_line(tmp_path: Path) -> None:
    (path := tmp_path / "net.pth").write_bytes(WHOLE)
    with pytest.raises(RequestError, match="does not fit in memory"), opened(path):
        raise MemoryError


def test_a_record_longer_than_its_numbers_is_refused(tmp_path: Path) -> None:
    """What was put into the middle of it moved all numbers behind."""
    torch.save(CNN_STATE, tmp_path / "net.pth")
    with zipfile.ZipFile(tmp_path / "net.pth") as whole, zipfile.ZipFile(tmp_path / "long.pth", "w") as longer:
        for name in whole.namelist():
            data = whole.read(name)
            longer.writestr(name, data[:8] + b"\0" + data[8:] if name.endswith("data/0") else data)
    with pytest.raises(RequestError, match="it holds more numbers than it declares"):
        load_weights(tmp_path / "long.pth")


@pytest.mark.parametrize("kind", ["fifo", "folder", "zero"])
def test_what_is_no_plain_file(tmp_path: Path, kind: str) -> None:
    path = Path("/dev/zero") if kind == "zero" else tmp_path / "x.pth"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(RequestError, match=r"is not a regular file|is a folder"):
        load_weights(path)


@pytest.mark.parametrize("form", ["pth", "safetensors"])
@pytest.mark.parametrize(
    "geometry", [(3, 2, 2), (3, 2, 1), (7, 2, 3), (1, 2, 0), (5, 1, 2), (3, 1, 5), (6, 4, 6)], ids=str
)
def test_our_files_know_stride_padding_and_pixels(tmp_path: Path, geometry: tuple[int, int, int], form: str) -> None:
    kernel, stride, padding = geometry
    architecture = Architecture(
        channels=2, hidden=4, kernel_size=kernel, stride=stride, padding=padding, mean=0.1307, std=0.3081
    )
    save_weights(path := tmp_path / f"net.{form}", model := seeded_cnn(architecture, 1).eval())
    weights = read_weights(path)
    assert (weights.model.architecture, weights.ours, weights.notes) == (architecture, True, ())
    images = torch.rand(3, 1, 28, 28)
    torch.testing.assert_close(weights.model(images), model(images))


def test_our_pth_is_a_plain_state_dict_for_others(tmp_path: Path) -> None:
    save_weights(path := tmp_path / "net.pth", model := seeded_cnn(Architecture(batch_norm=True), 1))
    other = CNN(Architecture(batch_norm=True))
    loaded = torch.load(path)
    assert other.load_state_dict(loaded).missing_keys == []
    assert all(torch.equal(value, model.state_dict()[key]) for key, value in other.state_dict().items())
    torch.save(loaded, tmp_path / "again.pth")  # what is said of the network goes along
    assert read_weights(tmp_path / "again.pth").ours


def test_a_choice_of_stride_and_padding_is_told(tmp_path: Path) -> None:
    model = seeded_cnn(Architecture(channels=2, hidden=4, stride=2, padding=2), 1)
    torch.save(dict(model.state_dict()), path := tmp_path / "a.pth")
    weights = read_weights(path)
    assert (weights.model.architecture.stride, weights.model.architecture.padding) == (2, 1)
    (note,) = weights.notes
    assert note.startswith(
        "stride 2 and padding 1 are assumed, but its shapes fit 2/2 too: change them with --stride and --padding"
    )
    said = read_weights(path, Reading(stride=2, padding=2))
    assert said.model.architecture.padding == 2
    assert said.notes == ()
    with pytest.raises(RequestError, match=r"cannot give 8 features with stride 1 and padding 1"):
        read_weights(path, Reading(stride=1, padding=1))


def test_a_network_that_pools_once_is_not_taken_for_this_one(tmp_path: Path) -> None:
    """Its shapes are those of padding 4, which nobody means with kernels of 5."""
    other = nn.Sequential(nn.Conv2d(1, 32, 5), nn.Conv2d(32, 32, 5), nn.Linear(3200, 50), nn.Linear(50, 10))
    torch.save(other.state_dict(), path := tmp_path / "a.pth")
    with pytest.raises(RequestError, match="may hold a different network: if not, give --stride 1 --padding"):
        read_weights(path)
    assert read_weights(path, Reading(stride=1, padding=4)).model.architecture.padding == 4


def test_an_unusual_geometry_is_told_where_it_is_no_choice(tmp_path: Path) -> None:
    model = seeded_cnn(Architecture(channels=2, hidden=4, kernel_size=5, padding=0), 1)
    torch.save(dict(model.state_dict()), path := tmp_path / "a.pth")
    assert any("stride 1 and padding 0 are assumed" in note for note in read_weights(path).notes)


def test_settings_come_back_or_the_choice_is_told(tmp_path: Path) -> None:
    """Of plain state dicts, all settings of kernels up to 7."""
    asked = silent = 0
    refused = []
    for kernel in (1, 2, 3, 5, 7):
        for stride in (1, 2, 3):
            for padding in range(kernel):
                try:
                    architecture = Architecture(
                        channels=2, hidden=3, kernel_size=kernel, stride=stride, padding=padding
                    )
                except RequestError:
                    continue
                torch.save(dict(CNN(architecture).state_dict()), path := tmp_path / "a.pth")
                asked += 1
                try:
                    weights = read_weights(path)
                    silent += weights.model.architecture != architecture and not weights.notes
                except RequestError:
                    refused.append(padding <= kernel // 2)
                exact = read_weights(path, Reading(stride=stride, padding=padding))
                assert exact.model.architecture == architecture
    assert asked > 30
    assert silent == 0
    assert not any(refused)
