"""Sizes of feature maps, shared by the validation of requests and the network itself."""

from __future__ import annotations

from dataclasses import dataclass

IMAGE_SIZE = 28  # pixels a side: MNIST and every data set shaped like it
CLASSES = 10
POOL = 2  # the notebook's max-pooling: 2x2, stride 2


class GeometryError(ValueError):
    """The layers do not fit on the image. The message says which one, and what to change."""


def convolved(size: int, kernel_size: int, stride: int, padding: int) -> int:
    """Side, in pixels, of the output map of a convolution for a square input map of side `size`.

    Raises GeometryError where the kernel is larger than the padded map.
    """
    padded = size + 2 * padding
    if kernel_size > padded:
        raise GeometryError(f"a kernel of {kernel_size} pixels is larger than the padded map of {padded} pixels")
    return (padded - kernel_size) // stride + 1


def block_sizes(
    kernel_size: int, stride: int, padding: int, size: int = IMAGE_SIZE, blocks: int = 2
) -> list[tuple[int, int]]:
    """(side after the convolution, side after its pooling) of each convolution block, in pixels.

    The notebook's network (3, 1, 1) gives [(28, 14), (14, 7)] (its section 1.3).
    Raises GeometryError, naming the block, where a map would become empty.
    """
    sizes = []
    for block in range(1, blocks + 1):
        try:
            wide = convolved(size, kernel_size, stride, padding)
        except GeometryError as error:
            raise GeometryError(f"conv{block}: {error}: lower kernel_size or stride, or raise padding") from None
        if wide < POOL:
            raise GeometryError(
                f"conv{block}: its map of {wide}x{wide} is too small to pool: "
                "lower kernel_size or stride, or raise padding"
            )
        size = wide // POOL
        sizes.append((wide, size))
    return sizes


@dataclass(frozen=True)
class Field:
    """The receptive field of a layer's outputs along one axis of the image, in pixels."""

    side: int
    step: int
    """Distance between the fields of neighbouring outputs."""
    start: int
    """The first pixel of the field of output 0; negative where that is padding."""

    def then(self, kernel_size: int, stride: int = 1, padding: int = 0) -> Field:
        """The field of a following layer with the given window."""
        side, start = self.side + (kernel_size - 1) * self.step, self.start - padding * self.step
        return Field(side, self.step * stride, start)


def block_fields(kernel_size: int, stride: int, padding: int, blocks: int = 2) -> list[tuple[Field, Field]]:
    """(field after the convolution, field after its pooling) of each convolution block.

    For the notebook's network, 3x3 and 4x4 pixels in its first block, 8x8 and 10x10 in its second.
    """
    fields, field = [], Field(1, 1, 0)
    for _ in range(blocks):
        convolution = field.then(kernel_size, stride, padding)
        field = convolution.then(POOL, POOL)
        fields.append((convolution, field))
    return fields
