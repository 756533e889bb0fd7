"""The notebook's own code, copied by hand: the peer that the engine is measured against, and tested against.

It is independent of the engine, keeps the notebook's names and its ways, slow ones included, and only the benchmark may
import it. Nothing here is ever made faster.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

Batches = Iterable[tuple[Tensor, Tensor]]


class CNN(nn.Module):
    """The network of section 1.1: two convolution blocks and two fully connected layers."""

    def __init__(self, depth: int = 1, channels: int = 32, kernel: int = 3, stride: int = 1, padding: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(depth, channels, kernel_size=kernel, stride=stride, padding=padding),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.conv2 = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=kernel, stride=stride, padding=padding),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.fc = nn.Sequential(nn.Flatten(), nn.Linear(32 * 7 * 7, 500), nn.ReLU(), nn.Linear(500, 10))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and probabilities, both (B, 10), of images (B, 1, 28, 28)."""
        x_3 = self.fc(self.conv2(self.conv1(x)))
        return x_3, nn.Softmax(dim=1)(x_3)


class CNN_batch_norm(nn.Module):
    """The network of section 1.6: the same with batch normalisation."""

    def __init__(self, depth: int = 1, channels: int = 32, kernel: int = 3, stride: int = 1, padding: int = 1) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(depth, channels, kernel_size=kernel, stride=stride, padding=padding),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.conv2 = nn.Sequential(
            nn.Conv2d(channels, channels, kernel_size=kernel, stride=stride, padding=padding),
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=2, stride=2),
        )
        self.fc = nn.Sequential(
            nn.Flatten(), nn.Linear(32 * 7 * 7, 500), nn.BatchNorm1d(500), nn.ReLU(), nn.Linear(500, 10)
        )

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and probabilities, both (B, 10), of images (B, 1, 28, 28)."""
        x_3 = self.fc(self.conv2(self.conv1(x)))
        return x_3, nn.Softmax(dim=1)(x_3)


def network(batch_norm: bool) -> nn.Module:
    """A new network of either kind."""
    return CNN_batch_norm() if batch_norm else CNN()


def train(  # noqa: PLR0917
    train_data_loader: Batches,
    val_data_loader: Batches,
    test_data_loader: Batches,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    loss_fn: nn.Module,
    epochs: int,
) -> tuple[list[float], list[float], list[float]]:
    """`train` of section 1.1: the training loss, validation loss and test accuracy of each epoch."""
    train_loss, val_loss_arr, test_acc = [], [], []
    for _ in range(epochs):
        loss_value, freq = 0.0, 0
        model.train()
        for images, label in train_data_loader:
            optimizer.zero_grad()
            prediction, _softmax = model(images)
            loss = loss_fn(prediction, label)
            loss_value += loss.item()
            freq += 1
            loss.backward()
            optimizer.step()
        train_loss.append(loss_value / freq)
        val_loss_value, val_freq = 0.0, 0
        model.eval()
        with torch.no_grad():
            for images, label in val_data_loader:
                prediction, _softmax = model(images)
                val_loss_value += loss_fn(prediction, label).item()
                val_freq += 1
            val_loss_arr.append(val_loss_value / val_freq)
            test_crct, total = 0, 0
            for images, label in test_data_loader:
                _prediction, softmax = model(images)
                total += label.size(0)
                test_crct += int((torch.argmax(softmax, dim=1) == label).sum().item())
            test_acc.append(test_crct / total)
    return train_loss, val_loss_arr, test_acc


def occlusion_fixed(model: nn.Module, image: Tensor, label: int, patch_size: int = 4, stride: int = 1) -> np.ndarray:
    """`occlusion_fixed` of section 2.4: the probability of `label` with a black patch at each position on `image`."""
    device = next(model.parameters()).device
    model.eval()
    width, height = image.shape[2], image.shape[1]
    image = image.unsqueeze(0)
    output_height = (height - patch_size) // stride + 1
    output_width = (width - patch_size) // stride + 1
    heat_map = torch.zeros((output_height, output_width), dtype=image.dtype)
    for h in range(output_height):
        for w in range(output_width):
            h_start, w_start = h * stride, w * stride
            h_end, w_end = h_start + patch_size, w_start + patch_size
            occluded_image = image.clone()
            occluded_image[:, :, h_start:h_end, w_start:w_end] = 0
            with torch.no_grad():
                output, _ = model(occluded_image.to(device))
                prob = F.softmax(output, dim=1)
                heat_map[h, w] = prob[0, label].item()
    heat: np.ndarray = heat_map.cpu().numpy()
    return heat


def non_targeted_attack(
    model: nn.Module, random_noise: Tensor, target_class: int, steps: int = 1500, step_size: float = 0.01
) -> tuple[Tensor, list[float]]:
    """`non_targeted_attack` of section 3.1: `random_noise` made into an image of a class, and its logit by step."""
    model.eval()
    cost = []
    optimizer = torch.optim.Adam([random_noise], lr=step_size)
    for _ in range(steps):
        optimizer.zero_grad()
        output, _softmax = model.forward(random_noise)
        loss = -output[0, target_class]
        cost.append(-loss.item())
        loss.backward()
        optimizer.step()
        random_noise.data.clamp_(0, 1)
    return random_noise, cost


def targeted_attack(  # noqa: PLR0917
    model: nn.Module,
    image: Tensor,
    target_class: int,
    steps: int = 1500,
    step_size: float = 0.01,
    beta: float = 0.00001,
) -> Tensor:
    """`targeted_attack` of section 3.2: `image` (1, 1, 28, 28) made into one of `target_class`."""
    model.eval()
    generated_image = image.clone().detach().requires_grad_(True)
    optimizer = torch.optim.Adam([generated_image], lr=step_size)
    for _ in range(steps):
        optimizer.zero_grad()
        output, _softmax = model.forward(generated_image)
        loss = -output[0, target_class] + beta * F.mse_loss(generated_image, image)
        loss.backward()
        optimizer.step()
        generated_image.data.clamp_(0, 1)
    return generated_image
