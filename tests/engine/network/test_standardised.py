"""A network of standardised pixels: it standardises them itself, and all who ask it give images in [0, 1]."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import cross_entropy

from engine.adversary.network import AttackedNetwork
from engine.adversary.objectives import LogitObjective
from engine.attribution.patch_sweep import OcclusionNetwork, OcclusionSweep
from engine.data.datasets import Dataset
from engine.event import Event
from engine.inspection.events import ActivationsComputed, SplitEvaluated
from engine.inspection.loaded import load_network
from engine.inspection.requests import Evaluate, ShowActivations, Summarise
from engine.network.checkpoints import load_weights, read_weights
from engine.network.events import WeightsOpened, WeightsRead
from engine.network.kernels import training_logits
from engine.network.model import CNN, inference_network, seeded_cnn
from engine.network.requests import Architecture, Inspect, NormedLayer, OpenWeights
from engine.operations import perform
from engine.request import Request, RequestError
from engine.runs.events import Exported
from engine.runs.finding import pretrained
from engine.runs.requests import Export, Import

MEAN, STD = 0.1307, 0.3081
EVERYWHERE: tuple[NormedLayer, ...] = ("conv1", "conv2", "fc1", "logits")


def trained_like(norms: tuple[NormedLayer, ...] = ()) -> CNN:
    """In double precision, batch norm with a memory of its own."""
    architecture = Architecture(channels=3, hidden=6, kernel_size=3, norm_layers=norms, mean=MEAN, std=STD)
    model = seeded_cnn(architecture, 5).double()
    model(torch.rand(40, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(1)))
    return model.eval()


def images_of(mnist: Dataset, count: int = 6) -> Tensor:
    return mnist.test.images[:count].double()


both = pytest.mark.parametrize("norms", [(), EVERYWHERE, ("conv2",)], ids=["plain", "everywhere", "conv2"])


@both
def test_the_network_itself(mnist: Dataset, norms: tuple[NormedLayer, ...]) -> None:
    model, images = trained_like(norms), images_of(mnist)
    bare = CNN(Architecture(channels=3, hidden=6, norm_layers=norms)).double().eval()
    bare.load_state_dict(model.state_dict())
    standardised = (images - MEAN) / STD
    torch.testing.assert_close(model(images), bare(standardised), rtol=0, atol=1e-12)
    torch.testing.assert_close(inference_network(model)(images), bare(standardised))
    assert not torch.allclose(model(images), bare(images))


@both
def test_training(mnist: Dataset, norms: tuple[NormedLayer, ...]) -> None:
    ours, theirs = trained_like(norms).train(), trained_like(norms).train()
    images = images_of(mnist, 8)
    one, other = training_logits(ours, images), theirs(images)
    torch.testing.assert_close(one, other)
    torch.autograd.backward(one.square().sum())
    torch.autograd.backward(other.square().sum())
    for (key, mine), (_, reference) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        if mine.grad is not None:
            torch.testing.assert_close(mine.grad, reference.grad, msg=key)
    for key, value in theirs.state_dict().items():
        torch.testing.assert_close(ours.state_dict()[key], value)


@both
def test_gradients_are_by_pixels(norms: tuple[NormedLayer, ...]) -> None:
    """On noise, where no two values under a maximum are equal."""
    model = trained_like(norms)
    noise = torch.rand(4, 1, 28, 28, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    images = noise.clone().requires_grad_()
    classes = torch.tensor([3, 1, 4, 1])
    expected = model(images)
    (gradient,) = torch.autograd.grad(expected.gather(1, classes[:, None]).sum(), images)
    for dtype in (torch.float64, torch.float32):
        logits, found = AttackedNetwork(model, dtype).ascent(noise.to(dtype), LogitObjective(classes))
        torch.testing.assert_close(logits, expected.to(dtype), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found, gradient.to(dtype), rtol=1e-3, atol=1e-4)


@both
@pytest.mark.parametrize("level", [0.0, 0.5])
def test_a_patch_is_of_pixels(mnist: Dataset, norms: tuple[NormedLayer, ...], level: float) -> None:
    model, image = trained_like(norms), images_of(mnist)[0]
    sweep = OcclusionSweep(OcclusionNetwork(model), image, torch.full_like(image[0], level), 8, 5)
    for _ in sweep.finish():
        pass
    for row in range(sweep.side):
        for column in range(sweep.side):
            patched = image[None].clone()
            patched[..., row * 5 : row * 5 + 8, column * 5 : column * 5 + 8] = level
            torch.testing.assert_close(sweep.map()[row, column], model.probabilities(patched)[0])


@pytest.fixture(scope="module")
def standardised(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled network as somebody saved it who standardises pixels outside of it."""
    state = load_file(pretrained("cnn").model_file)
    weight = state["conv1.0.weight"]
    state["conv1.0.bias"] = state["conv1.0.bias"] + MEAN * weight.sum(dim=(1, 2, 3))
    state["conv1.0.weight"] = weight * STD
    torch.save(state, path := tmp_path_factory.mktemp("theirs") / "z.pth")
    return path


def events(request: Request, root: Path) -> list[Event]:
    return list(perform(request, root))


def accuracy(found: list[Event]) -> float:
    (event,) = (event for event in found if isinstance(event, SplitEvaluated))
    return event.accuracy


def test_it_is_said_and_kept(tmp_path: Path, standardised: Path) -> None:
    asked = Evaluate(what=str(standardised), device="cpu")
    plain = events(asked, tmp_path)
    (told,) = (event for event in plain if isinstance(event, WeightsRead))
    assert told.name == "z.pth"
    assert "--mean 0.1307 --std 0.3081" in told.notes[0]
    said = events(Evaluate(what=str(standardised), device="cpu", mean=MEAN, std=STD), tmp_path)
    assert not any(isinstance(event, WeightsRead) for event in said)
    assert accuracy(said) > 0.99 > accuracy(plain)

    opened = events(OpenWeights(path=str(standardised)), tmp_path)
    assert [type(event) for event in opened] == [WeightsRead, WeightsOpened]
    raw = events(Import(what=str(standardised)), tmp_path / "raw")
    assert [type(event) for event in raw] == [WeightsRead, Exported]
    imported = events(Import(what=str(standardised), mean=MEAN, std=STD, name="z"), tmp_path)
    assert [type(event) for event in imported] == [Exported]
    assert load_network(Inspect(what="z"), tmp_path).model.architecture.std == STD
    for form in ("pth", "safetensors"):
        list(perform(Export(what="z", to=str(file := tmp_path / f"ours.{form}")), tmp_path))
        ours = read_weights(file)
        assert (ours.ours, ours.model.architecture.mean, ours.model.architecture.std) == (True, MEAN, STD)
        assert [type(event) for event in events(OpenWeights(path=str(file)), tmp_path)] == [WeightsOpened]


@pytest.mark.parametrize("form", ["pth", "safetensors"])
def test_an_export_is_of_the_network_that_was_said(tmp_path: Path, standardised: Path, form: str) -> None:
    to = tmp_path / f"ours.{form}"
    found = events(Export(what=str(standardised), to=str(to), mean=MEAN, std=STD), tmp_path)
    assert [type(event) for event in found] == [Exported]
    assert load_weights(to).architecture == Architecture(mean=MEAN, std=STD)
    found = events(Export(what=str(standardised), to=str(to)), tmp_path)
    assert [type(event) for event in found] == [WeightsRead, Exported]
    torch.save(dict(CNN(said := Architecture(channels=2, hidden=4, stride=2, padding=2)).state_dict()), to)
    events(Export(what=str(to), to=str(to), stride=2, padding=2), tmp_path)
    assert load_weights(to).architecture == said


def test_nothing_is_said_of_networks_of_plain_pixels(tmp_path: Path) -> None:
    for variant in ("cnn", "cnn-bn"):
        torch.save(load_file(pretrained(variant).model_file), path := tmp_path / f"{variant}.pth")
        assert [type(event) for event in events(OpenWeights(path=str(path)), tmp_path)] == [WeightsOpened]


def test_nothing_is_said_of_networks_that_know_no_digit(tmp_path: Path, mnist: Dataset) -> None:
    """Of one untrained network in fifty the loss is clearly lower, and the accuracy higher, on standardised pixels."""
    model = seeded_cnn(Architecture(), 28).eval()
    with torch.no_grad():
        plain, other = (model(pixels) for pixels in (mnist.test.images[:1000], shown(mnist)))
    labels = mnist.test.labels[:1000]
    assert cross_entropy(other, labels) < cross_entropy(plain, labels)
    torch.save(model.state_dict(), path := tmp_path / "untrained.pth")
    assert [type(event) for event in events(OpenWeights(path=str(path)), tmp_path)] == [WeightsOpened]


def shown(mnist: Dataset) -> Tensor:
    """The first thousand images as one sees them who standardises pixels outside of the network."""
    return (mnist.test.images[:1000] - MEAN) / STD


def test_maps_are_of_standardised_pixels(tmp_path: Path, mnist: Dataset, standardised: Path) -> None:
    (event,) = events(ShowActivations(what=str(standardised), device="cpu", mean=MEAN, std=STD), tmp_path)
    assert isinstance(event, ActivationsComputed)
    model = load_weights(standardised)
    expected = model.conv1((mnist.test.images[61:62] - MEAN) / STD)[0].detach()
    torch.testing.assert_close(torch.from_numpy(event.conv1), expected)
    assert 0.0 <= event.image.min() <= event.image.max() <= 1.0


def test_stride_and_padding_are_kept_on_import(tmp_path: Path) -> None:
    model = seeded_cnn(Architecture(channels=2, hidden=4, stride=2, padding=2), 1)
    torch.save(dict(model.state_dict()), path := tmp_path / "a.pth")
    told, done = events(Import(what=str(path), name="guessed"), tmp_path)
    assert isinstance(told, WeightsRead)
    assert "stride 2 and padding 1 are assumed" in told.notes[0]
    assert isinstance(done, Exported)
    (done,) = events(Import(what=str(path), name="said", stride=2, padding=2), tmp_path)
    assert load_weights(tmp_path / "said" / "model.safetensors").architecture == model.architecture
    with pytest.raises(RequestError, match=r"cannot be read with these settings|cannot give"):
        events(Summarise(what="said", stride=14, padding=0), tmp_path)
