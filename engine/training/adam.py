"""Adam with preset state: one fused call a step, with nothing collected anew."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim.adam import adam

MOMENTS = ("exp_avg", "exp_avg_sq", "step")
"""What Adam keeps of each parameter, by PyTorch's names: the mean of the gradients, of their squares, and the steps."""
_DECAYS = (0.9, 0.999)  # of the two means, as Kingma and Ba propose
_TINY = 1e-8


class Adam:
    """Adam (Kingma and Ba 2015), equal to `torch.optim.Adam(fused=True)` bit for bit.

    `torch.optim` collects its lists at every step; they do not change, so this collects them once. With a weight decay
    it is AdamW (Loshchilov and Hutter 2019): each step also multiplies the weights by 1 - rate * decay.
    """

    def __init__(self, parameters: Sequence[Tensor], weight_decay: float = 0.0) -> None:
        self.parameters = list(parameters)
        self.weight_decay = weight_decay
        # Fused Adam works on raw memory, so a moment must have the same memory layout as its parameter.
        self.means, self.squares = ([torch.zeros_like(each) for each in self.parameters] for _ in range(2))
        self.steps = [torch.zeros((), device=each.device) for each in self.parameters]

    def step(self, rate: float | Tensor) -> None:
        """Change the parameters by a step of learning rate `rate` against their gradients, which are then freed."""
        gradients = [each.grad for each in self.parameters]
        with torch.no_grad():
            adam(
                self.parameters,
                gradients,  # type: ignore[arg-type]
                self.means,
                self.squares,
                [],
                self.steps,
                fused=True,
                amsgrad=False,
                beta1=_DECAYS[0],
                beta2=_DECAYS[1],
                lr=rate,
                weight_decay=self.weight_decay,
                eps=_TINY,
                maximize=False,
                decoupled_weight_decay=self.weight_decay > 0,
            )
        for parameter in self.parameters:
            parameter.grad = None

    def last_update(self, number: int, rate: float) -> Tensor:
        """What the last step, of learning rate `rate`, has added to parameter `number`: a tensor of its shape.

        From the moments, which are still those of that step, and with a weight decay from the parameter after it. Zero
        before the first step.
        """
        step = self.steps[number].double()
        first, second = ((1 - decay**step).clamp(min=_TINY) for decay in _DECAYS)  # moments are zero before a step
        # In place: of a large layer, a copy is as large as all that a step allocates.
        change, root = self.means[number] * (-rate / first), self.squares[number] / second
        change.div_(root.sqrt_().add_(_TINY))
        if self.weight_decay:
            kept = 1 - rate * self.weight_decay
            change.sub_((self.parameters[number].detach() - change).mul_((1 - kept) / kept))
        return change

    def moments(self, number: int) -> dict[str, Tensor]:
        """What is kept of parameter `number`, by name; the tensors themselves."""
        return dict(zip(MOMENTS, (self.means[number], self.squares[number], self.steps[number]), strict=True))
