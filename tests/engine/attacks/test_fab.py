"""FAB: its projections against general solvers, and its perturbations against those of torchattacks."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torchattacks
from scipy.optimize import linprog, minimize

from engine.adversary.fab import fab, likely_targets, projection
from engine.adversary.names import NormName
from engine.adversary.norm_ball import norms
from engine.data.datasets import Dataset
from tests.engine.attacks.samples import EXACT, NORMS, any_other, digits, last, needed, of

pytestmark = pytest.mark.numeric


def planes(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Points in the unit cube, some on its border, and hyperplanes, some beyond the cube."""
    draw = torch.Generator().manual_seed(5)
    points = torch.rand((count, 12), generator=draw, dtype=EXACT).mul(1.6).sub(0.3).clamp(0, 1)
    normals = torch.randn((count, 12), generator=draw, dtype=EXACT)
    normals[::4, :5] = 0.0
    shortfall = torch.randn(count, generator=draw, dtype=EXACT) * 2
    shortfall[::6] *= 10
    return points, normals, shortfall


def most(point: np.ndarray, normal: np.ndarray, shortfall: float) -> float:
    """How much a change within the cube can gain, with the sign of what is wanted."""
    sign = np.sign(shortfall)
    return float(sign * np.maximum(sign * normal * (1 - point), -sign * normal * point).sum())


@pytest.mark.parametrize("norm", NORMS)
def test_projections_are_those_of_a_general_solver(norm: NormName) -> None:
    points, normals, shortfall = planes(40)
    found = projection(points, normals, shortfall, norm).numpy()
    unreachable = 0
    for point, normal, wanted, change in zip(points.numpy(), normals.numpy(), shortfall.numpy(), found, strict=True):
        assert (point + change).min() >= -1e-12
        assert (point + change).max() <= 1 + 1e-12
        limit = most(point, normal, wanted)
        if abs(limit) < abs(wanted):
            unreachable += 1
            assert normal @ change == pytest.approx(limit)
            continue
        assert normal @ change == pytest.approx(wanted, rel=1e-5)
        bounds = list(zip(-point, 1 - point, strict=True))
        if norm == "linf":
            ones = np.ones((12, 1))
            within = np.block([[np.eye(12), -ones], [-np.eye(12), -ones]])
            cost, level = np.append(np.zeros(12), 1.0), np.append(normal, 0.0)[None]
            best = linprog(cost, within, np.zeros(24), level, [wanted], [*bounds, (0, None)]).fun
            size = np.abs(change).max()
        else:
            gain = {"type": "eq", "fun": lambda c, n=normal, w=wanted: n @ c - w}
            tried = minimize(lambda c: c @ c, change, jac=lambda c: 2 * c, bounds=bounds, constraints=gain)
            best, size = np.sqrt(tried.fun), np.linalg.norm(change)
        assert size == pytest.approx(best, rel=1e-4, abs=1e-9)
    assert 0 < unreachable < 40


@pytest.mark.parametrize("norm", NORMS)
def test_perturbations_are_as_small_as_those_of_torchattacks(norm: NormName, mnist: Dataset) -> None:
    networks, (images, labels) = of("cnn"), digits(mnist, 6)
    # torchattacks computes in single precision whatever it is given.
    attack = torchattacks.FAB(networks.model, norm="Linf" if norm == "linf" else "L2", eps=None, steps=6)
    attack.multi_targeted, smallest = True, torch.full((6,), torch.inf, dtype=EXACT)
    for rank in range(2, 11):
        attack.target_class = rank
        with torch.no_grad():
            theirs = attack.attack_single_run_targeted(images.float(), labels).double()
            fooled = networks.exact(theirs).argmax(dim=1) != labels
        smallest = torch.minimum(smallest, torch.where(fooled, norms(theirs - images, norm).flatten(), torch.inf))
    ours = last(fab(networks.attacked, images, any_other(labels), norm, 6))
    found = needed(networks.exact, ours.images, images, labels)
    assert found.isfinite().all()
    sizes = norms(ours.images - images, norm).flatten()
    ratios = (sizes / smallest).sort().values
    assert ratios[-2] < 1.01  # of all but one at most as large
    assert ratios[3] == pytest.approx(1, abs=0.01)
    torch.testing.assert_close(networks.exact(ours.images).detach(), ours.logits, rtol=0, atol=1e-9)


def test_enough_is_enough(mnist: Dataset) -> None:
    networks, (images, labels) = of("cnn"), digits(mnist, 12)
    objective = any_other(labels)
    work = fab(networks.attacked, images, objective, "linf", 10, enough=0.3)
    *before, found = work
    assert len(before) < 30  # the first or second class is near enough for all of them
    assert objective.reached(found.logits).all()
    assert norms(found.images - images, "linf").max() <= 0.3


def test_towards_a_target_only_that_is_approached(mnist: Dataset) -> None:
    networks, (images, labels) = of("cnn"), digits(mnist, 6)
    target = likely_targets(networks.attacked.logits(images), labels)[:, 0]
    objective = type(any_other(labels))(labels, target)
    found = last(fab(networks.attacked, images, objective, "l2", 30))
    answers = networks.exact(found.images).argmax(dim=1)
    reached = objective.reached(found.logits)
    assert reached.sum() >= 4
    assert torch.equal(answers[reached], target[reached])
    assert torch.equal(found.images[~reached], images[~reached])
