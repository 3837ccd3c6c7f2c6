from __future__ import annotations

import numpy as np
import pytest
import torch

from stepladder.errors import RecipeError
from stepladder.techniques.cutout import Cutout


@pytest.mark.parametrize(("options", "side"), [({}, 4), ({"size": 5}, 5), ({"size": 3, "p": 0.5}, 3)])
def test_image_by_image(make_images, begin, stream, options, side):
    images = make_images(40)
    technique = begin(Cutout(**options), images)
    color = images.double().mean(dim=(0, 2, 3)).round().to(torch.uint8).numpy()
    rng = stream(2)
    rows, columns = (torch.randint(0, 8, (40,), generator=rng).tolist() for _ in range(2))
    covered = (torch.rand(40, generator=rng) < options.get("p", 1.0)).tolist()
    expected = images.numpy().copy()
    for i in range(40):
        if covered[i]:
            top, left = rows[i] - side // 2, columns[i] - side // 2
            expected[i, :, max(0, top) : top + side, max(0, left) : left + side] = color[:, None, None]
    np.testing.assert_array_equal(technique.augment(images, torch.arange(40), stream(2))[0].numpy(), expected)
    assert all(covered) == (options.get("p") is None)


def test_a_square_larger_than_the_images(make_images, begin):
    technique = begin(Cutout(size=9), make_images())
    with pytest.raises(RecipeError, match=r"cutout\.size is 9 and the images are 8×8; choose at most 8"):
        technique.check(technique.context)
