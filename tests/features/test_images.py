"""Image views: strokes stand after slant is taken out, and patches group images by shape."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from projgraph.errors import ConfigError
from projgraph.features.patches import describe_images
from projgraph.features.slant import upright

pytestmark = pytest.mark.usefixtures("one_thread")


def bars(slants: list[int], size: int = 21) -> NDArray[np.uint8]:
    """A one-pixel stroke of 11 rows an image, that many columns to the right a row down."""
    images = np.zeros((len(slants), size, size), dtype=np.uint8)
    for image, slant in zip(images, slants, strict=True):
        for row in range(-5, 6):
            image[10 + row, 10 + slant * row] = 200
    return images


def test_strokes_come_to_stand() -> None:
    straight, right, left = upright(bars([0, 1, -1]))
    np.testing.assert_array_equal(straight, bars([0])[0])
    np.testing.assert_array_equal(right, straight)
    np.testing.assert_array_equal(left, straight)


def test_images_are_centred_and_empty_ones_stay_empty() -> None:
    images = np.stack([np.roll(bars([0])[0], (3, -4), axis=(0, 1)), np.zeros((21, 21), dtype=np.uint8)])
    np.testing.assert_array_equal(upright(images), np.stack([bars([0])[0], images[1]]))


def test_patches_group_images_by_shape() -> None:
    generator = np.random.default_rng(0)
    shapes = np.repeat([0, 1], 60)
    images = np.zeros((120, 16, 16), dtype=np.uint8)
    for image, shape in zip(images, shapes, strict=True):
        along, across = generator.integers(2, 5), generator.integers(5, 11)
        image[(slice(along, along + 9), slice(across, across + 2))[:: 1 - 2 * shape]] = generator.integers(150, 255)
    first, second = (describe_images(images, seed, words=16, dimensions=8) for seed in (3, 3))
    assert first.tobytes() == second.tobytes()
    assert first.shape == (120, 8)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-5)
    cosines = first @ first.T
    np.fill_diagonal(cosines, -1)
    assert (shapes[cosines.argmax(axis=1)] == shapes).all()


@pytest.mark.parametrize("images", [np.zeros((2, 9), np.uint8), np.zeros((2, 9, 9), np.float32)])
@pytest.mark.parametrize("describe", [upright, lambda images: describe_images(images, 0)])
def test_other_arrays_are_refused(images: NDArray[Any], describe: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match=r"expected uint8 \(n, height, width\)"):
        describe(images)


def test_images_smaller_than_a_patch_are_refused() -> None:
    with pytest.raises(ConfigError, match="sides of 8 pixels or more"):
        describe_images(np.zeros((2, 7, 9), np.uint8), 0)
