"""The names that requests use for norms, optimizers and losses of attacks, and the regularisers of an ascent."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

NormName = Literal["linf", "l2"]
"""The largest change of a pixel, or the Euclidean norm of all changes."""
OptimizerName = Literal["adam", "plain"]
LossName = Literal["ce", "cw", "dlr"]
"""What PGD maximises: the cross-entropy, the margin in logits (Carlini and Wagner 2017), or the difference-of-logits
ratio, the margin divided by that between the largest and the third-largest logit (Croce and Hein 2020)."""

TotalVariation = Annotated[
    float,
    Meta(
        ge=0,
        le=1000,
        description="weight of the total-variation penalty, the squared differences of neighbouring pixels",
    ),
]
L2Penalty = Annotated[float, Meta(ge=0, le=1000, description="weight of the L2 penalty, the sum of squared pixels")]
Jitter = Annotated[int, Meta(ge=0, le=14, description="maximum random shift of the image at each step, in pixels")]
