"""How the values of a run were chosen, where a search has chosen them: kept in its folder."""

from __future__ import annotations

import msgspec

from engine.paths import write_whole
from engine.reading import read_json
from engine.request import RequestError
from engine.runs.folder import RunFolder
from engine.training.events import Robustness, choice

FILE = "search.json"
"""The name of the file in the run folder."""


class Origin(Robustness, frozen=True, kw_only=True):
    """The search that chose a run's values, and what it cost."""

    method: str
    space: tuple[str, ...]
    """The fields that were searched and their bounds, as text."""
    trials: int
    epochs: int
    """Number of epochs of all trials."""
    seconds: float
    """Duration of all trials' epochs together."""
    val_loss: float
    """The validation loss at the best epoch of the trial that was chosen."""

    @property
    def words(self) -> str:
        """The search in one line."""
        return (
            f"{self.method} search over {', '.join(self.space)}: {self.trials} trials, {self.epochs} epochs, "
            f"{self.seconds:.0f} s, {choice(self.certified_accuracy, self.robust_accuracy, self.val_loss)}"
        )


def write_origin(folder: RunFolder, origin: Origin) -> None:
    """Keep in a run folder how its values were chosen; raises OSError."""
    data = msgspec.json.encode(origin) + b"\n"
    write_whole(folder.path / FILE, lambda path: path.write_bytes(data))


def read_origin(folder: RunFolder) -> Origin | None:
    """How the values of a run were chosen; None where no search did, or the file cannot be read."""
    if not (folder.path / FILE).exists():
        return None
    try:
        return read_json(folder.path / FILE, Origin)
    except RequestError:
        return None
