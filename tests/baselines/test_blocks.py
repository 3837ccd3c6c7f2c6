import numpy as np
from PIL import Image

from stepladder.baselines.blocks import map_images, resized_shape, to_shorter_side
from stepladder.datasets import Split


def test_blocks_come_in_the_order_of_the_split() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 2, 2, 1), dtype=np.uint8)
    rows = np.arange(20)[::-1].copy()
    split = Split(pixels, np.zeros(20, np.int64), rows)
    blocks = list(map_images(split, lambda images: images + 0, block=6))
    assert [len(block) for block in blocks] == [6, 6, 6, 2]
    np.testing.assert_array_equal(np.concatenate(blocks), pixels[rows])


def test_the_shorter_side_is_resized_and_the_proportions_stay() -> None:
    assert resized_shape(40, 20, 10) == (20, 10)
    assert resized_shape(20, 41, 40) == (40, 82)
    images = np.random.default_rng(0).integers(0, 256, (3, 12, 24, 3), dtype=np.uint8)
    small = to_shorter_side(images, 6)
    assert small.shape == (3, 6, 12, 3)
    by_pillow = np.asarray(Image.fromarray(images[1]).resize((12, 6), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(small[1], by_pillow)
    assert to_shorter_side(images[..., :1], 6).shape == (3, 6, 12, 1)
    assert to_shorter_side(images, 12) is images
