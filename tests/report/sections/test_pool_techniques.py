"""All techniques of a pool on one axis: what the drawing holds, compared with the findings."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from stepladder.report.figures.style import VALIDATION, house_style, text_width, verdict_color, write_header
from stepladder.report.sections.pool_techniques.figure import draw_techniques
from tests.studies.pool.records import made_up_pool, make_effect, make_study, pool_records


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(lambda each: hasattr(each, "get_text")) if text.get_text()]


def test_a_row_has_a_dot_a_set_in_its_verdict_the_mean_and_what_a_new_set_lies_within() -> None:
    found = made_up_pool()
    figure = draw_techniques(found, "What helps")
    (axes,) = figure.axes
    order = sorted(found.techniques, key=lambda one: one.points.mean or 0.0)
    for level, one in enumerate(order):
        row = [line for line in axes.lines if np.allclose(np.mean(np.asarray(line.get_ydata(), float)), level)]
        dots = [line for line in row if line.get_marker() == "o"]
        drawn = sorted((float(line.get_xdata()[0]), to_hex(line.get_color())) for line in dots)
        wanted = sorted(
            (100 * member.effect.mean, to_hex(verdict_color(member.effect.verdict))) for member in one.members
        )
        assert [x for x, _ in drawn] == pytest.approx([x for x, _ in wanted])
        assert [color for _, color in drawn] == [color for _, color in wanted]
        assert one.points.prediction is not None
        (band,) = (line for line in row if line.get_linewidth() == 5.5)
        low, high = axes.get_xlim()
        ends = [max(100 * one.points.prediction[0], low), min(100 * one.points.prediction[1], high)]
        assert list(band.get_xdata()) == pytest.approx(ends)
        assert to_hex(band.get_color()) == to_hex(VALIDATION)
        (mean,) = (line for line in row if line.get_linewidth() == 2.2)
        assert list(mean.get_xdata()) == pytest.approx([100 * (one.points.mean or 0.0)] * 2)
    assert axes.get_xlabel() == "difference, points; right is better"
    shown = words(figure)
    assert "+1.51  [−5.54, +8.69]" in shown
    assert "helped 3, hurt 2 of 6" in shown


def test_two_sets_have_no_band_and_a_dot_beyond_the_frame_an_arrow() -> None:
    found = pool_records(*(make_study(name, make_effect()) for name in ("one", "two")))
    (axes,) = draw_techniques(found, "What helps").axes
    assert not [line for line in axes.lines if line.get_linewidth() == 5.5]
    assert "helped 2, hurt 0 of 2" in words(axes.figure)


def test_a_narrow_figure_leaves_the_figures_to_the_table() -> None:
    assert "helped 3, hurt 2 of 6" not in words(draw_techniques(made_up_pool(), "What helps", compact=True))


@pytest.mark.parametrize("letters", [10, 60, 400], ids=["short", "long", "endless"])
def test_a_title_stays_within_its_figure(letters: int) -> None:
    with house_style():
        figure = Figure(figsize=(6, 2))
        write_header(figure, "batchnorm, " * (letters // 10), [])
        (title,) = figure.texts
        assert text_width(figure, title.get_text(), title.get_fontsize(), "bold") <= 6
    assert title.get_text().endswith("…") == (letters == 400)
