from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from stepladder.report.figures.style import to_png
from stepladder.report.page import render_page
from stepladder.report.section import Picture
from stepladder.report.sections import SWEEP_SECTIONS
from stepladder.report.sections.protocol import protocol
from stepladder.report.sections.sweep_curves.figure import draw_sweep_curves
from stepladder.report.sections.sweep_meaning import describe_sweep
from stepladder.report.sections.sweep_points import point_table, terminal_points
from stepladder.report.sections.sweep_points.lines import draw_score_line
from stepladder.report.sections.sweep_points.maps import draw_score_map, draw_time_map
from stepladder.report.write import study_head, write_report
from stepladder.studies.design.sweeps import SearchRecord
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.points import SweepFindings, make_sweep_findings

MakeSweep = Callable[..., SavedStudy]


@pytest.fixture
def grid(made_up_sweep: MakeSweep) -> SweepFindings:
    scores = [[0.80, 0.82], [0.90, 0.91], [0.95, 0.951], [None, 0.1], [0.7, 0.7], [0.6]]
    return make_sweep_findings(made_up_sweep(["optimizer.lr=0.03,0.1,1", "batch_size=32,128"], scores))


def pictures(findings: SweepFindings) -> list[Picture]:
    return [picture for section in SWEEP_SECTIONS for picture in section.pictures(findings)]


@pytest.mark.long
def test_everything_is_written_and_the_same_every_time(grid: SweepFindings) -> None:
    written = write_report(grid)
    names = {str(path.relative_to(grid.study.folder)) for path in written}
    figures = {f"figures/{name}.{kind}" for name in ("accuracy", "time", "curves") for kind in ("png", "svg")}
    assert names == {"points.json", "recipe.toml", "report.md", "report.html", *figures}
    before = {path: path.read_bytes() for path in written}
    write_report(grid)
    assert {path: path.read_bytes() for path in written} == before
    document = json.loads((grid.study.folder / "points.json").read_text())
    assert document["best"]["points"] == ["optimizer.lr=0.1, batch_size=32"]
    assert document["points"][3]["failed"] == [0]
    markdown = (grid.study.folder / "report.md").read_text()
    page = (grid.study.folder / "report.html").read_text().replace("\u00a0", " ")
    for sentence in describe_sweep(grid):
        assert sentence in markdown
        assert sentence.replace("'", "&#39;") in page
    assert "| 0.1 | 32 | 95.05 ± 0.07 | 2 |" in markdown
    assert "Test images: not read" in markdown
    assert "1 of 2 diverged" in markdown
    for address in re.findall(r'(?:src|href|srcset)="([^"]*)"', page):
        assert address.startswith(("data:", "#")), "it asks for nothing"
    assert len(page) < 1_000_000, "without charts it needs no plotly.js"


def test_names_of_the_user_are_text_in_the_page(made_up_sweep: MakeSweep) -> None:
    study = made_up_sweep(["optimizer.lr=0.1,1"], [[0.9], [0.8]])
    data = study.record.data.model_copy(update={"name": "<b>&$\\alpha$"})
    found = make_sweep_findings(SavedStudy(study.folder, study.record.model_copy(update={"data": data}), study.trials))
    assert "&lt;b&gt;&amp;$" in render_page(found, SWEEP_SECTIONS, study_head(found))
    draw_score_line(found)


def test_figures_in_the_cells_are_those_of_the_points(grid: SweepFindings) -> None:
    texts = {text.get_text() for axes in draw_score_map(grid).axes for text in axes.texts}
    assert {"81.00", "± 1.41", "95.05", "1 of 2 diverged", "1 of 2 seeds", "60.00"} <= texts
    times = {text.get_text() for axes in draw_time_map(grid).axes for text in axes.texts}
    assert {"2.0 s", "1.5 s"} <= times


def test_writing_on_cells_can_be_read_in_gray(made_up_sweep: MakeSweep) -> None:
    scores = [[0.5 + i / 40] for i in range(18)]
    rates = ",".join(f"{i / 10}" for i in range(1, 10))
    figure = draw_score_map(make_sweep_findings(made_up_sweep([f"optimizer.lr={rates}", "epochs=1,2"], scores)))
    axes = figure.axes[0]
    for patch, text in zip(axes.patches, axes.texts[::2], strict=True):
        ratio = _contrast(patch.get_facecolor(), text.get_color())
        assert ratio >= 4.5, (text.get_text(), ratio)
    shades = [_luminance(patch.get_facecolor()) for patch in axes.patches]
    values = [float(text.get_text()) for text in axes.texts[::2]]
    assert all(np.diff(np.array(shades)[np.argsort(values)]) < 0), "more is darker"


def _luminance(color: object) -> float:
    from matplotlib.colors import to_rgb

    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]  # type: ignore[arg-type]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: object, other: object) -> float:
    low, high = sorted((_luminance(one), _luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.long
@pytest.mark.parametrize("compact", [pytest.param(False, marks=pytest.mark.soak), True])
def test_every_kind_of_sweep_can_be_drawn(made_up_sweep: MakeSweep, compact: bool) -> None:
    rates = "optimizer.lr=0.01,0.1"
    one = made_up_sweep([rates], [[0.8, 0.9], [None, 0.1]])
    names = made_up_sweep(["optimizer.name=sgd,adam"], [[0.8], [0.9]])
    three = made_up_sweep([rates, "batch_size=8,16", "epochs=1,2,3"], [[0.5 + i / 30] for i in range(12)])
    four = made_up_sweep([rates, "batch_size=8,16", "epochs=1,2,3,4", "dropout.p=0,0.1,0.2,0.3"], [[0.5]] * 64)
    search = SearchRecord(tool="optuna", points=3, seed=0, tried=3, pruned=("point 0",))
    found = made_up_sweep(
        ["optimizer.lr=0.001..0.3", "batch_size=8..64"], [[0.5], [0.9, 0.8], [None, 0.9]], search=search
    )
    empty = made_up_sweep([rates, "batch_size=8,16"], [[], [], [0.5, 0.5], []])
    panels = {}
    for name, study in {
        "one": one,
        "names": names,
        "three": three,
        "four": four,
        "found": found,
        "empty": empty,
    }.items():
        figures = [picture.draw(compact=compact) for picture in pictures(make_sweep_findings(study))]
        panels[name] = [len(figure.axes) for figure in figures]
        for figure in figures:
            image = Image.open(io.BytesIO(to_png(figure, 60)))
            assert min(image.size) > 100
    # Three keys: a panel a value of the third. Four: sixteen would be too many, so six pairs of keys.
    assert panels["three"] == [3, 3, 12]
    assert panels["four"][:2] == [6, 6]
    assert panels["found"] == [2, 2, 2]
    assert panels["one"] == [1, 1, 2]


def test_labels_stay_within_the_figure(grid: SweepFindings, made_up_sweep: MakeSweep) -> None:
    scores = [[0.8, 0.9], [0.81, 0.9], [0.9, 0.91], [0.7, 0.5]]
    line = make_sweep_findings(made_up_sweep(["dropout.p=0,0.25,0.5,0.75"], scores))
    for figure in (draw_score_map(grid), draw_sweep_curves(grid), draw_score_line(line)):
        renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
        width, height = figure.get_size_inches() * figure.dpi
        tight = figure.get_tightbbox(renderer)
        assert tight.x0 >= -0.01
        assert tight.y0 >= -0.01
        assert tight.x1 * figure.dpi <= width + 1
        assert tight.y1 * figure.dpi <= height + 1


@pytest.mark.long
def test_the_svg_is_xml(grid: SweepFindings) -> None:
    write_report(grid)
    paths = list((grid.study.folder / "figures").glob("*.svg"))
    assert len(paths) > 2
    for path in paths:
        assert "".join(ElementTree.fromstring(path.read_bytes()).itertext()).strip()


def test_the_terminal_fits_80_columns_and_shows_the_best_of_many(made_up_sweep: MakeSweep, grid: SweepFindings) -> None:
    console = Console(width=80, file=io.StringIO())
    console.print(terminal_points(grid))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= 80
    assert "1 of 2 diverged" in text
    assert "1 of 2 to do" in text
    epochs = ",".join(map(str, range(1, 31)))
    many = make_sweep_findings(made_up_sweep([f"epochs={epochs}"], [[0.5 + i / 100] for i in range(30)]))
    console.print(terminal_points(many))
    assert "The best 24 of 30 points" in console.file.getvalue()  # type: ignore[attr-defined]
    assert len(point_table(many).rows) == 30


def test_how_a_search_was_done(made_up_sweep: MakeSweep) -> None:
    search = SearchRecord(tool="optuna", points=6, seed=3, tried=4, pruned=("point 0",))
    axes = ["optimizer.lr=0.001..0.3", "batch_size=8..64"]
    found = make_sweep_findings(made_up_sweep(axes, [[0.5], [0.9, 0.91]], search=search))
    facts = dict(protocol(found))
    assert facts["Plan"] == "search: 2 points, seeds 0, 1"
    assert facts["optimizer.lr"] == "0.001 to 0.3, evenly in the logarithm"
    assert facts["Search"].startswith("optuna, 6 points, seed 3. A point is given up when its mean is below the median")
    rounds = make_sweep_findings(
        made_up_sweep(axes, [[0.5], [0.9, 0.91]], search=search.model_copy(update={"together": 3}))
    )
    told = dict(protocol(rounds))["Search"]
    assert told.startswith(
        "optuna, 6 points, 3 together, seed 3. A point is given up when its mean is below the median"
    )
    assert told.endswith("earlier points after as many seeds, which are those of earlier rounds")
    assert facts["No better than guessing"].startswith("11.90 % or less. Always naming the largest class has 10.00 %")
    assert facts["Test images"].startswith("not read")
    grid = dict(protocol(make_sweep_findings(made_up_sweep(["dropout.p=0,0.5"], [[0.5], [0.9]]))))
    assert grid["dropout.p"] == "0 and 0.5"
    assert "Search" not in grid
