"""The record of a running attack: the logits of every step, and the images of some."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.adversary.network import Iterate

if TYPE_CHECKING:
    from engine.event import Array

FRAMES = 128
"""Maximum number of steps whose images are kept: beyond it, every second one is dropped, repeatedly."""
FETCHED = 256
"""Maximum number of steps whose logits are buffered on the device."""


class Record:
    """The record of an attack on `count` images."""

    def __init__(self, count: int) -> None:
        self._logits = np.empty((64, count, 10), np.float32)
        self._fresh: list[torch.Tensor] = []
        """The logits of the latest iterates, kept on their device until they are needed."""
        self.length = 0
        """Number of iterates so far: one more than steps."""
        self._frames: list[tuple[int, torch.Tensor]] = []
        self._every = 1
        self._last: torch.Tensor | None = None

    def add(self, iterate: Iterate) -> None:
        """Record an iterate of the attack."""
        self._fresh.append(iterate.logits.to(torch.float32, copy=True))
        if self.length % self._every == 0:
            self._frames.append((self.length, iterate.images.clone()))
            if len(self._frames) > FRAMES:
                self._frames, self._every = self._frames[::2], 2 * self._every
        self._last = iterate.images
        self.length += 1
        if len(self._fresh) == FETCHED:
            self._fetch()

    @property
    def logits(self) -> Array:
        """(length, n, 10) float32."""
        self._fetch()
        return self._logits[: self.length]

    def _fetch(self) -> None:
        """Copy the buffered logits to the host in one transfer, since each transfer synchronises with the GPU."""
        if not self._fresh:
            return
        while self.length > len(self._logits):
            # Events hold views of the old array, so it is not resized in place.
            self._logits = np.concatenate((self._logits, np.empty_like(self._logits)))
        self._logits[self.length - len(self._fresh) : self.length] = torch.stack(self._fresh).cpu().numpy()
        self._fresh.clear()

    def frames(self) -> tuple[Array, Array]:
        """Images (f, n, 28, 28) and their steps (f,), including the last one."""
        kept = list(self._frames)
        if self._last is not None and kept[-1][0] != self.length - 1:
            kept.append((self.length - 1, self._last))
        images = pixels(torch.cat([image for _, image in kept]))
        return images.reshape(len(kept), -1, *images.shape[1:]), np.array([step for step, _ in kept])


def pixels(images: torch.Tensor) -> Array:
    """Images (n, 1, 28, 28) as a new array (n, 28, 28) float32."""
    return images[:, 0].detach().to("cpu", torch.float32, copy=True).numpy()


def softmax(logits: Array) -> Array:
    """Probabilities of logits (..., 10), float32."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
