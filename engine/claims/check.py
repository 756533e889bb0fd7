"""Checking a claim: the requests that it takes are carried out, and a few values of their events are its answer."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args

import numpy as np
import torch

from engine.attacks.attack import attack
from engine.attacks.events import AttackAdvanced, AttackFinished, RobustnessMeasured
from engine.attacks.requests import AttackNoise, AttackTargeted, MeasureRobustness
from engine.attacks.robustness import measure_robustness
from engine.attribution.events import ClassOcclusionReady, OcclusionMapReady
from engine.attribution.occlusion import occlude
from engine.attribution.requests import Occlude
from engine.claims.events import ClaimChecked
from engine.claims.requests import (
    AnyCheck,
    CheckAccuracy,
    CheckBatchNorm,
    CheckChannels,
    CheckFgsm,
    CheckKernels,
    CheckLayers,
    CheckMistakes,
    CheckNoise,
    CheckOcclusion,
    CheckResemblance,
    CheckSimplicity,
    CheckTargeted,
    CheckTraining,
)
from engine.data.events import DownloadAdvanced
from engine.event import Event, WorkAdvanced
from engine.inspection.activations import show_activations
from engine.inspection.events import (
    ActivationsComputed,
    ChannelsSurveyed,
    FiltersShown,
    NetworkSummarised,
    SplitEvaluated,
)
from engine.inspection.filters import show_filters
from engine.inspection.layers import summarise
from engine.inspection.loaded import LoadedNetwork, load_network, open_network
from engine.inspection.predictions import answers, evaluate_split
from engine.inspection.requests import Evaluate, LayerName, ShowActivations, ShowFilters, Summarise
from engine.network.requests import Inspect
from engine.report.asking import about, answered
from engine.report.claims import plane_share, resemblance
from engine.request import RequestError
from engine.runs.finding import compared_bundled, other_bundled
from engine.training.events import BatchEvaluated
from engine.training.requests import Train

E = TypeVar("E", bound=Event)


class Measured(NamedTuple):
    """The values of a claim by their names, and the name of the network that was compared with, if one was."""

    values: dict[str, float]
    other: str = ""


Finding = Generator[Event, None, Measured]


def check(request: AnyCheck, root: Path) -> Generator[Event, None, None]:
    """Measure what a claim is about, with the progress of the work.

    Raises RequestError where the network, data set or image does not exist, or where it cannot be measured.
    """
    loaded = yield from open_network(request, root)
    measured = yield from _FINDERS[type(request)](request, root, loaded)
    yield ClaimChecked(
        name=loaded.name,
        variant=loaded.variant,
        epoch=loaded.epoch,
        claim=request.claim,
        values={name: float(measured.values[name]) for name in request.says},
        other=measured.other,
    )


def _asked(kind: type[E], events: Generator[Event, None, None], words: str) -> Generator[Event, None, E]:
    """The event of type `kind` among `events`, with their progress, of a task called `words` unless they say."""
    now: Event = WorkAdvanced(words=words, done=0, total=1)

    def told(event: Event) -> Event:
        nonlocal now
        if isinstance(event, WorkAdvanced | BatchEvaluated | DownloadAdvanced):
            now = event
        elif isinstance(event, AttackAdvanced):
            now = WorkAdvanced(words=words, done=event.done, total=event.steps)
        return now

    return (yield from answered(kind, events, words, told))


def _training(request: CheckTraining, _root: Path, loaded: LoadedNetwork) -> Finding:
    yield WorkAdvanced(words="reading the run", done=0, total=1)
    epochs = loaded.run.history().epochs if loaded.run else []
    if not epochs:
        return Measured(dict.fromkeys(request.says, math.nan))
    best, last = min(epochs, key=lambda each: each.val_loss), epochs[-1]
    return Measured(
        {
            "value": last.epoch - best.epoch,
            "best": best.epoch,
            "epochs": last.epoch,
            "accuracy": best.test_accuracy,
            "last_accuracy": last.test_accuracy,
            "val_loss": best.val_loss,
            "last_val_loss": last.val_loss,
            "train_loss": last.train_loss,
        }
    )


def _evaluated(request: Inspect, root: Path, **fields: Any) -> Generator[Event, None, SplitEvaluated]:
    asked = about(Evaluate, request, **fields)
    return (yield from _asked(SplitEvaluated, evaluate_split(asked, root), "evaluating"))


def _accuracy(request: CheckAccuracy, root: Path, _loaded: LoadedNetwork) -> Finding:
    event = yield from _evaluated(request, root)
    known = [share if not math.isnan(share) else math.inf for share in event.class_accuracy]
    worst = known.index(min(known))
    return Measured(
        {
            "value": event.accuracy,
            "mistakes": event.mistakes,
            "images": event.count,
            "loss": event.loss,
            "worst": worst,
            "worst_accuracy": event.class_accuracy[worst],
        }
    )


def _mistakes(request: CheckMistakes, root: Path, _loaded: LoadedNetwork) -> Finding:
    event = yield from _evaluated(request, root)
    wrong, confidence = event.predictions != event.labels, event.probabilities.max(axis=1).astype(np.float64)
    return Measured(
        {
            "value": confidence[wrong].mean() if wrong.any() else math.nan,
            "right": confidence[~wrong].mean() if not wrong.all() else math.nan,
            "mistakes": event.mistakes,
            "confident": int((confidence[wrong] > request.sure).sum()),
        }
    )


def _layers(request: CheckLayers, root: Path, _loaded: LoadedNetwork) -> Finding:
    asked = about(Summarise, request)
    event = yield from _asked(NetworkSummarised, summarise(asked, root), "layers")
    convolutions = sum(layer.multiply_adds for layer in event.layers if layer.name.startswith("conv"))
    return Measured(
        {
            "value": event.fc_parameters / event.total_parameters,
            "parameters": event.total_parameters,
            "conv": event.conv_parameters,
            "fc": event.fc_parameters,
            "neurons": event.total_neurons,
            "work": convolutions / event.multiply_adds,
        }
    )


def _trained_with(loaded: LoadedNetwork) -> Train | None:
    return loaded.run.read_record().request if loaded.run else None


def _another(request: Inspect, root: Path, what: str) -> LoadedNetwork:
    return load_network(Inspect(what=what, device=request.device), root)


def _batch_norm(request: CheckBatchNorm, root: Path, loaded: LoadedNetwork) -> Finding:
    what = other_bundled(loaded.variant)
    own = yield from _evaluated(request, root)
    plain = CheckBatchNorm(what=what, device=request.device, split=request.split, dataset=own.dataset)  # type: ignore[arg-type]
    other = yield from _evaluated(plain, root)
    with_it, without = (own, other) if loaded.variant == "cnn-bn" else (other, own)
    gain = with_it.accuracy - without.accuracy
    values = {"value": abs(gain), "gain": gain, "with": with_it.accuracy, "without": without.accuracy}
    return Measured(values | {"images": own.count}, other.name)


def _kernels_of(request: Inspect, root: Path, layer: LayerName) -> Generator[Event, None, FiltersShown]:
    asked = about(ShowFilters, request, layer=layer)
    return (yield from _asked(FiltersShown, show_filters(asked, root), f"kernels of {layer}"))


def _simplicity(request: CheckSimplicity, root: Path, _loaded: LoadedNetwork) -> Finding:
    shares = []
    for layer in get_args(LayerName):
        event = yield from _kernels_of(request, root, layer)
        shares.append(plane_share(event.weights.reshape(-1, *event.weights.shape[-2:])))
        yield WorkAdvanced(words="kernels", done=len(shares), total=2)
    return Measured(dict(zip(request.says, shares, strict=True)))


def _kernels(request: CheckKernels, root: Path, _loaded: LoadedNetwork) -> Finding:
    event = yield from _kernels_of(request, root, request.layer)
    count = event.shape[0] * event.shape[1]
    values = {"value": event.near_zero / count, "weak": event.near_zero, "one_pixel": event.one_pixel}
    return Measured(values | {"kernels": count})


def _resemblance(request: CheckResemblance, root: Path, _loaded: LoadedNetwork) -> Finding:
    asked = about(ShowActivations, request, index=request.index)
    event = yield from _asked(ActivationsComputed, show_activations(asked, root), "maps")
    first, second = (resemblance(event.image, maps) for maps in (event.conv1, event.conv2))
    return Measured({"value": first, "second": second, "actual": event.actual, "predicted": event.predicted})


def _channels(request: CheckChannels, root: Path, _loaded: LoadedNetwork) -> Finding:
    asked = about(ShowActivations, request, survey=True, index=0)
    event = yield from _asked(ChannelsSurveyed, show_activations(asked, root), "all images")
    first, second = len(event.conv1.dead), len(event.conv2.dead)
    channels = len(event.conv1.strongest) + len(event.conv2.strongest)
    return Measured({"value": first + second, "first": first, "second": second, "channels": channels})


def _occlusion(request: CheckOcclusion, root: Path, _loaded: LoadedNetwork) -> Finding:
    own = {name: getattr(request, name) for name in ("index", "patch_size", "stride", "baseline", "watch", "seed")}
    asked = about(Occlude, request, **own, average=request.average)
    single: OcclusionMapReady | None = None
    many: ClassOcclusionReady | None = None
    for event in occlude(asked, root):
        match event:
            case OcclusionMapReady():
                single = event
            case ClassOcclusionReady():
                many = event
            case WorkAdvanced():
                yield event
            case _:
                yield WorkAdvanced(words="patch by patch", done=0, total=1)
    if single is None:
        raise RequestError("occlusion gave no result")
    strokes = (many or single).strokes
    return Measured(
        {
            "value": strokes.drop,
            "positions": strokes.positions,
            "elsewhere": 1 - strokes.drop,
            "lowest": single.minimum,
            "changed": (single.winners != single.predicted).mean(),
            "unoccluded": single.unoccluded_probability,
        }
    )


def _noise(request: CheckNoise, root: Path, loaded: LoadedNetwork) -> Finding:
    asked = about(AttackNoise, request, classes=request.classes, steps=request.steps, seed=request.seed)
    event = yield from _asked(AttackFinished, attack(asked, root), "images from noise")
    other = _another(request, root, other_bundled(loaded.variant, _trained_with(loaded)))
    images = torch.from_numpy(event.adversarial)[:, None].to(other.device, other.dtype)
    targets = torch.tensor(event.targets)
    count = range(len(event.targets))
    return Measured(
        {
            "value": event.probabilities[count, list(event.targets)].min(),
            "reached": event.successes,
            "images": len(event.targets),
            "rose": (np.diff(event.history, axis=1) > 0).mean(),
            "taken": int((answers(other, images).cpu() == targets).sum()),
        },
        other.name,
    )


def _targeted(request: CheckTargeted, root: Path, _loaded: LoadedNetwork) -> Finding:
    found = []
    for beta in (request.beta, 0.0):
        asked = about(
            AttackTargeted,
            request,
            indices=request.indices,
            target=request.target,
            steps=request.steps,
            step_size=request.step_size,
            beta=beta,
        )
        found.append((yield from _asked(AttackFinished, attack(asked, root), "targeted attack")))
    bound, free = found
    size = float(free.l2.mean())
    return Measured(
        {
            "value": bound.successes / len(bound.images),
            "fooled": bound.successes,
            "images": len(bound.images),
            "largest": bound.linf.max(),
            "closer": float((free.l2 - bound.l2).mean()) / size if size else math.nan,
        }
    )


def _fooled(points: Sequence[tuple[float, int]], epsilon: float) -> float:
    """By how much fewer images are correct within `epsilon` than without a perturbation, as a share of these, 0 to 1.

    0 where more are, as happens with random noise; NaN where none is correct.
    """
    correct = dict(points)
    return max(0.0, 1 - correct[epsilon] / correct[0.0]) if correct[0.0] else math.nan


def _fgsm(request: CheckFgsm, root: Path, loaded: LoadedNetwork) -> Finding:
    other = compared_bundled(loaded.variant, _trained_with(loaded))
    others = () if other == loaded.name else (other,)
    asked = about(
        MeasureRobustness,
        request,
        others=others,
        attack=("random", "fgsm"),
        epsilons=(0.0, request.epsilon),
        count=request.count,
        seed=request.seed,
    )
    event = yield from _asked(RobustnessMeasured, measure_robustness(asked, root), "attacking")

    def fooled(name: str, by: str) -> float:
        return _fooled([(point.epsilon, point.correct) for point in event.curve(name, by)], request.epsilon)

    return Measured(
        {
            "value": fooled(loaded.name, "fgsm"),
            "by_chance": fooled(loaded.name, "random"),
            "beside": fooled(other, "fgsm"),
            "accuracy": event.curve(loaded.name, "fgsm")[0].accuracy,
            "images": event.asked,
        },
        other,
    )


_FINDERS: dict[type[Any], Callable[[Any, Path, LoadedNetwork], Finding]] = {
    CheckTraining: _training,
    CheckAccuracy: _accuracy,
    CheckMistakes: _mistakes,
    CheckLayers: _layers,
    CheckBatchNorm: _batch_norm,
    CheckSimplicity: _simplicity,
    CheckKernels: _kernels,
    CheckResemblance: _resemblance,
    CheckChannels: _channels,
    CheckOcclusion: _occlusion,
    CheckNoise: _noise,
    CheckTargeted: _targeted,
    CheckFgsm: _fgsm,
}
