"""The points of a sweep as a table, for the page and the terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.report.text_table import TextTable
from stepladder.report.units import UNDEFINED, duration, hundredths, mean_and_spread
from stepladder.study.design.axes import as_text
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.points import Point, summarize_points

#: A terminal shows the best so many points of a larger sweep.
_SHOWN = 24


def point_table(study: SavedStudy) -> TextTable:
    """Return every point with its figures, in the plan's order."""
    sweep = study.record.sweep
    assert sweep is not None
    rows = [
        (
            *(as_text(value) for value in point.values),
            mean_and_spread(point.mean, point.sd),
            str(point.n),
            hundredths(point.train),
            duration(point.seconds),
            _state(point) or UNDEFINED,
        )
        for point in summarize_points(study)
    ]
    return TextTable(
        caption=(
            "Validation accuracy after the last epoch: mean ± sample standard deviation over n seeds, a failed one "
            "counting as guessing. Train: accuracy on plain training images in evaluation mode. Time: mean wall time "
            f"of a finished trial. {UNDEFINED} marks what is not defined."
        ),
        header=(*(axis.key for axis in sweep.axes), "validation, %", "n", "train, %", "time a trial", "note"),
        rows=tuple(rows),
        text_columns=len(sweep.axes),
    )


def terminal_points(study: SavedStudy) -> Table:
    """Return the points for a terminal: all in order, or of many the best, from the top."""
    sweep = study.record.sweep
    assert sweep is not None
    points = list(summarize_points(study))
    caption = None
    if len(points) > _SHOWN:
        caption = f"The best {_SHOWN} of {len(points)} points; all of them stand in the report."
        points = sorted(points, key=lambda point: -(point.mean or 0.0))[:_SHOWN]
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
        caption=caption,
        caption_justify="left",
    )
    for axis in sweep.axes:
        table.add_column(Text(axis.key), justify="right", overflow="fold")
    for head in ("val\n%", "train\n%", "time\na trial"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("")
    for point in points:
        score = mean_and_spread(point.mean, point.sd)
        score += f" (n={point.n})" if point.n and len(study.record.seeds) > 1 else ""
        # Values come from the user; as Text they are never read as rich's markup.
        cells = [*(as_text(value) for value in point.values), score, hundredths(point.train), duration(point.seconds)]
        table.add_row(*(Text(cell) for cell in cells), Text(_state(point), style="red"))
    return table


def _state(point: Point) -> str:
    states = [(point.diverged, "diverged"), (len(point.broken), "failed"), (len(point.at_chance), "guessing")]
    states += [(point.missing, "given up" if point.pruned else "to do")]
    every = point.n + point.missing
    return ", ".join(
        f"{what}" if number == every else f"{number} of {every} {what}" for number, what in states if number
    )
