from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from engine.attribution.requests import Attribute, ExplainDrawing, Occlude
from engine.data.requests import KeepDrawing
from engine.inspection.requests import (
    Audit,
    Embed,
    Evaluate,
    Predict,
    ShowActivations,
    ShowDigits,
    ShowFilters,
    ShowLearning,
    ShowUnit,
    Summarise,
    VisualiseUnits,
)
from engine.network.requests import Architecture, Inspect, Reading
from engine.request import Parameter, Request, RequestError, parameters
from engine.training.requests import ROBUST, FindLearningRate, ObjectiveName, Train, without_effect

BAD_VALUES = [
    ("epochs", 0),
    ("epochs", 100_001),
    ("epochs", "15"),
    ("epochs", 1.5),
    ("epochs", None),
    ("batch_size", 1),
    ("batch_size", 60_001),
    ("batch_size", -64),
    ("learning_rate", 0),
    ("learning_rate", -1e-3),
    ("learning_rate", 10.5),
    ("learning_rate", float("nan")),
    ("learning_rate", float("inf")),
    ("learning_rate", "fast"),
    ("seed", -1),
    ("seed", 2**31),
    ("dataset", "cifar"),
    ("dataset", 3),
    ("train_size", 1),
    ("train_size", 1_000_001),
    ("device", "tpu"),
    ("precision", "fp8"),
    ("recipe", "best"),
    ("schedule", "step"),
    ("weight_decay", -1e-4),
    ("weight_decay", 11.0),
    ("label_smoothing", 0.95),
    ("shift", 15),
    ("shift", 0.5),
    ("rotate", 181.0),
    ("scale", -0.1),
    ("scale", 1.0),
    ("elastic", 15.0),
    ("elastic", float("nan")),
    ("average", 1.0),
    ("objective", "mart"),
    ("train_epsilon", 1.5),
    ("train_epsilon", -0.1),
    ("attack_steps", 0),
    ("attack_step_size", -0.1),
    ("warm_up", 1.1),
    ("ramp", -0.1),
    ("beta", -1.0),
    ("kappa", 2.0),
    ("threads", -1),
    ("threads", 1025),
    ("insides", "yes"),
    ("batch_norm", "yes"),
    ("batch_norm", 1),
    ("channels", 0),
    ("channels", 1025),
    ("channels", True),
    ("kernel_size", 0),
    ("kernel_size", 29),
    ("stride", 0),
    ("stride", 15),
    ("padding", -1),
    ("padding", 15),
    ("hidden", 0),
    ("hidden", 65_537),
    ("in_channels", 3),
    ("norm_layers", ("conv3",)),
    ("mean", 101.0),
    ("std", 0.0),
    ("std", float("nan")),
]

QUESTIONS = (
    *(Summarise, Evaluate, Audit, Embed, ShowDigits, Predict, ShowFilters, ShowActivations),
    *(VisualiseUnits, ShowUnit, Occlude, Attribute, ExplainDrawing),
)

READING: list[tuple[str, Any]] = [
    ("mean", "half"),
    ("mean", -100.5),
    ("mean", float("nan")),
    ("std", 0.0),
    ("std", 101.0),
    ("stride", 0),
    ("stride", "two"),
    ("padding", -1),
    ("padding", 15),
]

EXPLAINING: list[tuple[str, Any]] = [
    ("what", 1),
    ("device", "tpu"),
    ("split", "all"),
    ("dataset", "none"),
    ("index", -1),
    ("patch size", 0),
    ("patch size", 28),
    ("patch size", 1.5),
    ("stride", 0),
    ("stride", 28),
    ("baseline", "black"),
    ("baseline", 0),
    ("baseline", "1.01"),
    ("baseline", "-0.5"),
    ("baseline", "nan"),
    ("baseline", ""),
    ("watch", "10"),
    ("watch", 8),
    ("seed", -1),
]

FROM_NOISE: list[tuple[str, Any]] = [
    ("what", 1),
    ("device", "tpu"),
    ("split", "all"),
    ("dataset", "none"),
    ("layer", "fc2"),
    ("starts", 0),
    ("starts", 11),
    ("steps", 0),
    ("steps", 10_001),
    ("step size", 0),
    ("step size", 1.5),
    ("total variation", -0.1),
    ("l2", float("nan")),
    ("l2", 1001.0),
    ("jitter", 15),
    ("jitter", 0.5),
    ("seed", -1),
]

BAD_QUESTIONS: list[tuple[type[Request], str, Any]] = [
    (Summarise, "what", 3),
    (Summarise, "device", "tpu"),
    (Evaluate, "what", None),
    (Evaluate, "device", ""),
    (Evaluate, "split", "dev"),
    (Evaluate, "dataset", "cifar"),
    (Audit, "what", 2),
    (Audit, "device", "tpu"),
    (Audit, "others", "pretrained:cnn"),
    (Audit, "dataset", "svhn"),
    (Audit, "count", 0),
    (Audit, "bins", 101),
    (Audit, "seed", -1),
    (Embed, "what", 2),
    (Embed, "device", "tpu"),
    (Embed, "split", "all"),
    (Embed, "dataset", "svhn"),
    (Embed, "method", "mds"),
    (Embed, "layer", "conv1"),
    (Embed, "count", 1),
    (Embed, "epoch", -2),
    (Embed, "perplexity", 1.5),
    (Embed, "neighbours", 1),
    (Embed, "seed", -1),
    (ShowLearning, "what", 1),
    (ShowLearning, "count", 0),
    (ShowLearning, "count", 1001),
    (FindLearningRate, "lowest rate", 0.0),
    (FindLearningRate, "lowest rate", float("nan")),
    (FindLearningRate, "highest rate", 10.5),
    (FindLearningRate, "steps", 1),
    (FindLearningRate, "steps", 19),
    (FindLearningRate, "steps", 5001),
    (ShowDigits, "what", 1.5),
    (ShowDigits, "device", "gpu"),
    (ShowDigits, "split", 0),
    (ShowDigits, "dataset", "MNIST"),
    (ShowDigits, "count", 0),
    (ShowDigits, "count", 10_001),
    (ShowDigits, "order", "worst"),
    (ShowDigits, "digit", -2),
    (ShowDigits, "digit", 10),
    (ShowDigits, "predicted", -2),
    (ShowDigits, "predicted", 10),
    (ShowDigits, "seed", -1),
    (Predict, "what", 2),
    (Predict, "device", "gpu"),
    (Predict, "images", 3),
    (Predict, "raw", "yes"),
    (ExplainDrawing, "what", 2),
    (ExplainDrawing, "device", "gpu"),
    (ExplainDrawing, "pixels", bytes(783)),
    (ExplainDrawing, "raw", 1),
    (ExplainDrawing, "baseline", "mean"),
    (KeepDrawing, "pixels", bytes(785)),
    (KeepDrawing, "label", 10),
    (ShowFilters, "what", False),
    (ShowFilters, "device", "tpu"),
    (ShowFilters, "layer", "conv3"),
    (ShowFilters, "layer", 1),
    (ShowFilters, "epoch", -2),
    (ShowFilters, "epoch", 100_001),
    (ShowActivations, "what", 0),
    (ShowActivations, "device", "tpu"),
    (ShowActivations, "split", "all"),
    (ShowActivations, "dataset", "none"),
    (ShowActivations, "index", -1),
    (ShowActivations, "index", "61"),
    (ShowActivations, "layer", "fc1"),
    (ShowActivations, "survey", 1),
    (VisualiseUnits, "units", (1.5,)),
    (VisualiseUnits, "units", "3"),
    (ShowUnit, "unit", -1),
    (ShowUnit, "unit", 65_536),
    *((kind, field, value) for kind in (VisualiseUnits, ShowUnit) for field, value in FROM_NOISE),
    *((kind, field, value) for kind in (Occlude, Attribute) for field, value in EXPLAINING),
    *((kind, field, value) for kind in QUESTIONS for field, value in READING),
    (Occlude, "average", -1),
    (Occlude, "exact", 1),
    (Occlude, "average", 10_001),
    (Attribute, "method", "lime"),
    (Attribute, "steps", 0),
    (Attribute, "samples", 1001),
    (Attribute, "noise", 0),
    (Attribute, "noise", 1.5),
    (Attribute, "digits", -3),
    (Attribute, "randomise", "yes"),
]
"""Of what looks into a network: the request, its field, a value that it refuses."""


def parameter(name: str) -> Parameter:
    return next(one for one in parameters(Train) if one.name == name)


@pytest.mark.parametrize(("field", "value"), BAD_VALUES)
def test_bad_value_is_named_in_one_line(field: str, value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        Train(**{field: value})
    message = str(caught.value)
    assert message.startswith(field.replace("_", " ") + " must be ")
    assert "\n" not in message
    assert str(value) in message


def test_bad_values_cover_every_parameter() -> None:
    assert {field for field, _ in BAD_VALUES} == {one.name for one in parameters(Train)}


@pytest.mark.parametrize("field", ["epochs", "channels", "batch_size"])
def test_whole_number_is_never_held_as_a_float(field: str) -> None:
    try:
        held = getattr(Train(**{field: 8.0}), field)  # type: ignore[arg-type]
    except RequestError:
        return
    assert type(held) is int


def test_message_gives_bounds_and_choices() -> None:
    with pytest.raises(RequestError, match=r"^epochs must be a whole number from 1 to 100000, not 0$"):
        Train(epochs=0)
    with pytest.raises(RequestError, match=r"^learning rate must be a number more than 0 and at most 10, not -1$"):
        Train(learning_rate=-1)
    with pytest.raises(RequestError, match=r"^device must be auto, cpu, cuda or cuda:N, not 'tpu'$"):
        Train(device="tpu")
    with pytest.raises(RequestError, match=r"^precision must be one of fp32, bf16, tf32, not 'fp8'$"):
        Train(precision="fp8")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("field", "low", "high"),
    [("epochs", 1, 100_000), ("batch_size", 2, 60_000), ("seed", 0, 2**31 - 1), ("threads", 0, 1024)],
)
def test_bounds_themselves_are_allowed(field: str, low: int, high: int) -> None:
    for value in (low, high):
        fields: dict[str, Any] = {"batch_size": 2, "train_size": 1_000_000, field: value}
        assert getattr(Train(**fields), field) == value


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"kernel_size": 28, "padding": 0}, "conv1: its map of 1x1 is too small to pool"),
        ({"kernel_size": 5, "stride": 4, "padding": 0}, "conv2: a kernel of 5 pixels is larger than the padded map"),
        ({"stride": 14}, "conv2: its map of 1x1 is too small to pool"),
        ({"kernel_size": 13, "padding": 0}, "conv2: a kernel of 13 pixels is larger than the padded map of 8"),
    ],
)
@pytest.mark.parametrize("request_type", [Architecture, Train])
def test_impossible_geometry_is_refused(request_type: type[Architecture], fields: dict[str, int], reason: str) -> None:
    with pytest.raises(RequestError) as caught:
        request_type(**fields)  # type: ignore[arg-type]
    assert reason in str(caught.value)
    assert "lower kernel_size or stride, or raise padding" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_json_round_trip() -> None:
    request = Train(
        batch_norm=True,
        channels=8,
        kernel_size=5,
        stride=2,
        padding=2,
        hidden=33,
        epochs=3,
        batch_size=17,
        learning_rate=3e-4,
        seed=2**31 - 1,
        dataset="kmnist",
        train_size=999,
        device="cpu",
        threads=1,
    )
    text = msgspec.json.encode(request)
    assert msgspec.json.decode(text)["request"] == "train"
    assert msgspec.json.decode(text, type=Train) == request
    assert msgspec.json.decode(b'{"request":"train"}', type=Train) == Train()


@pytest.mark.parametrize(
    "text",
    [
        b'{"request":"train","epochs":0}',
        b'{"request":"train","batch_size":"64"}',
        b'{"request":"train","learning_rate":100}',
        b'{"request":"train","kernel_size":28,"padding":0}',
        b'{"request":"train","dataset":"cifar"}',
        b'{"request":"train","colour":"red"}',
        b'{"request":"architecture"}',
    ],
)
def test_decoding_checks_too(text: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(text, type=Train)


@pytest.mark.parametrize(
    ("field", "text", "value"),
    [
        ("epochs", " 20 ", 20),
        ("train_size", "10,000", 10_000),
        ("train_size", "10_000", 10_000),
        ("learning_rate", "1e-3", 1e-3),
        ("learning_rate", "1", 1.0),
        ("dataset", "kmnist", "kmnist"),
    ],
)
def test_parse(field: str, text: str, value: Any) -> None:
    parsed = parameter(field).parse(text)
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize(
    ("field", "text"),
    [
        ("epochs", ""),
        ("epochs", "ten"),
        ("epochs", "1.5"),
        ("epochs", "0"),
        ("learning_rate", "nan"),
        ("learning_rate", "inf"),
        ("learning_rate", "1e-3x"),
        ("dataset", "MNIST"),
        ("device", "gpu"),
    ],
)
def test_parse_refuses(field: str, text: str) -> None:
    with pytest.raises(RequestError) as caught:
        parameter(field).parse(text)
    assert str(caught.value).startswith(field.replace("_", " ") + " must be ")
    assert "\n" not in str(caught.value)


def test_every_parameter_has_help_and_a_default_that_passes() -> None:
    for one in parameters(Train):
        assert one.help
        assert "\n" not in one.help
        one.check(one.default)
    assert [one.name for one in parameters(Train) if one.fixed] == ["in_channels", "norm_layers", "mean", "std"]
    assert parameters(Train)[0].name == "batch_norm"
    assert parameter("batch_norm").choices == (False, True)
    assert parameter("device").choices == ("auto", "cpu", "cuda")


def test_a_batch_is_no_larger_than_what_it_is_taken_from() -> None:
    with pytest.raises(RequestError, match="batch size 64 is larger than the 63 training images"):
        Train(train_size=63)
    assert Train(train_size=64).batch_size == 64


@pytest.mark.parametrize(("request_type", "field", "value"), BAD_QUESTIONS)
def test_bad_question_is_named_in_one_line(request_type: type[Request], field: str, value: Any) -> None:
    with pytest.raises(RequestError) as caught:
        request_type(**{field.replace(" ", "_"): value})
    assert str(caught.value).startswith(f"{field} must be ")
    assert "\n" not in str(caught.value)
    assert str(value) in str(caught.value)


@pytest.mark.parametrize("request_type", QUESTIONS)
def test_questions_have_words_and_defaults_for_every_field(request_type: type[Request]) -> None:
    refused = {field for kind, field, _ in BAD_QUESTIONS if kind is request_type}
    assert refused == {one.label for one in parameters(request_type)}
    for one in parameters(request_type):
        assert one.help
        assert "\n" not in one.help
        one.check(one.default)
    assert issubclass(request_type, Inspect)
    assert request_type().what == ""


def test_each_field_of_a_drawing_that_is_kept_is_checked() -> None:
    refused = {field for kind, field, _ in BAD_QUESTIONS if kind is KeepDrawing}
    assert refused == {one.label for one in parameters(KeepDrawing)}


def test_a_question_meets_a_person_with_its_own_fields_first() -> None:
    assert [one.name for one in parameters(ShowActivations)] == [
        "index",
        "layer",
        "survey",
        "what",
        "device",
        "mean",
        "std",
        "stride",
        "padding",
        "split",
        "dataset",
    ]


def test_batch_norm_is_said_in_one_way() -> None:
    assert Train(batch_norm=True).norms == ("conv1", "conv2", "fc1")
    assert Train(norm_layers=("conv1", "logits")).norms == ("conv1", "logits")
    assert Train(norm_layers=("logits",)).variant == "cnn-bn"
    for wrong in (("conv2", "conv1"), ("conv1", "conv1"), ("conv1", "conv2", "fc1")):
        with pytest.raises(RequestError, match="norm layers are only for a network whose batch norm differs"):
            Train(norm_layers=wrong)
    with pytest.raises(RequestError, match="norm layers are only for a network whose batch norm differs"):
        Train(batch_norm=True, norm_layers=("logits",))


def test_the_stride_of_an_explanation_is_the_patchs() -> None:
    assert Summarise(mean=0.1, std=0.3, stride=2, padding=1).reading == Reading(0.1, 0.3, 2, 1)
    assert Occlude(mean=0.1, std=0.3, stride=2, padding=1).reading == Reading(0.1, 0.3, None, 1)


@pytest.mark.parametrize(
    "request_",
    [
        Summarise(what="pretrained:cnn"),
        Evaluate(split="val"),
        Audit(others=("pretrained:cnn", "a"), count=10_000, bins=100),
        Embed(method="tsne", layer="block1", perplexity=12.5, count=500, seed=7),
        ShowLearning(what="a", count=1000),
        FindLearningRate(batch_norm=True, lowest_rate=1e-4, highest_rate=10.0, steps=20),
        ShowDigits(order="mistakes", digit=9, count=10_000),
        Predict(what="pretrained:cnn", images=("a.png", "b c.npy"), raw=True),
        ExplainDrawing(pixels=bytes(range(112)) * 7, raw=True, baseline="one"),
        KeepDrawing(pixels=bytes(range(112)) * 7, label=9),
        ShowFilters(layer="conv2", epoch=0),
        ShowActivations(index=9_999, survey=True),
        VisualiseUnits(layer="hidden", units=(3, 499), starts=1, steps=7, jitter=0),
        ShowUnit(layer="conv2", unit=31, total_variation=0.5, l2=0.0),
        Occlude(patch_size=27, stride=3, baseline="noise", watch="9", average=7),
        Attribute(method="smoothgrad", noise=0.5, digits=10_000, randomise=True),
    ],
)
def test_questions_survive_json(request_: Request) -> None:
    assert msgspec.json.decode(msgspec.json.encode(request_), type=type(request_)) == request_


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"method": "tsne", "count": 90}, "perplexity 30 needs more than 90 images, not 90"),
        ({"method": "tsne", "perplexity": 2.5, "count": 7}, "perplexity 2.5 needs more than 7 images, not 7"),
        ({"method": "umap", "count": 15}, "15 neighbours need more images than 15"),
    ],
)
def test_a_map_has_more_images_than_neighbours(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        Embed(**fields)
    assert Embed(**fields | {"count": fields["count"] + 1}).count == fields["count"] + 1
    assert Embed(**fields | {"method": "pca"}).method == "pca"


def test_a_randomisation_is_over_many_images() -> None:
    with pytest.raises(RequestError, match="randomise is measured over many images: set digits too, for example to 16"):
        Attribute(randomise=True)
    assert Attribute(randomise=True, digits=1).randomise


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"objective": "pgd", "train_epsilon": 0.0}, "epsilon 0: set one above 0, or objective clean"),
        ({"objective": "ibp", "batch_norm": True}, "leave batch norm out, or use fgsm, pgd or trades"),
        ({"objective": "crown-ibp", "precision": "bf16"}, "needs precision fp32"),
        ({"objective": "ibp", "label_smoothing": 0.1}, "set label smoothing 0"),
        ({"objective": "fgsm", "warm_up": 0.8}, "lower one, so that their sum is at most 1"),
    ],
)
def test_an_objective_that_cannot_hold_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(RequestError, match=words):
        Train(**fields)
    assert Train(**fields | {"objective": "clean"}).objective == "clean"


def test_each_field_of_an_objective_is_used_by_one() -> None:
    objectives = get_args(ObjectiveName)
    assert set(without_effect("clean")) == set(ROBUST)
    assert not set.intersection(*(set(without_effect(name)) for name in objectives))
    assert without_effect("trades") == ("kappa",)
