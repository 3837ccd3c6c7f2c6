"""The network's picture: slabs and squares to scale, fields in their place, files as their names say."""

from __future__ import annotations

import io
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from matplotlib.text import Text
from PIL import Image

from stepladder.errors import RecipeError, StorageError
from stepladder.model.effective import measure_effective
from stepladder.network.inspection import inspect_network
from stepladder.report.figures.network import draw_network, write_picture
from stepladder.report.figures.style import house_style

CASES = {
    "report": ("report", (3, 32, 32)),
    "deep": ("resnet20", (3, 32, 32)),
    "wide fields": ("resnet20", (3, 8, 8)),
    "rows alone": ("mlp", (1, 28, 28)),
    "not square": ("conv3-8 pool2 conv5-16 gap fc", (3, 40, 20)),
    "one layer": ("fc", (1, 1, 1)),
}


def squares(figure) -> list[Rectangle]:
    return [patch for patch in figure.axes[0].patches if isinstance(patch, Rectangle)]


def test_weights_are_squares_by_area():
    figure = draw_network(inspect_network("report"))
    areas = [square.get_width() * square.get_height() for square in squares(figure)]
    weights = [2_432, 51_264, 102_464, 1_025_000, 10_010]
    np.testing.assert_allclose(np.array(areas) / areas[3], np.array(weights) / weights[3], rtol=1e-6)


def test_slabs_are_maps_to_scale():
    figure = draw_network(inspect_network("report"))
    fronts = [patch.get_xy() for patch in figure.axes[0].patches if not isinstance(patch, Rectangle)][::3]
    sides = [(front[1, 0] - front[0, 0], front[2, 1] - front[1, 1]) for front in fronts]
    conv1, pool1, conv2 = sides[1], sides[2], sides[3]
    assert conv1[1] == pytest.approx(2 * pool1[1])
    assert conv2[0] == pytest.approx(2 * conv1[0])


def test_fields_stand_where_the_central_output_looks(digits):
    figure = draw_network(inspect_network("conv5-8 pool2 fc", (1, 8, 8)), digits)
    conv, pool = (axes.patches[0] for axes in figure.axes[1:])
    # Output 4 of 8 sees pixels 2 to 6; output 2 of 4 after pooling 2 to 7. Pixels are centered at whole numbers.
    assert (conv.get_x(), conv.get_width()) == (1.5, 5)
    assert (pool.get_x(), pool.get_width()) == (1.5, 6)
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), digits.splits["train"].images[0][:, :, 0])


@pytest.mark.long
@pytest.mark.parametrize("name", CASES)
def test_every_text_is_inside_and_none_covers_another(name):
    figure = draw_network(inspect_network(*CASES[name]))
    with house_style():
        figure.draw_without_rendering()
    shown = [text for text in figure.findobj(Text) if text.get_text().strip() and text.get_visible()]
    boxes = [(text.get_text(), text.get_window_extent()) for text in shown]
    assert len(boxes) > 5
    for text, box in boxes:
        assert box.x0 >= 0, text
        assert box.y0 >= 0, text
        assert box.x1 <= figure.bbox.x1 + 1, text
        assert box.y1 <= figure.bbox.y1 + 1, text
    for (one, first), (other, second) in combinations(boxes, 2):
        overlap = (
            min(first.x1, second.x1) - max(first.x0, second.x0),
            min(first.y1, second.y1) - max(first.y0, second.y0),
        )
        assert not (overlap[0] > 1 and overlap[1] > 2), (one, other)


@pytest.mark.long
def test_files_are_what_their_names_say_and_the_same_every_time(tmp_path, digits):
    inspection = inspect_network("conv3-4 pool2 fc", (1, 8, 8))
    measured = measure_effective(inspection, digits, seeds=1)
    for name in ("a.png", "b.png", "a.svg", "b.SVG"):
        write_picture(tmp_path / name, inspection, digits, measured)
    assert Image.open(io.BytesIO((tmp_path / "a.png").read_bytes())).format == "PNG"
    assert ElementTree.fromstring((tmp_path / "a.svg").read_text()).tag.endswith("svg")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.SVG").read_bytes()
    assert "effective: " in (tmp_path / "a.svg").read_text()


def test_other_files_are_refused(tmp_path):
    inspection = inspect_network("fc", (1, 8, 8))
    with pytest.raises(RecipeError, match=r"`picture` is .*a\.jpg; give a name that ends in \.svg or \.png"):
        write_picture(tmp_path / "a.jpg", inspection)
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        write_picture(tmp_path / "file" / "a.png", inspection)
