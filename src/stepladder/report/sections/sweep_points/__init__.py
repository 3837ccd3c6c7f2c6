"""Every point of a sweep: what decides, on validation images, and time, drawn and as a table."""

from __future__ import annotations

from functools import partial

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.report.section import Picture, Section, TextTable
from stepladder.report.units import UNDEFINED, Scale, capital, duration, hundredths
from stepladder.studies.design.sweeps import as_text
from stepladder.studies.judging.points import Point, SweepFindings

#: A terminal shows the best so many points of a larger sweep.
_SHOWN = 24
#: Points beyond these are counted in the text for those who cannot see the figure.
_TOLD = 60


class SweepPointsSection(Section[SweepFindings]):
    """Maps of a grid of two keys and more, lines of one key, dots of a search; and all points as a table."""

    key = "points"
    heading = "The points"

    def pictures(self, findings: SweepFindings) -> tuple[Picture, ...]:
        """Return what decides, and time, by key."""
        from stepladder.report.sections.sweep_points.lines import draw_score_line, draw_time_line
        from stepladder.report.sections.sweep_points.maps import draw_score_map, draw_time_map

        mapped = findings.sweep.search is None and len(findings.sweep.axes) > 1
        score, time = (draw_score_map, draw_time_map) if mapped else (draw_score_line, draw_time_line)
        kind = "Heat map" if mapped else "Chart"
        keys = " and ".join(axis.key for axis in findings.sweep.axes)
        metric, scale = findings.metric, Scale(findings.metric.unit)
        each = [
            f"{point.name} {scale.full(point.mean)}" if point.mean is not None else f"{point.name} without a result"
            for point in findings.points
        ]
        more = f"; and {len(each) - _TOLD} more" if len(each) > _TOLD else ""
        return (
            Picture(
                "accuracy" if metric.name == "accuracy" else "score",
                partial(score, findings),
                f"{kind} of {metric.validation_label} by {keys}: {'; '.join(each[:_TOLD])}{more}.",
            ),
            Picture(
                "time",
                partial(time, findings),
                f"{kind} of the wall time of a trial by {keys}; the table has the numbers.",
            ),
        )

    def tables(self, findings: SweepFindings) -> tuple[TextTable, ...]:
        """Return the table of points."""
        return (point_table(findings),)


def point_table(findings: SweepFindings) -> TextTable:
    """Return every point with its figures, in the plan's order."""
    metric, scale = findings.metric, Scale(findings.metric.unit)
    head = "validation" if metric.name == "accuracy" else metric.validation_label
    trained = findings.study.record.scores is None  # here: nothing is known of the training of another program
    rows = [
        (
            *(as_text(value) for value in point.values),
            UNDEFINED if point.mean is None else scale.spread(point.mean, point.sd),
            str(point.n),
            *([hundredths(point.train)] if trained else []),
            duration(point.seconds),
            _state(point) or UNDEFINED,
        )
        for point in findings.points
    ]
    return TextTable(
        caption=(
            f"{capital(metric.validation_label)}{' after the last epoch' if trained else ''}: mean ± sample standard "
            f"deviation over n seeds. One that diverged counts as {'guessing' if trained else 'the worst score'}; one "
            "that was stopped is left out. "
            + ("Train: accuracy on plain training images in evaluation mode. " if trained else "")
            + f"Time: mean wall time of a finished trial. {UNDEFINED} marks what is not defined."
        ),
        header=(
            *(axis.key for axis in findings.sweep.axes),
            f"{head}, {scale.unit}",
            "n",
            *(["train, %" if metric.name == "accuracy" else "train accuracy, %"] if trained else []),
            "time a trial",
            "note",
        ),
        rows=tuple(rows),
        text_columns=len(findings.sweep.axes),
    )


def terminal_points(findings: SweepFindings) -> Table:
    """Return the points for a terminal: all in order, or of many the best, from the top."""
    points = list(findings.points)
    caption = None
    if len(points) > _SHOWN:
        caption = f"The best {_SHOWN} of {len(points)} points; the report has all of them."
        points = sorted(points, key=lambda point: -point.worth)[:_SHOWN]
    table = Table(
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
        collapse_padding=True,
        pad_edge=False,
        show_edge=False,
        caption=caption,
        caption_justify="left",
    )
    for axis in findings.sweep.axes:
        table.add_column(Text(axis.key), justify="right", overflow="fold")
    metric, scale = findings.metric, Scale(findings.metric.unit)
    decides = "val" if metric.name == "accuracy" else f"val {metric.name}"
    trained = findings.study.record.scores is None
    for head in (f"{decides}\n{scale.unit}", *(["train\n%"] if trained else []), "time\na trial"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("")
    for point in points:
        score = UNDEFINED if point.mean is None else scale.spread(point.mean, point.sd)
        score += f" (n={point.n})" if point.n and len(findings.study.record.seeds) > 1 else ""
        # Values come from the user; as Text they are never read as rich's markup.
        cells = [*(as_text(value) for value in point.values), score]
        cells += [*([hundredths(point.train)] if trained else []), duration(point.seconds)]
        table.add_row(*(Text(cell) for cell in cells), Text(_state(point), style="red"))
    return table


def _state(point: Point) -> str:
    states = [(point.diverged, "diverged"), (len(point.stopped), "stopped"), (len(point.at_chance), "guessing")]
    states += [(point.missing, "given up" if point.pruned else "to do")]
    every = point.ended + point.missing
    return ", ".join(
        f"{what}" if number == every else f"{number} of {every} {what}" for number, what in states if number
    )
