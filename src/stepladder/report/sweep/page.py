"""Everything that a sweep's report writes: ``report.md``, ``report.html``, ``figures/`` and ``points.json``."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from matplotlib.figure import Figure

from stepladder.files import replace_bytes, replace_json, replace_text
from stepladder.report.facts import cautions, failures, platform
from stepladder.report.figures.style import to_png, to_svg
from stepladder.report.figures.sweep_curves import draw_sweep_curves
from stepladder.report.figures.sweep_keys import draw_accuracy_line, draw_time_line
from stepladder.report.figures.sweep_maps import draw_accuracy_map, draw_time_map
from stepladder.report.markdown import escape, render_table
from stepladder.report.sweep.edges import describe_axis
from stepladder.report.sweep.tables import point_table
from stepladder.report.sweep.words import describe_sweep
from stepladder.report.units import count, duration, percent
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.points import chance_bar, find_best, summarize_points

_TEMPLATES = Path(__file__).parent.parent / "templates"


@dataclass(frozen=True)
class Picture:
    """A figure: its file's name, its heading, what draws it, and what it shows for those who cannot see it."""

    name: str
    title: str
    draw: Callable[..., Figure]
    alt: str


class Embedded(NamedTuple):
    """One figure as data URIs for a wide screen and a narrow one, and its size in CSS pixels."""

    title: str
    wide: str
    narrow: str
    width: int
    height: int
    alt: str


def write_sweep(study: SavedStudy) -> list[Path]:
    """Write the report of a sweep into its folder and return the paths of its files.

    Any sweep will do: unfinished, with failed trials, or with none that finished. The same one gives the same bytes.

    Raises:
        StorageError: a file cannot be written; each is replaced whole or left as it was.
    """
    written = [study.folder / "points.json"]
    replace_json(written[0], build_sweep_document(study))
    for picture in pictures(study):
        figure = picture.draw(study)
        for suffix, content in (("png", to_png(figure)), ("svg", to_svg(figure))):
            written.append(study.folder / "figures" / f"{picture.name}.{suffix}")
            replace_bytes(written[-1], content)
    for name, text in (("report.md", render_sweep_markdown(study)), ("report.html", render_sweep_html(study))):
        written.append(study.folder / name)
        # A path on disk may hold bytes that are no UTF-8; a report with a "?" is better than none.
        replace_text(written[-1], text.encode(errors="replace").decode())
    return written


def build_sweep_document(study: SavedStudy) -> dict[str, Any]:
    """Return the sweep as plain values for programs; accuracies are fractions of 1, on validation images."""
    points = summarize_points(study)
    best = find_best(points, study.record.data.counts["validation"])
    return {
        "plan": study.record.plan,
        "keys": [axis.model_dump(mode="json") for axis in study.record.sweep.axes] if study.record.sweep else [],
        "validation_images": study.record.data.counts["validation"],
        "no_better_than_guessing": chance_bar(study),
        "unfinished_trials": study.missing,
        "points": [{**asdict(point), "mean": point.mean, "sd": point.sd, "learned": point.learned} for point in points],
        "best": None
        if best is None
        else {
            "points": [point.name for point in best.points],
            "not_told_apart": [point.name for point in best.ties],
            "told_apart": [point.name for point in best.beaten],
            "margin": best.margin,
        },
        "summary": describe_sweep(study),
    }


def pictures(study: SavedStudy) -> tuple[Picture, ...]:
    """Return the figures that fit the sweep: maps of two keys and more, lines of one, dots of a search."""
    sweep = study.record.sweep
    assert sweep is not None
    each = [
        f"{point.name} {percent(point.mean)}" if point.mean is not None else f"{point.name} without a result"
        for point in summarize_points(study)
    ]
    shown = "; ".join(each[:60]) + (f"; and {len(each) - 60} more" if len(each) > 60 else "")
    mapped = sweep.search is None and len(sweep.axes) > 1
    keys = " and ".join(axis.key for axis in sweep.axes)
    kind = "Heat map" if mapped else "Chart"
    return (
        Picture(
            "accuracy",
            "Validation accuracy",
            draw_accuracy_map if mapped else draw_accuracy_line,
            f"{kind} of validation accuracy by {keys}: {shown}.",
        ),
        Picture(
            "time",
            "Time",
            draw_time_map if mapped else draw_time_line,
            f"{kind} of the wall time of a trial by {keys}; the table has the figures.",
        ),
        Picture(
            "curves", "Curves", draw_sweep_curves, f"Validation accuracy and loss by epoch for every point of {keys}."
        ),
    )


def render_sweep_markdown(study: SavedStudy) -> str:
    """Return the report in GitHub's Markdown, the figures as relative links to ``figures/``."""
    record = study.record
    parts = [
        f"# Stepladder {escape(record.plan)}: {escape(_title(study))} on {escape(record.data.name)}",
        "\n\n".join(escape(sentence) for sentence in describe_sweep(study)),
    ]
    for picture in pictures(study):
        parts += [f"## {picture.title}", f"![{escape(picture.alt)}](figures/{picture.name}.png)"]
    names = ", ".join(f"[{picture.name}](figures/{picture.name}.svg)" for picture in pictures(study))
    parts += [f"The figures as SVG: {names}.", "## The points", render_table(point_table(study))]
    for title, items in _lists(study):
        parts += [f"## {title}", "\n".join(f"- {escape(item)}" for item in items)]
    parts += ["## The command that makes or continues it", f"```sh\n{record.command}\n```"]
    return "\n\n".join(parts) + "\n"


def render_sweep_html(study: SavedStudy) -> str:
    """Return the report as one HTML file that needs no other: style and figures are in it, and it asks for nothing."""
    environment = Environment(
        autoescape=True,  # explicit, as select_autoescape would not escape in a ".j2"
        loader=FileSystemLoader(_TEMPLATES),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("sweep.html.j2").render(
        record=study.record,
        title=_title(study),
        sentences=describe_sweep(study),
        pictures=[_embed(study, picture) for picture in pictures(study)],
        table=point_table(study),
        lists=_lists(study),
        style=(_TEMPLATES / "report.css").read_text(encoding="utf-8"),
    )


def _title(study: SavedStudy) -> str:
    assert study.record.sweep is not None
    return " × ".join(axis.key for axis in study.record.sweep.axes)


def _lists(study: SavedStudy) -> list[tuple[str, list[str]]]:
    """What stands below the figures, as titles with their items; an empty list has no title."""
    record = study.record
    sweep = record.sweep
    assert sweep is not None
    failed = [f"{one.rung}, seed {one.seed}: {one.reason} (epochs finished: {one.epochs})" for one in failures(study)]
    protocol = [describe_axis(axis) for axis in sweep.axes]
    if sweep.search is not None:
        protocol.append(
            f"Search: {sweep.search.tool}, {count(sweep.search.points, 'point')}, seed {sweep.search.seed}; a point is "
            "given up after a seed if its mean so far is below the median of the earlier points' after as many"
        )
    protocol += [
        f"Seeds of each point: {', '.join(map(str, record.seeds))}",
        f"Splits: {', '.join(f'{images:,} {split}' for split, images in record.data.counts.items())}",
        f"No better than guessing: {percent(chance_bar(study))} or less; always naming the largest class has "
        f"{percent(sweep.guess)}, and chance adds no more in 97.5 % of such validation sets",
        "Told apart: by Tukey's method for all pairs of points that learned, at 95 % together; the spread is the one "
        "that they share once the means of points and of seeds are taken out (docs/sweeps.md)",
        "Test images: not read",
        f"Precision and device: {record.precision} on {record.device}",
        f"Time: {duration(sum(trial.result.seconds for trial in study.trials))} in all trials",
        f"Started: {record.created}",
        f"Plan hash: {record.plan_hash}",
        f"Data fingerprint: {record.data.fingerprint}",
    ]
    found = [
        ("Failed trials", failed),
        ("Warnings", cautions(study)),
        ("Data", list(record.data.notes)),
        ("Protocol", protocol),
        ("Versions and hardware", [f"{what}: {which}" for what, which in platform(study)]),
    ]
    return [(title, items) for title, items in found if items]


def _embed(study: SavedStudy, picture: Picture) -> Embedded:
    # As images and not inline: two SVGs of matplotlib share ids, which one document may not.
    wide, narrow = picture.draw(study), picture.draw(study, compact=True)
    width, height = (round(96 * inches) for inches in wide.get_size_inches())
    return Embedded(picture.title, _uri(to_svg(wide)), _uri(to_svg(narrow)), width, height, picture.alt)


def _uri(svg: bytes) -> str:
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode('ascii')}"
