"""The notebook on each network of a report, in its order (1.1 to 3.2), with measured numbers."""

from __future__ import annotations

from collections.abc import Generator
from typing import cast

import torch
from msgspec.structs import replace

from engine.attacks.attack import attack, attacked
from engine.attacks.events import AttackFinished
from engine.attacks.requests import AttackNoise, AttackTargeted
from engine.attribution.events import ClassOcclusionReady, OcclusionMapReady
from engine.attribution.occlusion import occlude
from engine.attribution.requests import Occlude
from engine.event import Event
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
from engine.inspection.loaded import LoadedNetwork
from engine.inspection.predictions import evaluate_split, show_digits
from engine.inspection.requests import Evaluate, ShowActivations, ShowDigits, ShowFilters, Summarise
from engine.report.asking import about
from engine.report.claims import activations_claim, filters_claim, noise_claims, occlusion_claim, targeted_claim
from engine.report.draft import Draft
from engine.runs.comparison import compare, sentence, setting_words
from engine.runs.folder import RunFolder
from engine.training.events import EpochFinished
from engine.training.recipes import BEYOND, FIELDS, recipe_words
from engine.training.requests import Train

PARTS = 11
"""Number of results for each network."""
AVERAGED = 100
"""Number of images that the occlusion of section 2.4 is averaged over."""


def notebook(made: Draft) -> Generator[Event, None, None]:
    """The notebook's sections 1.1 to 3.2, with its observations compared with what is measured."""
    for part in (_training, _digits, _layers, _batch_norm, _filters, _activations, _occlusion, _noise, _targeted):
        yield from part(made)


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


def _merit(best: EpochFinished) -> str:
    """What the best epoch of a run has the best of, with its value."""
    if best.certified_accuracy is not None:
        return f"the highest certified accuracy on validation images, {100 * best.certified_accuracy:.2f} %"
    if best.robust_accuracy is not None:
        return f"the highest accuracy under attack on validation images, {100 * best.robust_accuracy:.2f} %"
    return f"the lowest validation loss, {best.val_loss:.4f}"


def _training(made: Draft) -> Generator[Event, None, None]:
    document = made.document
    document.heading(2, "1.1 Training error, validation error and accuracy")
    for network in made.networks:
        name = network.name
        if network.loaded.run is None or (best := (history := network.loaded.run.history()).best) is None:
            continue
        made.draw(f"training-{network.label}", history, f"Losses and accuracies of {name} by epoch.")
        document.words(
            f"{name}: {_merit(best)}, is after epoch {best.epoch}, with a test "
            f"accuracy of {100 * best.test_accuracy:.2f} %; after the last, epoch {history.epochs[-1].epoch}, it is "
            f"{100 * history.epochs[-1].test_accuracy:.2f} %.{beyond_notebook(history.request)}"
        )
    for network in made.networks:
        if network.loaded.run is None:
            document.words(f"{network.name} is a weights file: how it was trained is not known.")
    rows = []
    for network in made.networks:
        name = network.name
        event = yield from made.ask(
            SplitEvaluated, evaluate_split, about(Evaluate, network.request), f"{name}: evaluating"
        )
        made.kept.evaluated.append(event)
        rows.append((name, f"{event.loss:.4f}", f"{100 * event.accuracy:.2f} %", str(event.mistakes)))
        made.draw(f"confusion-{network.label}", event, f"Confusion matrix of {name} on the test images.")
    document.table(("network, on the test images", "loss", "accuracy", "mistakes"), rows)


def _digits(made: Draft) -> Generator[Event, None, None]:
    made.document.heading(2, "1.2 Randomly selected test images")
    for network in made.networks:
        name = network.name
        event = yield from made.ask(DigitsShown, show_digits, about(ShowDigits, network.request), f"{name}: digits")
        right = sum(digit.actual == digit.predicted for digit in event.digits)
        made.draw(
            f"digits-{network.label}",
            event,
            f"{name}: {right} of {len(event.digits)} random test images are classified correctly.",
        )


def _layers(made: Draft) -> Generator[Event, None, None]:
    document = made.document
    document.heading(2, "1.3 to 1.5 Layers, parameters and neurons")
    totals = []
    for network in made.networks:
        name = network.name
        event = yield from made.ask(NetworkSummarised, summarise, about(Summarise, network.request), f"{name}: layers")
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


def _batch_norm(made: Draft) -> Generator[Event, None, None]:
    document = made.document
    document.heading(2, "1.6 With batch normalisation")
    by_objective: dict[str | None, list[RunFolder]] = {}
    for network in made.networks:
        if network.loaded.run is not None and network.loaded.run.history().epochs:
            by_objective.setdefault(network.objective, []).append(network.loaded.run)
    # Runs of other objectives differ in far more than batch norm.
    runs = max(by_objective.values(), key=len, default=[])
    if len(runs) < 2:
        document.words("There is only one run of an objective, so there is nothing to compare.")
        return
    event = compare(runs)
    made.draw("comparison", event, "Both runs by epoch." if len(runs) == 2 else f"All {len(runs)} runs by epoch.")
    for contrast in event.contrasts:
        document.words(f"{sentence(contrast)[:1].upper()}{sentence(contrast)[1:]}.")
    yield made.advanced("comparing")


def _filters(made: Draft) -> Generator[Event, None, None]:
    made.document.heading(2, "2.1 and 2.2 Filters of both convolutions")
    pairs = []
    for network in made.networks:
        name = network.name
        both = []
        for layer in ("conv1", "conv2"):
            asked = about(ShowFilters, network.request, layer=layer)
            event = yield from made.ask(FiltersShown, show_filters, asked, f"{name}: filters")
            caption = f"{name}: all {event.weights.shape[0] * event.weights.shape[1]:,} kernels of {layer}."
            made.draw(f"filters-{layer}-{network.label}", event, caption, colours="diverging")
            both.append(event)
        made.kept.conv1.append(both[0])
        pairs.append((both[0], both[1]))
    made.say(filters_claim(made.names, pairs))


def _activations(made: Draft) -> Generator[Event, None, None]:
    made.document.heading(2, "2.3 Activations")
    events = []
    for network in made.networks:
        name = network.name
        asked = about(ShowActivations, network.request)
        event = yield from made.ask(ActivationsComputed, show_activations, asked, f"{name}: activations")
        for layer in ("conv1", "conv2"):
            caption = f"{name}: activations of {layer} for test image {event.index}, a {event.actual}."
            made.draw(f"activations-{layer}-{network.label}", event, caption, layer=layer)
        events.append(event)
    made.say(activations_claim(made.names, events))


def _occlusion(made: Draft) -> Generator[Event, None, None]:
    made.document.heading(2, "2.4 Occluding parts of the image")
    singles: list[OcclusionMapReady] = []
    means: dict[str, list[ClassOcclusionReady]] = {"zero": [], "one": made.kept.white}
    for network in made.networks:
        name = network.name
        asked = about(Occlude, network.request)
        event = yield from made.ask(OcclusionMapReady, occlude, asked, f"{name}: occlusion")
        caption = f"{name}: the probability of {event.actual} with an 8x8 patch at each position on test image 61."
        made.draw(f"occlusion-{network.label}", event, caption, colours="viridis")
        singles.append(event)
        many = replace(asked, patch_size=4, average=AVERAGED)
        for baseline, kept in means.items():
            over = yield from made.ask(
                ClassOcclusionReady,
                occlude,
                replace(many, baseline=baseline),
                f"{name}: occlusion of {AVERAGED} images",
            )
            kept.append(over)
    black, white = ([each.strokes for each in events] for events in means.values())
    made.say(occlusion_claim(made.names, black, white, singles))


def _noise(made: Draft) -> Generator[Event, None, None]:
    made.document.heading(2, "3.1 Non-targeted attack (activation maximisation from noise)")
    events = made.kept.noise
    for network in made.networks:
        name = network.name
        asked = about(AttackNoise, network.request, exact=True)  # so that a report does not depend on the device
        event = yield from made.ask(AttackFinished, attack, asked, f"{name}: digits from noise")
        caption = f"{name}: images classified as each digit, and the logit during the optimisation."
        made.draw(f"noise-{network.label}", event, caption)
        events.append(event)
    for event in events:
        others = [network for network in made.networks if network.name != event.name]
        made.kept.taken.append({network.name: _taken(event, network.loaded) for network in others})
    made.say(*noise_claims(made.names, events, made.kept.taken))


def _taken(event: AttackFinished, other: LoadedNetwork) -> int:
    """The number of images of an attack that another network classifies as their target."""
    network = attacked(other, other.dtype)
    images = torch.from_numpy(event.adversarial)[:, None].to(network.device, network.dtype)
    answers = network.logits(images).argmax(dim=1).tolist()
    return sum(answer == target for answer, target in zip(answers, event.targets, strict=True))


def _targeted(made: Draft) -> Generator[Event, None, None]:
    made.document.heading(2, "3.2 Targeted attack (logit ascent with a squared-error penalty)")
    pairs = []
    for network in made.networks:
        name = network.name
        asked = about(AttackTargeted, network.request, exact=True)
        event = yield from made.ask(AttackFinished, attack, asked, f"{name}: digits towards another class")
        caption = f"{name}: digits perturbed to be classified as {asked.target}."
        made.draw(f"targeted-{network.label}", event, caption)
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
