"""What an attack has done so far: logits of every step, and images of some."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch

from engine.attacks.network import Iterate

if TYPE_CHECKING:
    from engine.event import Array

FRAMES = 128
"""Steps whose images are kept, at most: of more, every second is dropped, and so on."""
FETCHED = 256
"""Steps whose logits wait on the device at most."""


class Record:
    """Of n images."""

    def __init__(self, count: int) -> None:
        self._logits = np.empty((64, count, 10), np.float32)
        self._fresh: list[torch.Tensor] = []
        """The last iterates' logits, on their device until somebody asks."""
        self.length = 0
        """Iterates so far: one more than steps."""
        self._frames: list[tuple[int, torch.Tensor]] = []
        self._every = 1
        self._last: torch.Tensor | None = None

    def add(self, iterate: Iterate) -> None:
        """Note where the attack is."""
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
        """Bring the fresh logits to the host at one go: it waits for a GPU each time."""
        if not self._fresh:
            return
        while self.length > len(self._logits):
            # Events hold views of the old one, which stays as it is.
            self._logits = np.concatenate((self._logits, np.empty_like(self._logits)))
        self._logits[self.length - len(self._fresh) : self.length] = torch.stack(self._fresh).cpu().numpy()
        self._fresh.clear()

    def frames(self) -> tuple[Array, Array]:
        """Images (f, n, 28, 28) and their steps (f,), the last one among them."""
        kept = list(self._frames)
        if self._last is not None and kept[-1][0] != self.length - 1:
            kept.append((self.length - 1, self._last))
        images = pixels(torch.cat([image for _, image in kept]))
        return images.reshape(len(kept), -1, *images.shape[1:]), np.array([step for step, _ in kept])


def pixels(images: torch.Tensor) -> Array:
    """Images (n, 1, 28, 28) as an array (n, 28, 28) float32 of its own."""
    return images[:, 0].detach().to("cpu", torch.float32, copy=True).numpy()


def softmax(logits: Array) -> Array:
    """Probabilities of logits (..., 10), float32."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True), np.float32)
