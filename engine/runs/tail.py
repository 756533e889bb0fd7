"""Following a run that another process writes."""

from __future__ import annotations

from engine.runs.event_log import EventLog
from engine.runs.folder import RunFolder
from engine.runs.history import RunHistory


class Tail:
    """Follows a run that another process writes, without disturbing it."""

    def __init__(self, folder: RunFolder) -> None:
        self.folder = folder
        self.history = RunHistory(folder.name, request=folder.request)
        self._log = EventLog(folder.events_file)
        self.more()

    @property
    def behind(self) -> bool:
        """Whether there is more to read: a long history is read piece by piece, each of which takes a moment."""
        return self._log.behind

    @property
    def vanished(self) -> bool:
        """Whether the folder was moved or deleted."""
        return not self.folder.path.is_dir()

    def more(self) -> bool:
        """Read the next new events; returns whether anything changed. A file that cannot be read has no new events."""
        before = self.history.state
        try:
            anew, events = self._log.more()
        except OSError:
            anew, events, self._log.behind = False, [], False
        if anew:
            self.history = RunHistory(self.folder.name, request=self.history.request)
        for event in events:
            self.history.add(event)
        if not self.behind:
            self.folder.look_at_owner(self.history)
        return anew or bool(events) or self.history.state != before
