"""Takes the slant out of drawings on an empty ground, and centres them; it knows second moments, not what they show.

An image is read as a mass over its pixels. With (x, y) columns and rows about the centre of mass, the slant is

    a = sum mass x y / sum mass y^2

and the upright image shows at (x, y) what the image has at (x + a y, y), so that columns and rows no longer covary:
the strokes of a slanting hand come to stand. Linear interpolation; what lies outside an image is empty.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import ConfigError
from projgraph.records import FloatArray

_BLOCK = 1000
"""Images at a time."""
_TINY = 1e-6
"""Keeps an image without mass or height from dividing by zero; masses are of grey values, 0 to 255."""


def upright(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, height, width) the images without slant, centred; an empty image stays empty.

    Args:
        images: (n, height, width) grey values, 0 is the ground.

    Raises:
        ConfigError: images of another shape or type.
    """
    if images.ndim != 3 or images.dtype != np.uint8:
        raise ConfigError(f"images: {images.dtype} of shape {images.shape}; expected uint8 (n, height, width)")
    stood = np.empty_like(images)
    for start in range(0, len(images), _BLOCK):
        stood[start : start + _BLOCK] = _stand(images[start : start + _BLOCK].astype(np.float32))
    return stood


def _stand(images: FloatArray) -> NDArray[np.uint8]:
    """(n, height, width) grey values of the images, each sampled where the formula says, by torch's interpolation."""
    import torch

    height, width = images.shape[1:]
    y, x = np.arange(height, dtype=np.float32)[:, None], np.arange(width, dtype=np.float32)
    mass = np.maximum(images.sum(axis=(1, 2)), _TINY)[:, None, None]
    middle_x, middle_y = ((images * place).sum(axis=(1, 2), keepdims=True) / mass for place in (x, y))
    covariance = (images * (x - middle_x) * (y - middle_y)).sum(axis=(1, 2), keepdims=True) / mass
    spread = (images * (y - middle_y) ** 2).sum(axis=(1, 2), keepdims=True) / mass
    below = y - (height - 1) / 2
    columns = middle_x + (x - (width - 1) / 2) + covariance / (spread + _TINY) * below
    rows = np.broadcast_to(middle_y + below, columns.shape)
    # grid_sample counts from -1 at the first pixel to 1 at the last.
    places = np.stack([2 * columns / max(width - 1, 1) - 1, 2 * rows / max(height - 1, 1) - 1], axis=-1)
    moved = torch.nn.functional.grid_sample(
        torch.from_numpy(images)[:, None], torch.from_numpy(places.astype(np.float32)), align_corners=True
    )
    stood: NDArray[np.uint8] = np.rint(moved[:, 0].numpy()).astype(np.uint8)
    return stood
