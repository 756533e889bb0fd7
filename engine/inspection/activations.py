"""The notebook's section 2.3: the maps of both convolution blocks for an image, and what activates their channels."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import numpy as np
import torch

from engine.event import Event
from engine.inspection.events import ActivationsComputed, ChannelsSurveyed
from engine.inspection.loaded import find_images, open_network
from engine.inspection.predictions import check_index, describe
from engine.inspection.requests import ShowActivations
from engine.inspection.survey import survey_of


def show_activations(request: ShowActivations, root: Path) -> Generator[Event, None, None]:
    """The maps of both blocks for one image; with `survey`, then statistics of the channels over the whole split.

    Raises RequestError where the network, data set or image does not exist.
    """
    loaded = yield from open_network(request, root)
    dataset, split = yield from find_images(request, loaded, root)
    check_index(request.index, split, request.images_name)
    (digit,) = describe(loaded, split, torch.tensor([request.index], device=loaded.device))
    with torch.inference_mode():
        image = split.images[request.index : request.index + 1]  # (1, 1, 28, 28)
        first = loaded.model.conv1(loaded.model.inputs(image))  # (1, C, 14, 14)
        second = loaded.model.conv2(first)[0].cpu().numpy()  # (C, 7, 7)
    conv1 = first[0].cpu().numpy()
    yield ActivationsComputed(
        name=loaded.name,
        variant=loaded.variant,
        epoch=loaded.epoch,
        dataset=dataset,
        split=request.split,
        index=request.index,
        count=len(split),
        actual=digit.actual,
        predicted=digit.predicted,
        probability=digit.probability,
        conv1_strengths=tuple(conv1.mean(axis=(1, 2)).tolist()),
        conv2_strengths=tuple(second.mean(axis=(1, 2)).tolist()),
        image=image[0, 0].cpu().numpy().copy(),  # otherwise it shares the data set's memory
        conv1=conv1,
        conv2=second,
        conv1_mean=conv1.mean(axis=0),
        conv2_mean=second.mean(axis=0),
    )
    if not request.survey:
        return
    survey = survey_of(loaded, split)
    yield from survey.finish(request.split)
    layer1, layer2 = survey.layers()
    indices = np.array(
        sorted({found.index for layer in (layer1, layer2) for row in layer.strongest for found in row}), np.int64
    )
    yield ChannelsSurveyed(
        name=loaded.name,
        variant=loaded.variant,
        epoch=loaded.epoch,
        dataset=dataset,
        split=request.split,
        count=len(split),
        conv1=layer1,
        conv2=layer2,
        indices=indices,
        images=split.images[torch.from_numpy(indices).to(loaded.device), 0].cpu().numpy(),
    )
