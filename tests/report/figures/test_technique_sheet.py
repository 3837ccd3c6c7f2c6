"""The before-and-after sheet."""

from __future__ import annotations

import dataclasses
import io

import numpy as np
import pytest
from PIL import Image

from stepladder.datasets import ImageSet
from stepladder.errors import RecipeError
from stepladder.report.figures.style import to_png
from stepladder.report.figures.technique_sheet import draw_sheet
from stepladder.techniques import TECHNIQUES


def texts(figure) -> list[str]:
    return [text.get_text() for text in figure.texts]


@pytest.mark.long
def test_an_augmentation_with_targets(digits: ImageSet) -> None:
    figure = draw_sheet(TECHNIQUES["cutmix"](p=1.0), digits)
    assert len(figure.axes) == 6 * 7
    before, after = (figure.axes[column].images[0].get_array() for column in (0, 1))
    assert not np.array_equal(before, after)
    shares = [text for text in texts(figure) if "\n" in text]
    assert min(float(line.split()[-1]) for text in shares for line in text.split("\n")) < 0.3
    for text in shares:
        assert sum(float(line.split()[-1]) for line in text.split("\n")) == pytest.approx(1, abs=0.011)
    picture = Image.open(io.BytesIO(to_png(figure, dpi=50)))
    assert picture.size[0] > 300


def test_inputs_are_one_line_before_and_one_after(digits: ImageSet) -> None:
    figure = draw_sheet(TECHNIQUES["standardize"](), digits)
    assert len(figure.axes) == 2 * 7
    assert any("after from -" in text.replace("\u00a0", " ") for text in texts(figure))


def test_a_schedule_is_a_curve(digits: ImageSet) -> None:
    (axes,) = draw_sheet(TECHNIQUES["exponential_lr"](gamma=0.5), digits).axes
    heights = axes.lines[0].get_ydata()
    assert heights[0] == 1
    assert heights[-1] == 0.5**19


@pytest.mark.long
def test_what_changes_nothing_is_said(digits: ImageSet) -> None:
    assert "rotate changed nothing on these images" in texts(draw_sheet(TECHNIQUES["rotate"](degrees=0), digits))


@pytest.mark.long
def test_a_smaller_crop_fits_on_the_sheet(digits: ImageSet) -> None:
    figure = draw_sheet(TECHNIQUES["random_crop"](size=6), digits)
    assert {axes.images[0].get_array().shape[:2] for axes in figure.axes} == {(8, 8)}


def test_nothing_to_draw(digits: ImageSet) -> None:
    with pytest.raises(RecipeError, match="ema changes neither the images nor"):
        draw_sheet(TECHNIQUES["ema"](), digits)
    with pytest.raises(RecipeError, match="lighting adds noise to colors, and the images are gray"):
        draw_sheet(TECHNIQUES["lighting"](), digits)


@pytest.mark.long
def test_class_names_of_any_length(digits: ImageSet) -> None:
    long = dataclasses.replace(digits, class_names=tuple(f"a very long name of class {n}" for n in range(10)))
    assert any(
        text.startswith("a very long") and text.endswith("…") for text in texts(draw_sheet(TECHNIQUES["mixup"](), long))
    )
