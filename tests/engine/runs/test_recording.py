from __future__ import annotations

import errno
import os
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from msgspec.structs import replace

import engine.runs.recording
import engine.runs.writing
import engine.training.loading
from engine.data.datasets import Dataset
from engine.event import Cancelled, Event, Progress
from engine.network.checkpoints import load_tensors, load_weights
from engine.network.model import seeded_cnn
from engine.operations import end
from engine.request import RequestError
from engine.runs.codec import RunEvent
from engine.runs.finding import find_run
from engine.runs.folder import RunFolder
from engine.runs.recording import train_run
from engine.runs.writing import Results, Writer
from engine.training.events import (
    BatchEvaluated,
    BatchTrained,
    EpochFinished,
    RobustnessCollapsed,
    RunCancelled,
    RunFailed,
    RunFinished,
    RunStarted,
)
from engine.training.loop import TrainingFailed
from engine.training.requests import Train
from tests.conftest import patch_load
from tests.runs import GOOD, SHORT, only, until, written


@dataclass
class Recorded:
    root: Path
    folder: RunFolder
    events: list[Event]
    models: list[bytes]
    """model.safetensors at each EpochFinished."""


def lines(folder: RunFolder) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in folder.events_file.read_bytes().splitlines()]


@pytest.fixture(scope="module")
def recorded(small: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    root = tmp_path_factory.mktemp("runs") / "made" / "on demand"
    events, models = [], []
    with pytest.MonkeyPatch.context() as patch:
        patch_load(patch, small)
        for event in train_run(SHORT, root):
            events.append(event)
            if isinstance(event, EpochFinished):
                models.append((only(root).model_file).read_bytes())
    return Recorded(root, only(root), events, models)


def test_a_run_folder_holds_what_it_says(recorded: Recorded) -> None:
    folder = recorded.folder
    files = sorted(str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file())
    assert files == [
        "best.safetensors",
        "epochs/0000.safetensors",
        "epochs/0001.safetensors",
        "epochs/0002.safetensors",
        "epochs/0003.safetensors",
        "events.jsonl",
        "model.safetensors",
        "request.json",
        "resume/lock",
        "resume/process.json",
        "resume/state.safetensors",
    ]
    record = folder.read_record()
    assert record.request == SHORT
    assert record.device == "cpu"
    assert record.versions["torch"] == str(torch.__version__)
    assert folder.name.endswith("-cnn")
    _, metadata = load_tensors(folder.state_file)
    assert msgspec.json.decode(metadata["progress"])["epoch"] == 3


def test_events_file_is_what_was_yielded(recorded: Recorded) -> None:
    kept = [event for event in recorded.events if not isinstance(event, Progress)]
    assert [type(event) for event in kept] == [RunStarted, *[EpochFinished] * 3, RunFinished]
    assert recorded.folder.events() == kept
    assert sum(isinstance(event, BatchTrained) for event in recorded.events) == 30
    started = kept[0]
    assert isinstance(started, RunStarted)
    assert (started.train_size, started.val_size, started.test_size) == (640, 500, 400)
    history = recorded.folder.history()
    assert history.state == "finished"
    assert history.epochs == kept[1:4]


def test_weights_are_on_disk_before_the_event_says_so(recorded: Recorded) -> None:
    assert len(set(recorded.models)) == 3
    assert recorded.folder.model_file.read_bytes() == recorded.models[-1]


def test_convolutions_of_each_epoch_are_kept(recorded: Recorded) -> None:
    folder = recorded.folder
    assert folder.kept_epochs() == (0, 1, 2, 3)
    kept = [load_tensors(folder.convolutions_file(epoch))[0] for epoch in folder.kept_epochs()]
    fresh, last = seeded_cnn(SHORT, SHORT.seed).state_dict(), load_weights(folder.model_file).state_dict()
    for key in ("conv1.0.weight", "conv1.0.bias", "conv2.0.weight", "conv2.0.bias"):
        assert torch.equal(kept[0][key], fresh[key])
        assert torch.equal(kept[3][key], last[key])
        assert not torch.equal(kept[1][key], kept[2][key])
    assert all(len(tensors) == 4 for tensors in kept)


def scripted_epochs(
    losses: list[float], models: list[float], robust: Sequence[float] = (), certified: Sequence[float] = ()
) -> Any:
    def train(request: Train, data: Dataset, state: Any, _: object) -> Iterator[Event]:
        for epoch, loss in enumerate(losses, 1):
            with torch.no_grad():
                state.model.fc[1].bias.fill_(models[epoch - 1])
            state.epoch = epoch
            yield BatchEvaluated(split="val", done=1, total=1)
            yield EpochFinished(
                epoch=epoch,
                epochs=len(losses),
                train_loss=1,
                val_loss=loss,
                val_accuracy=0.5,
                test_accuracy=epoch / 10,
                train_seconds=1,
                eval_seconds=1,
                images_per_second=1,
                running_loss=(),
                robust_accuracy=robust[epoch - 1] if robust else None,
                certified_accuracy=certified[epoch - 1] if certified else None,
            )

    return train


def test_best_is_the_first_epoch_of_least_validation_loss(
    small_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine.runs.recording, "train", scripted_epochs([0.5, 0.2, 0.4, 0.2], [1, 2, 3, 4]))
    *_, last = train_run(SHORT, tmp_path)
    folder = only(tmp_path)
    assert last == RunFinished(
        run=folder.name, best_epoch=2, best_val_loss=0.2, test_accuracy=0.2, last_test_accuracy=0.4
    )
    assert set(load_weights(folder.best_file).state_dict()["fc.1.bias"].tolist()) == {2}
    assert set(load_weights(folder.model_file).state_dict()["fc.1.bias"].tolist()) == {4}


def test_best_of_a_robust_objective_has_the_highest_robust_or_certified_accuracy(
    small_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    losses, robust = [0.1, 0.4, 0.3, 0.5], [0.3, 0.6, 0.6, 0.5]
    for number, (certified, best, choice) in enumerate(
        (
            ((), 3, "robust accuracy 60.00 %"),
            ((0.2, 0.3, 0.1, 0.4), 4, "certified accuracy 40.00 %"),
        )
    ):
        epochs = scripted_epochs(losses, [1, 2, 3, 4], robust, certified)
        monkeypatch.setattr(engine.runs.recording, "train", epochs)
        *_, last = train_run(SHORT, tmp_path / str(number))
        folder = only(tmp_path / str(number))
        assert isinstance(last, RunFinished)
        assert (last.best_epoch, last.choice, last.robust_accuracy) == (best, choice, robust[best - 1])
        history = folder.history()
        assert history.best is not None
        assert history.best.epoch == best
        assert set(load_weights(folder.best_file).state_dict()["fc.1.bias"].tolist()) == {best}


def test_a_collapse_of_robust_accuracy_is_told_once_and_keeps_the_weights_of_before(
    small_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    robust = [0.15, 0.5, 0.45, 0.04, 0.0, 0.3, 0.02]
    epochs = scripted_epochs([0.5] * 7, [1, 2, 3, 4, 5, 6, 7], robust)
    monkeypatch.setattr(engine.runs.recording, "train", epochs)
    events = list(train_run(SHORT, tmp_path))
    folder = only(tmp_path)
    told = [event for event in events if isinstance(event, RobustnessCollapsed)]
    assert [(event.run, event.epoch, event.before, event.after) for event in told] == [
        (folder.name, 4, 0.5, 0.04),
        (folder.name, 7, 0.5, 0.02),
    ]
    assert all(isinstance(events[events.index(event) - 1], EpochFinished) for event in told)
    assert "fell from 50.00 % to 4.00 % in epoch 4" in told[0].words
    assert [event for event in folder.events() if isinstance(event, RobustnessCollapsed)] == told
    assert folder.history().collapsed == told[-1]
    assert folder.history().damaged_lines == 0
    assert set(load_weights(folder.best_file).state_dict()["fc.1.bias"].tolist()) == {2}


@pytest.mark.parametrize("robust", [[0.19, 0.0], [0.5, 0.05], [0.3, 0.25, 0.1]])
def test_less_than_a_collapse_is_not_told(
    small_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, robust: list[float]
) -> None:
    epochs = scripted_epochs([0.5] * len(robust), [1.0] * len(robust), robust)
    monkeypatch.setattr(engine.runs.recording, "train", epochs)
    assert not any(isinstance(event, RobustnessCollapsed) for event in train_run(SHORT, tmp_path))


def test_best_of_a_real_run(recorded: Recorded) -> None:
    epochs = [event for event in recorded.events if isinstance(event, EpochFinished)]
    best = min(epochs, key=lambda epoch: epoch.val_loss)
    finished = recorded.events[-1]
    assert isinstance(finished, RunFinished)
    assert (finished.best_epoch, finished.best_val_loss) == (best.epoch, best.val_loss)
    assert recorded.folder.best_file.read_bytes() == recorded.models[best.epoch - 1]


@pytest.mark.parametrize("how", ["end", "close", "interrupt"])
@pytest.mark.parametrize("epochs", [0, 1])
def test_a_stopped_run_keeps_its_last_epoch(
    small_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, epochs: int
) -> None:
    # A slow disk would tell the first epoch only after the last step of the second: here it is written at once.
    written = Writer.written

    def at_once(writer: Writer, *, wait: bool) -> Results:
        return written(writer, wait=True)

    monkeypatch.setattr(Writer, "written", at_once)
    run = train_run(SHORT, tmp_path)
    for _ in range(epochs):
        until(run, EpochFinished)
    until(run, BatchTrained)
    until(run, BatchTrained)
    folder = only(tmp_path)
    before = folder.model_file.read_bytes()
    cancelled = RunCancelled(run=folder.name, epoch=epochs)
    if how == "end":
        assert list(end(run)) == [cancelled]
    elif how == "close":
        run.close()
    else:
        with pytest.raises(KeyboardInterrupt):
            run.throw(KeyboardInterrupt())
    assert folder.events()[-1] == cancelled
    assert folder.history().state == "stopped"
    assert folder.model_file.read_bytes() == before
    model = load_weights(folder.model_file)
    assert model.architecture.channels == 4
    fresh = seeded_cnn(SHORT, SHORT.seed).state_dict()
    assert torch.equal(model.state_dict()["fc.3.weight"], fresh["fc.3.weight"]) == (epochs == 0)


def test_stopping_before_the_run_began_leaves_no_folder(
    tmp_path: Path, small: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow_load(*_: object) -> Generator[Event, None, Dataset]:
        yield BatchTrained(epoch=1, epochs=1, step=1, steps=1, images_per_second=1, running_loss=())
        return small

    monkeypatch.setattr(engine.training.loading, "load", slow_load)
    run = train_run(SHORT, tmp_path)
    next(run)
    with pytest.raises(Cancelled):
        run.throw(Cancelled())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("where", ["a file", "below a file", "/proc"])
def test_unwritable_root_is_refused(small_runs: None, tmp_path: Path, where: str) -> None:
    (tmp_path / "file").write_text("here")
    root = {"a file": tmp_path / "file", "below a file": tmp_path / "file" / "x", "/proc": Path("/proc/x")}[where]
    with pytest.raises(RequestError) as caught:
        list(train_run(SHORT, root))
    assert str(root) in str(caught.value)
    assert "--runs" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_batch_larger_than_the_training_set_is_refused(small_runs: None, tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="batch size 64 is larger than the 63 training images"):
        list(train_run(Train(train_size=63, device="cpu"), tmp_path))
    assert list(tmp_path.iterdir()) == []


def failure(events: list[Event]) -> str:
    failed = events[-1]
    assert isinstance(failed, RunFailed)
    assert "\n" not in failed.reason
    return failed.reason


def test_full_disk_in_the_middle_ends_the_run(small_runs: None, tmp_path: Path) -> None:
    run = train_run(SHORT, tmp_path)
    until(run, EpochFinished)
    folder = only(tmp_path)
    folder.events_file.unlink()
    folder.events_file.symlink_to("/dev/full")
    reason = failure(list(run))
    assert os.strerror(errno.ENOSPC) in reason
    assert str(folder.path) in reason
    load_weights(folder.model_file)
    load_weights(folder.best_file)


def test_full_disk_while_saving_weights(small_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(engine.runs.writing, "save_state", full)
    events = list(train_run(SHORT, tmp_path))
    assert os.strerror(errno.ENOSPC) in failure(events)
    folder = only(tmp_path)
    assert [type(event) for event in folder.events()] == [RunStarted, RunFailed]
    load_weights(folder.model_file)


def test_diverging_run_fails_with_its_last_good_weights(
    small_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    before = b""
    for event in train_run(replace(SHORT, epochs=9), tmp_path):
        events.append(event)
        if isinstance(event, EpochFinished):  # it comes while the next epoch is trained, or even when that is done
            before = only(tmp_path).model_file.read_bytes()
            name = "engine.training.objective.cross_entropy"
            monkeypatch.setattr(name, lambda logits, *_, **__: logits.sum() * torch.nan)
    folder = only(tmp_path)
    assert "learning rate" in failure(events)
    assert folder.model_file.read_bytes() == before
    assert folder.history().state == "failed"
    assert 1 <= len(folder.history().epochs) == sum(isinstance(event, EpochFinished) for event in events) < 9
    assert all(bool(value.isfinite().all()) for value in load_weights(folder.model_file).state_dict().values())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory.\nTried"),
            ["cuda:0", "--batch-size (64)", "--channels (4)", "cpu"],
        ),
        (MemoryError(), ["--batch-size (64)", "--hidden (16)"]),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), ["--batch-size (64)"]),
        (TrainingFailed("it diverged"), ["it diverged"]),
    ],
    ids=lambda value: type(value).__name__,
)
def test_failure_says_what_to_do(
    small_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, words: list[str]
) -> None:
    def train(*_: object) -> Iterator[Event]:
        yield from ()
        raise error

    monkeypatch.setattr(engine.runs.recording, "train", train)
    reason = failure(list(train_run(SHORT, tmp_path)))
    assert all(word in reason for word in words)
    assert only(tmp_path).history().reason == reason


def test_a_fault_of_ours_is_not_hidden(small_runs: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(*_: object) -> Iterator[Event]:
        yield from ()
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(engine.runs.recording, "train", train)
    with pytest.raises(RuntimeError, match="mat1"):
        list(train_run(SHORT, tmp_path))


@pytest.mark.parametrize("cut", [10, 30])
def test_a_line_cut_short_by_a_full_disk_is_not_run_into(tmp_path: Path, cut: int) -> None:
    import resource

    run = written(tmp_path / "run", GOOD)
    event: RunEvent = RunCancelled(run="x", epoch=1)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(GOOD) + cut, hard))
    try:
        run.append(event)
    except OSError:
        pass
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    run.append(RunCancelled(run="x", epoch=2))
    assert run.events()[-1] == RunCancelled(run="x", epoch=2)


def test_folders_of_one_second_do_not_collide(tmp_path: Path) -> None:
    folders = [RunFolder.create(tmp_path, "cnn") for _ in range(5)]
    assert len({folder.path for folder in folders}) == 5


def test_find_run(recorded: Recorded, tmp_path: Path) -> None:
    folder, root = recorded.folder, recorded.root
    assert find_run(folder.name, root).path == folder.path
    assert find_run(str(folder.path), tmp_path).path == folder.path
    assert find_run("pretrained:cnn", root).path.parts[-2:] == ("pretrained", "cnn")
    assert find_run("pretrained:cnn-bn", root).path.parts[-2:] == ("pretrained", "cnn-bn")
    for wrong in ("pretrained:resnet", "no-such-run", "", str(tmp_path)):
        with pytest.raises(RequestError, match="pretrained:NAME") as caught:
            find_run(wrong, root)
        assert "\n" not in str(caught.value)


def test_run_on_the_whole_of_mnist(trained: RunFolder) -> None:
    history = trained.history()
    assert history.state == "finished"
    assert history.started is not None
    assert (history.started.train_size, history.started.val_size, history.started.test_size) == (1280, 10_000, 10_000)
    assert history.started.parameters == 799_078
    assert history.epochs[1].val_loss < history.epochs[0].val_loss
    assert history.epochs[1].test_accuracy > 0.7


def test_a_finished_run_cannot_be_cancelled(tmp_path: Path, small_runs: None) -> None:
    events = train_run(SHORT, tmp_path)
    until(events, RunFinished)
    assert list(end(events)) == []
    assert isinstance(only(tmp_path).events()[-1], RunFinished)


GPU_FULL = "cuda:0 is out of memory: use --device cpu, or free some memory, or lower --batch-size (64)"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory"), GPU_FULL),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"), GPU_FULL),
        (MemoryError(), "out of memory: lower --batch-size (64)"),
    ],
)
def test_memory_that_gives_out(
    tmp_path: Path, small_runs: None, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def broken(*_: object) -> Iterator[Event]:
        raise error

    monkeypatch.setattr(engine.runs.recording, "train", broken)
    *_, last = train_run(SHORT, tmp_path)
    assert isinstance(last, RunFailed)
    assert last.reason.startswith(words)
    assert only(tmp_path).history().state == "failed"


def test_a_fault_of_ours_is_on_record_too(tmp_path: Path, small_runs: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Iterator[Event]:
        raise ValueError("a bug\nof two lines")

    monkeypatch.setattr(engine.runs.recording, "train", broken)
    with pytest.raises(ValueError, match="a bug"):
        list(train_run(SHORT, tmp_path))
    assert only(tmp_path).history().reason == "ValueError: a bug"


def test_data_that_does_not_fit_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: object) -> Iterator[Event]:
        raise MemoryError
        yield

    monkeypatch.setattr(engine.training.loading, "load", load)
    with pytest.raises(RequestError, match="mnist does not fit in the memory of cpu"):
        list(train_run(SHORT, tmp_path))
