"""Occlusion against the notebook's loop, against Captum, and against a plain batched network."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from torch import Tensor, nn

from engine.attribution import patch_sweep as sweeping
from engine.attribution.events import ClassOcclusionReady, OcclusionMapAdvanced, OcclusionMapReady
from engine.attribution.occlusion import ClassOcclusion, drop_sums, over_strokes, share, watched_class
from engine.attribution.patch_sweep import OcclusionNetwork, OcclusionSweep, cover, drop_by_pixel
from engine.attribution.patched_forward import PatchedImage, PatchedNetwork
from engine.attribution.requests import Occlude
from engine.benchmark import notebook
from engine.data.datasets import Dataset, Split
from engine.event import Event, WorkAdvanced, to_json
from engine.network.checkpoints import load_weights, save_weights
from engine.network.model import CNN, seeded_cnn
from engine.network.requests import Architecture
from engine.operations import perform
from engine.request import RequestError
from engine.runs.finding import pretrained

pytestmark = pytest.mark.numeric

NOWHERE = Path("nowhere")
VARIANTS = ("cnn", "cnn-bn")
TEN = (61, 0, 1, 2, 3, 4, 7, 8, 11, 18)
"""Test digits: the notebook's 8, and the others that it attacks."""
BLACK = torch.zeros(28, 28)


@pytest.fixture(scope="module", params=VARIANTS)
def networks(request: pytest.FixtureRequest) -> tuple[CNN, nn.Module]:
    """One of the bundled networks, and the notebook's own class with the same weights."""
    ours = load_weights(pretrained(request.param).model_file)
    theirs = notebook.network(request.param == "cnn-bn")
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs.eval()


def exactly(network: nn.Module, images: Tensor) -> Tensor:
    """Probabilities (n, 10) float64 by the notebook's network in double precision: what is right."""
    double = copy.deepcopy(network).double()
    with torch.no_grad():
        found: Tensor = double(images.double())[1]
    return found


def swept(network: OcclusionNetwork, image: Tensor, covers: Tensor, patch_size: int, stride: int) -> OcclusionSweep:
    sweep = OcclusionSweep(network, image, covers, patch_size, stride)
    for _ in sweep.finish():
        pass
    return sweep


def occluded(image: Tensor, covers: Tensor, patch_size: int, stride: int) -> Tensor:
    """All occluded images (rows * columns, 1, 28, 28)."""
    starts = range(0, 29 - patch_size, stride)
    images = []
    for row, column in itertools.product(starts, starts):
        one = image.clone()
        square = slice(row, row + patch_size), slice(column, column + patch_size)
        one[0][square] = covers[square]
        images.append(one)
    return torch.stack(images)


def done(request: Occlude) -> list[Event]:
    return [event for event in perform(request, NOWHERE) if not isinstance(event, OcclusionMapAdvanced | WorkAdvanced)]


def ready(request: Occlude) -> OcclusionMapReady:
    event = done(request)[0]
    assert isinstance(event, OcclusionMapReady)
    return event


@pytest.mark.parametrize("patch_size", [1, 8, 27])
def test_it_is_the_notebooks_loop(networks: tuple[CNN, nn.Module], mnist: Dataset, patch_size: int) -> None:
    """To 1e-6; where the loop itself rounds by more than that in single precision, to its own error."""
    ours, theirs = networks
    network = OcclusionNetwork(ours)
    # The loop takes a forward pass a position: at stride 1, two digits take as long as the others together.
    for index, stride in (*((index, 1) for index in TEN[:2]), *itertools.product(TEN[2:6], (2, 3))):
        image, label = mnist.test.images[index], int(mnist.test.labels[index])
        expected = notebook.occlusion_fixed(theirs, image, label, patch_size, stride)
        found = swept(network, image, BLACK, patch_size, stride).map()[..., label].float().numpy()
        assert found.shape == expected.shape == ((28 - patch_size) // stride + 1,) * 2
        far = np.abs(found - expected).ravel() > 1e-6
        assert far.mean() < 0.01
        if far.any():
            right = exactly(theirs, occluded(image, BLACK, patch_size, stride)[far])[:, label]
            np.testing.assert_allclose(found.ravel()[far], right, rtol=0, atol=1e-7)


def test_it_is_exact_where_rounding_shows(networks: tuple[CNN, nn.Module], mnist: Dataset) -> None:
    ours, theirs = networks
    network = OcclusionNetwork(ours)
    compared = 0
    for index in TEN:
        image = mnist.test.images[index]
        expected = exactly(theirs, occluded(image, BLACK, 8, 1))
        found = swept(network, image, BLACK, 8, 1).probabilities
        torch.testing.assert_close(found, expected, rtol=0, atol=5e-7)
        doubtful = sweeping.balance(expected) > sweeping.IN_THE_BALANCE + 1e-4
        torch.testing.assert_close(found[doubtful], expected[doubtful], rtol=0, atol=1e-9)
        compared += int(doubtful.sum())
    assert compared > 100


def test_a_network_that_knows_nothing_needs_no_doubles(mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of its classes hang in the balance, but its logits are small, and so is their rounding."""
    model = seeded_cnn(Architecture(), 0)
    network = OcclusionNetwork(model)
    asked: list[OcclusionSweep] = []
    ask = OcclusionSweep._ask

    def noted(self: OcclusionSweep, image: PatchedImage, places: Tensor) -> Tensor:
        if image is self._exact:
            asked.append(self)
        return ask(self, image, places)

    monkeypatch.setattr(OcclusionSweep, "_ask", noted)
    found = swept(network, mnist.test.images[61], BLACK, 8, 1).probabilities
    assert not asked
    expected = torch.softmax(
        copy.deepcopy(model).double()(occluded(mnist.test.images[61], BLACK, 8, 1).double()), dim=1
    )
    torch.testing.assert_close(found, expected.detach(), rtol=0, atol=1e-7)


ARCHITECTURES = [
    Architecture(),
    Architecture(batch_norm=True, channels=5, hidden=20),
    Architecture(kernel_size=5, padding=0, channels=4, hidden=10),
    Architecture(kernel_size=1, padding=0, channels=3, hidden=10),
    Architecture(kernel_size=2, padding=2, channels=3, hidden=10, batch_norm=True),
    Architecture(kernel_size=4, stride=2, padding=3, channels=4, hidden=10),
    Architecture(kernel_size=2, stride=3, padding=1, channels=4, hidden=10),
    Architecture(kernel_size=7, stride=1, padding=5, channels=2, hidden=10),
    Architecture(kernel_size=1, stride=3, padding=2, channels=4, hidden=10),
]


@pytest.mark.parametrize(
    "architecture", ARCHITECTURES, ids=lambda a: f"{a.variant}-{a.kernel_size}{a.stride}{a.padding}"
)
def test_windows_are_the_whole_network(architecture: Architecture, mnist: Dataset) -> None:
    model = seeded_cnn(architecture, 3).double()
    model.train()(mnist.train.images[:200].double())  # moves the running means of batch norm
    model.eval()
    image = mnist.test.images[61].double()
    windowed = PatchedImage(PatchedNetwork(model, torch.float64), image)
    noise = torch.rand(28, 28, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for patch_size in (1, 2, 3, 5, 8, 13, 27):
        count = 29 - patch_size
        rows, columns = (each.flatten() for each in torch.meshgrid(*[torch.arange(count)] * 2, indexing="ij"))
        some = torch.randperm(len(rows), generator=torch.Generator().manual_seed(patch_size))[:60]
        rows, columns = rows[some], columns[some]
        patches = noise.unfold(0, patch_size, 1).unfold(1, patch_size, 1)[rows, columns]
        with torch.inference_mode():
            found = windowed.patched(patches, rows, columns)
            expected = torch.softmax(model(occluded(image, noise, patch_size, 1)[some]), dim=1)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)


def test_a_window_takes_no_more_than_is_said(mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    """What memory goes by: the largest map of a batch has at most so many numbers an image."""
    largest = 0

    def conv2d(*arguments: Any) -> Tensor:
        nonlocal largest
        maps: Tensor = torch.nn.functional.conv2d(*arguments)
        largest = max(largest, maps.numel() // len(maps))
        return maps

    for architecture, patch_size in itertools.product(ARCHITECTURES, (1, 4, 8, 20, 27)):
        image = PatchedImage(PatchedNetwork(seeded_cnn(architecture, 0), torch.float32), mnist.test.images[61])
        monkeypatch.setattr("engine.attribution.patched_forward.conv2d", conv2d)
        rows, columns = (each.flatten() for each in torch.meshgrid(*[torch.arange(29 - patch_size)] * 2, indexing="ij"))
        largest = 0
        image.patched(torch.zeros(len(rows), patch_size, patch_size), rows, columns)
        monkeypatch.undo()
        assert largest <= image.elements(patch_size)


def test_batches_are_bounded(mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    network = OcclusionNetwork(load_weights(pretrained("cnn").model_file))
    image = mnist.test.images[61]
    whole = swept(network, image, BLACK, 8, 1)
    sizes: list[int] = []
    patched = PatchedImage.patched

    def counted(self: PatchedImage, patches: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        sizes.append(len(rows))
        return patched(self, patches, rows, columns)

    monkeypatch.setattr(PatchedImage, "patched", counted)
    monkeypatch.setitem(sweeping.AT_ONCE, "cpu", 10 * 4608)  # the notebook's network takes 12x12x32 for a patch of 8
    few = swept(network, image, BLACK, 8, 1)
    assert max(sizes) == 10
    np.testing.assert_allclose(few.probabilities, whole.probabilities, rtol=0, atol=5e-7)
    sizes.clear()
    monkeypatch.setitem(sweeping.AT_ONCE, "cpu", 1)  # a network of any size still gets one at a time
    assert swept(network, image, BLACK, 8, 9).side == 3
    assert set(sizes) == {1}


def test_where_the_patch_changes_nothing_the_network_is_not_run(mnist: Dataset) -> None:
    network = OcclusionNetwork(load_weights(pretrained("cnn").model_file))
    image = mnist.test.images[61]
    changes = (occluded(image, BLACK, 4, 1) != image).flatten(1).any(dim=1)
    sweep = swept(network, image, BLACK, 4, 1)
    assert sweep.computed == int(changes.sum()) < len(changes)
    assert (sweep.probabilities[~changes] == sweep.unoccluded).all()
    assert swept(network, torch.zeros(1, 28, 28), BLACK, 4, 1).computed == 0
    assert swept(network, torch.zeros(1, 28, 28), BLACK + 1, 4, 1).computed == len(changes)


def test_it_is_captums_occlusion(networks: tuple[CNN, nn.Module], mnist: Dataset) -> None:
    """Captum spreads the drops over the pixels: where patches reach all of them, its mean is ours."""
    ours, theirs = networks
    network = OcclusionNetwork(ours)
    captum = Occlusion(lambda images: theirs(images)[1])
    for index, (patch_size, stride) in itertools.product((61, 3), ((8, 1), (4, 4), (7, 7), (1, 1), (8, 2), (27, 1))):
        image, label = mnist.test.images[index], int(mnist.test.labels[index])
        sweep = swept(network, image, BLACK, patch_size, stride)
        drops = sweep.unoccluded[label] - sweep.map()[..., label]
        with torch.no_grad():
            expected = captum.attribute(
                image[None],
                sliding_window_shapes=(1, patch_size, patch_size),
                strides=(1, stride, stride),
                target=label,
                perturbations_per_eval=64,
            )[0, 0]
        found = drop_by_pixel(drops[None], patch_size, stride)[0]
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def test_pixels_that_no_patch_reaches_have_no_drop() -> None:
    found = drop_by_pixel(torch.ones(2, 9, 9), 3, 3)  # the last patch begins at 24
    assert found.shape == (2, 28, 28)
    assert (found[:, :27, :27] == 1).all()
    assert (found[:, 27] == 0).all()
    assert (found[:, :, 27] == 0).all()


def test_what_the_patch_shows(mnist: Dataset) -> None:
    image = mnist.test.images[61]
    assert (cover(image, "zero", 0) == 0).all()
    assert (cover(image, "one", 0) == 1).all()
    for gray in ("0", "0.15", "0.5", "1"):
        assert (cover(image, gray, 0) == torch.tensor(float(gray))).all()
    torch.testing.assert_close(cover(image, "mean", 0), image.mean().expand(28, 28))
    noise = cover(image, "noise", 5)
    assert noise.min() >= 0
    assert noise.max() <= 1
    assert noise.std() > 0.25
    assert (noise == cover(image, "noise", 5)).all()
    assert (noise != cover(image, "noise", 6)).any()


@pytest.mark.parametrize("baseline", ["zero", "mean", "one", "noise", "0.5"])
def test_each_baseline_is_the_plain_networks(networks: tuple[CNN, nn.Module], mnist: Dataset, baseline: Any) -> None:
    ours, theirs = networks
    image = mnist.test.images[18]
    covers = cover(image, baseline, 2)
    with torch.no_grad():
        expected = theirs(occluded(image, covers, 6, 3))[1]
    found = swept(OcclusionNetwork(ours), image, covers, 6, 3)
    np.testing.assert_allclose(found.probabilities, expected, rtol=0, atol=3e-6)


def test_the_class_watched() -> None:
    unoccluded = torch.tensor([0.1, 0.2, 0.7, *[0.0] * 7])
    assert watched_class("true", 5, unoccluded) == 5
    assert watched_class("predicted", 5, unoccluded) == 2
    assert watched_class("9", 5, unoccluded) == 9


def test_strokes_and_their_share_of_the_drop() -> None:
    image = np.zeros((28, 28), np.float32)
    image[10, 20] = 0.6
    image[3, 3] = 0.5  # not brighter than one half
    over = over_strokes(image, 4, 2)
    rows, columns = np.nonzero(over)
    assert over.shape == (13, 13)
    assert set(rows * 2) == {8, 10}
    assert set(columns * 2) == {18, 20}
    drops = np.zeros((13, 13))
    drops[4, 9], drops[0, 0], drops[1, 1] = 0.6, 0.2, -0.5  # a rise is no drop
    drops[2, 2] = 1e-7  # nor is rounding
    assert drop_sums(drops, over) == pytest.approx((0.6, 0.8), abs=0)
    assert share(0.6, 0.8) == pytest.approx(0.75)
    assert np.isnan(share(0.0, 0.0))


@pytest.mark.usefixtures("few_images")
def test_the_map_grows_and_then_is_whole(mnist: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sweeping.AT_ONCE, "cpu", 50 * 4608)
    *parts, whole = perform(Occlude(what="pretrained:cnn", watch="3", stride=2), NOWHERE)
    assert isinstance(whole, OcclusionMapReady)
    changes = (occluded(mnist.test.images[61], BLACK, 8, 2) != mnist.test.images[61]).flatten(1).any(dim=1)
    computed, known = changes.nonzero()[:, 0].tolist(), []
    for part in parts:
        assert isinstance(part, OcclusionMapAdvanced)
        assert ((part.winners < 0) == np.isnan(part.probabilities)).all()
        known.append(int((part.winners >= 0).sum()))
        # Row by row: of the positions that are computed, what is not known yet comes after what is.
        missing = np.isnan(part.probabilities.ravel()).nonzero()[0].tolist()
        assert missing == computed[len(computed) - len(missing) :]
    assert known == sorted(known)
    assert known[0] < known[-1] == whole.winners.size == 121
    assert (whole.actual, whole.predicted, whole.watched) == (8, 8, 3)
    assert whole.unoccluded_probability == pytest.approx(float(whole.unoccluded[3]))
    np.testing.assert_allclose(whole.all_probabilities.sum(axis=2), 1, atol=1e-6)
    np.testing.assert_array_equal(whole.all_probabilities[..., 3], whole.probabilities)
    np.testing.assert_array_equal(whole.all_probabilities.argmax(axis=2), whole.winners)
    assert whole.minimum == whole.probabilities.min()
    assert whole.maximum == whole.probabilities.max()
    for value, at in ((whole.minimum, whole.minimum_at), (whole.maximum, whole.maximum_at)):
        assert whole.probabilities[at[0] // 2, at[1] // 2] == value
    np.testing.assert_array_equal(whole.image, mnist.test.images[61, 0])
    whole.image[:] = 7  # the data set's own memory is elsewhere
    assert mnist.test.images[61].max() <= 1
    line = to_json(whole)
    for name in (b'"minimum":', b'"maximum":', b'"minimum_at":[', b'"maximum_at":[', b'"seconds":', b'"strokes":{'):
        assert name in line
    assert b"winners" not in line


@pytest.mark.usefixtures("few_images")
def test_the_mean_map_of_a_class(small: Dataset) -> None:
    request = Occlude(what="pretrained:cnn-bn", patch_size=10, stride=6, average=7)
    _, mean = done(request)
    assert isinstance(mean, ClassOcclusionReady)
    indices = (small.test.labels == 8).nonzero()[:, 0].tolist()
    assert (mean.digit, mean.averaged, mean.matching) == (8, 7, len(indices))
    maps = [ready(Occlude(what="pretrained:cnn-bn", patch_size=10, stride=6, index=i)) for i in indices[:7]]
    stack = np.stack([each.probabilities for each in maps])
    np.testing.assert_allclose(mean.mean_probabilities, stack.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(mean.deviation, stack.std(axis=0, ddof=1), atol=1e-5)
    changed = np.stack([each.winners != each.predicted for each in maps])
    np.testing.assert_allclose(mean.changed, changed.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(mean.mean_image, np.stack([each.image for each in maps]).mean(axis=0), atol=1e-6)
    assert mean.unoccluded_probability == pytest.approx(np.mean([each.unoccluded_probability for each in maps]))
    assert mean.strokes.positions == pytest.approx(np.mean([each.strokes.positions for each in maps]))
    sums = [
        drop_sums(
            each.unoccluded_probability - each.all_probabilities[..., 8].astype(float), over_strokes(each.image, 10, 6)
        )
        for each in maps
    ]
    assert mean.strokes.drop == pytest.approx(share(sum(s for s, _ in sums), sum(w for _, w in sums)), abs=1e-4)
    row, column = mean.minimum_at
    assert mean.mean_probabilities[row // 6, column // 6] == mean.mean_probabilities.min()
    row, column = mean.most_changed_at
    assert mean.changed[row // 6, column // 6] == mean.changed.max()
    alone = done(Occlude(what="pretrained:cnn-bn", patch_size=10, stride=6, average=1))[1]
    assert isinstance(alone, ClassOcclusionReady)
    assert (alone.deviation == 0).all()
    many = done(Occlude(what="pretrained:cnn-bn", patch_size=10, stride=14, average=10_000))[1]
    assert isinstance(many, ClassOcclusionReady)
    assert many.averaged == many.matching


@pytest.mark.usefixtures("few_images")
def test_rounding_is_no_drop() -> None:
    """A sure network has thousands of drops of 1e-8: they are not what the share of the drop is about."""
    exact = swept_exactly(ready(Occlude(what="pretrained:cnn", patch_size=1)))
    event = ready(Occlude(what="pretrained:cnn", patch_size=1))
    assert event.strokes.drop == pytest.approx(exact, abs=0.01)
    nothing = ready(Occlude(what="pretrained:cnn", patch_size=1, stride=27))
    assert nothing.computed == 0
    assert np.isnan(nothing.strokes.drop)


def swept_exactly(event: OcclusionMapReady) -> float:
    network = OcclusionNetwork(load_weights(pretrained("cnn").model_file))
    sweep = OcclusionSweep(network, torch.from_numpy(event.image)[None], BLACK, event.patch_size, 1, exact=True)
    for _ in sweep.finish():
        pass
    drops = (sweep.unoccluded[event.watched] - sweep.map()[..., event.watched]).numpy()
    return share(*drop_sums(drops, over_strokes(event.image, event.patch_size, 1)))


def test_an_exact_sweep_is_exact_everywhere(networks: tuple[CNN, nn.Module], mnist: Dataset) -> None:
    ours, theirs = networks
    image = mnist.test.images[1]
    sweep = OcclusionSweep(OcclusionNetwork(ours), image, BLACK, 4, 3, exact=True)
    for _ in sweep.finish():
        pass
    torch.testing.assert_close(sweep.probabilities, exactly(theirs, occluded(image, BLACK, 4, 3)), rtol=0, atol=1e-9)


@pytest.mark.usefixtures("few_images")
def test_a_mean_map_goes_on_where_it_was_left(monkeypatch: pytest.MonkeyPatch) -> None:
    added: list[int] = []
    add = ClassOcclusion._add

    def counted(self: ClassOcclusion, image: Tensor) -> None:
        added.append(self.done)
        add(self, image)

    monkeypatch.setattr(ClassOcclusion, "_add", counted)
    request = Occlude(what="pretrained:cnn", stride=9, average=5, seed=11)
    work = perform(request, NOWHERE)
    for event in work:
        if isinstance(event, WorkAdvanced) and event.done == 2:
            break
    work.close()
    done(request)
    done(Occlude(what="pretrained:cnn", stride=9, average=5, seed=11, index=84))  # another 8
    assert added == [0, 1, 2, 3, 4]


@pytest.mark.usefixtures("few_images")
def test_weights_that_are_no_numbers(tmp_path: Path) -> None:
    model = seeded_cnn(Architecture(), 0)
    with torch.no_grad():
        model.state_dict()["fc.3.weight"][2, 5] = torch.nan
    path = tmp_path / "nan.safetensors"
    save_weights(path, model)
    event = ready(Occlude(what=str(path), stride=5))
    assert np.isnan(event.probabilities).all()
    assert (event.winners == -1).all()
    assert np.isnan(event.strokes.drop)
    assert b'"minimum":null' in to_json(event)


@pytest.mark.usefixtures("few_images")
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"index": 400}, "index 400 is beyond the 400 images of the test split: the last is 399"),
        ({"what": "nothing.pth"}, "there is no file nothing.pth"),
        ({"what": "no-run"}, "no-run is not a run folder"),
    ],
)
def test_bad_questions(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError) as caught:
        list(perform(Occlude(**({"what": "pretrained:cnn"} | fields)), NOWHERE))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_are_refused_in_one_line(tmp_path: Path) -> None:
    state = seeded_cnn(Architecture(), 0).state_dict()
    state["fc.3.weight"] = torch.zeros(11, 500)
    path = tmp_path / "eleven.pth"
    torch.save(state, path)
    with pytest.raises(RequestError, match=r"fc.3.weight \(11, 500\) has 11 outputs instead of 10") as caught:
        list(perform(Occlude(what=str(path)), NOWHERE))
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("few_images")
def test_any_split_and_another_architecture(small: Dataset, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_weights(path, seeded_cnn(Architecture(channels=3, kernel_size=5, padding=0, hidden=9), 1))
    for split in ("train", "val"):
        event = ready(Occlude(what=str(path), split=split, index=7, patch_size=27, stride=1))
        of: Split = getattr(small, split)
        assert event.actual == int(of.labels[7])
        assert event.probabilities.shape == (2, 2)
        assert event.count == len(of)


def test_captum_is_loaded_only_when_used() -> None:
    """Occlusion, too, does without it."""
    import subprocess
    import sys

    code = (
        "import sys; from pathlib import Path\n"
        "from engine.operations import perform; from engine.attribution.requests import Occlude\n"
        "import engine.attribution.explain\n"
        "events = list(perform(Occlude(what='pretrained:cnn', stride=14), Path('nowhere')))\n"
        "assert events; assert 'captum' not in sys.modules; assert 'matplotlib' not in sys.modules"
    )
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
