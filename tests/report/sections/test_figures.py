from __future__ import annotations

import io
import re
from dataclasses import replace
from itertools import combinations
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from scipy import stats

from stepladder.report import draw_curves, draw_forest, draw_interactions, draw_ladder, draw_shapley
from stepladder.report.figures.style import (
    ALARM,
    MUTED,
    TEST,
    TRAIN,
    UNDECIDED,
    VALIDATION,
    house_style,
    to_png,
    to_svg,
    verdict_color,
)
from stepladder.studies.design.factorial import factorial_cells, interaction_weights, shapley_weights
from stepladder.studies.files.records import ContrastRecord
from stepladder.studies.findings import make_findings

CASES: dict[str, dict[str, Any]] = {
    "one seed": {"seeds": 1},
    "ten seeds": {"seeds": 10, "rungs": 3},
    "failed": {"failed": [("augment", 1), ("baseline", 0), ("baseline", 1), ("baseline", 2)]},
    "unfinished": {"missing": [("dropout", 2), *(("batchnorm", seed) for seed in range(3))]},
    "nothing finished": {"rungs": 2, "seeds": 1, "missing": [("baseline", 0)], "failed": [("standardize", 0)]},
    "watched": {"seeds": 1, "validation": 0, "failed": [("dropout", 0)]},
    "two rungs of gray digits": {"rungs": 2, "seeds": 2, "channels": 1, "epochs": 1},
    "twelve rungs": {"rungs": 12, "seeds": 2, "epochs": 3, "data": {"name": "a data set with a long name " * 5}},
    "odd name": {"rungs": 2, "seeds": 2, "data": {"name": "中文 $x_1 <b> & \x07"}},
}


def texts(figure: Figure) -> list[Text]:
    """Every text that shows, drawn once so that ticks are placed."""
    with house_style():
        figure.draw_without_rendering()
    # matplotlib keeps a tick beyond each end of an axis and does not draw it.
    hidden = set()
    for axis in [axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)]:
        low, high = axis.get_view_interval()
        hidden |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    return [
        text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip() and text not in hidden
    ]


def words(figure: Figure) -> str:
    return "\n".join(text.get_text().replace("\u00a0", " ") for text in texts(figure))


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Glyph")  # measured here outside the figures' own style
@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize(
    ("draw", "case"),
    [
        *((draw, case) for draw in (draw_ladder, draw_curves) for case in CASES),
        *((draw_forest, case) for case in ("one seed", "failed", "nothing finished", "odd name")),
    ],
)
def test_no_text_is_cut_or_covers_another(make_study, case, draw, compact):
    check_texts(draw(make_findings(make_study(**CASES[case])), compact=compact))


def factorial(names: tuple[str, ...]) -> dict[str, Any]:
    """Options of a made-up study of all subsets."""
    cells, _ = factorial_cells(len(names))
    rungs = ["+".join(name for name, on in zip(names, cell, strict=True) if on) or "baseline" for cell in cells]
    contrasts = [
        ContrastRecord(name=name, design="shapley", weights=dict(zip(rungs, shapley_weights(cells, i), strict=True)))
        for i, name in enumerate(names)
    ]
    contrasts += [
        ContrastRecord(
            name=f"{names[i]} × {names[j]}",
            design="interaction",
            weights=dict(zip(rungs, interaction_weights(cells, i, j), strict=True)),
        )
        for i, j in combinations(range(len(names)), 2)
    ]
    ladder = tuple((rung, (), 0.6 + 0.02 * sum(cell), 0.9, 3.0) for rung, cell in zip(rungs, cells, strict=True))
    return {"rungs": len(rungs), "ladder": ladder, "contrasts": tuple(contrasts), "epochs": 1}


@pytest.mark.long
@pytest.mark.parametrize("compact", [False, True])
@pytest.mark.parametrize("draw", [draw_shapley, draw_interactions, draw_forest])
@pytest.mark.parametrize("names", [("augment", "dropout"), ("standardize", "augment", "a_long_name_of_a_user", "ema")])
def test_figures_of_a_factorial_keep_their_text(make_study, draw, compact, names):
    study = make_study(seeds=3 if compact else 1, **factorial(names))
    check_texts(draw(make_findings(study), compact=compact))


def test_the_forest_shows_every_verdict_in_words_and_marks_what_is_cut(make_study):
    shown = words(draw_forest(make_findings(make_study(seeds=3, failed=[("augment", 1)]))))
    assert "undecided" in shown
    assert "helped" in shown
    figure = draw_forest(make_findings(make_study(seeds=2)))
    assert {line.get_marker() for line in figure.axes[0].lines} >= {"D", "|"}
    assert any(line.get_marker() in "<>" for line in figure.axes[0].lines)
    values = [len(collection.get_offsets()) for collection in figure.axes[0].collections]
    assert values.count(2) == 5


def test_only_what_is_decided_has_a_color(make_study):
    """Of three pairs one is stronger together, one is weaker, and of one nothing can be told."""
    names = ("a", "b", "c")
    together = {frozenset("ab"): 0.05, frozenset("bc"): -0.05}
    options = factorial(names)
    options["ladder"] = tuple(
        (rung, (), level + sum(more for pair, more in together.items() if pair <= set(rung)), *rest)
        for rung, _, level, *rest in options["ladder"]
    )
    made = make_findings(make_study(seeds=5, **options))
    verdicts = {effect.name: effect.verdict for effect in made.effects if effect.is_interaction}
    undecided = tuple(
        replace(effect, verdict="undecided") if effect.name == "a × c" else effect for effect in made.effects
    )
    assert (verdicts["a × b"], verdicts["b × c"]) == ("helped", "hurt")
    axes = draw_interactions(replace(made, effects=undecided)).axes[0]
    white, faces = to_rgb("#FFFFFF"), [to_rgb(patch.get_facecolor()) for patch in axes.patches]
    blue = [face for face in faces if face[2] > face[0] + 0.05]
    orange = [face for face in faces if face[0] > face[2] + 0.05]
    assert (len(blue), len(orange), faces.count(white)) == (1, 1, 1)


def test_the_bars_are_the_shapley_values(make_study):
    study = make_study(seeds=2, spread=0.0, **factorial(("a", "b")))
    bars = [patch.get_width() for patch in draw_shapley(make_findings(study)).axes[0].patches]
    assert bars == pytest.approx([2.0, 2.0])


def check_texts(figure: Figure) -> None:
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts(figure)]
    frame = figure.bbox
    for text, box in boxes:
        assert frame.x0 <= box.x0, f"{text!r} leaves the figure"
        assert box.x1 <= frame.x1, f"{text!r} leaves the figure"
        assert frame.y0 <= box.y0, f"{text!r} leaves the figure"
        assert box.y1 <= frame.y1, f"{text!r} leaves the figure"
    edges = np.array([box.extents for _, box in boxes])
    low = np.maximum(edges[:, None, :2], edges[None, :, :2])
    high = np.minimum(edges[:, None, 2:], edges[None, :, 2:])
    smaller_side = np.triu((high - low).min(axis=2), 1)  # of where two overlap; below 0 where they do not
    # A line's box has room for accents and descenders, which may touch the next line's.
    covered = [f"{boxes[one][0]!r} covers {boxes[other][0]!r}" for one, other in np.argwhere(smaller_side >= 2.5)]
    assert not covered, covered


@pytest.mark.long
@pytest.mark.parametrize("draw", [draw_ladder, pytest.param(draw_curves, marks=pytest.mark.soak), draw_forest])
def test_files_are_deterministic_small_and_keep_their_text(make_study, draw):
    study = make_study(rungs=6, seeds=3)
    svg, png = to_svg(draw(make_findings(study))), to_png(draw(make_findings(study)))
    assert svg == to_svg(draw(make_findings(study)))
    assert png == to_png(draw(make_findings(study)))
    assert len(png) < 300_000
    root = ElementTree.fromstring(svg)
    assert any("batchnorm" in (node.text or "") for node in root.iter("{http://www.w3.org/2000/svg}text"))
    assert b"<dc:date>" not in svg
    assert Image.open(io.BytesIO(png)).width >= 1_200


@pytest.mark.parametrize("draw", [draw_ladder, draw_curves, draw_forest])
def test_a_name_that_xml_forbids_still_gives_a_valid_svg(make_study, draw):
    root = ElementTree.fromstring(to_svg(draw(make_findings(make_study(**CASES["odd name"])))))
    assert "中文 $x_1 <b> &" in "".join(root.itertext()).replace("\u00a0", " ")


def test_the_ladder_shows_every_seed_and_reads_from_the_bottom(make_study):
    study = make_study(seeds=5, failed=[("augment", 1)])
    figure = draw_ladder(make_findings(study))
    rows = [collection.get_offsets() for collection in figure.axes[0].collections if len(collection.get_offsets()) > 1]
    assert [len(row) for row in rows] == [5, 5, 4, 5, 5, 5]
    expected = sorted(100 * trial.result.test_accuracy for trial in study.of_rung("baseline"))
    assert sorted(float(x) for x, _ in rows[0]) == pytest.approx(expected)
    assert [float(row[0][1]) for row in rows] == sorted(float(row[0][1]) for row in rows)
    shown = words(figure)
    assert "seed 1 failed" in shown
    shown = words(draw_ladder(make_findings(make_study(seeds=5, missing=[("dropout", 2)]))))
    assert "1 of 5 seeds not run yet" in shown
    assert "unfinished: 1 of 30 trials not ended" in shown
    assert "test not read yet" in shown


def test_the_bar_of_a_rung_is_its_95_percent_t_interval(make_study):
    study = make_study(rungs=2, seeds=5)
    scores = [100 * trial.result.test_accuracy for trial in study.of_rung("baseline")]
    expected = stats.ttest_1samp(scores, 0).confidence_interval(0.95)
    figure = draw_ladder(make_findings(study))
    bars = [line.get_xdata() for line in figure.axes[0].lines if list(line.get_ydata()) == [0, 0]]
    assert list(bars[0]) == pytest.approx([expected.low, expected.high])


def test_the_ladder_shows_no_difference_before_test_is_read(make_study):
    """Failed seeds alone count as guessing, and would be compared with nothing."""
    study = make_study(rungs=2, seeds=3, read=False, failed=[("baseline", 0), ("standardize", 1)])
    assert "vs below" not in words(draw_ladder(make_findings(study)))
    assert "vs below" in words(draw_ladder(make_findings(make_study(rungs=2, seeds=3))))


def test_an_interval_has_the_color_of_its_verdict(make_study):
    figure = draw_forest(make_findings(make_study(seeds=5)))
    colors = [to_hex(line.get_color()).upper() for line in figure.axes[0].lines if line.get_marker() == "|"]
    # From the bottom: the last of the plan is first.
    verdicts = [effect.verdict for effect in make_findings(make_study(seeds=5)).effects][::-1]
    assert set(verdicts) == {"helped", "undecided"}
    assert colors == [TEST if verdict == "helped" else UNDECIDED for verdict in verdicts]
    assert (verdict_color("hurt"), verdict_color("equivalent"), verdict_color(None)) == (ALARM, VALIDATION, MUTED)


def test_the_ladder_of_one_seed_draws_no_interval(make_study):
    shown = words(draw_ladder(make_findings(make_study(seeds=1))))
    assert "interval" not in shown
    assert "mean" not in shown
    assert "+6.42" in shown


def test_dots_of_equal_seeds_do_not_hide_each_other(make_study):
    study = make_study(rungs=1, seeds=3)
    for trial, accuracy in zip(study.trials, (0.9, 0.9, 0.95), strict=True):
        trial.result.__dict__["test_accuracy"] = accuracy
    row = next(
        c.get_offsets() for c in draw_ladder(make_findings(study)).axes[0].collections if len(c.get_offsets()) == 3
    )
    assert [float(x) for x, _ in row] == [90, 90, 95]
    assert row[0][1] < row[1][1]
    assert row[0][1] == row[2][1]


def test_curves_draw_train_and_validation_with_a_band(make_study):
    figure = draw_curves(make_findings(make_study(rungs=2, seeds=3, epochs=4)))
    accuracy = figure.axes[0]
    assert [to_hex(line.get_color()).upper() for line in accuracy.lines] == [TRAIN, VALIDATION]
    assert [list(line.get_xdata()) for line in accuracy.lines] == [[0, 1, 2, 3, 4]] * 2
    assert len(accuracy.collections) == 2
    assert "band: lowest to highest seed" in words(figure)
    assert {axes.get_ylim() for axes in figure.axes[0::2]} == {(0.0, 100.0)}
    assert len({axes.get_ylim() for axes in figure.axes[1::2]}) == 1


def test_the_mean_and_band_are_those_of_the_seeds(make_study):
    study = make_study(rungs=1, seeds=3, epochs=3)
    axes = draw_curves(make_findings(study)).axes[0]
    values = [100 * trial.history[2].val_accuracy for trial in study.trials]
    assert axes.lines[1].get_ydata()[2] == pytest.approx(sum(values) / 3)
    band = [y for x, y in axes.collections[1].get_paths()[0].vertices if x == 2]
    assert min(band) == pytest.approx(min(values))
    assert max(band) == pytest.approx(max(values))


def test_without_validation_the_test_curve_is_drawn_and_marked(make_study):
    figure = draw_curves(make_findings(make_study(rungs=2, seeds=1, validation=0)))
    assert [to_hex(line.get_color()).upper() for line in figure.axes[0].lines] == [TRAIN, TEST]
    assert "no validation images, so the test curve was watched" in words(figure)
    marked = [
        text
        for text in texts(draw_ladder(make_findings(make_study(seeds=1, validation=0))))
        if "watched" in text.get_text()
    ]
    assert [to_hex(text.get_color()).upper() for text in marked] == [ALARM]


def test_a_failed_trial_is_drawn_apart_and_stretches_no_axis(make_study):
    study = make_study(rungs=2, seeds=3, failed=[("standardize", 1)])
    whole = draw_curves(make_findings(make_study(rungs=2, seeds=3)))
    figure = draw_curves(make_findings(study))
    assert figure.axes[1].get_ylim()[1] == pytest.approx(whole.axes[1].get_ylim()[1], rel=0.1)
    assert [line.get_marker() for line in figure.axes[2].lines].count("x") == 2
    assert list(figure.axes[2].lines[-1].get_xdata())[-1] == 20
    assert "failed trial, loss beyond the axis" in words(figure)
    assert "2 of 3 seeds finished" in words(figure)


@pytest.mark.parametrize("color", [TRAIN, VALIDATION, TEST, MUTED, ALARM])
def test_colors_have_the_contrast_that_small_text_needs(color):
    """WCAG 2.1, 1.4.3: at least 4.5 to 1 on white."""
    channels = [int(part, 16) / 255 for part in re.findall("..", color[1:])]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    assert 1.05 / (luminance + 0.05) >= 4.5
