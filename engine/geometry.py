"""Sizes of feature maps, as integers: shared by the check of a request and by the network itself."""

from __future__ import annotations

IMAGE_SIZE = 28  # pixels a side: MNIST and every data set shaped like it
CLASSES = 10
POOL = 2  # the notebook's max-pooling: 2x2, stride 2


class GeometryError(ValueError):
    """The layers do not fit on the image; the message says which one and what to change."""


def convolved(size: int, kernel_size: int, stride: int, padding: int) -> int:
    """Side of the map that a convolution makes of a square map of side `size`, in pixels.

    Raises GeometryError where the kernel is larger than the padded map.
    """
    padded = size + 2 * padding
    if kernel_size > padded:
        raise GeometryError(f"a kernel of {kernel_size} pixels is larger than the padded map of {padded}")
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
