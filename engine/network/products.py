"""Matrix products through oneDNN instead of MKL."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

_onednn: Any = None
if torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise"):  # type: ignore[no-untyped-call]
    _onednn = torch.ops.mkldnn._linear_pointwise.default


def product(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """`left` (n, k) times `right` (k, m), plus `bias` (m,), without gradients.

    In single precision on a CPU through oneDNN where PyTorch has it: MKL, PyTorch's choice, takes up to twice as long
    on processors that are not Intel's. It is fastest where `right` is the transpose of a contiguous matrix.
    """
    if _onednn is not None and left.dtype == torch.float32 and left.device.type == "cpu":
        return cast(Tensor, _onednn(left, right.t(), bias, "none", [], ""))
    return left @ right if bias is None else torch.addmm(bias, left, right)
