"""Attribution maps: the gradient methods, by Captum, and occlusion.

Captum and its imports are loaded when a method is first used.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from engine.attribution.patch_sweep import OcclusionNetwork, OcclusionSweep, cover, drop_by_pixel
from engine.attribution.requests import Attribute, MethodName
from engine.geometry import IMAGE_SIZE
from engine.network.model import CNN
from engine.plotting import import_matplotlib

METHODS: tuple[MethodName, ...] = get_args(MethodName)
AT_ONCE = 256
"""Batch size of a method's forward and backward passes."""

_Method = Callable[[CNN, Tensor, Tensor, Attribute], Tensor]


def methods_of(request: Attribute) -> tuple[MethodName, ...]:
    """The methods that `request` asks for."""
    return METHODS if request.method == "all" else (request.method,)


@dataclass(frozen=True, eq=False)
class Explained:
    """A network prepared for the methods."""

    model: CNN
    occlusion: OcclusionNetwork
    """The same network, prepared for occlusion."""


def maps_of(method: MethodName, network: Explained, images: Tensor, targets: Tensor, settings: Attribute) -> Tensor:
    """Maps (n, 28, 28) of images (n, 1, 28, 28) for the classes `targets` (n,).

    Higher values are stronger evidence for the class. All but occlusion explain the class's logit, since the gradient
    of a probability vanishes where the network is confident; occlusion explains the probability. `settings` holds the
    parameters of the methods.
    """
    if method == "occlusion":
        return _occlusion(network.occlusion, images, targets, settings)
    import_matplotlib()  # Captum does
    with warnings.catch_warnings():  # Captum warns about its own changes to the inputs and to ReLU
        warnings.simplefilter("ignore")
        maps = _METHODS[method](network.model, images.detach().clone().requires_grad_(), targets, settings)
    return maps.detach().squeeze(1)


def _occlusion(network: OcclusionNetwork, images: Tensor, targets: Tensor, settings: Attribute) -> Tensor:
    drops = []
    for image, target in zip(images, targets.tolist(), strict=True):
        covers = cover(image, settings.baseline, settings.seed)
        # In double precision: these maps are ranked, and where the network is confident most drops are tiny.
        sweep = OcclusionSweep(network, image, covers, settings.patch_size, settings.stride, exact=True)
        for _ in sweep.finish():
            pass
        drops.append(sweep.unoccluded[target] - sweep.map()[..., target])
    return drop_by_pixel(torch.stack(drops), settings.patch_size, settings.stride).to(images.dtype)


def _saliency(model: CNN, images: Tensor, targets: Tensor, _: Attribute) -> Tensor:
    """The gradient's magnitude (Simonyan et al. 2013)."""
    from captum.attr import Saliency

    return _tensor(Saliency(model).attribute(images, target=targets))


def _gradient_x_input(model: CNN, images: Tensor, targets: Tensor, _: Attribute) -> Tensor:
    """The gradient times the pixel (Shrikumar et al. 2016)."""
    from captum.attr import InputXGradient

    return _tensor(InputXGradient(model).attribute(images, target=targets))


def _integrated_gradients(model: CNN, images: Tensor, targets: Tensor, settings: Attribute) -> Tensor:
    """The mean gradient along the path from black to the image, times the pixel (Sundararajan et al. 2017)."""
    from captum.attr import IntegratedGradients

    method = IntegratedGradients(model)
    at_once = max(AT_ONCE, len(images))
    return _tensor(
        method.attribute(images, target=targets, n_steps=settings.steps, internal_batch_size=at_once).to(images.dtype)
    )


def _smoothgrad(model: CNN, images: Tensor, targets: Tensor, settings: Attribute) -> Tensor:
    """The magnitude of the mean gradient of noisy copies of the image (Smilkov et al. 2017).

    All images get the same noise, so that none depends on the others.
    """
    from captum.attr import NoiseTunnel, Saliency

    method, means = NoiseTunnel(Saliency(model)), []
    for image, target in zip(torch.split(images, 1), targets.tolist(), strict=True):
        with torch.random.fork_rng(devices=[image.device] if image.is_cuda else []):
            torch.manual_seed(settings.seed)
            mean = method.attribute(
                image,
                target=target,
                nt_type="smoothgrad",
                nt_samples=settings.samples,
                nt_samples_batch_size=AT_ONCE,
                stdevs=settings.noise,
                abs=False,
            )
        means.append(_tensor(mean).abs())
    return torch.cat(means)


def _grad_cam(block: str) -> _Method:
    def method(model: CNN, images: Tensor, targets: Tensor, _: Attribute) -> Tensor:
        """A block's maps weighted by their mean gradients, positive part, upsampled (Selvaraju et al. 2017)."""
        from captum.attr import LayerGradCam

        layer = LayerGradCam(model, getattr(model, block))
        maps = _tensor(layer.attribute(images, target=targets, relu_attributions=True))
        return interpolate(maps, (IMAGE_SIZE, IMAGE_SIZE), mode="bilinear", align_corners=False)

    return method


def _guided_backprop(model: CNN, images: Tensor, targets: Tensor, _: Attribute) -> Tensor:
    """The gradient, of which each ReLU passes on only the positive part (Springenberg et al. 2014)."""
    from captum.attr import GuidedBackprop

    return _tensor(GuidedBackprop(model).attribute(images, target=targets))


def _tensor(attributions: Any) -> Tensor:
    assert isinstance(attributions, Tensor)
    return attributions


_METHODS: dict[MethodName, _Method] = {
    "saliency": _saliency,
    "gradient-x-input": _gradient_x_input,
    "integrated-gradients": _integrated_gradients,
    "smoothgrad": _smoothgrad,
    "grad-cam-conv1": _grad_cam("conv1"),
    "grad-cam-conv2": _grad_cam("conv2"),
    "guided-backprop": _guided_backprop,
}
