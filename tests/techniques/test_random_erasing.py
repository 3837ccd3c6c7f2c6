from __future__ import annotations

import pytest
import torch

from stepladder.errors import RecipeError
from stepladder.techniques.random_erasing import RandomErasing


def test_each_erased_part_is_one_rectangle_of_the_right_area(stream):
    gray = torch.full((2000, 3, 32, 32), 7, dtype=torch.uint8)
    erased, _ = RandomErasing(p=0.5, smallest=0.1, largest=0.3).augment(gray, torch.arange(2000), stream())
    changed = (erased != 7).any(dim=1)
    touched = changed.flatten(1).any(dim=1)
    assert abs(float(touched.float().mean()) - 0.5) < 0.06
    rows, columns = changed.any(dim=2).sum(dim=1)[touched], changed.any(dim=1).sum(dim=1)[touched]
    area = rows * columns / 1024
    assert float(area.min()) > 0.08
    assert float(area.max()) < 0.33
    # Nothing is left within a rectangle but where the noise happens to be 7 in all three channels.
    assert float((changed.sum(dim=(1, 2))[touched] / (rows * columns)).min()) > 0.98
    aspect = (rows / columns).log()
    assert abs(float(aspect.mean())) < 0.1
    assert float(aspect.abs().max()) < 1.45


def test_what_is_not_erased_stays(make_images, stream):
    images = make_images(100, 16)
    erased, _ = RandomErasing(p=1).augment(images, torch.arange(100), stream())
    same = (erased == images).all(dim=1).flatten(1).float().mean(dim=1)
    assert float(same.min()) > 0.5
    assert float(same.max()) < 1


def test_areas_the_wrong_way_round(begin):
    technique = begin(RandomErasing(smallest=0.5, largest=0.2))
    with pytest.raises(RecipeError, match=r"random_erasing\.smallest is 0\.5 and .* must be at most largest"):
        technique.check(technique.context)
