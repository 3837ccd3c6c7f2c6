from __future__ import annotations

import numpy as np
import pytest
import scipy.stats
import torch

from stepladder.errors import RecipeError
from stepladder.techniques.random_crop import RandomCrop


def one_by_one(images: np.ndarray, size: int, padding: int, rng: torch.Generator) -> np.ndarray:
    """The slow way: pad each image with zeros and cut at an offset from the same stream."""
    count, channels, height, width = images.shape
    tops = torch.randint(0, height + 2 * padding - size + 1, (count,), generator=rng).tolist()
    lefts = torch.randint(0, width + 2 * padding - size + 1, (count,), generator=rng).tolist()
    cut = np.empty((count, channels, size, size), dtype=np.uint8)
    for i in range(count):
        padded = np.zeros((channels, height + 2 * padding, width + 2 * padding), dtype=np.uint8)
        padded[:, padding : padding + height, padding : padding + width] = images[i]
        cut[i] = padded[:, tops[i] : tops[i] + size, lefts[i] : lefts[i] + size]
    return cut


@pytest.mark.parametrize(
    ("options", "image_size", "size", "padding"),
    [
        ({}, 32, 32, 4),
        ({}, 8, 8, 1),
        ({"padding": 3}, 8, 8, 3),
        ({"size": 28}, 32, 28, 0),
        ({"size": 28, "padding": 2}, 32, 28, 2),
        ({"size": 5, "padding": 1}, 5, 5, 1),
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_against_the_slow_way(make_images, stream, options, image_size, size, padding, channels):
    images = make_images(30, image_size, channels)
    targets = torch.arange(30)
    cut, same = RandomCrop(**options).augment(images, targets, stream(7))
    np.testing.assert_array_equal(cut.numpy(), one_by_one(images.numpy(), size, padding, stream(7)))
    assert same is targets
    assert cut.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("channels", [1, 3])
def test_reflected_padding_is_numpys(make_images, stream, channels):
    images = make_images(30, 8, channels)
    cut, _ = RandomCrop(padding=3, reflect=True).augment(images, torch.arange(30), stream(7))
    padded = np.pad(images.numpy(), ((0, 0), (0, 0), (3, 3), (3, 3)), mode="reflect")
    expected = one_by_one(padded, 8, 0, stream(7))
    np.testing.assert_array_equal(cut.numpy(), expected)


def test_images_that_are_not_square(stream):
    images = torch.randint(1, 256, (200, 3, 20, 12), generator=stream(), dtype=torch.uint8)
    cut, _ = RandomCrop().augment(images, torch.arange(200), stream())
    assert cut.shape == images.shape
    # An eighth of the shorter side, rounded: 2 black pixels at the most on any side.
    rows = (cut != 0).any(dim=(1, 3)).sum(dim=1)
    assert rows.min() == 18
    assert RandomCrop(size=10).prepare(images.float()).shape == (200, 3, 10, 10)


@pytest.mark.parametrize(
    ("options", "image_size", "positions"), [({}, 32, 9), ({}, 8, 3), ({"size": 28}, 32, 5), ({"size": 31}, 32, 2)]
)
def test_every_position_is_equally_likely(stream, options, image_size, positions):
    count = 200 * positions**2
    # Each pixel tells where it was: row in the first channel, column in the second; from 1, so that 0 is padding.
    places = torch.arange(1, image_size + 1, dtype=torch.uint8)
    image = torch.stack([places.view(-1, 1).expand(-1, image_size), places.expand(image_size, -1)])
    cut, _ = RandomCrop(**options).augment(image.expand(count, -1, -1, -1), torch.zeros(count), stream())
    center = cut[:, :, cut.shape[2] // 2, cut.shape[3] // 2].int()
    found, counts = torch.unique(center, dim=0, return_counts=True)
    assert len(found) == positions**2
    assert scipy.stats.chisquare(counts.numpy()).pvalue > 0.001


@pytest.mark.parametrize(("size", "padding"), [(64, 4), (32, 4), (28, 4), (24, 3), (16, 2), (12, 2), (8, 1), (4, 1)])
def test_default_padding_fits_the_images(stream, size, padding):
    white = torch.full((500, 1, size, size), 255, dtype=torch.uint8)
    cut, _ = RandomCrop().augment(white, torch.zeros(500), stream())
    black_rows = (cut == 0).all(dim=3).sum(dim=2)
    assert black_rows.max() == padding


@pytest.mark.parametrize(("size", "first"), [(28, 2), (27, 2), (8, 12), (31, 0)])
def test_evaluation_takes_the_center(size, first):
    images = torch.rand(2, 3, 32, 32)
    prepared = RandomCrop(size=size).prepare(images)
    assert torch.equal(prepared, images[:, :, first : first + size, first : first + size])
    assert RandomCrop(size=size).prepare(prepared) is prepared  # after training's cut there is nothing left to cut


def test_evaluation_leaves_images_alone_where_training_keeps_their_size():
    images = torch.rand(2, 3, 32, 32)
    assert RandomCrop().prepare(images) is images


def test_no_padding_gives_back_the_same_images(make_images, stream):
    images, targets = make_images(), torch.arange(16)
    for technique in (RandomCrop(padding=0), RandomCrop(size=8)):
        augmented, same = technique.augment(images, targets, stream())
        assert augmented is images
        assert same is targets


@pytest.mark.parametrize("hook", ["augment", "prepare"])
def test_a_window_larger_than_the_images(make_images, stream, hook):
    technique = RandomCrop(size=28)
    images = make_images(2, 8)
    with pytest.raises(RecipeError, match=r"random_crop\.size is 28 and the images are 8×8; choose at most 8"):
        technique.prepare(images.float()) if hook == "prepare" else technique.augment(images, images, stream())


def test_padding_that_would_give_black_windows(make_images, stream):
    with pytest.raises(RecipeError, match=r"padding is 8 and the windows are 8×8, .* choose at most 7"):
        RandomCrop(padding=8).augment(make_images(), torch.arange(16), stream())
    RandomCrop(padding=7).augment(make_images(), torch.arange(16), stream())


@pytest.mark.parametrize(("size", "expected"), [(None, (20, 12)), (8, (8, 8))])
def test_evaluation_sees_the_center_of_images_that_are_not_square(size, expected):
    images = torch.arange(2 * 3 * 20 * 12).reshape(2, 3, 20, 12)
    seen = RandomCrop(size=size).prepare(images)
    assert seen.shape[2:] == expected
    top, left = (20 - expected[0]) // 2, (12 - expected[1]) // 2
    assert torch.equal(seen, images[:, :, top : top + expected[0], left : left + expected[1]])
    assert RandomCrop(size=size).prepared_shape((3, 20, 12)) == (3, *expected)
