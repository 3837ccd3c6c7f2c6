"""Figures and charts are tested for what they show: intervals, colors, signs and units, read back from the drawing.

One made-up study has a technique of each verdict, so that none can be taken for another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from stepladder.report.figures.style import TRAIN, VALIDATION, to_svg, verdict_color
from stepladder.report.sections.calibration import CalibrationSection
from stepladder.report.sections.comparison.figure import draw_comparison
from stepladder.report.sections.curves import CurvesSection
from stepladder.report.sections.curves.figure import draw_curves
from stepladder.report.sections.effects import EffectsSection
from stepladder.report.sections.effects.figure import draw_forest
from stepladder.report.sections.factorial.figure import draw_interactions, draw_shapley
from stepladder.report.sections.ladder import LadderSection
from stepladder.report.sections.ladder.figure import draw_ladder
from stepladder.report.sections.sweep_points.lines import draw_score_line
from stepladder.report.sections.sweep_points.maps import draw_score_map
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.findings import Findings, make_findings
from stepladder.studies.judging.answers import Bin, ModelAnswers
from stepladder.studies.judging.comparison import Comparison, RungScores
from stepladder.studies.judging.points import make_sweep_findings
from stepladder.studies.judging.verdicts import VERDICTS as VERDICT_NAMES
from stepladder.training.metrics import find_metric

#: What colors they are: the first test.
COLORS = {verdict: verdict_color(verdict).upper() for verdict in VERDICT_NAMES}
SIGNS = {"helped": "▲", "hurt": "▼", "equivalent": "■", "undecided": "◇"}
#: Accuracies by rung and seed: each rung against the one before it gets another verdict.
SCORES = {
    "base": (0.500, 0.505, 0.495, 0.500, 0.500),
    "up": (0.600, 0.606, 0.593, 0.601, 0.600),
    "down": (0.540, 0.546, 0.535, 0.541, 0.538),
    "same": (0.541, 0.546, 0.536, 0.540, 0.539),
    "loose": (0.521, 0.586, 0.516, 0.590, 0.509),
}
VERDICTS = {"up": "helped", "down": "hurt", "same": "equivalent", "loose": "undecided"}


@pytest.fixture
def four(make_study: Callable[..., SavedStudy]) -> Callable[..., Findings]:
    """Findings of the study of all verdicts; by a loss, its figures are 1 less the accuracies, in nats."""

    def make(metric: str = "accuracy", **settings: Any) -> Findings:
        levels = tuple((name, (f"{name}_technique",), 0.5, 0.9, 3.0) for name in SCORES)
        options = {"rungs": 5, "seeds": 5, "epochs": 2, "ladder": levels, "smallest_effect": 0.015, "metric": metric}
        study = make_study(**options | settings)
        trials = []
        for trial in study.trials:
            value = SCORES[trial.rung][trial.seed]
            told = {"test_accuracy": value, "test_loss": 1 - value}
            trials.append(replace(trial, result=trial.result.model_copy(update=told)))
        findings = make_findings(replace(study, trials=tuple(trials)))
        assert {effect.name: effect.verdict for effect in findings.effects} == VERDICTS
        return findings

    return make


def lines_at(axes: Axes, level: float, marker: str = "None") -> list[Any]:
    """The lines of a level that have the marker, with their two or more points."""
    return [
        line
        for line in axes.lines
        if str(line.get_marker()) == marker and len(line.get_ydata()) and all(y == level for y in line.get_ydata())
    ]


def color_of(artist: Any) -> str:
    return to_hex(artist.get_color()).upper()


def row_of(figure: Figure, name: str) -> float:
    """The height of a name left of the axes, in their rows."""
    (text,) = [text for text in figure.texts if text.get_text() == name]
    height = figure.transFigure.transform((0, text.get_position()[1]))
    return float(figure.axes[0].transData.inverted().transform(height)[1])


def dots_at(axes: Axes, above: float, below: float) -> list[float]:
    """Where the dots between two heights stand, from left to right."""
    offsets = [place for collection in axes.collections for place in collection.get_offsets()]
    return sorted(float(x) for x, y in offsets if above < y < below)


def test_green_is_for_what_helps_and_red_for_what_hurts() -> None:
    channels = {verdict: to_rgb(color) for verdict, color in COLORS.items()}
    assert max(channels["helped"]) == channels["helped"][1]
    assert max(channels["hurt"]) == channels["hurt"][0]
    assert max(channels["equivalent"]) == channels["equivalent"][2]
    assert len(set(channels["undecided"])) == 1
    # Of curves: what trains is orange, validation is blue.
    assert (max(to_rgb(TRAIN)), max(to_rgb(VALIDATION))) == (to_rgb(TRAIN)[0], to_rgb(VALIDATION)[2])


@pytest.mark.parametrize(("metric", "factor", "unit"), [("accuracy", 100, "points"), ("nll", 1, "nats")])
def test_the_forest_shows_each_effect_as_it_was_found(
    four: Callable[..., Findings], monkeypatch: pytest.MonkeyPatch, metric: str, factor: float, unit: str
) -> None:
    wider = {name: (-0.1 - place / 100, 0.2 + place / 100) for place, name in enumerate(VERDICTS)}
    monkeypatch.setattr(Findings, "on_new_images", lambda _, effect: wider[effect.name])
    findings = four(metric)
    figure = draw_forest(findings)
    axes = figure.axes[0]
    assert [row_of(figure, effect.name) for effect in reversed(findings.effects)] == pytest.approx([0, 1, 2, 3])
    assert axes.get_xlabel() == f"difference, {unit}; right is better"
    (band,) = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    assert (band.get_x(), band.get_x() + band.get_width()) == pytest.approx((-0.015 * factor, 0.015 * factor))
    assert len(findings.effects) == 4
    for level, effect in enumerate(reversed(findings.effects)):  # the first is at the top
        assert effect.interval is not None
        assert effect.mean is not None
        expected = [factor * end for end in effect.interval]
        color = COLORS[VERDICTS[effect.name]]
        bars = lines_at(axes, level)
        thin = [line for line in bars if line.get_linewidth() < 3 and len(line.get_xdata()) == 2]
        assert [list(line.get_xdata()) for line in thin if line.get_zorder() == 2] == [pytest.approx(expected)]
        thick = [line for line in bars if line.get_linewidth() > 3]
        assert [list(line.get_xdata()) for line in thick] == [pytest.approx([factor * e for e in wider[effect.name]])]
        (ends,) = lines_at(axes, level, "|")
        assert list(ends.get_xdata()) == pytest.approx(expected)
        (mean,) = lines_at(axes, level, "D")
        assert list(mean.get_xdata()) == pytest.approx([factor * effect.mean])
        assert to_hex(mean.get_markeredgecolor()).upper() == color
        assert {color_of(line) for line in (*thin[:1], *thick, ends)} == {color}
        dots = dots_at(axes, level + 0.1, level + 0.3)
        assert dots == pytest.approx(sorted(factor * value for value in effect.differences.values()))
        written = {text.get_text(): text for text in axes.texts if text.xy == (1, level)}
        (word,) = [text for text in written if text in VERDICTS.values()]
        assert word == VERDICTS[effect.name]
        assert color_of(written[word]) == color
        sign = "+" if effect.mean > 0 else "−"
        digits = 2 if factor == 100 else 4
        assert f"{sign}{abs(factor * effect.mean):.{digits}f}" in written
    low, high = axes.get_xlim()
    seen = [factor * value for effect in findings.effects for value in effect.differences.values()]
    slack = (max(seen) - min(seen)) / 10
    assert min(seen) - slack < low < min(seen), "the axis begins before the first dot, and not long before"
    assert max(seen) < high < max(seen) + slack
    drawn = {effect.name: effect.mean for effect in findings.effects}
    assert drawn["up"] > 0.09 > 0 > -0.05 > drawn["down"], "a lower loss is better, so that signs are the same"


def test_the_svg_of_the_forest_has_the_interval_where_the_axis_says(four: Callable[..., Findings]) -> None:
    """Read back from the file: a bar in the color of what helped, between its ends on the scale of the ticks."""
    findings = four()
    figure = draw_forest(findings)
    axes, effect = figure.axes[0], findings.effects[0]
    assert effect.interval is not None
    root = ElementTree.fromstring(to_svg(figure))
    paths = [path.attrib for path in root.iter("{http://www.w3.org/2000/svg}path")]
    green = [path["d"] for path in paths if f"stroke: {COLORS['helped'].lower()}" in path.get("style", "")]
    bars = [[float(number) for number in re.findall(r"-?\d+\.?\d*", path)] for path in green]
    (bar,) = [bar for bar in bars if len(bar) == 4 and bar[1] == bar[3] and bar[2] - bar[0] > 1]
    across = 72 / figure.dpi
    level = len(findings.effects) - 1
    expected = [axes.transData.transform((100 * end, level)) * across for end in effect.interval]
    assert (bar[0], bar[2]) == pytest.approx((expected[0][0], expected[1][0]), abs=0.01)
    assert 72 * figure.get_size_inches()[1] - bar[1] == pytest.approx(expected[0][1], abs=0.01)


@pytest.mark.parametrize(("metric", "factor", "unit"), [("accuracy", 100, "%"), ("nll", 1, "nats")])
def test_the_ladder_shows_each_rung_as_it_was_found(
    four: Callable[..., Findings], metric: str, factor: float, unit: str
) -> None:
    findings = four(metric)
    figure = draw_ladder(findings)
    axes = figure.axes[0]
    # A name stands above what the rung adds, the two in the middle of its row.
    rows = [row_of(figure, rung.rung) for rung in findings.rungs]
    assert rows == [pytest.approx(level, abs=0.25) for level in range(5)]
    assert axes.get_xlabel().endswith(f", {unit}")
    assert len(findings.rungs) == 5
    for level, rung in enumerate(findings.rungs):
        assert rung.interval is not None
        assert rung.mean is not None
        values = [1 - value if metric == "nll" else value for value in SCORES[rung.rung]]
        assert dots_at(axes, level + 0.05, level + 0.7) == pytest.approx(sorted(factor * value for value in values))
        (bar,) = [line for line in lines_at(axes, level) if len(line.get_xdata()) == 2 and line.get_zorder() == 2]
        assert list(bar.get_xdata()) == pytest.approx([factor * end for end in rung.interval])
        (mean,) = lines_at(axes, level, "D")
        assert list(mean.get_xdata()) == pytest.approx([factor * sum(values) / 5])
        written = [text.get_text() for text in axes.texts if text.xy == (1, level)]
        effect = next((one for one in findings.effects if one.rung == rung.rung), None)
        if effect is not None:
            digits = 2 if factor == 100 else 4
            sign = "+" if effect.mean > 0 else "−"
            assert f"{sign}{abs(factor * effect.mean):.{digits}f}" in written
    # The steps go up from a rung to the next, and then across to its mean.
    steps = [line for line in axes.lines if list(line.get_ydata()) == [0, 1, 1]]
    means = [factor * (rung.mean or 0) for rung in findings.rungs]
    assert [list(line.get_xdata()) for line in steps] == [pytest.approx([means[0], means[0], means[1]])]


@pytest.mark.parametrize("seeds", [2, 5])
def test_the_axis_of_the_ladder_has_room_for_the_dots_and_no_more(
    make_study: Callable[..., SavedStudy], seeds: int
) -> None:
    """The interval of two seeds is many times as wide as they are apart; it may widen the axis by half."""
    findings = make_findings(make_study(rungs=3, seeds=seeds, spread=0.01))
    low, high = draw_ladder(findings).axes[0].get_xlim()
    values = [100 * value for rung in findings.rungs for value in rung.scores.values()]
    ends = [100 * end for rung in findings.rungs for end in rung.interval or ()]
    apart = max(values) - min(values)
    assert apart > 2
    assert (max(ends) > high) == (seeds == 2)
    wider = apart / 2 if seeds == 2 else max(min(values) - min(ends), max(ends) - max(values), 0)
    assert min(values) - wider - 0.15 * apart < low < min(values)
    assert max(values) < high < max(values) + wider + 0.15 * apart


@pytest.mark.parametrize(("metric", "factor", "unit"), [("accuracy", 100, "points"), ("nll", 1, "nats")])
def test_the_chart_of_effects_has_their_figures_and_signs(
    four: Callable[..., Findings], monkeypatch: pytest.MonkeyPatch, metric: str, factor: float, unit: str
) -> None:
    monkeypatch.setattr(Findings, "on_new_images", lambda _, effect: (-0.25, 0.125))
    findings = four(metric)
    chart = EffectsSection().chart(findings)
    assert chart is not None
    assert (chart["step"], chart["axis"]) == (unit, f"difference, {unit}; right is better")
    assert chart["smallest"] == 0.015 * factor
    assert [row["name"] for row in chart["effects"]] == list(VERDICTS)
    for row, effect in zip(chart["effects"], findings.effects, strict=True):
        assert effect.interval is not None
        assert effect.mean is not None
        assert (row["kind"], row["symbol"]) == (effect.verdict, SIGNS[VERDICTS[effect.name]])
        assert row["word"] == VERDICTS[effect.name]
        assert row["mean"] == pytest.approx(factor * effect.mean, abs=1e-4)
        assert row["interval"] == pytest.approx([factor * end for end in effect.interval], abs=1e-4)
        assert row["wider"] == [-0.25 * factor, 0.125 * factor]
        assert dict(zip(row["seeds"], row["values"], strict=True)) == pytest.approx(
            {seed: factor * value for seed, value in effect.differences.items()}, abs=1e-4
        )
        assert row["figures"].startswith("+" if effect.mean > 0 else "−")
        assert f" {unit} [" in row["figures"]


@pytest.mark.parametrize(("metric", "factor", "unit"), [("accuracy", 100, "%"), ("nll", 1, "nats")])
def test_the_chart_of_rungs_has_their_figures_and_the_verdict_on_what_they_add(
    four: Callable[..., Findings], metric: str, factor: float, unit: str
) -> None:
    findings = four(metric)
    chart = LadderSection().chart(findings)
    assert chart is not None
    assert (chart["unit"], chart["share"]) == (unit, metric == "accuracy")
    assert [row["name"] for row in chart["rungs"]] == list(SCORES)
    for row, rung in zip(chart["rungs"], findings.rungs, strict=True):
        assert rung.interval is not None
        values = {seed: 1 - v if metric == "nll" else v for seed, v in enumerate(SCORES[rung.rung])}
        assert row["values"] == pytest.approx([factor * value for value in values.values()], abs=1e-4)
        assert row["mean"] == pytest.approx(factor * sum(values.values()) / 5, abs=1e-4)
        assert row["interval"] == pytest.approx([factor * end for end in rung.interval], abs=1e-4)
        verdict = VERDICTS.get(rung.rung)
        assert (row["kind"], row["symbol"]) == ((verdict, SIGNS[verdict]) if verdict else ("none", ""))


def test_curves_have_the_color_and_the_unit_of_what_they_are(four: Callable[..., Findings]) -> None:
    """Training images are higher here, so that the two splits cannot be taken for one another."""
    findings = four()
    figure = draw_curves(findings)
    accuracy, loss = figure.axes[0], figure.axes[1]
    assert (accuracy.get_ylabel(), loss.get_ylabel()) == ("accuracy, %", "loss, nats")
    curves = findings.curves.rungs[0].mean
    for axes, measure, factor in ((accuracy, "accuracy", 100), (loss, "loss", 1)):
        train, watched = axes.lines
        assert (color_of(train), color_of(watched)) == (TRAIN, VALIDATION)
        assert list(train.get_ydata()) == pytest.approx([factor * value for value in curves.train[measure].mean])
        assert list(watched.get_ydata()) == pytest.approx([factor * value for value in curves.watched[measure].mean])
        assert list(train.get_ydata()) != pytest.approx(list(watched.get_ydata()))
        # The number at the end of a curve is its last, in its color; losses fall, so that their highest is another one.
        ends = {(text.get_color(), text.get_text()) for text in axes.texts}
        digits = 1 if measure == "accuracy" else 2
        assert ends == {(color_of(line), f"{line.get_ydata()[-1]:.{digits}f}") for line in (train, watched)}
    assert max(curves.train["loss"].mean) > curves.train["loss"].mean[-1] + 0.01
    names = {text.get_text(): line for text, line in zip(*legend_of(figure), strict=True)}
    assert color_of(names["train (evaluation mode)"]) == TRAIN
    assert color_of(names["validation"]) == VALIDATION
    chart = CurvesSection().chart(findings)
    assert chart is not None
    row = chart["rungs"][0]
    assert row["train"]["accuracy"]["mean"] == pytest.approx(
        [100 * value for value in curves.train["accuracy"].mean], abs=0.01
    )
    assert row["other"]["loss"]["high"] == pytest.approx(list(curves.watched["loss"].high), abs=1e-4)
    assert row["other"]["loss"]["low"] == pytest.approx(list(curves.watched["loss"].low), abs=1e-4)


def legend_of(figure: Figure) -> tuple[list[Any], list[Any]]:
    (legend,) = figure.legends
    return legend.get_texts(), legend.legend_handles


@pytest.mark.long
def test_a_factorial_shows_shares_and_interactions_with_their_signs(
    make_design_study: Callable[..., SavedStudy],
) -> None:
    findings = make_findings(make_design_study("factorial", seeds=5))
    shares = [effect for effect in findings.effects if effect.design is ContrastKind.SHAPLEY]
    axes = draw_shapley(findings).axes[0]
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([100 * (one.mean or 0) for one in shares[::-1]])
    assert min(bar.get_width() for bar in axes.patches) < -2 < 5 < max(bar.get_width() for bar in axes.patches)
    for level, effect in enumerate(reversed(shares)):
        assert effect.interval is not None
        assert effect.verdict is not None
        (ends,) = lines_at(axes, level, "|")
        assert list(ends.get_xdata()) == pytest.approx([100 * end for end in effect.interval])
        assert color_of(ends) == COLORS[effect.verdict]
    pairs = [effect for effect in findings.effects if effect.is_interaction]
    names = [effect.name for effect in shares]
    axes = draw_interactions(findings).axes[0]
    cells = {(round(cell.get_x() - 0.03), round(cell.get_y() - 0.03)): cell for cell in axes.patches}
    assert len(cells) == len(pairs) == 6
    decided = 0
    for effect in pairs:
        across, down = sorted(names.index(name) for name in effect.name.split(" × "))
        face = to_rgb(cells[across, down - 1].get_facecolor())
        inside = [text.get_text() for text in axes.texts if (int(text._x), int(text._y)) == (across, down - 1)]
        sign = "−" if (effect.mean or 0) < 0 else "+"
        assert any(text.startswith(sign) and "[" not in text for text in inside), (effect, inside)
        if effect.verdict == "helped":
            assert "stronger together" in inside
            assert face[2] > face[0]
        elif effect.verdict == "hurt":
            assert "weaker together" in inside
            assert face[0] > face[2]
        decided += effect.verdict in ("helped", "hurt")
    assert decided >= 1


def test_a_comparison_shows_each_study_in_its_lane() -> None:
    def scores(study: str, rung: str, *values: float) -> RungScores:
        mean = sum(values) / len(values)
        by_seed = dict(enumerate(values))
        return RungScores(study, rung, by_seed, (), mean, 0.01, (mean - 0.03, mean + 0.05))

    all_scores = (
        *(scores("one", "base", 0.70, 0.72), scores("two", "base", 0.80, 0.83)),
        *(scores("one", "top", 0.60, 0.63), scores("two", "top", 0.90, 0.94)),
    )
    comparison = Comparison(
        *(("one", "two"), find_metric("accuracy"), (), "digits", 360, ("base", "top"), all_scores, ()),
        alpha=0.05,
        smallest_effect=0.005,
        cautions=(),
    )
    figure = draw_comparison(comparison)
    axes = figure.axes[0]
    colors = {"one": VALIDATION, "two": TRAIN}
    names = {text.get_text(): handle for text, handle in zip(*legend_of(figure), strict=True)}
    assert {name: color_of(names[name]) for name in colors} == colors
    bars = [line for line in axes.lines if line.get_linewidth() == 1.6 and str(line.get_marker()) == "None"]
    assert len(bars) == 4
    found = {(color_of(bar), round(bar.get_ydata()[0])): list(bar.get_xdata()) for bar in bars}
    for one in all_scores:
        assert one.interval is not None
        level = comparison.rungs.index(one.rung)
        assert found[colors[one.study], level] == pytest.approx([100 * end for end in one.interval])
    means = [line for line in axes.lines if line.get_markersize() == 8]
    assert {(color_of(line), round(100 * line.get_xdata()[0])) for line in means} == {
        (colors[one.study], round(10_000 * (one.mean or 0))) for one in all_scores
    }
    # The first study stands above the second.
    heights = {color_of(bar): bar.get_ydata()[0] for bar in bars if round(bar.get_ydata()[0]) == 0}
    assert heights[colors["one"]] > heights[colors["two"]]


def test_a_sweep_shows_validation_accuracy_in_percent_by_key(made_up_sweep: Callable[..., SavedStudy]) -> None:
    over = ["optimizer.lr=0.01,0.1"]
    found = make_sweep_findings(made_up_sweep(over, [[0.6, 0.64], [0.9, 0.8]]))
    axes = draw_score_line(found).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("optimizer.lr", "validation accuracy, %")
    (line,) = [one for one in axes.lines if len(one.get_xdata()) == 2]
    assert (list(line.get_xdata()), list(line.get_ydata())) == ([0.01, 0.1], pytest.approx([62.0, 85.0]))
    (best,) = [one for one in axes.lines if one.get_marker() == "D"]
    assert (best.get_xdata()[0], best.get_ydata()[0]) == (0.1, pytest.approx(85.0))
    band = axes.collections[0].get_paths()[0].vertices
    for place, ends in ((0.01, (60.0, 64.0)), (0.1, (80.0, 90.0))):
        at = [y for x, y in band if x == pytest.approx(place)]
        assert (min(at), max(at)) == pytest.approx(ends)


def test_a_map_has_each_point_in_the_cell_of_its_keys(made_up_sweep: Callable[..., SavedStudy]) -> None:
    over = ["optimizer.lr=0.01,0.1", "batch_size=32,64,128"]
    scores = [[0.5 + 0.05 * place, 0.52 + 0.05 * place] for place in range(6)]
    found = make_sweep_findings(made_up_sweep(over, scores))
    axes = draw_score_map(found).axes[0]
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("optimizer.lr", "batch_size")
    keys = (
        [label.get_text() for label in axes.get_xticklabels()],
        [label.get_text() for label in axes.get_yticklabels()],
    )
    assert keys == (["0.01", "0.1"], ["32", "64", "128"])
    written = {(int(text._x), int(text._y)): text.get_text() for text in axes.texts if "±" not in text.get_text()}
    darkness = {(int(cell.get_x()), int(cell.get_y())): sum(to_rgb(cell.get_facecolor())) for cell in axes.patches}
    edges = {(int(cell.get_x()), int(cell.get_y())): cell.get_linewidth() for cell in axes.patches}
    assert len(written) == len(darkness) == 6
    expected = {}
    for point in found.points:
        lr, size = point.values
        expected[keys[0].index(f"{lr}"), keys[1].index(f"{size}")] = point.mean
    assert written == {place: f"{100 * mean:.2f}" for place, mean in expected.items()}
    best = max(expected, key=lambda place: expected[place])
    assert [place for place, line in edges.items() if line > 2] == [best]
    by_score = sorted(expected, key=lambda place: expected[place])
    assert [darkness[place] for place in by_score] == sorted(darkness.values(), reverse=True), "more is darker"


def test_the_calibration_chart_draws_both_kinds_of_bins_apart(four: Callable[..., Findings]) -> None:
    plain = (Bin(10, 0.9, 0.6, (0.3, 0.8)), Bin(12, 0.95, 0.75, (0.5, 0.9)))
    scaled = (Bin(11, 0.65, 0.6, (0.35, 0.85)),)
    answers = ModelAnswers(("a", "b"), ((9, 1), (2, 10)), 22, 3, (), (), plain, scaled)
    chart = CalibrationSection().chart(replace(four(), answers=answers))
    assert chart == {
        "plain": [
            {"sure": 90.0, "right": 60.0, "interval": [30.0, 80.0], "n": 10},
            {"sure": 95.0, "right": 75.0, "interval": [50.0, 90.0], "n": 12},
        ],
        "scaled": [{"sure": 65.0, "right": 60.0, "interval": [35.0, 85.0], "n": 11}],
    }


def test_the_forest_has_no_dots_of_seeds_that_its_verdict_does_not_rest_on(four: Callable[..., Findings]) -> None:
    findings = four()
    earlier = replace(findings, effects=tuple(replace(effect, n=3) for effect in findings.effects))
    axes = draw_forest(earlier).axes[0]
    for level, effect in enumerate(reversed(earlier.effects)):
        assert len(effect.differences) == 5
        first = list(effect.differences.values())[:3]
        assert dots_at(axes, level + 0.1, level + 0.3) == pytest.approx(sorted(100 * value for value in first))
