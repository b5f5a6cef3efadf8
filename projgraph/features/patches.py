"""Describes images by dictionaries of patches learned from them, without labels; it knows pixels, not what they show.

Coates, Ng & Lee 2011 ("An analysis of single-layer networks in unsupervised feature learning"): patches of
``PATCH`` x ``PATCH`` pixels are normalised for brightness and contrast and whitened; k-means finds ``words``
centroids; a patch activates centroid k by max(0, mean_j |x - c_j| - |x - c_k|); activations are summed over a grid of
3 x 3 regions, square-rooted, and reduced to ``dimensions`` principal components. Time O(n h w words), memory O(n words)
in half precision.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from projgraph.errors import ConfigError
from projgraph.features.view import leading_components, unit_rows
from projgraph.records import FloatArray

PATCH = 6
"""Pixels of a patch's side."""
_REGIONS = 3
"""Regions of a side that activations are summed over."""
_SAMPLE = 100_000
"""Patches that the dictionary is learned from."""
_SAMPLED_IMAGES = 3_000
_BLOCK = 32
"""Images at a time: activations of so many stay in the cache of a processor."""
_CONTRAST_FLOOR = 0.01
"""Added to a patch's variance, of grey values in 0 to 1, or faint noise would count as contrast."""
_WHITENING_FLOOR = 0.05
"""Added to the variance along each direction of normalised patches, for the same reason."""
_BLANK = 0.05
"""A patch of a smaller deviation, of grey values in 0 to 1, teaches no word: most of a drawing is empty ground."""


def describe_images(images: NDArray[np.uint8], seed: int, words: int = 256, dimensions: int = 64) -> FloatArray:
    """(n, dimensions) unit rows that nearest images share.

    Args:
        images: (n, height, width) grey values, both sides at least ``PATCH`` + 2.
        seed: of the sampled patches and the first centroids.
        words: centroids.
        dimensions: of a row; fewer where there are fewer activations.

    Raises:
        ConfigError: images of another shape or type.
    """
    if images.ndim != 3 or images.dtype != np.uint8 or min(images.shape[1:]) < PATCH + _REGIONS - 1:
        raise ConfigError(
            f"images: {images.dtype} of shape {images.shape}; expected uint8 (n, height, width), sides of "
            f"{PATCH + _REGIONS - 1} pixels or more"
        )
    generator = np.random.default_rng(seed)
    mean, whitening, centroids = _dictionary(images, generator, words)
    blocks = [
        _activations(images[start : start + _BLOCK], mean, whitening, centroids)
        for start in range(0, len(images), _BLOCK)
    ]
    pooled = np.sqrt(np.concatenate(blocks).astype(np.float32))
    pooled -= pooled.mean(axis=0)
    return unit_rows(leading_components(pooled, dimensions))


def _dictionary(
    images: NDArray[np.uint8], generator: np.random.Generator, words: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """(p,) mean and (p, p) whitening of normalised patches of p pixels, and (words, p) centroids of whitened ones."""
    from sklearn.cluster import KMeans

    drawn = generator.choice(len(images), min(len(images), _SAMPLED_IMAGES), replace=False)
    patches = _patches(images[np.sort(drawn)]).reshape(-1, PATCH * PATCH)
    patches = patches[patches.std(axis=1) > _BLANK]
    patches = _normalised(patches[generator.choice(len(patches), min(len(patches), _SAMPLE), replace=False)])
    mean = patches.mean(axis=0)
    values, directions = np.linalg.eigh(np.cov(patches.T))
    whitening = ((directions / np.sqrt(np.maximum(values, 0) + _WHITENING_FLOOR)) @ directions.T).astype(np.float32)
    state = int(generator.integers(1 << 31))
    # Every patch in every step: neighbours found by the words of small batches agree less on their class.
    found = KMeans(words, init="random", n_init=1, max_iter=20, random_state=state)
    found.fit((patches - mean) @ whitening)
    return mean, whitening, found.cluster_centers_.astype(np.float32)


def _patches(images: NDArray[np.uint8]) -> FloatArray:
    """(n, rows, columns, PATCH ** 2) of every place, grey values in 0..1."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (PATCH, PATCH), axis=(1, 2))
    flat: FloatArray = windows.reshape(*windows.shape[:3], PATCH * PATCH).astype(np.float32)
    flat /= np.float32(255)
    return flat


def _normalised(patches: FloatArray) -> FloatArray:
    """Patches, pixels last, without their brightness and at a deviation of about one."""
    centred = patches - patches.mean(axis=-1, keepdims=True)
    scaled: FloatArray = centred / np.sqrt(centred.var(axis=-1, keepdims=True) + np.float32(_CONTRAST_FLOOR))
    return scaled


def _activations(
    images: NDArray[np.uint8], mean: FloatArray, whitening: FloatArray, centroids: FloatArray
) -> NDArray[np.float16]:
    """(n, _REGIONS ** 2 x words) triangle activations, summed over regions."""
    import torch

    patches = (_normalised(_patches(images)) - mean) @ whitening
    flat = torch.from_numpy(patches.reshape(-1, patches.shape[-1]))
    distances = torch.cdist(flat, torch.from_numpy(centroids), compute_mode="use_mm_for_euclid_dist")
    active = distances.mean(dim=1, keepdim=True).sub(distances).relu_().reshape(*patches.shape[:3], -1)
    columns = [part.sum(dim=2) for part in torch.tensor_split(active, _REGIONS, dim=2)]
    pooled = [part.sum(dim=1) for column in columns for part in torch.tensor_split(column, _REGIONS, dim=1)]
    return torch.cat(pooled, dim=1).numpy().astype(np.float16)
