"""`mnist-tui attack`, `beta`, `robustness` and `transfer`: tables, JSON, arrays, figures, and bad input."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.attacks.requests import (
    AttackCarliniWagner,
    AttackNoise,
    AttackPgd,
    AttackTargeted,
    MeasureRobustness,
    MeasureTransfer,
    SweepBeta,
)
from engine.request import Request
from tests.tui.driving import CNN, Call, lines
from tui.cli import main as cli
from tui.cli.arguments import ArrayOutput, parse

ATTACKS = ("noise", "targeted", "fgsm", "pgd", "apgd", "deepfool", "fab", "cw", "square")
QUICK = {
    "noise": ("--steps", 3, "--classes", "38"),
    "targeted": ("--steps", 3),
    "fgsm": (),
    "pgd": ("--steps", 3),
    "apgd": ("--steps", 2, "--loss", "dlr"),
    "deepfool": ("--steps", 3),
    "fab": ("--steps", 1),
    "cw": ("--steps", 3, "--binary-search-steps", 2),
    "square": ("--queries", 3),
}


def test_what_is_asked_for_becomes_a_request() -> None:
    def asked(word: str, *arguments: str) -> Request:
        return parse(cli.COMMANDS[word].request, ArrayOutput, f"mnist-tui {word}", arguments)[0]

    assert asked("attack noise", CNN, "--classes", "38", "--total-variation", "0.1") == AttackNoise(
        what=CNN, classes="38", total_variation=0.1
    )
    assert asked("attack targeted", "--target", "3", "--indices", "61", "0") == AttackTargeted(
        target=3, indices=(61, 0)
    )
    plain = ("--optimizer", "plain", "--step-size", "40", "--start", "noise", "--beta", "180", "--seed", "3")
    assert asked("attack targeted", *plain) == AttackTargeted(
        optimizer="plain", step_size=40.0, start="noise", beta=180.0, seed=3
    )
    assert asked("attack pgd", CNN, "--norm", "l2", "--epsilon", "2", "--restarts", "3") == AttackPgd(
        what=CNN, norm="l2", epsilon=2.0, restarts=3
    )
    assert asked("attack cw", "--confidence", "5", "--target", "-1") == AttackCarliniWagner(confidence=5.0)
    assert asked("robustness", CNN, "--attack", "fgsm", "pgd", "--epsilons", "0", "0.05", "--others", "a.pth") == (
        MeasureRobustness(what=CNN, attack=("fgsm", "pgd"), epsilons=(0.0, 0.05), others=("a.pth",))
    )
    assert asked("beta", "--count", "10") == SweepBeta(count=10)
    assert asked("transfer", CNN, "--others", "runs/one", "--attack", "cw") == MeasureTransfer(
        what=CNN, others=("runs/one",), attack="cw"
    )


@pytest.mark.parametrize(
    "word", [*(f"attack {name}" for name in ATTACKS), "attack universal", "beta", "robustness", "transfer"]
)
def test_each_command_has_help(call: Call, word: str) -> None:
    assert f"  {word} " in call("--help")[1]
    code, out, err = call(*word.split(), "--help")
    assert (code, err) == (0, "")
    for name in ("[WHAT]", "--json", "--npz FILE", "--png FILE"):
        assert name in out


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_in_a_table_in_json_in_arrays_and_as_a_figure(call: Call, tmp_path: Path, name: str) -> None:
    arguments = ("attack", name, CNN, *QUICK[name])
    (event,) = lines(call, *arguments, "--npz", "result.npz", "--png", "result.png")
    with np.load(tmp_path / "result.npz", allow_pickle=False) as file:
        found = dict(file)
    count = {"noise": 2, "targeted": 9}.get(name, 10)
    wanted = {"original", "adversarial", "prediction", "probability", "linf", "l2", "history"}
    assert wanted <= found.keys()
    assert found["original"].shape == found["adversarial"].shape == (count, 28, 28)
    assert found["history"].shape == (count, event["done"] + 1)
    assert found["prediction"].tolist() == [image["predicted"] for image in event["images"]]
    assert found["l2"].tolist() == pytest.approx([image["l2"] for image in event["images"]])
    assert found["linf"] == pytest.approx(np.abs(found["adversarial"] - found["original"]).max(axis=(1, 2)))
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    rows = out.splitlines()
    assert rows[0] == "pretrained:cnn  cnn, epoch 15"
    assert len(rows) == 6 + count
    assert max(map(len, rows)) <= 110
    for image in event["images"]:
        assert f"{image['l2']:.4f}" in out


def test_one_perturbation_for_many(call: Call, tmp_path: Path) -> None:
    arguments = ("attack", "universal", CNN, "--made-of", 30, "--steps", 3, "--count", 40, "--epsilon", 0.4)
    (event,) = lines(call, *arguments, "--npz", "result.npz", "--png", "result.png")
    assert (event["type"], event["made_of"], event["averaged"]) == ("UniversalMade", 30, 40)
    with np.load(tmp_path / "result.npz", allow_pickle=False) as file:
        assert file["perturbation"].shape == (28, 28)
        assert file["fooled"].mean() == pytest.approx(event["fooling_rate"]) == file["fooling_rate"]
        assert file["originals"].shape == file["adversarial"].shape == (10, 28, 28)
    assert (tmp_path / "result.png").read_bytes().startswith(b"\x89PNG")
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    assert "one perturbation, L-inf 0.4, from 30 training digits in 3 steps of 0.333333" in out
    assert f"{event['fooling_rate']:.2%}".replace("%", " %") in out
    assert "random, same size" in out


def test_robustness_is_an_object_a_point(call: Call, tmp_path: Path) -> None:
    arguments = ("robustness", CNN, "--attack", "fgsm", "pgd", "--epsilons", 0, 0.1, 0.3, "--count", 40, "--steps", 5)
    *points, all_of_them = lines(call, *arguments, "--npz", "result.npz")
    assert [point["type"] for point in points] == ["RobustnessPointMeasured"] * 6
    assert [(point["attack"], point["epsilon"]) for point in points] == [
        (attack, epsilon) for attack in ("fgsm", "pgd") for epsilon in (0, 0.1, 0.3)
    ]
    for point in points:
        assert point["name"] == CNN
        assert point["count"] == 40 == sum(point["class_count"])
        assert point["accuracy"] == point["correct"] / 40
        assert point["low"] < point["accuracy"] + 1e-9
        assert point["high"] > point["accuracy"] - 1e-9
        assert point["correct"] == sum(point["class_correct"])
    assert all_of_them["type"] == "RobustnessMeasured"
    with np.load(tmp_path / "result.npz", allow_pickle=False) as file:
        assert file["accuracy"].tolist() == [point["accuracy"] for point in points]
        assert file["fallen_images"].shape == (len(all_of_them["fallen"]), 28, 28)
    code, out, err = call(*arguments)
    assert (code, err) == (0, "")
    for point in points:
        assert f"{point['accuracy']:.2%}".replace("%", " %") in out
    assert "by class:" in out
    assert "first fooled, pretrained:cnn under PGD:" in out


def test_robustness_has_what_is_proved_below_it_and_says_how_many_starts(call: Call) -> None:
    asked = ("--attack", "pgd", "--restarts", 2, "--loss", "cw", "--steps", 3, "--epsilons", 0.002, 0.1, "--count", 20)
    *points, _ = lines(call, "robustness", CNN, "--certified", *asked)
    assert [(point["attack"], point["starts"], point["loss"]) for point in points] == [
        *[("pgd", 2, "cw")] * 2,
        *[("certified", 0, "")] * 2,
    ]
    upper, _, lower, nothing = (point["correct"] for point in points)
    assert upper >= lower > nothing
    code, out, err = call("robustness", CNN, "--certified", *asked)
    assert (code, err) == (0, "")
    assert "20 digits, L-inf, PGD (cw) from 2 starts:" in out
    assert "certified" in out


def test_beta_answers_in_words(call: Call) -> None:
    (event,) = lines(call, "beta", CNN, "--count", 4, "--steps", 20)
    assert [point["beta"] for point in event["points"]][:3] == [0, 1e-5, 1e-4]
    out = call("beta", CNN, "--count", 4, "--steps", 20)[1]
    assert "the notebook's beta of 1e-5 changes L2 by " in out
    assert "it does nothing" in out
    assert "keeps the image closer" in out


def test_transfer_is_a_matrix(call: Call, tmp_path: Path) -> None:
    (event,) = lines(call, "transfer", CNN, "--count", 20, "--steps", 5, "--png", "result.png")
    assert event["networks"] == [CNN, "pretrained:cnn-bn"]
    assert event["success"][0][0] > event["success"][0][1]
    assert (tmp_path / "result.png").exists()
    out = call("transfer", CNN, "--count", 20, "--steps", 5)[1]
    assert "20 digits that all networks classify correctly" in out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (
            ("attack",),
            "name an attack: noise, targeted, fgsm, pgd, apgd, deepfool, fab, cw, square, universal; for example",
        ),
        (("attack", "bim"), "name an attack: noise"),
        (("attack", "noise", CNN, "--classes", "33"), "classes must be different digits, for example 38, not '33'"),
        (("attack", "targeted", CNN, "--indices", "8"), "all of these images are of class 5 already"),
        (("attack", "pgd", CNN, "--indices", "400"), "index 400 is beyond the 400 images"),
        (("attack", "fgsm", CNN, "--indices", "-1"), "indices must be at least 0, not -1"),
        (("attack", "fgsm", CNN, "--epsilon", "29"), "epsilon must be a number from 0 to 28, not 29"),
        (("attack", "fgsm", CNN, "--epsilon", "nan"), "epsilon must be a finite number"),
        (("attack", "pgd", CNN, "--norm", "l1"), "l1"),
        (
            ("attack", "pgd", CNN, "--restarts", "2", "--no-random-start"),
            "restarts without a random start are all the same",
        ),
        (("attack", "deepfool", CNN, "--target", "3"), "--target"),
        (("attack", "cw", "pretrained:x"), "there is no pretrained:x"),
        (("robustness", CNN, "--attack", "cw"), "cw minimises the L2 norm: set norm to l2"),
        (("robustness", CNN, "--epsilons", "0", "-1"), "epsilons must be from 0 to 28"),
        (("robustness", CNN, "--epsilons", "0", "nan"), "epsilons must be a finite number"),
        (("robustness", CNN, "--attack", "pgd", "pgd"), "name each attack once"),
        (("robustness", CNN, "--certified", "--norm", "l2"), "certified accuracy is proved in linf only: set norm"),
        (("attack", "apgd", CNN, "--loss", "cw"), "cw"),
        (("attack", "square", CNN, "--queries", "0"), "queries must be"),
        (("robustness", CNN, "--others", CNN), "name each network once"),
        (("transfer", CNN, "--others", CNN), "name each network once"),
        (("beta", CNN, "--count", "1"), "count must be a whole number from 2 to 10000, not 1"),
    ],
)
def test_bad_input_is_one_line(call: Call, arguments: tuple[str, ...], words: str) -> None:
    code, out, err = call(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("mnist-tui: ")
    assert err.count("\n") == 1
    assert words in err
