"""The names that requests use for norms, optimizers and losses of attacks."""

from __future__ import annotations

from typing import Literal

NormName = Literal["linf", "l2"]
"""The largest change of a pixel, or the Euclidean norm of all changes."""
OptimizerName = Literal["adam", "plain"]
LossName = Literal["ce", "cw", "dlr"]
"""What PGD maximises: the cross-entropy, the margin in logits (Carlini and Wagner 2017), or the difference-of-logits
ratio, the margin divided by that between the largest and the third-largest logit (Croce and Hein 2020)."""
