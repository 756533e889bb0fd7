"""Pages of what runs keep of each epoch; keys and a setting step through the epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from engine.request import RequestError
from tui.screens.inspect_pages import InspectPage
from tui.screens.state import State
from tui.setting import Setting


class EpochPage(InspectPage):
    """A page that shows one epoch of the open run."""

    keeps: ClassVar[str]
    """What runs keep of each epoch."""
    epoch: State[int] = State(-1)
    """The chosen epoch; -1 follows the latest."""

    def epochs(self) -> Sequence[int]:
        """The epochs that can be shown, ascending."""
        raise NotImplementedError

    def no_epochs(self) -> str:
        """Why there are no epochs to step through."""
        return f"this network keeps no {self.keeps} of earlier epochs"

    def epoch_settings(self) -> list[Setting]:
        """The epoch, if there are several."""
        if len(self.epochs()) < 2:
            return []
        return [Setting("epoch", "epoch", self._now, self._go_to, step=self._further, parse=self._epoch_of)]

    @property
    def _now(self) -> int:
        epochs = self.epochs()
        return self.epoch if self.epoch in epochs else epochs[-1]

    def _go_to(self, epoch: int) -> None:
        self.epoch = -1 if epoch == self.epochs()[-1] else epoch

    def _further(self, now: int, by: int) -> int:
        epochs = self.epochs()
        return epochs[min(max(epochs.index(now) + by, 0), len(epochs) - 1)]

    def _epoch_of(self, text: str) -> int:
        epochs = self.epochs()
        if not epochs:
            raise RequestError(self.no_epochs())
        if not text.isdecimal() or int(text) not in epochs:
            raise RequestError(f"this run keeps {self.keeps} of epochs {epochs[0]} to {epochs[-1]}, not of {text!r}")
        return int(text)

    def action_earlier(self) -> None:
        self._step(-1)

    def action_later(self) -> None:
        """Go to the next epoch; the last one follows the run."""
        self._step(1)

    def _step(self, by: int) -> None:
        if len(self.epochs()) > 1:
            self._go_to(self._further(self._now, by))
        else:
            self.notify(self.no_epochs(), severity="warning")
