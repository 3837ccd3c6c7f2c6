"""A curve over the number of training images: its sentences, its table, its figure and its files."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from PIL import Image

from stepladder.report.figures.style import to_png
from stepladder.report.sections.sizes import SizesSection, describe_sizes, size_table
from stepladder.report.sections.sizes.figure import draw_sizes
from stepladder.report.write import write_report
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.sizes import CurveFindings, make_curve_findings

MakeCurve = Callable[..., SavedStudy]
SIZES = (216, 432, 1080, 2160)


@pytest.fixture
def make_curve(make_study: Callable[..., SavedStudy]) -> MakeCurve:
    """Make a curve up whose accuracies rise with the images."""

    def make(ends: tuple[float, ...] = (0.6, 0.68, 0.76, 0.81), **options: Any) -> SavedStudy:
        names = [f"{size:,} images" for size in SIZES]
        ladder = tuple((name, (), end, 0.99, 3.0) for name, end in zip(names, ends, strict=True))
        study = make_study(rungs=4, ladder=ladder, contrasts=(), plan="curve", **options)
        rungs = tuple(
            rung.model_copy(update={"images": size}) for rung, size in zip(study.record.rungs, SIZES, strict=True)
        )
        return replace(study, record=study.record.model_copy(update={"rungs": rungs}))

    return make


def test_what_twice_the_images_would_bring(make_curve: MakeCurve) -> None:
    found = make_curve_findings(make_curve(ends=(0.3, 0.5, 0.74, 0.87)))
    gain, fit, budget = describe_sizes(found)
    assert gain.startswith("With twice the 2,160 training images, accuracy would change by about +")
    assert found.law is not None
    assert f"the error would go from {100 * found.law.error:.2f} %, as measured, to about " in gain
    assert "as many seeds on as many test images" in gain
    assert "undecided" not in gain
    assert fit.startswith("Fitted over 4 sizes × 3 seeds: an error that begins at guessing and falls as images^−")
    assert "Laws with a floor" in fit
    assert budget == (
        "Equal epochs, 20 of them: 216 images took 40 steps, 2,160 took 340, so part of the gain is that of more steps."
    )
    flat = make_curve_findings(make_curve(ends=(0.7, 0.7, 0.7, 0.7)))
    assert describe_sizes(flat)[1] == "The interval includes zero, so it is undecided whether more images help."


def test_a_fit_that_misses_a_size_says_so_with_both_figures(make_curve: MakeCurve) -> None:
    found = make_curve_findings(make_curve(ends=(0.60, 0.61, 0.82, 0.83)))
    assert found.law is not None
    assert found.law.off
    (said,) = [sentence for sentence in describe_sizes(found) if sentence.startswith("The law misses ")]
    for size in found.law.off:
        both = f"error {100 * size.measured:.2f} % measured and {100 * size.fitted:.2f} % fitted"
        assert f"{size.images:,} images, {both}" in said


def test_sizes_at_chance_are_named_and_where_too_few_are_left_nothing_is_fitted(make_curve: MakeCurve) -> None:
    found = make_curve_findings(make_curve(ends=(0.09, 0.4, 0.6, 0.7)))
    left = [sentence for sentence in describe_sizes(found) if "left out of the fit" in sentence]
    assert left == [f"No better than guessing (10.00 %), and so left out of the fit: 216 images, {_mean(found, 0)}."]
    assert size_table(found).rows[0][2] == "at chance"
    for ends, begins in (
        ((0.09, 0.09, 0.09, 0.6), "Only one size is better than guessing, 10.00 % (2,160 images, "),
        ((0.3, 0.4, 0.5, 0.09), "The largest size is no better than guessing, 10.00 %, so nothing was fitted: "),
        ((0.09, 0.09, 0.09, 0.09), "No size is better than guessing, 10.00 %, so nothing was fitted: "),
    ):
        none = make_curve_findings(make_curve(ends=ends))
        assert none.law is None
        assert describe_sizes(none)[0].startswith(begins)
        assert "With twice" not in " ".join(describe_sizes(none))
        assert len(size_table(none).rows) == 4


def _mean(found: CurveFindings, position: int) -> str:
    return f"{100 * (found.sizes[position].mean or 0):.2f} %"


def test_equal_steps_are_said(make_curve: MakeCurve) -> None:
    study = make_curve()
    recipes = [{**rung.recipe, "epochs": epochs} for rung, epochs in zip(study.record.rungs, (170, 85), strict=False)]
    recipes += [rung.recipe for rung in study.record.rungs[2:]]
    rungs = [rung.model_copy(update={"recipe": table}) for rung, table in zip(study.record.rungs, recipes, strict=True)]
    found = make_curve_findings(replace(study, record=study.record.model_copy(update={"rungs": tuple(rungs)})))
    said = describe_sizes(found)[-1]
    assert said == "Equal steps: 216 images took 340 steps in 170 epochs, 2,160 took 340 in 20."
    assert "more steps" not in said


def test_a_failed_trial_is_named(make_curve: MakeCurve) -> None:
    found = make_curve_findings(make_curve(failed=[("432 images", 1)]))
    assert describe_sizes(found)[0] == "1 trial failed and counted as guessing: 432 images, seed 1."
    assert found.sizes[1].scores[1] == 0.1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (
            {"missing": [("216 images", 0)]},
            "The curve is unfinished: 1 of 12 trials has not ended. Test is read when all have.",
        ),
        ({"read": False}, "Test was not read yet, so there is nothing to fit."),
    ],
)
def test_before_test_is_read_it_says_so(make_curve: MakeCurve, options: dict[str, Any], sentence: str) -> None:
    found = make_curve_findings(make_curve(**options))
    assert found.law is None
    assert describe_sizes(found) == [sentence]
    assert SizesSection().pictures(found) == ()
    assert [(*row[1:3], row[-1]) for row in size_table(found).rows] == [("–", "–", "0")] * 4
    written = write_report(found)
    assert {path.name for path in written} == {"verdicts.json", "report.md", "report.html"}
    assert sentence in (found.study.folder / "report.md").read_text()


def test_the_table_ends_with_twice_the_images(make_curve: MakeCurve) -> None:
    found = make_curve_findings(make_curve())
    assert found.law is not None
    rows = size_table(found).rows
    assert [row[0] for row in rows] == ["216", "432", "1,080", "2,160", "4,320"]
    low, high = (100 * (1 - end) for end in reversed(found.law.interval))
    then = f"{100 * (1 - found.law.predicted):.2f} [{low:.2f}, {high:.2f}]"
    assert rows[-1] == ("4,320", "–", then, "–", "–", "–")


@pytest.mark.long
def test_the_files_of_a_curve(make_curve: MakeCurve) -> None:
    found = make_curve_findings(make_curve())
    written = write_report(found)
    names = [path.relative_to(found.study.folder).as_posix() for path in written]
    assert names == ["verdicts.json", "figures/sizes.png", "figures/sizes.svg", "report.md", "report.html"]
    document = json.loads(written[0].read_text())
    assert document["plan"] == "curve"
    assert [size["images"] for size in document["sizes"]] == list(SIZES)
    assert document["power_law"]["images"] == 2160
    ElementTree.fromstring(written[2].read_text())
    markdown = written[3].read_text()
    assert markdown.startswith("# Stepladder curve: accuracy by number of training images on cifar10-jpeg\n")
    assert "Test images: read once, after all training had ended" in markdown
    assert len(written[4].read_bytes()) < 500_000, "without charts it needs no plotly.js"
    before = [path.read_bytes() for path in written]
    assert [path.read_bytes() for path in write_report(found)] == before


@pytest.mark.long
@pytest.mark.parametrize("compact", [False, True])
def test_the_figure_fits_its_paper(make_curve: MakeCurve, compact: bool) -> None:
    found = make_curve_findings(make_curve())
    (picture,) = SizesSection().pictures(found)
    assert "2,160 images 8" in picture.alt
    figure = picture.draw(compact=compact)
    assert min(Image.open(io.BytesIO(to_png(figure, 60))).size) > 100
    width, height = figure.get_size_inches()
    tight = figure.get_tightbbox(figure.canvas.get_renderer())
    assert min(tight.x0, tight.y0) >= -0.01
    assert tight.x1 <= width + 0.01
    assert tight.y1 <= height + 0.01


def test_the_watched_test_curve_is_said(make_curve: MakeCurve) -> None:
    found: CurveFindings = make_curve_findings(make_curve(validation=0.0))
    assert describe_sizes(found)[0] == "No validation images, so the test curve was watched."


def test_the_figure_shows_accuracy_and_where_the_law_leads(make_curve: MakeCurve) -> None:
    findings = make_curve_findings(make_curve())
    law = findings.law
    assert law is not None
    axes = draw_sizes(findings).axes[0]
    assert axes.get_xscale() == "log"
    assert axes.get_ylabel().endswith(", %")
    means = [line for line in axes.lines if line.get_marker() == "D"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in means] == [
        (size.images, pytest.approx(100 * (size.mean or 0))) for size in findings.sizes
    ]
    dashed = next(line for line in axes.lines if line.get_linestyle() == "--")
    assert list(dashed.get_xdata()) == [law.images, 2 * law.images]
    assert list(dashed.get_ydata()) == pytest.approx([100 * (1 - law.error), 100 * (1 - law.predicted)])
    (reach,) = [line for line in axes.lines if line.get_marker() == "_"]
    assert sorted(reach.get_ydata()) == pytest.approx(sorted(100 * (1 - end) for end in law.interval))
    fitted = next(line for line in axes.lines if line.get_linewidth() == 1.4 and line.get_linestyle() == "-")
    assert list(fitted.get_ydata()) == pytest.approx([100 * (1 - error) for _, error in law.line])
    assert max(fitted.get_ydata()) <= 100
