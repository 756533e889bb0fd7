from __future__ import annotations

import errno
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.patches import Rectangle

import engine.figures.export
from engine.attribution.events import (
    AttributionsComputed,
    ClassOcclusionReady,
    FaithfulnessMeasured,
    OcclusionMapAdvanced,
    OcclusionMapReady,
)
from engine.attribution.requests import Attribute, Occlude
from engine.data.datasets import Dataset
from engine.figures.drawing.figure import figure_of, stem_of
from engine.figures.drawing.page import ROLES, VERMILLION, png_of
from engine.figures.events import FigureSaved
from engine.figures.export import draw_figure
from engine.figures.requests import ColourMapName, DrawFigure
from engine.inspection.events import ActivationsComputed, DigitsShown, FiltersShown, NetworkSummarised, SplitEvaluated
from engine.inspection.requests import Evaluate, LayerName, ShowActivations, ShowDigits, ShowFilters, Summarise
from engine.network.events import WeightsOpened
from engine.operations import perform
from engine.request import Request, RequestError
from engine.runs.finding import pretrained
from engine.runs.history import RunHistory
from engine.training.events import BatchTrained
from engine.training.requests import Train
from tests.conftest import patch_load
from tests.engine.figures.pages import caption, inside, title

CNN = "pretrained:cnn"
NOWHERE = Path("nowhere")


def asked(request: Request) -> Any:
    *_, event = perform(request, NOWHERE)
    return event


@pytest.fixture(scope="module", autouse=True)
def few_images(small: Dataset) -> Iterator[None]:
    """Networks see the small data set: nothing is drawn otherwise for more images."""
    with pytest.MonkeyPatch.context() as patch:
        patch_load(patch, small, "engine.inspection.loaded")
        yield


@pytest.fixture(scope="module")
def conv1() -> FiltersShown:
    return asked(ShowFilters(what=CNN, device="cpu"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def conv2() -> FiltersShown:
    return asked(ShowFilters(what=CNN, layer="conv2", device="cpu"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def activations() -> ActivationsComputed:
    return asked(ShowActivations(what=CNN, device="cpu"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def evaluated() -> SplitEvaluated:
    return asked(Evaluate(what=CNN, device="cpu"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def digits() -> DigitsShown:
    return asked(ShowDigits(what=CNN, device="cpu", seed=3))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def summary() -> NetworkSummarised:
    return asked(Summarise(what="pretrained:cnn-bn", device="cpu"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def occlusion() -> OcclusionMapReady:
    return asked(Occlude(what=CNN, device="cpu"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def class_occlusion() -> ClassOcclusionReady:
    return asked(Occlude(what=CNN, device="cpu", stride=4, average=3))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def attributions() -> AttributionsComputed:
    return asked(Attribute(what="pretrained:cnn-bn", device="cpu"))  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def faithfulness() -> FaithfulnessMeasured:
    return asked(Attribute(what=CNN, device="cpu", digits=3, randomise=True, stride=4))  # type: ignore[no-any-return]


@pytest.fixture
def history() -> RunHistory:
    return pretrained("cnn").history()


def filters(*shape: int, seed: int = 0) -> FiltersShown:
    weights = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    return FiltersShown(
        name="mine.pth",
        variant="cnn",
        epoch=None,
        layer="conv2",
        epochs=(),
        shape=(shape[0], shape[1], shape[2], shape[3]),
        minimum=float(weights.min()),
        maximum=float(weights.max()),
        norms=(),
        mean_size=float(np.abs(weights).mean()),
        near_zero=0,
        one_pixel=0,
        weights=weights,
    )


@pytest.fixture(scope="module")
def tiny() -> FiltersShown:
    """What takes no time to draw."""
    return msgspec.structs.replace(filters(2, 1, 1, 1), layer="conv1", epoch=15)


def words(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def corners(axes: Axes) -> list[tuple[int, int]]:
    """The left top corner (column, row) of each image's frame."""
    frames: Any = axes.collections[0].get_paths()
    return [(int(frame.vertices[0][0]), int(frame.vertices[0][1])) for frame in frames]


def drawn_on(axes: Axes) -> np.ndarray:
    pixels: Any = axes.images[0].get_array()
    return np.ma.filled(pixels.astype(float), np.nan)


def tiles(axes: Axes, count: int, height: int, width: int) -> np.ndarray:
    """The images (count, height, width) of a mosaic, cut out of what is drawn; between them there is nothing."""
    drawn = drawn_on(axes)
    zoom = max(1, 24 // max(height, width))
    images, gaps = [], np.ones(drawn.shape, bool)
    for x, y in corners(axes):
        window = (slice(y, y + height * zoom), slice(x, x + width * zoom))
        images.append(drawn[window][::zoom, ::zoom])
        gaps[window] = False
    assert len(images) == count
    assert np.isnan(drawn[gaps]).all()
    return np.array(images)


def mosaic_axes(figure: Figure) -> Axes:
    (axes,) = (axes for axes in figure.axes if axes.images and axes.collections)
    return axes


def bar_axes(figure: Figure) -> Axes:
    return figure.axes[-1]


def saved(subject: object, **options: Any) -> Path:
    (event,) = perform(DrawFigure(subject=subject, **options), NOWHERE)
    assert isinstance(event, FigureSaved)
    assert Path(event.path).is_absolute()
    return Path(event.path)


# What is drawn


@pytest.mark.parametrize("colours", ["gray", "viridis", "diverging"])
@pytest.mark.parametrize("shared_range", [False, True])
def test_filters_of_one_input_channel(conv1: FiltersShown, colours: ColourMapName, shared_range: bool) -> None:
    figure = figure_of(conv1, colours=colours, shared_range=shared_range)
    assert title(figure) == "All 32 Filters of conv1 Layer"
    assert caption(figure) == "pretrained:cnn · epoch 15 · mnist-tui"
    axes = mosaic_axes(figure)
    assert words(axes) == [f"filter number: {i}" for i in range(32)]
    drawn, kernels = tiles(axes, 32, 3, 3), conv1.weights[:, 0]
    image, label = axes.images[0], bar_axes(figure).get_xlabel()
    assert image.get_cmap().name == {"diverging": "RdBu_r"}.get(colours, colours)
    largest = np.abs(kernels).max(axis=(1, 2), keepdims=True)
    low, high = kernels.min(axis=(1, 2), keepdims=True), kernels.max(axis=(1, 2), keepdims=True)
    if shared_range:
        np.testing.assert_array_equal(drawn, kernels)
        ends = (-largest.max(), largest.max()) if colours == "diverging" else (conv1.minimum, conv1.maximum)
        assert image.get_clim() == pytest.approx(ends)
        assert label == "weight"
    elif colours == "diverging":
        np.testing.assert_allclose(drawn, kernels / largest, rtol=1e-6)
        assert image.get_clim() == (-1, 1)
        assert label.endswith("each kernel up to its own largest magnitude")
    else:
        np.testing.assert_allclose(drawn, (kernels - low) / (high - low), atol=1e-6)
        assert image.get_clim() == (0, 1)
        assert label.endswith("each kernel from its own minimum to its maximum")


def test_filters_of_many_input_channels(conv2: FiltersShown) -> None:
    figure = figure_of(conv2, shared_range=True)
    assert title(figure) == "All 1024 Channel-Filters of conv2 Layer"
    axes = mosaic_axes(figure)
    np.testing.assert_array_equal(tiles(axes, 1024, 3, 3).reshape(32, 32, 3, 3), conv2.weights)
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("input channel", "output channel")
    left_top = corners(axes)
    for axis, ticks, labels in (
        (0, axes.get_xticks(), axes.get_xticklabels()),
        (1, axes.get_yticks(), axes.get_yticklabels()),
    ):
        for tick, label in zip(ticks, labels, strict=True):
            channel = int(label.get_text())
            assert tick == left_top[channel if axis == 0 else channel * 32][axis] + 12  # the middle of 24 elements


@pytest.mark.parametrize("shape", [(5, 5, 5, 5), (5, 1, 5, 5), (1, 1, 1, 1), (3, 3, 1, 1), (2, 3, 28, 28)])
def test_filters_of_other_architectures(shape: tuple[int, ...]) -> None:
    event = filters(*shape)
    figure = figure_of(event, shared_range=True)
    count = shape[0] * shape[1]
    kind = "Filters" if shape[1] == 1 else "Channel-Filters"
    assert title(figure) == f"All {count} {kind} of conv2 Layer"
    assert caption(figure) == "mine.pth · mnist-tui"
    drawn = tiles(mosaic_axes(figure), count, *shape[2:])
    np.testing.assert_array_equal(drawn.reshape(shape), event.weights)
    png_of(figure)


def test_of_very_many_filters_the_first_are_drawn_and_the_figure_says_so() -> None:
    event = filters(70, 66, 3, 3)
    figure = figure_of(event, shared_range=True)
    assert title(figure) == "4096 of 4620 Channel-Filters of conv2 Layer"
    assert "the first 64 output and 64 input channels" in caption(figure)
    drawn = tiles(mosaic_axes(figure), 4096, 3, 3).reshape(64, 64, 3, 3)
    np.testing.assert_array_equal(drawn, event.weights[:64, :64])
    assert len(words(mosaic_axes(figure_of(filters(300, 1, 3, 3))))) == 300


@pytest.mark.parametrize("colours", ["gray", "diverging"])
@pytest.mark.parametrize("shared_range", [False, True])
def test_weights_that_are_no_numbers_or_all_the_same(colours: ColourMapName, shared_range: bool) -> None:
    event = filters(3, 1, 3, 3)
    event.weights[0] = np.nan
    event.weights[1] = 0
    event.weights[2, 0, 0, 0] = np.inf
    figure = figure_of(event, colours=colours, shared_range=shared_range)
    drawn = tiles(mosaic_axes(figure), 3, 3, 3)
    assert np.isnan(drawn[0]).all()
    assert (drawn[1] == 0).all()
    assert np.isnan(drawn[2, 0, 0])
    png_of(figure)
    event.weights[:] = 0
    low, high = mosaic_axes(figure_of(event, colours=colours, shared_range=True)).images[0].get_clim()
    assert (low, high) == ((-1, 1) if colours == "diverging" else (0, 1))


@pytest.mark.parametrize("layer", ["conv1", "conv2"])
@pytest.mark.parametrize("shared_range", [False, True])
def test_activations(activations: ActivationsComputed, layer: LayerName, shared_range: bool) -> None:
    figure = figure_of(activations, layer=layer, colours="viridis", shared_range=shared_range)
    maps, mean = getattr(activations, layer), getattr(activations, f"{layer}_mean")
    assert title(figure) == f"All 32 activation of {layer} Layer"
    assert caption(figure) == "pretrained:cnn · epoch 15 · mnist test · image 61 · mnist-tui"
    digit, average, mosaic, bar = figure.axes
    assert digit.get_title() == "actual image: 8"
    assert digit.get_xlabel().startswith("predicted: 8 (")
    np.testing.assert_array_equal(drawn_on(digit), activations.image)
    assert average.get_title() == "activation map"
    np.testing.assert_array_equal(drawn_on(average), mean)
    assert words(mosaic) == [str(i) for i in range(32)]
    drawn = tiles(mosaic, *maps.shape)
    assert bar.get_xlabel().startswith("activation (after ReLU)")
    if shared_range:
        np.testing.assert_array_equal(drawn, maps)
        assert mosaic.images[0].get_clim() == average.images[0].get_clim() == pytest.approx((0, maps.max()))
    else:
        alive = maps.max(axis=(1, 2)) > maps.min(axis=(1, 2))
        assert (drawn[alive].max(axis=(1, 2)) == 1).all()
        assert (drawn[~alive] == 0).all()
        assert average.images[0].get_clim() == pytest.approx((mean.min(), mean.max()))
        assert "each map from its own minimum" in bar.get_xlabel()


def test_activations_of_another_architecture(activations: ActivationsComputed) -> None:
    maps = np.random.default_rng(0).random((5, 3, 3)).astype(np.float32)
    event = msgspec.structs.replace(activations, conv2=maps, conv2_mean=maps.mean(0))
    figure = figure_of(event, layer="conv2", shared_range=True)
    assert title(figure) == "All 5 activation of conv2 Layer"
    np.testing.assert_array_equal(tiles(mosaic_axes(figure), 5, 3, 3), maps)
    png_of(figure)


@pytest.mark.parametrize("shared_range", [True, False])
def test_occlusion_is_the_notebooks_figure(occlusion: OcclusionMapReady, shared_range: bool) -> None:
    figure = figure_of(occlusion, colours="viridis", shared_range=shared_range)
    image, heat, winners, bar = figure.axes[0], figure.axes[1], figure.axes[2], figure.axes[3]
    assert image.get_title() == "Original Image\nTrue Label: 8"
    np.testing.assert_array_equal(image.images[0].get_array(), occlusion.image)
    extremes = f"Min: {occlusion.minimum:.4f}, Max: {occlusion.maximum:.4f}"
    assert heat.get_title() == f"Probability of True Class (8)\n{extremes}"
    assert heat.get_xlabel().startswith("Patch X-position")
    assert heat.get_ylabel().startswith("Patch Y-position")
    (shown,) = heat.images
    np.testing.assert_array_equal(shown.get_array(), occlusion.probabilities)
    assert shown.get_cmap().name == "viridis"
    ends = (0, 1) if shared_range else (occlusion.probabilities.min(), occlusion.probabilities.max())
    assert shown.get_clim() == pytest.approx(ends)
    assert bar.get_ylabel() == "Probability of True Class"
    assert words(winners) == [str(winner) for winner in occlusion.winners.ravel()]
    assert f"not 8 at {(occlusion.winners != 8).sum()} of 441 positions" in winners.get_title()
    assert caption(figure) == "pretrained:cnn · epoch 15 · mnist test · image 61 · patch 8x8 of 0, stride 1 · mnist-tui"
    inside(figure)


def test_occlusion_of_another_class_and_stride() -> None:
    event: OcclusionMapReady = asked(
        Occlude(what=CNN, device="cpu", watch="3", stride=5, patch_size=3, baseline="noise")
    )
    figure = figure_of(event, colours="viridis", shared_range=True)
    assert figure.axes[1].get_title().startswith("Probability of Class (3)")
    assert [text.get_text() for text in figure.axes[1].get_xticklabels()] == ["0", "5", "10", "15", "20", "25"]
    (frame,) = figure.axes[0].patches
    assert isinstance(frame, Rectangle)
    row, column = event.minimum_at
    assert (frame.get_x(), frame.get_y(), frame.get_width()) == (column - 0.5, row - 0.5, 3)
    inside(figure)


def test_the_caption_names_the_gray_of_the_patch() -> None:
    figure = figure_of(asked(Occlude(what=CNN, device="cpu", stride=13, patch_size=4, baseline="0.5")))
    assert "patch 4x4 of 0.5, stride 13" in caption(figure)


def test_a_map_that_grows_is_not_drawn(occlusion: OcclusionMapReady) -> None:
    fields = {name: getattr(occlusion, name) for name in OcclusionMapAdvanced.__struct_fields__}
    with pytest.raises(RequestError, match="nothing to draw yet: wait until the map is complete"):
        figure_of(OcclusionMapAdvanced(**fields))


def test_mean_map_of_a_class(class_occlusion: ClassOcclusionReady) -> None:
    figure = figure_of(class_occlusion, colours="viridis", shared_range=True)
    image, heat, changed = figure.axes[:3]
    assert image.get_title() == "Mean of 3 images\nTrue Label: 8"
    np.testing.assert_array_equal(heat.images[0].get_array(), class_occlusion.mean_probabilities)
    np.testing.assert_array_equal(changed.images[0].get_array(), class_occlusion.changed)
    inside(figure)


@pytest.mark.parametrize("shared_range", [True, False])
def test_attributions(attributions: AttributionsComputed, shared_range: bool) -> None:
    figure = figure_of(attributions, colours="diverging", shared_range=shared_range)
    assert title(figure) == "Attributions for class 8: actual 8, predicted 8"
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), attributions.image)
    mosaic = figure.axes[1]
    assert len(words(mosaic)) == 8
    drawn = tiles(mosaic, 8, 28, 28)
    largest = np.abs(attributions.maps).max(axis=(1, 2), keepdims=True)
    expected = attributions.maps if shared_range else attributions.maps / largest
    np.testing.assert_allclose(drawn, expected, rtol=1e-5, atol=1e-7)
    deletion, insertion = (axes for axes in figure.axes if axes.get_xlabel().startswith("pixels"))
    for axes, name in ((deletion, "deletion"), (insertion, "insertion")):
        for line, trust in zip(axes.get_lines(), attributions.faithfulness, strict=True):
            np.testing.assert_allclose(np.asarray(line.get_ydata()), getattr(trust, name).values)
            np.testing.assert_allclose(np.asarray(line.get_xdata()), np.linspace(0, 100, 29))
    table = words(figure.axes[-1])
    for trust in attributions.faithfulness:
        assert f"{trust.deletion.area:.3f}" in table
        assert f"{trust.insertion.area:.3f}" in table
    inside(figure)


def test_one_attribution_alone(attributions: AttributionsComputed) -> None:
    one = msgspec.structs.replace(
        attributions, methods=("saliency",), maps=attributions.maps[1:2], faithfulness=attributions.faithfulness[1:2]
    )
    figure = figure_of(one, colours="gray", shared_range=False)
    assert words(figure.axes[1]) == ["saliency"]
    assert stem_of(one) == "attributions-saliency-test-61"
    flat = msgspec.structs.replace(one, maps=np.full((1, 28, 28), np.nan, np.float32))
    assert png_of(figure_of(flat, colours="diverging")).startswith(b"\x89PNG")
    inside(figure)


def test_faithfulness(faithfulness: FaithfulnessMeasured) -> None:
    figure = figure_of(faithfulness)
    stages = next(axes for axes in figure.axes if "randomised layers" in axes.get_xlabel())
    lines = [np.asarray(line.get_ydata()).tolist() for line in stages.get_lines()]
    for trust in faithfulness.faithfulness:
        if trust.similarities and np.isfinite(trust.similarities).all():
            assert list(trust.similarities) in lines
    table = [word for axes in figure.axes for word in words(axes)]
    assert (
        f"{faithfulness.faithfulness[0].deletion.area:.3f} ± {faithfulness.faithfulness[0].deletion.area_spread:.2f}"
        in table
    )
    assert "3 images" in caption(figure)
    inside(figure)
    plain = msgspec.structs.replace(faithfulness, randomised=0, watch="7")
    assert figure_of(plain).get_size_inches()[1] < figure.get_size_inches()[1]


def test_digits(digits: DigitsShown) -> None:
    wrong = msgspec.structs.replace(digits.digits[1], predicted=(digits.digits[1].actual + 1) % 10)
    digits = msgspec.structs.replace(digits, digits=(digits.digits[0], wrong, *digits.digits[2:]))
    figure = figure_of(digits)
    assert title(figure) == "Randomly selected test images"
    assert caption(figure) == "pretrained:cnn · epoch 15 · mnist test · seed 3 · mnist-tui"
    (axes,) = figure.axes
    np.testing.assert_array_equal(tiles(axes, 10, 28, 28), digits.images)
    assert axes.images[0].get_clim() == (0, 1)
    titles = [text for text in axes.texts if text.get_text().startswith("Actual")]
    assert [text.get_text() for text in titles] == [
        f"Actual: {d.actual}\nPredicted: {d.predicted}" for d in digits.digits
    ]
    mistaken = [to_hex(text.get_color()).upper() == VERMILLION for text in titles]
    assert mistaken == [digit.actual != digit.predicted for digit in digits.digits]
    shares = [text for text in axes.texts if text not in titles]
    assert [text.get_text() for text in shares] == [f"{100 * d.probability:.2f} %" for d in digits.digits]
    assert all(share.get_fontsize() < titles[0].get_fontsize() for share in shares)  # type: ignore[operator]


def test_digits_of_any_number(digits: DigitsShown) -> None:
    one = msgspec.structs.replace(digits, digits=digits.digits[:1], images=digits.images[:1], digit=3)
    assert title(figure_of(one)) == "Randomly selected test images, class 3"
    many = msgspec.structs.replace(digits, digits=digits.digits * 1000, images=np.tile(digits.images, (1000, 1, 1)))
    figure = figure_of(many)
    assert "first 100 of 10,000" in caption(figure)
    np.testing.assert_array_equal(tiles(figure.axes[0], 100, 28, 28), many.images[:100])
    mistakes = msgspec.structs.replace(digits, order="mistakes", matching=83)
    assert title(figure_of(mistakes)) == "Mistakes among the test images, the most confident first"
    assert "83 in total" in caption(figure_of(mistakes))
    with pytest.raises(RequestError, match="nothing to draw"):
        figure_of(msgspec.structs.replace(digits, digits=(), images=digits.images[:0]))


def test_confusion_matrix(evaluated: SplitEvaluated) -> None:
    figure = figure_of(evaluated)
    assert title(figure) == f"Accuracy {100 * evaluated.accuracy:.2f} %, loss {evaluated.loss:.4f} on the test split"
    assert caption(figure).startswith("pretrained:cnn · epoch 15 · mnist test · 400 images")
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "actual")
    counts = np.array(evaluated.confusion)
    np.testing.assert_array_equal(np.nan_to_num(drawn_on(axes)), counts)
    cells = {text.get_position(): text.get_text() for text in axes.texts}
    for actual in range(10):
        for predicted in range(10):
            assert cells[predicted, actual] == f"{counts[actual, predicted]:,}"
    assert words(axes)[-10:] == [f"{100 * share:.2f} %" for share in evaluated.class_accuracy]


def test_confusion_matrix_of_nothing(evaluated: SplitEvaluated) -> None:
    nothing = ((0,) * 10,) * 10
    event = msgspec.structs.replace(evaluated, confusion=nothing, class_accuracy=(float("nan"),) * 10)
    figure = figure_of(event, colours="diverging")
    assert words(figure.axes[0])[-10:] == ["-"] * 10
    png_of(figure)


def test_layers(summary: NetworkSummarised) -> None:
    figure = figure_of(summary)
    assert title(figure) == "Layers of cnn-bn"
    assert caption(figure).startswith("pretrained:cnn-bn · epoch 15 · BS: batch size")
    said = words(figure.axes[0])
    assert said[:4] == ["layer", "conv1", "batch_norm1", "maxpool1"]
    for value in ("[BS,1,28,28]", "[BS,32,14,14]", "[BS,1568]", "800,206", "9,696", "790,510", "31,360", "31,870"):
        assert value in said
    assert {"running statistics", "1,128", "10 × 10 px"} <= set(said)
    plain = words(figure_of(asked(Summarise(what=CNN, device="cpu"))).axes[0])
    assert {"799,078", "9,568", "789,510"} <= set(plain)
    assert "running statistics" not in plain


@pytest.mark.parametrize(("variant", "words"), [("cnn", "without batch_norm"), ("cnn-bn", "with batch_norm")])
def test_curves(variant: str, words: str) -> None:
    history = pretrained(variant).history()
    figure = figure_of(history)
    assert caption(figure) == f"{history.name} · epoch 15 · mnist-tui"
    losses, accuracies = figure.axes
    assert losses.get_title() == f"loss vs epoch {words}"
    assert accuracies.get_title() == f"Acc vs epoch {words}"
    assert (losses.get_xlabel(), losses.get_ylabel()) == ("Epochs", "Loss (cross-entropy, nats)")
    lines = {str(line.get_label()): line for axes in figure.axes for line in axes.lines}
    for label, values in {
        "train loss": [e.train_loss for e in history.epochs],
        "val loss": [e.val_loss for e in history.epochs],
        "test accuracy": [100 * e.test_accuracy for e in history.epochs],
        "val accuracy": [100 * e.val_accuracy for e in history.epochs],
    }.items():
        np.testing.assert_array_equal(lines[label].get_xdata(), range(1, 16))
        np.testing.assert_array_equal(lines[label].get_ydata(), values)
        assert lines[label].get_marker() not in ("", "None")
    running = [loss for e in history.epochs for loss in e.running_loss]
    np.testing.assert_array_equal(lines["within epochs"].get_ydata(), running)
    assert np.asarray(lines["within epochs"].get_xdata())[-1] == 15
    roles = {"train loss": "train", "val loss": "val", "val accuracy": "val", "test accuracy": "test"}
    assert {label: lines[label].get_color() for label in roles} == {label: ROLES[role] for label, role in roles.items()}


def test_the_axis_of_losses_is_the_one_asked_for(history: RunHistory) -> None:
    for logarithmic, scale in ((True, "log"), (False, "linear")):
        losses = figure_of(history, logarithmic=logarithmic).axes[0]
        assert losses.get_yscale() == scale
        assert (losses.get_ylim()[0] == 0) is not logarithmic


def test_curves_of_a_run_under_way(history: RunHistory) -> None:
    history.state, history.epochs = "running", history.epochs[:3]
    history.add(BatchTrained(epoch=4, epochs=15, step=20, steps=100, images_per_second=1.0, running_loss=(0.05, 0.04)))
    figure = figure_of(history)
    assert caption(figure) == f"{history.name} · epoch 3 of 15 · running · mnist-tui"
    assert np.asarray(figure.axes[0].lines[0].get_xdata())[-2:].tolist() == pytest.approx([3.1, 3.2])
    png_of(figure)


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), 0.0, 0.1])
@pytest.mark.parametrize("count", [1, 2, 60])
def test_curves_of_any_numbers(history: RunHistory, loss: float, count: int) -> None:
    epochs = [
        msgspec.structs.replace(history.epochs[0], epoch=i + 1, train_loss=loss, val_loss=loss, running_loss=(loss,))
        for i in range(count)
    ]
    figure = figure_of(RunHistory("elsewhere", "stopped", epochs=epochs))
    assert figure.axes[0].get_title() == "loss vs epoch"
    png_of(figure)
    png_of(figure_of(RunHistory("elsewhere", "stopped", epochs=epochs), logarithmic=False))


def test_a_history_without_an_epoch_is_nothing_to_draw(history: RunHistory) -> None:
    progress = BatchTrained(epoch=1, epochs=2, step=1, steps=9, images_per_second=1.0, running_loss=(2.0,))
    for empty in (RunHistory("new"), RunHistory("running", "running", progress=progress)):
        with pytest.raises(RequestError, match="nothing to draw yet: "):
            figure_of(empty)


@pytest.mark.parametrize("subject", [None, 3, WeightsOpened(name="x", variant="cnn", parameters=1)])
def test_no_figure_of_other_things(subject: object, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=f"there is no figure of {type(subject).__name__}"):
        saved(subject, folder=str(tmp_path / "figures"))
    assert not list(tmp_path.iterdir())


def test_names_are_printed_as_they_are(conv1: FiltersShown) -> None:
    def printed(name: str) -> str:
        figure = figure_of(msgspec.structs.replace(conv1, name=name))
        png_of(figure)  # a glyph that the font lacks would be a warning, a formula an error
        return caption(figure)

    assert printed("$a_b$ \\frac.pth").startswith("$a_b$ \\frac.pth · ")
    assert printed("模a\n型.pth").startswith("?a\\x0a?.pth · ")
    assert len(printed("x" * 255)) < 90


# What is written


def test_every_kind_is_a_png_of_200_dpi_under_a_speaking_name(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    kinds = {
        "history": "training-cnn.png",
        "summary": "model-cnn-bn.png",
        "evaluated": "confusion-test.png",
        "digits": "digits-test-random.png",
        "conv2": "filters-conv2-epoch-15.png",
        "activations": "activations-conv1-test-61.png",
        "occlusion": "occlusion-test-61-patch-8.png",
        "class_occlusion": "occlusion-test-class-8-patch-8.png",
        "attributions": "attributions-test-61.png",
        "faithfulness": "faithfulness-test-3.png",
    }
    for fixture, name in kinds.items():
        subject = request.getfixturevalue(fixture)
        path = saved(subject, folder=str(tmp_path / "made" / "on demand"))
        assert path == tmp_path / "made" / "on demand" / name
        data = path.read_bytes()
        assert data.startswith(b"\x89PNG")
        at = data.index(b"pHYs") + 4
        assert int.from_bytes(data[at : at + 4]) == round(200 / 0.0254)  # dots a metre
        width, height = figure_of(subject).get_size_inches()
        pixels = imread(path)
        assert pixels.shape[:2] == pytest.approx((200 * height, 200 * width), abs=1)
        assert (pixels[0] == 1).all()
    assert {path.name for path in (tmp_path / "made" / "on demand").iterdir()} == set(kinds.values())


def test_other_names(conv1: FiltersShown, activations: ActivationsComputed, digits: DigitsShown) -> None:
    assert stem_of(msgspec.structs.replace(conv1, epoch=None)) == "filters-conv1"
    assert stem_of(activations, "conv2") == "activations-conv2-test-61"
    assert stem_of(msgspec.structs.replace(digits, digit=3, order="mistakes")) == "digits-test-mistakes-3"
    assert stem_of(RunHistory("mine", request=Train(batch_norm=True))) == "training-cnn-bn"
    assert stem_of(RunHistory("mine")) == "training"
    assert "/" not in stem_of(msgspec.structs.replace(conv1, layer="../../x y"))


def test_a_new_name_never_overwrites(tiny: FiltersShown, tmp_path: Path) -> None:
    first = saved(tiny, folder=str(tmp_path))
    data = first.read_bytes()
    (tmp_path / "filters-conv1-epoch-15-2.png").symlink_to("nowhere")  # even what cannot be read is in the way
    second = saved(tiny, folder=str(tmp_path), colours="diverging")
    assert second.name == "filters-conv1-epoch-15-3.png"
    assert first.read_bytes() == data != second.read_bytes()


def test_a_given_path_is_replaced(tiny: FiltersShown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.PNG").write_text("old")
    assert saved(tiny, path="mine.PNG", folder="unused") == tmp_path / "mine.PNG"
    assert Path("mine.PNG").read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.PNG"]


def refusal(subject: object, **options: Any) -> str:
    with pytest.raises(RequestError) as caught:
        list(draw_figure(DrawFigure(subject=subject, **options), NOWHERE))
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_places_where_nothing_can_be_written(tiny: FiltersShown, tmp_path: Path) -> None:
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_text("mine")
    before = sorted(tmp_path.rglob("*"))
    gone, folder, file = tmp_path / "no" / "x.png", tmp_path / "folder.png", tmp_path / "file"
    assert refusal(tiny, path=str(gone)) == (
        f"cannot write {gone} (No such file or directory): create its folder or choose another path"
    )
    assert refusal(tiny, path=str(folder)) == f"cannot write {folder} (Is a directory): choose another path"
    assert refusal(tiny, path=str(file / "x.png")) == (
        f"cannot write {file / 'x.png'} (Not a directory): choose another path"
    )
    assert "(File name too long)" in refusal(tiny, path=str(tmp_path / ("x" * 255 + ".png")))
    assert "null" in refusal(tiny, path="a\0b.png")
    assert refusal(tiny, path="x.pdf") == "x.pdf must end in .png, since figures are written as PNG files"
    assert "must end in .png" in refusal(tiny, path=str(tmp_path))
    assert refusal(tiny, folder=str(file)) == f"cannot write to {file} (File exists): choose another path"
    assert "null" in refusal(tiny, folder="a\0b")
    assert sorted(tmp_path.rglob("*")) == before
    assert file.read_text() == "mine"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_leaves_nothing_behind(tiny: FiltersShown, tmp_path: Path) -> None:
    """The temporary file is put on the device that is always full: the error is the system's own."""
    for name, options in (
        ("x.png", {"path": str(tmp_path / "x.png")}),
        ("filters-conv1-epoch-15.png", {"folder": str(tmp_path)}),
    ):
        (tmp_path / f".{name}.{os.getpid()}.partial").symlink_to("/dev/full")
        assert refusal(tiny, **options) == (
            f"cannot write {tmp_path / name} (No space left on device): free disk space or choose another path"
        )
        assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [errno.EACCES, errno.EROFS, errno.EDQUOT])
def test_a_folder_that_is_read_only(
    tiny: FiltersShown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    advice = "free disk space or choose another path" if number == errno.EDQUOT else "choose another path"
    old = saved(tiny, path=str(tmp_path / "x.png")).read_bytes()
    with monkeypatch.context() as patch:
        patch.setattr(engine.figures.export, "write_whole", refuse)
        for options in ({"path": str(tmp_path / "x.png")}, {"folder": str(tmp_path)}):
            assert refusal(tiny, **options).endswith(f"({os.strerror(number)}): {advice}")
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", refuse)
        assert refusal(tiny, folder=str(tmp_path)).endswith(f"({os.strerror(number)}): {advice}")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"x.png": old}


def test_any_other_failure_gives_the_name_back(
    tiny: FiltersShown, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(path: Path, *_: object) -> None:
        assert path.stat().st_size == 0  # the name is taken
        raise KeyboardInterrupt

    monkeypatch.setattr(engine.figures.export, "write_whole", interrupted)
    with pytest.raises(KeyboardInterrupt):
        list(draw_figure(DrawFigure(subject=tiny, folder=str(tmp_path)), NOWHERE))
    assert not list(tmp_path.iterdir())


def test_the_users_own_settings_change_nothing(tiny: FiltersShown) -> None:
    import matplotlib

    plain = png_of(figure_of(tiny))
    with matplotlib.rc_context({"font.size": 20, "axes.facecolor": "red", "savefig.bbox": "tight"}):
        assert png_of(figure_of(tiny)) == plain
        assert matplotlib.rcParams["font.size"] == 20


def test_drawing_needs_no_torch_no_pyplot_and_no_terminal_and_says_nothing(tmp_path: Path) -> None:
    """With a home that cannot be written, where Matplotlib would complain of its cache."""
    code = (
        "import sys, engine.figures.export\n"
        "print(sorted({'torch', 'matplotlib.pyplot', 'textual', 'rich', 'tui'} & set(sys.modules)))"
    )
    home = tmp_path / "file"
    home.write_text("")
    environment = os.environ | {"MPLCONFIGDIR": str(home), "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=60, check=True
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")
