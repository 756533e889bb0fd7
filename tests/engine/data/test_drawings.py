"""The user's drawings as a data set: keeping, reading, and what is said of a file that is missing or damaged."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engine.attacks.requests import AttackFgsm, AttackUniversal, MeasureRobustness
from engine.attacks.verdicts import Setting, verdicts_of
from engine.attribution.requests import Attribute, Occlude
from engine.certification.requests import Certify
from engine.corruptions.requests import ShowCorruptions
from engine.data.datasets import Dataset, load_drawings
from engine.data.drawings import read_drawings
from engine.data.events import DrawingKept
from engine.data.requests import KeepDrawing, part_of, source_of
from engine.event import Event
from engine.figures.drawing.figure import stem_of
from engine.inspection.events import ImagesEvent, SplitEvaluated
from engine.inspection.loaded import load_network
from engine.inspection.requests import Evaluate, ShowActivations, ShowDigits
from engine.network.requests import Inspect
from engine.operations import perform
from engine.request import Request, RequestError
from engine.runs.folder import RunFolder

CNN, CPU = "pretrained:cnn", torch.device("cpu")


def keep(root: Path, image: np.ndarray, label: int) -> DrawingKept:
    """Keep `image` (28, 28) uint8."""
    (event,) = perform(KeepDrawing(pixels=image.tobytes(), label=label), root)
    assert isinstance(event, DrawingKept)
    return event


@pytest.fixture
def kept(mnist: Dataset, tmp_path: Path) -> Path:
    """A folder of runs with the first five test digits as drawings, the last with a wrong label."""
    root = tmp_path / "runs"
    for index, image in enumerate(_bytes(mnist, 5)):
        keep(root, image, int(mnist.test.labels[index]) if index < 4 else 0)
    return root


def _bytes(mnist: Dataset, count: int) -> np.ndarray:
    images: np.ndarray = np.rint(255 * mnist.test.images[:count, 0].numpy()).astype(np.uint8)
    return images


def test_drawings_are_kept_in_order_and_relabelled(mnist: Dataset, tmp_path: Path) -> None:
    one, other = _bytes(mnist, 2)
    root = tmp_path / "new" / "runs"
    assert keep(root, one, 7) == DrawingKept(index=0, label=7, count=1, before=None)
    assert keep(root, other, 2) == DrawingKept(index=1, label=2, count=2, before=None)
    assert keep(root, one, 1) == DrawingKept(index=0, label=1, count=2, before=7)
    assert keep(root, one, 1) == DrawingKept(index=0, label=1, count=2, before=1)
    images, labels = read_drawings(root)
    assert np.array_equal(images, [one, other])
    assert labels.tolist() == [1, 2]
    with np.load(root / "drawings.npz") as file:
        assert {name: (file[name].dtype, file[name].shape) for name in file} == {
            "images": (np.uint8, (2, 28, 28)),
            "labels": (np.uint8, (2,)),
        }
    assert [path.name for path in root.iterdir()] == ["drawings.npz"]  # nothing is left of the writing


def test_a_network_receives_the_bytes_that_were_kept(mnist: Dataset, kept: Path) -> None:
    split = load_drawings(kept, CPU)
    assert torch.equal(split.images, mnist.test.images[:5])
    assert split.labels.tolist() == [*mnist.test.labels[:4].tolist(), 0]
    assert load_drawings(kept, CPU) is split
    keep(kept, np.full((28, 28), 9, np.uint8), 3)
    assert len(load_drawings(kept, CPU)) == 6


def test_the_drawings_are_evaluated_like_a_split(kept: Path) -> None:
    *_, event = perform(Evaluate(what=CNN, dataset="drawings", device="cpu"), kept)
    assert isinstance(event, SplitEvaluated)
    assert (event.count, event.mistakes, event.dataset) == (5, 1, "drawings")
    assert event.confusion[0][4] == 1
    assert (event.part, event.source) == ("drawings", "drawings")
    assert stem_of(event) == "confusion-drawings"


@pytest.mark.parametrize(
    "request_",
    [
        ShowDigits(what=CNN, dataset="drawings", device="cpu", order="least-certain"),
        ShowActivations(what=CNN, dataset="drawings", device="cpu", index=4, survey=True),
        Occlude(what=CNN, dataset="drawings", device="cpu", index=4, stride=9),
        Attribute(what=CNN, dataset="drawings", device="cpu", index=4, method="saliency"),
        AttackFgsm(what=CNN, dataset="drawings", device="cpu", indices=(0, 4)),
        MeasureRobustness(what=CNN, dataset="drawings", device="cpu", attack=("fgsm",), epsilons=(0.1,), count=5),
        Certify(what=CNN, dataset="drawings", device="cpu", epsilons=(0.001,), count=5),
        ShowCorruptions(what=CNN, dataset="drawings", device="cpu", index=4),
    ],
    ids=lambda request: type(request).__name__,
)
def test_every_request_about_images_takes_drawings(request_: Request, kept: Path) -> None:
    events: list[Event] = list(perform(request_, kept))
    assert events
    assert {event.source for event in events if isinstance(event, ImagesEvent)} <= {"drawings"}
    assert {getattr(event, "source", "drawings") for event in events} == {"drawings"}


def test_nothing_is_fitted_to_drawings(kept: Path) -> None:
    with pytest.raises(RequestError, match="the drawings have no train split: all of them are in test"):
        list(perform(Evaluate(what=CNN, dataset="drawings", split="train", device="cpu"), kept))
    with pytest.raises(RequestError, match="fitted to training images, which the drawings do not have"):
        AttackUniversal(what=CNN, dataset="drawings")


def test_an_index_beyond_the_drawings_is_refused(kept: Path) -> None:
    with pytest.raises(RequestError, match="index 5 is beyond the 5 images of the drawings: the last is 4"):
        list(perform(ShowActivations(what=CNN, dataset="drawings", device="cpu", index=5), kept))


def test_no_drawings_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"no drawings in .*runs: draw a digit on screen 9 and keep it there"):
        list(perform(Evaluate(what=CNN, dataset="drawings", device="cpu"), tmp_path / "runs"))


def _npz(**arrays: Any) -> Callable[[Path], None]:
    return lambda path: np.savez(path, **arrays)


_IMAGES, _LABELS = np.ones((2, 28, 28), np.uint8), np.array([1, 2], np.uint8)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: path.write_bytes(path.read_bytes()[:200]), "File is not a zip file"),
        (lambda path: path.write_bytes(b""), "File is not a zip file"),
        (_npz(images=_IMAGES), "there are no labels"),
        (_npz(images=_IMAGES.astype(np.float32), labels=_LABELS), "the images are not 28x28 bytes"),
        (_npz(images=_IMAGES[:, :27], labels=_LABELS), "the images are not 28x28 bytes"),
        (_npz(images=_IMAGES, labels=_LABELS[:1]), "there is not one label for each image"),
        (_npz(images=_IMAGES, labels=_LABELS / 2), "there is not one label for each image"),
        (_npz(images=_IMAGES, labels=np.array([1, 10])), "a label is not a digit from 0 to 9"),
        (_npz(images=_IMAGES, labels=np.array([-1, 1])), "a label is not a digit from 0 to 9"),
        (_npz(images=_IMAGES[:0], labels=_LABELS[:0]), "there is no image"),
        (_npz(images=_IMAGES, labels=np.array([{}, {}], object)), "Object arrays cannot be loaded"),
        (_npz(images=np.zeros((30_000, 28, 28), np.uint8), labels=np.zeros(30_000, np.uint8)), "larger than"),
    ],
)
def test_a_damaged_file_is_one_line_and_is_not_overwritten(
    damage: Callable[[Path], None], words: str, kept: Path
) -> None:
    path = kept / "drawings.npz"
    damage(path)
    before = path.read_bytes()
    for request in (Evaluate(what=CNN, dataset="drawings", device="cpu"), KeepDrawing(pixels=bytes([1] * 784))):
        with pytest.raises(RequestError, match=words) as refused:
            list(perform(request, kept))
        assert str(path) in str(refused.value)
        assert "\n" not in str(refused.value)
    assert path.read_bytes() == before


def test_an_archive_that_unpacks_to_too_much_is_refused(kept: Path) -> None:
    path = kept / "drawings.npz"
    np.savez_compressed(path, images=np.zeros((30_000, 28, 28), np.uint8), labels=np.zeros(30_000, np.uint8))
    with pytest.raises(RequestError, match=r"damaged .it is too large.: restore it, or move it away"):
        read_drawings(kept)


def test_what_cannot_be_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RequestError, match="nothing is drawn: draw a digit first"):
        list(perform(KeepDrawing(), tmp_path))
    monkeypatch.setattr("engine.data.drawings.MOST", 1)
    one = np.ones((28, 28), np.uint8)
    keep(tmp_path, one, 1)
    with pytest.raises(RequestError, match="holds 1 drawings, as many as it can"):
        keep(tmp_path, one * 2, 1)
    assert keep(tmp_path, one, 2).before == 1
    (file := tmp_path / "file").write_text("")
    with pytest.raises(RequestError, match=r"cannot keep the drawing in .*: make room there"):
        keep(file, one, 1)


def test_what_is_known_of_drawings_does_not_outlive_them(trained: RunFolder, kept: Path) -> None:
    """What attacks took them for is not kept in the run: the next drawings would be mistaken for these."""
    loaded = load_network(Inspect(what=str(trained.path), device="cpu"), Path("nowhere"))
    setting = Setting("fgsm", "linf", 0.1, 1, 1, 0)
    split = load_drawings(kept, CPU)
    assert verdicts_of(loaded, split, "drawings", "test", setting)._file is None
    assert verdicts_of(loaded, split, "mnist", "test", setting)._file is not None


def test_names_of_parts() -> None:
    assert [part_of(*each) for each in (("mnist", "val"), ("drawings", "test"))] == ["val", "drawings"]
    assert [source_of(*each) for each in (("mnist", "val"), ("drawings", "test"))] == ["mnist val", "drawings"]
