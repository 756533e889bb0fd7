"""What is told of a run that was trained against attacks."""

from __future__ import annotations

from engine.training.requests import Train
from tui.drawing.about import about_request


def labels(request: Train) -> dict[str, str]:
    return {known.label: known.value for group in about_request(request, None) for known in group}


def test_a_robust_run_tells_the_settings_of_its_objective_also_where_they_are_the_usual_ones() -> None:
    told = labels(Train(objective="pgd"))
    assert (told["objective"], told["train epsilon"], told["attack steps"]) == ("pgd", "0.3", "7")
    assert "kappa" not in told


def test_a_clean_run_tells_nothing_of_objectives() -> None:
    told = labels(Train())
    assert not {"objective", "train epsilon", "attack steps", "kappa", "ramp"} & set(told)
