"""A run folder of this process whose run a worker trains elsewhere."""

from __future__ import annotations

import contextlib
from pathlib import Path

from engine.cluster.messages import Parcel
from engine.event import Progress
from engine.paths import write_whole
from engine.request import RequestError
from engine.runs.folder import MOST_EPOCHS, RunFolder
from engine.runs.processes import Process, claimed, watched
from engine.training.events import EpochFinished, RunStarted

STATE, BEST = "resume/state.safetensors", "best.safetensors"
NEEDED = ("request.json", "events.jsonl", "resume/process.json", STATE)
"""The files from which a run is resumed elsewhere."""


class Mirror:
    """Writes what parcels bring, in the order from which a kill at any time can be mended.

    This process holds the run's lock, so that others see it train, and leave it alone.
    """

    def __init__(self, folder: RunFolder) -> None:
        """Raises RequestError where another process holds the lock."""
        self.folder = folder
        self._ends = contextlib.ExitStack()
        if self._ends.enter_context(claimed(folder.lock_file)) is False:
            raise RequestError(f"run {folder.name} is held by another process")
        self._asked = self._ends.enter_context(watched(folder.lock_file, folder.stop_file))

    @classmethod
    def create(cls, root: Path, variant: str) -> Mirror:
        """A new folder under `root`. Raises RequestError where it can't be created."""
        return cls(RunFolder.create(root, variant))

    @property
    def asked_to_stop(self) -> bool:
        """Whether another program has asked the run to stop."""
        return self._asked.is_set()

    def write(self, parcel: Parcel) -> None:
        """Write the files of a parcel, then its events. Raises OSError."""
        folder = self.folder
        # The state first, from which an epoch can be mended, then the best weights, as where a run is trained here.
        names = sorted(parcel.files, key=lambda name: (name != "request.json", name != STATE, name != BEST, name))
        for name in names:
            path = folder.path / name
            path.parent.mkdir(exist_ok=True)
            data = parcel.files[name]
            write_whole(path, lambda partial, data=data: partial.write_bytes(data))  # type: ignore[misc]
        for event in parcel.events:
            if isinstance(event, Progress):
                continue
            if isinstance(event, RunStarted):
                folder.write_process(Process.own())
            if isinstance(event, EpochFinished) and event.epoch % MOST_EPOCHS == 0:
                folder.thin_epochs(event.epoch)
            folder.append(event)  # type: ignore[arg-type]

    def packed(self) -> dict[str, bytes]:
        """The files from which the run is resumed elsewhere."""
        paths = {name: self.folder.path / name for name in NEEDED}
        return {name: path.read_bytes() for name, path in paths.items() if path.is_file()}

    def close(self) -> None:
        """Release the lock."""
        self._ends.close()
