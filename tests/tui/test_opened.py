"""What is known of a run or a weights file, also where parts of it are damaged, missing, or from elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from rich.cells import cell_len

from engine.network.events import WeightsOpened
from engine.request import RequestError, parameters
from engine.runs.catalogue import write_note
from engine.runs.finding import pretrained
from engine.runs.folder import RunFolder, RunRecord
from engine.runs.history import RunHistory
from engine.runs.tail import Tail
from engine.training.recipes import BEYOND, with_recipe
from engine.training.requests import Train
from tests.runs import EPOCH, STARTED, made, written
from tui.drawing.about import Group, Known, about_run, differing, told
from tui.drawing.words import worded
from tui.opened import Opened, short_name
from tui.widgets.facts import NARROWEST, aligned, flowing, spaced

FOREIGN = Train(mean=0.1307, std=0.3081, channels=16, norm_layers=("conv1", "logits"))


def known(groups: list[Group]) -> dict[str, str]:
    return {each.label: each.value for group in groups for each in group if each.label}


def words(opened: Opened) -> list[str]:
    return [fact.words for fact in opened.facts()]


def squeezed(text: str) -> str:
    return re.sub(r"[\s,]", "", text)


def opened(run: RunFolder) -> Opened:
    """A run with its history, as the workspace opens it."""
    found = Opened.of(run)
    found.history = Tail(run).history
    return found


@pytest.mark.parametrize(
    ("name", "short"),
    [
        ("20260805-141503-cnn-bn", "14:15:03"),
        ("20260805-141503-cnn", "14:15:03"),
        ("20260805-141503-cnn-2", "14:15:03-2"),
        ("20260105-141503-cnn", "5 Jan 14:15:03"),
        ("20261399-141503-cnn", "14:15:03"),
        ("mine", "mine"),
        ("20260805-141503-cnn-bn-of-mine", "20260805-141503-cnn-bn-of-mine"),
    ],
)
def test_short_names(name: str, short: str) -> None:
    assert short_name(name, "20260805") == short


def test_runs_of_one_second_have_names_of_their_own() -> None:
    names = ["20260805-141503-cnn", "20260805-141503-cnn-2", "20260805-141504-cnn", "20260806-141503-cnn"]
    assert len({short_name(name, "20260805") for name in names}) == len(names)


def test_a_name_of_the_users_comes_before_the_note(tmp_path: Path) -> None:
    stamped = made(tmp_path, "20260805-141503-cnn", Train(seed=4, learning_rate=3e-4), [0.9])
    assert words(opened(stamped)) == [
        short_name(stamped.name),
        "seed 4",
        "cnn",
        "learning rate 0.0003",
        "epoch 1/1",
        "test 90.00 %",
    ]
    write_note(stamped, "lower rate")
    assert words(opened(stamped))[0] == "lower rate"
    named = made(tmp_path, "mine", Train(), [0.9])
    write_note(named, "a note")
    assert words(opened(named))[0] == "mine"


def test_a_changed_note_is_noticed(tmp_path: Path) -> None:
    run = made(tmp_path, "20260805-141503-cnn", Train(), [0.9])
    found = opened(run)
    assert not found.look_at_note()
    write_note(run, "wider")
    assert found.look_at_note()
    assert (found.note, found.name) == ("wider", "wider")
    assert not found.look_at_note()
    run.note_file.write_bytes(b"{")
    assert found.look_at_note()
    assert found.name == short_name(run.name)


def test_the_bundled_networks_have_requests() -> None:
    for name in ("cnn", "cnn-bn"):
        found = opened(pretrained(name))
        assert words(found)[:3] == [f"pretrained:{name}", "seed 0", "epoch 15/15"]
        facts = known(found.about())
        assert facts["batch norm"] == ("on" if name == "cnn-bn" else "off")
        assert facts["learning rate"] == "0.001"
        assert facts["train size"] == "50,000"
        assert facts["took"].endswith(" for 15 epochs")
        assert "speed" in facts
        assert "torch" in facts


def test_what_differs_from_the_defaults_stands_out() -> None:
    request = Train(learning_rate=3e-4, seed=2, threads=3)
    groups = about_run(RunHistory(), request, RunRecord(request, {}, "cuda:0", "a GPU", 16))
    tones = {each.label: each.tone for group in groups for each in group}
    assert {label for label, tone in tones.items() if tone == "unusual"} == {"learning rate", "seed", "threads"}
    assert known(groups)["device"] == "cuda:0"
    assert known(groups)["threads"] == "16"
    shown = {field.label for field in parameters(Train) if not field.fixed and field.name not in BEYOND}
    assert shown <= tones.keys()


def test_differing_parameters_tell_runs_apart() -> None:
    assert differing(Train(seed=3, threads=2, batch_norm=True, epochs=2)) == []
    assert differing(Train(learning_rate=3e-4, batch_size=512)) == ["batch size 512", "learning rate 0.0003"]
    assert [worded(value) for value in (True, 9999, 60_000, 1e-5, ("conv1", "fc1"))] == [
        "on",
        "9999",
        "60,000",
        "1e-05",
        "conv1, fc1",
    ]


def test_an_imported_network_has_no_training(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "foreign")
    run.path.mkdir()
    run.write_record(RunRecord(FOREIGN, {"torch": "2.9"}, "cpu", "", 0))
    write_note(run, "imported from theirs.pth")
    found = opened(run)
    assert words(found) == ["foreign", "cnn-bn", "imported"]
    facts = known(found.about())
    assert facts["channels"] == "16"
    assert facts["norm layers"] == "conv1, logits"
    assert facts["mean"] == "0.1307"
    assert not {"learning rate", "seed", "epochs", "dataset", "took"} & facts.keys()


def test_a_record_of_an_older_version_lacks_fields(tmp_path: Path) -> None:
    run = made(tmp_path, "old", Train(seed=5), [0.9])
    record = msgspec.json.decode((run.path / "request.json").read_bytes())
    del record["machine"], record["request"]["precision"], record["request"]["threads"]
    (run.path / "request.json").write_bytes(msgspec.json.encode(record))
    found = opened(run)
    assert found.problem == ""
    assert known(found.about())["seed"] == "5"
    assert known(found.about())["precision"] == "fp32"


@pytest.mark.parametrize(
    "record", [None, b"", b"{", b"[]", b'{"request":{"request":"train","epochs":-1}}', b"\xff" * 9]
)
def test_of_a_damaged_record_the_events_tell(tmp_path: Path, record: bytes | None) -> None:
    run = written(tmp_path / "x", STARTED, EPOCH)
    if record is not None:
        (run.path / "request.json").write_bytes(record)
    found = opened(run)
    assert found.problem.startswith("request.json cannot be read (")
    assert words(found) == ["x", "epoch 1/1", "test 50.00 %"]
    groups = found.about()
    assert [found.problem] == [each.value for group in groups for each in group if each.tone == "wrong"]
    assert known(groups)["epochs"] == "1"
    assert known(groups)["started"] == "2026-01-01 00:00"


def test_what_has_neither_request_nor_events_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match=r"request\.json cannot be read"):
        Opened.of(RunFolder(tmp_path))


def test_of_a_weights_file_its_network_is_known() -> None:
    found = Opened(Path("nets/mine.pth"))
    assert words(found) == ["mine.pth"]
    assert [each.value for group in found.about() for each in group] == ["nets/mine.pth"]
    found.weights = WeightsOpened(name="mine.pth", variant="cnn-bn", parameters=800_206, damaged=1)
    found.variant, found.remarks = "cnn-bn", ("pixels are taken to be from 0 to 1",)
    assert words(found) == ["mine.pth", "cnn-bn", "800,206 parameters"]
    values = [each.value for group in found.about() for each in group]
    assert "1 weight not finite" in values
    assert "pixels are taken to be from 0 to 1" in values


def test_a_run_that_was_asked_for_is_not_what_was_open_before() -> None:
    found = Opened(pretrained("cnn"), variant="cnn", asked=Train(seed=9))
    assert words(found)[:2] == ["new run", "seed 9"]
    assert known(found.about())["seed"] == "9"
    assert "took" not in known(found.about())


def test_no_line_is_too_wide_and_nothing_is_lost() -> None:
    found = opened(pretrained("cnn-bn"))
    found.note = "日本語 #tag and a\x1b[2J note that is longer than a line of the column"
    groups = found.about()
    expected = [f"{each.label}{each.value}" for group in groups for each in group if not each.brief]
    for width in range(NARROWEST, 60):
        for layout in (spaced, aligned, flowing):
            lines = layout(groups, width)
            assert all(sum(cell_len(text) for text, _ in line) <= width for line in lines)
            text = "".join(text for line in lines for text, _ in line)
            assert "\x1b" not in text
            assert all(squeezed(each) in squeezed(text) for each in expected)


def test_several_values_stand_on_a_line() -> None:
    group = [Known("epochs", "15"), Known("seed", "0", "unusual"), Known("dataset", "mnist")]
    lines = ["".join(text for text, _ in line) for line in flowing([group], 20)]
    assert lines == ["epochs 15, seed 0", "dataset mnist"]


def test_a_recipe_and_what_differs_from_the_notebook_are_told(tmp_path: Path) -> None:
    fast = with_recipe(Train(), "fast")
    asked = replace(fast, epochs=fast.epochs + 1)
    groups = known(about_run(RunHistory(), asked))
    assert groups["recipe"] == "fast, changed"
    assert "weight decay" in known(about_run(RunHistory(), replace(asked, weight_decay=0.1)))
    assert groups.keys().isdisjoint({"average", "weight decay"})
    assert "recipe fast, changed" in told(asked, usual=False)
    assert "recipe fast" in told(fast, usual=False)
    fields = {each.rpartition(" ")[0] for each in told(Train(), usual=True)}
    assert "batch size" in fields
    assert fields.isdisjoint({"recipe", "schedule", "label smoothing", "average"})
    run = made(tmp_path, "mine", fast, [0.9])
    (settings,) = (fact for fact in opened(run).facts() if fact.words.startswith("recipe fast, "))
    assert settings.shorter is not None
    assert settings.shorter.words == "fast"  # where the header has no room for all
