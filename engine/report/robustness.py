"""Part 4 of a report: what training against attacks changes, and whether the earlier parts say something else."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.attacks.events import RobustnessMeasured
from engine.attacks.noise import noise
from engine.attacks.requests import ATTACK_TITLES, CurveAttackName, MeasureRobustness
from engine.attacks.robustness import measure_robustness
from engine.attribution.events import FaithfulnessMeasured
from engine.attribution.explain import Measurement
from engine.attribution.requests import METHOD_TITLES, Attribute, MethodName
from engine.data.datasets import Split
from engine.event import Event, WorkAdvanced
from engine.inspection.intervals import wilson
from engine.inspection.loaded import find_images, open_network
from engine.inspection.requests import InspectImages
from engine.report.asking import about
from engine.report.claims import plane_share
from engine.report.draft import Draft, Subject, listed, with_interval
from engine.report.likeness import LOW, Likeness, likeness
from engine.report.robustness_claims import (
    Sides,
    digits_claim,
    ensemble_claim,
    faithful_claim,
    price_claim,
    thresholds_claim,
    white_claim,
)
from engine.words import percent

if TYPE_CHECKING:
    from engine.event import Array

SECTION = "4"
METHODS: tuple[MethodName, ...] = ("occlusion", "saliency", "integrated-gradients")
"""The methods whose deletion and insertion are measured."""
PARTS = 2
"""Number of results for each network."""
EPSILON, STEPS = 0.3, 40
"""Maximum perturbation (L-infinity, in pixel values) and number of PGD steps: those of Madry et al. (2018)."""
EXPLAINED = 100
"""Number of images for deletion and insertion."""
REAL = 1000
"""Number of real test digits, and of images of random noise, that images from noise are compared with."""
ROBUST = 0.5
"""A network is called robust if at least this share of the images is correct under PGD."""


def robustness(made: Draft) -> Generator[Event, None, None]:
    """Section 4: accuracy under attack, and what of sections 2 and 3 is otherwise for robust networks."""
    made.document.heading(2, f"{SECTION} Training against attacks")
    sides = yield from _accuracy(made)
    _filters(made, sides)
    _occlusion(made, sides)
    yield from _faithfulness(made, sides)
    yield from _noise(made, sides)


def _accuracy(made: Draft) -> Generator[Event, None, Sides]:
    document = made.document
    document.heading(3, f"{SECTION}.1 Accuracy")
    attacks: tuple[CurveAttackName, ...] = ("pgd", "autoattack") if made.request.autoattack else ("pgd",)
    rows, points = [], []
    for network, clean in zip(made.networks, made.kept.evaluated, strict=True):
        asked = about(
            MeasureRobustness,
            network.request,
            attack=attacks,
            epsilons=(EPSILON,),
            count=made.request.count,
            steps=STEPS,
            certified=True,  # what is proved need not be attacked
        )
        words = f"{network.name}: accuracy under attack"
        measured = (yield from made.ask(RobustnessMeasured, measure_robustness, asked, words)).points
        attacked = tuple(point for point in measured if point.attack != "certified")
        (proved,) = (point for point in measured if point.attack == "certified")
        rows.append(
            (
                network.name,
                _trained_with(network),
                with_interval(clean.accuracy, *wilson(clean.count - clean.mistakes, clean.count)),
                *(with_interval(point.accuracy, point.low, point.high) for point in attacked),
                with_interval(proved.accuracy, proved.low, proved.high),
            )
        )
        points.append(attacked)
    steps = {"pgd": f", {STEPS} steps"}
    head = (
        "network",
        "objective",
        f"unperturbed ({clean.count:,} images)",
        *(f"{ATTACK_TITLES[attack]}{steps.get(attack, '')} ({proved.count:,})" for attack in attacks),
        f"certified ({proved.count:,})",
    )
    document.table(head, rows)
    shares = [each[0].accuracy for each in points]
    sides = Sides(
        tuple(number for number, share in enumerate(shares) if share >= ROBUST),
        tuple(number for number, share in enumerate(shares) if share < ROBUST),
    )
    robust, others = (listed([made.names[number] for number in side]) for side in sides)
    document.words(
        f"Accuracy on the first test images, with 95 % intervals (Wilson); perturbations up to {EPSILON} in each pixel "
        "(L-infinity). No attack can leave fewer correct than are certified. Here a network is called robust if "
        f"PGD leaves at least {100 * ROBUST:.0f} % correct: {robust or 'none of these'}"
        f"{f', and not {others}' if robust and others else ''}."
    )
    if sides.pairs:
        document.words(
            "An observation that compares networks compares every robust one with every other one: it is supported if "
            "it holds for all of these pairs, contradicted if for none, mixed else."
        )
        made.say(price_claim(made.names, sides, made.kept.evaluated))
    else:
        document.words("So there is no robust network to compare with another one, and no verdict.")
    if not made.request.autoattack:
        document.words(
            "PGD from one start overstates how robust a network is; with --autoattack, an ensemble of attacks is "
            "measured too."
        )
    elif sides.robust:
        made.say(ensemble_claim([points[number] for number in sides.robust]))
    return sides


def _trained_with(network: Subject) -> str:
    if network.loaded.run is None:
        return "not known"
    request = network.loaded.run.read_record().request
    return request.objective + (f", epsilon {request.train_epsilon:g}" if request.objective != "clean" else "")


def _filters(made: Draft, sides: Sides) -> None:
    made.document.heading(3, f"{SECTION}.2 Filters of the first convolution")
    events = made.kept.conv1
    made.draw(
        "filters-conv1-side-by-side",
        tuple(events),
        f"The kernels of conv1 of {listed(made.names)}, in one range of values.",
        colours="diverging",
    )
    rows = [
        (
            name,
            str(event.shape[0] * event.shape[1]),
            str(event.near_zero),
            str(event.one_pixel),
            percent(plane_share(event.weights.reshape(-1, *event.shape[2:]))),
        )
        for name, event in zip(made.names, events, strict=True)
    ]
    head = ("network", "kernels", "near zero", "dominated by one pixel", "energy of a constant and two gradients")
    made.document.table(head, rows)
    if sides.pairs:
        made.say(thresholds_claim(made.names, sides, events))


def _occlusion(made: Draft, sides: Sides) -> None:
    made.document.heading(3, f"{SECTION}.3 Occlusion with a white patch")
    events = made.kept.white
    size = events[0].patch_size
    made.draw(
        "occlusion-white-side-by-side",
        tuple(events),
        f"The mean probability of {events[0].digit} with a white {size}x{size} patch at each position, over "
        f"{events[0].averaged} test images, of {listed(made.names)}.",
        colours="viridis",
        shared_range=True,
    )
    rows = [
        (
            name,
            percent(event.strokes.positions),
            percent(event.strokes.drop),
            percent(1 - event.strokes.drop),
            f"{event.unoccluded_probability - float(event.mean_probabilities.mean()):.4f}",
        )
        for name, event in zip(made.names, events, strict=True)
    ]
    head = ("network", "positions over strokes", "drop over strokes", "drop off the strokes", "mean drop")
    made.document.table(head, rows)
    if sides.pairs:
        made.say(white_claim(made.names, sides, events))


def _faithfulness(made: Draft, sides: Sides) -> Generator[Event, None, None]:
    made.document.heading(3, f"{SECTION}.4 Deletion and insertion")
    events: list[FaithfulnessMeasured] = []
    for network in made.networks:
        asked = about(Attribute, network.request, digits=EXPLAINED)
        words = f"{network.name}: deletion and insertion"
        event = yield from made.ask(FaithfulnessMeasured, _explain, asked, words)
        events.append(event)
    made.draw(
        "faithfulness-side-by-side",
        tuple(events),
        f"Deletion and insertion over the first {events[0].averaged} test images, of {listed(made.names)}.",
    )
    rows = [
        (
            METHOD_TITLES[each.method].full,
            event.name,
            each.deletion.summary("±"),
            each.insertion.summary("±"),
        )
        for each_of_all in zip(*(event.faithfulness for event in events), strict=True)
        for event, each in zip(events, each_of_all, strict=True)
    ]
    made.document.table(("method", "network", "deletion (low is good)", "insertion (high is good)"), rows)
    made.document.words("Area under the mean curve, from 0 to 1, ± its standard deviation over the images.")
    if sides.pairs:
        made.say(faithful_claim(sides, events))


def _explain(request: Attribute, root: Path) -> Generator[Event, None, None]:
    """As `attribute`, for METHODS together: so that random order, which takes the longest, is measured once."""
    loaded = yield from open_network(request, root)
    dataset, split = yield from find_images(request, loaded, root)
    work = Measurement(loaded, split, request, METHODS)
    for done in work.finish():
        yield WorkAdvanced(words=work.words, done=done, total=work.total)
    yield work.result(dataset)


def _noise(made: Draft, sides: Sides) -> Generator[Event, None, None]:
    document, events = made.document, made.kept.noise
    document.heading(3, f"{SECTION}.5 Images from noise")
    caption = f"The images from noise of section 3.1: each row is of one network, of {listed(made.names)}."
    made.draw("noise-side-by-side", tuple(events), caption)
    found, real = [], []
    references: dict[str, tuple[Likeness, Likeness]] = {}
    for network, event in zip(made.networks, events, strict=True):
        data, train = yield from find_images(
            about(InspectImages, network.request, split="train"), network.loaded, made.root
        )
        if data not in references:
            _, test = yield from find_images(about(InspectImages, network.request), network.loaded, made.root)
            references[data] = _references(test, train)
            yield made.advanced("images from noise beside digits")
        found.append(likeness(torch.from_numpy(event.adversarial), torch.tensor(event.targets), train))
        real.append(references[data][0])
    rows = [_row(name, each, one) for name, each, one in zip(made.names, found, real, strict=True)]
    for data, (digits, start) in references.items():
        rows += [_row(f"{data} test images", digits, digits), _row("random noise", start, digits)]
    document.table(("images of", "mean digit of the class", "nearest training digit", "like digits"), rows)
    document.words(
        "Correlations over the pixels, mean ± standard deviation over the images. Like digits: an image whose nearest "
        f"training digit is as near as that of {100 - LOW} % of real test digits."
    )
    if len(events) > 1:
        answers = [
            (
                event.name,
                *(f"{(taken | {event.name: event.successes})[name]} of {len(event.images)}" for name in made.names),
            )
            for event, taken in zip(events, made.kept.taken, strict=True)
        ]
        document.table(("images of, classified as their target by", *made.names), answers)
    if sides.pairs:
        made.say(digits_claim(made.names, sides, found, real))


def _row(name: str, each: Likeness, real: Likeness) -> tuple[str, ...]:
    like = f"{each.like_digits(real):,} of {len(each.nearest):,}"
    return name, _spread(each.mean), _spread(each.nearest), like


def _references(test: Split, train: Split) -> tuple[Likeness, Likeness]:
    """The likeness of real test digits, and of the noise that images begin from."""
    digits = test.first(REAL)
    start = noise(range(len(digits)), seed=0).clamp(0, 1)
    return tuple(likeness(images[:, 0], digits.labels, train) for images in (digits.images, start))  # type: ignore[return-value]


def _spread(values: Array) -> str:
    return f"{np.nanmean(values):.2f} ± {np.nanstd(values, ddof=1):.2f}"
