"""The whole notebook on one or two networks, in its order (1.1 to 3.2), with measured numbers."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, TypeVar, cast

import torch
from msgspec.structs import replace

from engine.attacks.attack import attack, attacked
from engine.attacks.events import AttackFinished
from engine.attacks.requests import AttackNoise, AttackTargeted
from engine.attribution.events import ClassOcclusionReady, OcclusionMapReady, StrokeShare
from engine.attribution.occlusion import occlude
from engine.attribution.requests import Occlude
from engine.event import Event, WorkAdvanced
from engine.figures.drawing.figure import figure_of
from engine.figures.drawing.page import png_of
from engine.figures.requests import ColourMapName
from engine.inspection.activations import show_activations
from engine.inspection.events import (
    ActivationsComputed,
    DigitsShown,
    FiltersShown,
    NetworkSummarised,
    SplitEvaluated,
    with_batch,
)
from engine.inspection.filters import show_filters
from engine.inspection.layers import summarise
from engine.inspection.loaded import LoadedNetwork, load_network
from engine.inspection.predictions import evaluate_split, show_digits
from engine.inspection.requests import Evaluate, LayerName, ShowActivations, ShowDigits, ShowFilters, Summarise
from engine.network.events import WeightsRead
from engine.network.requests import Inspect, Reading
from engine.report.claims import Claim, activations_claim, filters_claim, noise_claims, occlusion_claim, targeted_claim
from engine.report.document import Document
from engine.report.events import ReportWritten
from engine.report.requests import Report
from engine.request import RequestError
from engine.runs.comparison import compare, sentence, setting_words
from engine.runs.history import RunHistory
from engine.training.events import EpochFinished
from engine.training.recipes import BEYOND, FIELDS, recipe_words
from engine.training.requests import Train

E = TypeVar("E", bound=Event)
Q = TypeVar("Q", bound=Inspect)
Operation = Callable[[Q, Path], Generator[Event, None, None]]

PARTS = 11
"""Number of parts of a report for each network."""
AVERAGED = 100
"""Number of images that the occlusion of section 2.4 is averaged over."""


class _Report:
    """The results for each network, section by section."""

    def __init__(self, request: Report, root: Path) -> None:
        self.root = root
        self.networks: list[LoadedNetwork] = []
        self._readings: dict[str, dict[str, Any]] = {}
        """The settings for reading third-party weights files, by the networks' names in the request."""
        for what in request.what:
            asked = Inspect(what=what, device=request.device)
            said = {name: getattr(request, name) for name in Reading.__struct_fields__}
            network = None
            with contextlib.suppress(RequestError):  # some files can only be read with these settings
                network = load_network(asked, root)
            if network is None or network.foreign is not None:
                self._readings[what] = said
                network = load_network(replace(asked, **said), root)
            self.networks.append(network)
        self.what, self.device = request.what, request.device
        self.names = [network.name for network in self.networks]
        if len(set(self.names)) < len(self.names):
            raise RequestError(f"{self.names[0]} is given twice: name two different networks")
        self.document = Document(f"A convolutional network on MNIST: {' and '.join(self.names)}")
        self.claims: list[Claim] = []
        self.done = 0

    def about(self, kind: type[Q], what: str, **fields: Any) -> Q:
        """A request for the network that `what` names."""
        return kind(what=what, device=self.device, **self._readings.get(what, {}), **fields)

    def ask(self, kind: type[E], work: Operation[Q], request: Q, words: str) -> Generator[Event, None, E]:
        """The event of type `kind` that `work` yields for `request`; reports progress after each of its steps."""
        found: E | None = None
        advanced = WorkAdvanced(words=words, done=self.done, total=PARTS * len(self.what))
        for event in work(request, self.root):
            if isinstance(event, kind):
                found = event
            yield advanced
        self.done += 1
        if found is None:
            raise RequestError(f"{words} gave no result")
        return found

    def draw(
        self,
        name: str,
        subject: object,
        caption: str,
        *,
        layer: LayerName = "conv1",
        colours: ColourMapName = "gray",
        shared_range: bool = False,
    ) -> None:
        """Add a figure, with its number in the name, so that the files are sorted."""
        number = len(self.document.figures) + 1
        png = png_of(figure_of(subject, layer=layer, colours=colours, shared_range=shared_range))
        self.document.figure(f"{number:02d}-{name}", png, caption)

    def say(self, *claims: Claim) -> None:
        """Add the verdicts on observations."""
        for claim in claims:
            self.claims.append(claim)
            self.document.claim(f"Section {claim.section}: {claim.said}", claim.verdict, claim.evidence)

    def each(self) -> Iterator[tuple[str, str]]:
        """The name of each network, and its name in the request."""
        return zip(self.names, self.what, strict=True)


def report(request: Report, root: Path) -> Generator[Event, None, None]:
    """Repeat the notebook on the networks of `request` and write the report, with progress.

    Raises RequestError where a network does not exist, or the report cannot be written; then no partial report is left.
    """
    began, out = time.perf_counter(), Path(request.out)
    if out.exists() and not out.is_dir():
        raise RequestError(f"{out} is a file: choose a folder with --out")
    made = _Report(request, root)
    for network in made.networks:
        if network.foreign:
            yield WeightsRead(name=network.name, notes=network.foreign)
    for part in (_training, _digits, _layers, _batch_norm, _filters, _activations, _occlusion, _noise, _targeted):
        yield from part(made)
    _contents(made)
    try:
        markdown, page = made.document.write(out)
    except OSError as error:
        raise RequestError(f"cannot write to {out} ({error.strerror}): choose another folder with --out") from None
    yield ReportWritten(
        markdown=str(markdown),
        html=str(page),
        figures=len(made.document.figures),
        claims=tuple((claim.section, claim.verdict) for claim in made.claims),
        seconds=time.perf_counter() - began,
    )


def _histories(made: _Report) -> list[tuple[str, RunHistory]]:
    runs = ((name, network.run) for name, network in zip(made.names, made.networks, strict=True))
    return [(name, run.history()) for name, run in runs if run is not None]


def beyond_notebook(request: Train | None) -> str:
    """A sentence on what training used that the notebook does not have; empty where it used nothing of that."""
    if request is None:
        return ""
    plain = Train()
    used = {name for name in (*BEYOND, *FIELDS) if getattr(request, name) != getattr(plain, name)}
    if used.isdisjoint((*BEYOND, "precision")):
        return ""
    settings = ", ".join(setting_words(name, getattr(request, name)) for name in FIELDS if name in used)
    return f" Unlike in the notebook, it was trained with the recipe {recipe_words(request)}: {settings}."


def _best_figure(best: EpochFinished) -> str:
    """What makes an epoch the best of its run, as text."""
    if best.robust_accuracy is None:
        return f"lowest validation loss, {best.val_loss:.4f},"
    name, _, figure = best.choice.rpartition("accuracy ")
    return f"highest {name}accuracy on validation images, {figure},"


def _training(made: _Report) -> Generator[Event, None, None]:
    document = made.document
    document.heading(2, "1.1 Training error, validation error and accuracy")
    for name, history in _histories(made):
        best = history.best
        if best is None:
            continue
        made.draw(f"training-{name.rpartition(':')[2]}", history, f"Losses and accuracies of {name} by epoch.")
        document.words(
            f"{name}: the {_best_figure(best)} is after epoch {best.epoch}, with a test "
            f"accuracy of {100 * best.test_accuracy:.2f} %; after the last, epoch {history.epochs[-1].epoch}, it is "
            f"{100 * history.epochs[-1].test_accuracy:.2f} %.{beyond_notebook(history.request)}"
        )
    for name, network in zip(made.names, made.networks, strict=True):
        if network.run is None:
            document.words(f"{name} is a weights file: how it was trained is not known.")
    rows = []
    for name, what in made.each():
        event = yield from made.ask(SplitEvaluated, evaluate_split, made.about(Evaluate, what), f"{name}: evaluating")
        rows.append((name, f"{event.loss:.4f}", f"{100 * event.accuracy:.2f} %", str(event.mistakes)))
        made.draw(f"confusion-{event.variant}", event, f"Confusion matrix of {name} on the test images.")
    document.table(("network, on the test images", "loss", "accuracy", "mistakes"), rows)


def _digits(made: _Report) -> Generator[Event, None, None]:
    made.document.heading(2, "1.2 Randomly selected test images")
    for name, what in made.each():
        event = yield from made.ask(DigitsShown, show_digits, made.about(ShowDigits, what), f"{name}: digits")
        right = sum(digit.actual == digit.predicted for digit in event.digits)
        made.draw(
            f"digits-{event.variant}",
            event,
            f"{name}: {right} of {len(event.digits)} random test images are classified correctly.",
        )


def _layers(made: _Report) -> Generator[Event, None, None]:
    document = made.document
    document.heading(2, "1.3 to 1.5 Layers, parameters and neurons")
    totals = []
    for name, what in made.each():
        event = yield from made.ask(NetworkSummarised, summarise, made.about(Summarise, what), f"{name}: layers")
        document.heading(3, name)
        rows = [
            (
                each.name,
                with_batch(each.input_shape),
                with_batch(each.output_shape),
                f"{each.parameters:,}",
                f"{each.neurons:,}",
            )
            for each in event.layers
        ]
        document.table(("layer", "input", "output", "parameters", "neurons"), rows)
        counts = (event.conv_parameters, event.fc_parameters, event.total_parameters)
        neurons = (event.conv_neurons, event.fc_neurons, event.total_neurons)
        totals.append((name, *(f"{count:,}" for count in (*counts, *neurons))))
    document.heading(3, "In all")
    head = ("network", "conv parameters", "fc parameters", "all", "conv neurons", "fc neurons", "all")
    document.table(head, totals)


def _batch_norm(made: _Report) -> Generator[Event, None, None]:
    document = made.document
    document.heading(2, "1.6 With batch normalisation")
    runs = [network.run for network in made.networks if network.run is not None and network.run.history().epochs]
    if len(runs) < 2:
        document.words("There is only one run, so there is nothing to compare.")
        return
    event = compare(runs)
    made.draw("comparison", event, "Both runs by epoch.")
    for contrast in event.contrasts:
        document.words(f"{sentence(contrast)[:1].upper()}{sentence(contrast)[1:]}.")
    yield WorkAdvanced(words="comparing", done=made.done, total=PARTS * len(made.what))


def _filters(made: _Report) -> Generator[Event, None, None]:
    made.document.heading(2, "2.1 and 2.2 Filters of both convolutions")
    pairs = []
    for name, what in made.each():
        both = []
        for layer in ("conv1", "conv2"):
            asked = made.about(ShowFilters, what, layer=layer)
            event = yield from made.ask(FiltersShown, show_filters, asked, f"{name}: filters")
            caption = f"{name}: all {event.weights.shape[0] * event.weights.shape[1]:,} kernels of {layer}."
            made.draw(f"filters-{layer}-{event.variant}", event, caption, colours="diverging")
            both.append(event)
        pairs.append((both[0], both[1]))
    made.say(filters_claim(made.names, pairs))


def _activations(made: _Report) -> Generator[Event, None, None]:
    made.document.heading(2, "2.3 Activations")
    events = []
    for name, what in made.each():
        asked = made.about(ShowActivations, what)
        event = yield from made.ask(ActivationsComputed, show_activations, asked, f"{name}: activations")
        for layer in ("conv1", "conv2"):
            caption = f"{name}: activations of {layer} for test image {event.index}, a {event.actual}."
            made.draw(f"activations-{layer}-{event.variant}", event, caption, layer=layer)
        events.append(event)
    made.say(activations_claim(made.names, events))


def _occlusion(made: _Report) -> Generator[Event, None, None]:
    made.document.heading(2, "2.4 Occluding parts of the image")
    singles: list[OcclusionMapReady] = []
    black: list[StrokeShare] = []
    white: list[StrokeShare] = []
    for name, what in made.each():
        asked = made.about(Occlude, what)
        event = yield from made.ask(OcclusionMapReady, occlude, asked, f"{name}: occlusion")
        caption = f"{name}: the probability of {event.actual} with an 8x8 patch at each position on test image 61."
        made.draw(f"occlusion-{event.variant}", event, caption, colours="viridis")
        singles.append(event)
        many = replace(asked, patch_size=4, average=AVERAGED)
        for baseline, kept in (("zero", black), ("one", white)):
            over = yield from made.ask(
                ClassOcclusionReady,
                occlude,
                replace(many, baseline=baseline),
                f"{name}: occlusion of {AVERAGED} images",
            )
            kept.append(over.strokes)
    made.say(occlusion_claim(made.names, black, white, singles))


def _noise(made: _Report) -> Generator[Event, None, None]:
    made.document.heading(2, "3.1 Non-targeted attack (activation maximisation from noise)")
    events: list[AttackFinished] = []
    for name, what in made.each():
        asked = made.about(AttackNoise, what, exact=True)  # so that a report does not depend on the device
        event = yield from made.ask(AttackFinished, attack, asked, f"{name}: digits from noise")
        caption = f"{name}: images classified as each digit, and the logit during the optimisation."
        made.draw(f"noise-{event.variant}", event, caption)
        events.append(event)
    others = (
        [_taken(event, made.networks[1 - number]) for number, event in enumerate(events)] if len(events) > 1 else []
    )
    made.say(*noise_claims(made.names, events, others))


def _taken(event: AttackFinished, other: LoadedNetwork) -> int:
    """The number of images of an attack that another network classifies as their target."""
    network = attacked(other, other.dtype)
    images = torch.from_numpy(event.adversarial)[:, None].to(network.device, network.dtype)
    answers = network.logits(images).argmax(dim=1).tolist()
    return sum(answer == target for answer, target in zip(answers, event.targets, strict=True))


def _targeted(made: _Report) -> Generator[Event, None, None]:
    made.document.heading(2, "3.2 Targeted attack (logit ascent with a squared-error penalty)")
    pairs = []
    for name, what in made.each():
        asked = made.about(AttackTargeted, what, exact=True)
        event = yield from made.ask(AttackFinished, attack, asked, f"{name}: digits towards another class")
        caption = f"{name}: digits perturbed to be classified as {asked.target}."
        made.draw(f"targeted-{event.variant}", event, caption)
        head = ("digit", "predicted as", "probability", "Linf", "L2")
        rows = [
            (
                str(each.actual),
                str(each.predicted),
                f"{100 * each.probability:.2f} %",
                f"{each.linf:.3f}",
                f"{each.l2:.2f}",
            )
            for each in event.images
        ]
        made.document.table(head, rows)
        *_, free = attack(replace(asked, beta=0.0), made.root)
        pairs.append((event, cast(AttackFinished, free)))
    made.say(targeted_claim(made.names, pairs))


def _contents(made: _Report) -> None:
    """A table of all observations at the end."""
    made.document.heading(2, "The notebook's observations")
    made.document.table(
        ("observation", "section", "verdict"), [(claim.said, claim.section, claim.verdict) for claim in made.claims]
    )
    made.document.words("Made by mnist-tui; each number was measured for this report on these networks.")
