"""The report: complete, in the notebook's order, with verdicts that follow from numbers."""

from __future__ import annotations

import math
import re
from functools import partial
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import torch
from msgspec.structs import replace

import engine.report.notebook
from engine.attacks.requests import AttackNoise, AttackTargeted
from engine.attribution.events import OcclusionMapReady, StrokeShare
from engine.attribution.requests import Occlude
from engine.event import WorkAdvanced
from engine.network.model import CNN
from engine.network.requests import Architecture
from engine.operations import end, perform
from engine.report.claims import (
    CONTRADICTED,
    MIXED,
    SUPPORTED,
    noise_claims,
    occlusion_claim,
    plane_share,
    resemblance,
    targeted_claim,
)
from engine.report.document import Document
from engine.report.draft import Draft
from engine.report.events import ReportWritten
from engine.report.notebook import beyond_notebook
from engine.report.requests import Report
from engine.request import RequestError
from engine.runs.finding import pretrained
from engine.training.requests import Train

NOWHERE = Path("nowhere")
PARTS = ["1.1", "1.2", "1.3 to 1.5", "1.6", "2.1 and 2.2", "2.3", "2.4", "3.1", "3.2"]
SECTIONS = [*PARTS, "Audit", "The notebook's observations"]


@pytest.fixture(autouse=True)
def quick(few_images: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """On few images, with few steps."""
    monkeypatch.setattr(engine.report.notebook, "AVERAGED", 3)
    monkeypatch.setattr(engine.report.notebook, "AttackNoise", partial(AttackNoise, steps=20))


class Balanced(HTMLParser):
    """Counts what is opened and closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.images: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img":
            self.images.append(dict(attrs)["src"] or "")
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_whole_notebook(tmp_path: Path) -> None:
    *progress, event = perform(Report(out=str(tmp_path / "new" / "report")), NOWHERE)
    assert isinstance(event, ReportWritten)
    assert all(isinstance(each, WorkAdvanced) for each in progress)
    done = [each.done / each.total for each in progress if isinstance(each, WorkAdvanced)]
    assert done == sorted(done)
    assert 0 <= done[0] < 0.1
    assert done[-1] > 0.85
    text = Path(event.markdown).read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", text, re.M)
    assert [name for name, heading in zip(SECTIONS, headings, strict=True) if heading.startswith(name)] == SECTIONS
    figures = re.findall(r"!\[[^\]]*\]\((figures/[^)]*)\)", text)
    assert len(figures) == event.figures == 22
    for name in figures:
        assert (Path(event.markdown).parent / name).read_bytes().startswith(b"\x89PNG")
    assert [section for section, _ in event.claims] == ["2.2", "2.3", "2.4", "3.1.2", "3.1.3", "3.1.4", "3.2.1"]
    assert "799,078" in text  # parameters
    best = pretrained("cnn").history().best
    assert best is not None
    assert f"{best.val_loss:.4f}, is after epoch {best.epoch}" in text
    audits = text.partition("## Audit")[2].partition("\n## ")[0]
    assert len(re.findall(r"^\| \d \|.* % \| .* % \| .* % \|$", audits, re.M)) == 20  # ten classes of two networks
    assert len(re.findall(r"^\| pretrained:cnn(?:-bn)? \| .*\(.* to .*\) \| \d\.\d{3} \| .*\) \|$", audits, re.M)) == 2
    page = Balanced()
    page.feed(Path(event.html).read_text(encoding="utf-8"))
    assert page.open == []
    assert len(page.images) == 22
    assert all(source.startswith("data:image/png;base64,") for source in page.images)  # nothing is fetched


def test_of_one_weights_file(tmp_path: Path) -> None:
    *_, event = perform(Report(what=(str(pretrained("cnn").model_file),), out=str(tmp_path / "out")), NOWHERE)
    assert isinstance(event, ReportWritten)
    text = Path(event.markdown).read_text(encoding="utf-8")
    assert "how it was trained is not known" in text
    assert "only one run" in text
    assert "3.1.3" not in text  # there is no other network to ask


def test_what_is_said_of_a_file_of_others_is_heard(tmp_path: Path) -> None:
    said = Architecture(channels=2, hidden=4, stride=1, padding=2, mean=0.1307, std=0.3081)
    torch.save(dict(CNN(said).state_dict()), path := tmp_path / "theirs.pth")
    request = Report(what=(str(path), "pretrained:cnn"), stride=1, padding=2, mean=0.1307, std=0.3081)
    theirs, ours = Draft(request, NOWHERE).networks
    assert theirs.loaded.model.architecture == said
    assert ours.loaded.model.architecture == Architecture()


def test_networks_are_told_apart_by_name(tmp_path: Path) -> None:
    own = tmp_path / "my cnn.pth"
    torch.save(dict(CNN(Architecture()).state_dict()), own)
    made = Draft(Report(what=("pretrained:cnn", str(own), "pretrained:cnn-bn")), NOWHERE)
    assert [network.label for network in made.networks] == ["cnn", "my-cnn.pth", "cnn-bn"]
    assert [network.objective for network in made.networks] == ["clean", None, "clean"]
    assert made.document.title.endswith("on MNIST: pretrained:cnn, my cnn.pth and pretrained:cnn-bn")
    (run := tmp_path / "cnn").symlink_to(pretrained("cnn").path)
    labels = [network.label for network in Draft(Report(what=("pretrained:cnn", str(run))), NOWHERE).networks]
    assert labels == ["pretrained-cnn", "cnn"]


def test_a_report_can_be_stopped(tmp_path: Path) -> None:
    work = perform(Report(out=str(tmp_path / "out")), NOWHERE)
    for _ in range(5):
        next(work)
    assert list(end(work)) == []
    assert not (tmp_path / "out").exists()


def test_refusals(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for request, words in (
        (Report(what=("nowhere",)), "is not a run folder"),
        (Report(what=("pretrained:cnn", "pretrained:cnn")), "name different networks"),
        (Report(out=str(tmp_path / "file")), "is a file: choose a folder with --out"),
    ):
        with pytest.raises(RequestError, match=words) as caught:
            list(perform(request, tmp_path))
        assert "\n" not in str(caught.value)
    with pytest.raises(RequestError, match="one to four networks"):
        Report(what=("a", "b", "c", "d", "e"))


def test_words_are_words(tmp_path: Path) -> None:
    document = Document("<b>*bold*</b> | `x`")
    document.heading(2, "a_b")
    document.table(("<i>", "|"), [("[x](y)", "1")])
    document.claim("<script>", SUPPORTED, "& so on")
    markdown, page = document.write(tmp_path)
    assert markdown.read_text().startswith("# \\<b\\>\\*bold\\*\\</b\\> \\| \\`x\\`\n")
    assert "\\[x\\](y)" in markdown.read_text()
    assert "<script>" not in page.read_text()
    assert "&lt;script&gt;" in page.read_text()


def test_what_a_plane_explains() -> None:
    along = np.arange(3) - 1.0
    assert plane_share(np.stack([np.ones((3, 3)), np.ones((3, 3)) * along])) == pytest.approx(1)
    assert plane_share(np.array([[[1, -2, 1], [-2, 4, -2], [1, -2, 1]]])) == pytest.approx(0)
    assert plane_share(np.random.default_rng(0).normal(size=(20_000, 3, 3))) == pytest.approx(1 / 3, abs=0.01)
    assert plane_share(np.ones((4, 1, 1))) == pytest.approx(1)
    assert math.isnan(plane_share(np.zeros((2, 3, 3))))


def test_resemblance() -> None:
    image = np.random.default_rng(0).random((28, 28))
    small = image.reshape(14, 2, 14, 2).mean(axis=(1, 3))
    assert resemblance(image, np.stack([small, -small, np.ones((14, 14))])) == pytest.approx(1)
    assert resemblance(image, np.random.default_rng(1).random((50, 14, 14))) < 0.15
    assert math.isnan(resemblance(image, np.zeros((2, 7, 7))))


def test_verdicts_follow_the_numbers() -> None:
    *_, single = perform(Occlude(what="pretrained:cnn"), NOWHERE)
    assert isinstance(single, OcclusionMapReady)
    high, low = StrokeShare(positions=0.4, drop=0.9), StrokeShare(positions=0.4, drop=0.2)
    for black, white, verdict in ((high, high, SUPPORTED), (high, low, MIXED), (low, low, CONTRADICTED)):
        claim = occlusion_claim(["a"], [black], [white], [single])
        assert claim.verdict == verdict
        assert f"{100 * white.drop:.0f} % with a white one" in claim.evidence

    *_, made = perform(AttackNoise(what="pretrained:cnn", steps=150), NOWHERE)
    sure, other, climbs = noise_claims(["a"], [made], [{"b": 2}])  # type: ignore[list-item]
    assert (sure.verdict, other.verdict, climbs.verdict) == (SUPPORTED, SUPPORTED, SUPPORTED)
    mixed = noise_claims(["a"], [made], [{"b": 9, "c": 2}])[1]  # type: ignore[list-item]
    assert mixed.verdict == MIXED
    assert "by the other networks, for which they were not made: a: 9 of 10 by b, 2 of 10 by c." in mixed.evidence
    fallen = replace(made, history=-made.history, probabilities=made.probabilities * 0.5)  # type: ignore[attr-defined]
    sure, climbs = noise_claims(["a"], [fallen], [{}])  # type: ignore[list-item]
    assert (sure.verdict, climbs.verdict) == (CONTRADICTED, CONTRADICTED)

    def targeted(beta: float) -> object:
        *_, found = perform(AttackTargeted(what="pretrained:cnn", beta=beta), NOWHERE)
        return found

    free = targeted(0.0)
    assert targeted_claim(["a"], [(targeted(1e-5), free)]).verdict == MIXED  # type: ignore[list-item]
    assert targeted_claim(["a"], [(targeted(100.0), free)]).verdict == SUPPORTED  # type: ignore[list-item]
    assert targeted_claim(["a"], [(targeted(1e4), free)]).verdict == MIXED  # type: ignore[list-item]


def test_the_other_network_is_asked_afresh() -> None:
    *_, made = perform(AttackNoise(what="pretrained:cnn", steps=150), NOWHERE)
    from engine.inspection.loaded import load_network
    from engine.network.checkpoints import load_weights
    from engine.network.requests import Inspect

    other = load_network(Inspect(what="pretrained:cnn-bn"), NOWHERE)
    model = load_weights(pretrained("cnn-bn").model_file)
    with torch.inference_mode():
        answers = model(torch.from_numpy(made.adversarial)[:, None]).argmax(dim=1)  # type: ignore[attr-defined]
    right = int((answers == torch.arange(10)).sum())
    assert engine.report.notebook._taken(made, other) == right  # type: ignore[arg-type]


def test_a_recipe_that_is_not_the_notebooks_is_told() -> None:
    assert beyond_notebook(None) == beyond_notebook(Train(batch_norm=True, epochs=3)) == ""
    said = beyond_notebook(replace(Train(), recipe="fast", batch_norm=True, shift=1, epochs=9))
    assert said.startswith(" Unlike in the notebook, it was trained with the recipe fast, changed: with batch norm, ")
    assert "epochs 9" in said
    assert said.endswith("shift 1.")
    assert "recipe notebook, changed: schedule cosine." in beyond_notebook(Train(schedule="cosine"))
