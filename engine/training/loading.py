"""The data of a training request on its device, once it is known that the run fits in memory."""

from __future__ import annotations

from collections.abc import Generator

import torch

from engine.allocator import give_back_freed_memory
from engine.data.datasets import Dataset, is_loaded, load
from engine.event import Event
from engine.request import RequestError
from engine.training.memory import check_fits, free_memory, training_need
from engine.training.requests import Train


def load_for(request: Train, device: torch.device) -> Generator[Event, None, Dataset]:
    """The data set of `request` on `device`.

    A generator, since it may have to be downloaded. Raises RequestError where the run does not fit in memory, the data
    set is not available, or a batch is larger than its training split.
    """
    _check_memory(request, device)
    try:
        data = yield from load(request.dataset, device)
    except MemoryError:
        raise RequestError(f"{request.dataset} does not fit in the memory of {device}: free some memory") from None
    if request.batch_size > (size := min(request.train_size, len(data.train))):
        raise RequestError(f"batch size {request.batch_size} is larger than the {size} training images: lower it")
    return data


def _check_memory(request: Train, device: torch.device) -> None:
    """Raise RequestError where the run does not fit in memory; data that is loaded already is not counted again."""
    need = training_need(request, device.type)
    loaded = need.data if is_loaded(request.dataset, device) else 0
    give_back_freed_memory()
    if device.type == "cuda":
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(
            device
        )  # reserved by PyTorch and reusable
        free = torch.cuda.mem_get_info(device)[0] + kept
        check_fits(need.on_gpu - loaded, free, request, f"on {device}", ", or use --device cpu")
    else:
        check_fits(need.peak - loaded, free_memory(), request)
