"""The convolutions that a run keeps of earlier epochs."""

from __future__ import annotations

from torch import Tensor

from engine.inspection.loaded import LoadedNetwork
from engine.network.checkpoints import load_tensors
from engine.request import RequestError
from engine.runs.folder import RunFolder


def kept_convolutions(loaded: LoadedNetwork, run: RunFolder, epoch: int, *keys: str) -> list[Tensor]:
    """The tensors of `keys`, such as `conv1.0.weight`, after an epoch whose convolutions `run` keeps; on the CPU.

    Raises RequestError where the file is damaged, or does not fit the network of `loaded`.
    """
    path = run.convolutions_file(epoch)
    tensors, _ = load_tensors(path)
    found = []
    for key in keys:
        own = loaded.model.state_dict()[key]
        if key not in tensors:
            raise RequestError(f"{path} is damaged: it has no {key}")
        kept = tensors[key]
        if kept.shape != own.shape or not kept.is_floating_point():
            what = f"{tuple(kept.shape)} of {str(kept.dtype).removeprefix('torch.')}"
            raise RequestError(
                f"{path} is damaged: its {key} is {what}, and the network's {tuple(own.shape)} of float32"
            )
        found.append(kept)
    return found
