"""Principal components, neighbours and rotations, held against NumPy, scikit-learn and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.linalg import orthogonal_procrustes
from sklearn.neighbors import NearestNeighbors

from engine.event import WorkAdvanced
from engine.inspection import components
from engine.inspection.components import nearest_neighbours, principal_components, rotated_onto
from tests.conftest import returned


def spread(n: int, d: int) -> np.ndarray:
    """Random points (n, d) about a mean that is not 0, with a variance that decays from one direction to the next."""
    random = np.random.default_rng(n + d)
    turned, _ = np.linalg.qr(random.normal(size=(d, d)))
    points: np.ndarray = 3 + random.normal(size=(n, d)) * 0.8 ** np.arange(d) @ turned
    return points


@pytest.mark.parametrize(("n", "d"), [(300, 20), (20, 300), (150, 120)])
@pytest.mark.parametrize("exact", [True, False])
def test_components_are_those_of_a_singular_value_decomposition(
    monkeypatch: pytest.MonkeyPatch, n: int, d: int, exact: bool
) -> None:
    if not exact:
        monkeypatch.setattr(components, "EXACT", 10)
    x = spread(n, d)
    scores, shares = (each.numpy() for each in principal_components(torch.from_numpy(x), 5))
    left, values, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    expected = left[:, :5] * values[:5]
    expected *= np.sign((expected * scores).sum(axis=0))
    np.testing.assert_allclose(scores, expected, atol=1e-6 * values[0])
    np.testing.assert_allclose(shares, (values**2 / (values**2).sum())[:5], rtol=1e-6)
    furthest = np.abs(scores).argmax(axis=0)
    assert (scores[furthest, range(5)] > 0).all()


def test_there_are_no_more_components_than_dimensions() -> None:
    scores, shares = principal_components(torch.from_numpy(spread(9, 4)), 50)
    assert scores.shape == (9, 4)
    assert shares.sum().item() == pytest.approx(1)


def test_neighbours_are_those_of_a_tree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "_CHUNK", 64)  # the last chunk is not full
    x = spread(150, 7)
    indices, distances = returned(nearest_neighbours(torch.from_numpy(x), 6, "neighbours"))
    expected, which = NearestNeighbors(n_neighbors=6).fit(x).kneighbors()
    assert (indices.numpy() == which).all()
    np.testing.assert_allclose(distances.numpy(), expected, atol=1e-6)


def test_an_image_is_not_its_own_neighbour_even_among_copies() -> None:
    x = torch.zeros((5, 3))
    indices, distances = returned(nearest_neighbours(x, 4, "neighbours"))
    assert all(sorted((*row, number)) == [0, 1, 2, 3, 4] for number, row in enumerate(indices.tolist()))
    assert distances.abs().max().item() == 0


def test_progress_counts_the_images(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(components, "_CHUNK", 64)
    steps = list(nearest_neighbours(torch.zeros((150, 2)), 3, "neighbours"))
    assert steps == [WorkAdvanced(words="neighbours", done=done, total=150) for done in (64, 128, 150)]


def test_a_map_is_turned_and_reflected_onto_another() -> None:
    random = np.random.default_rng(3)
    one, noise = random.normal(size=(80, 2)) * (5, 2), random.normal(size=(80, 2)) * 0.1
    angle = 2.0
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]) @ np.diag([1, -1])
    other = one @ turn + noise
    found = rotated_onto(torch.from_numpy(one), torch.from_numpy(other)).numpy()
    best, _ = orthogonal_procrustes(one, other)
    np.testing.assert_allclose(found, one @ best, atol=1e-9)
    assert np.abs(found - other).max() < 1
