"""The study's tables as data, and as text for Markdown, HTML and the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.report.text_table import TextTable
from stepladder.report.units import UNDEFINED, count, duration, hundredths, interval, mean_and_spread, points
from stepladder.study.records import SavedStudy
from stepladder.study.statistics import compare_with_below, summarize_rungs


@dataclass(frozen=True)
class LadderRow:
    """One rung. Accuracies and differences are fractions of 1; None where a figure is not defined.

    Attributes:
        adds: the techniques that the rung adds to the one below it.
        n: finished trials, which every mean here is over.
        failed: trials that failed.
        missing: trials that have not ended.
        test: mean test accuracy, with ``test_sd`` its sample standard deviation.
        difference: mean of the per-seed differences to the rung below; ``interval`` is its unadjusted 95 % t-interval.
        train: mean accuracy on plain training images in evaluation mode.
        validation: mean accuracy on the validation images.
        seconds: mean wall time of a trial.
    """

    rung: str
    adds: tuple[str, ...]
    n: int
    failed: int
    missing: int
    test: float | None
    test_sd: float | None
    difference: float | None
    interval: tuple[float, float] | None
    train: float | None
    validation: float | None
    seconds: float | None


def ladder_rows(study: SavedStudy) -> tuple[LadderRow, ...]:
    """Return the main table's rows, in plan order."""
    summaries = summarize_rungs(study)
    comparisons = {comparison.rung: comparison for comparison in compare_with_below(summaries)}
    rows = []
    for summary in summaries:
        trials = study.of_rung(summary.rung)
        finished = [trial.result for trial in trials if trial.result.status == "finished"]
        comparison = comparisons.get(summary.rung)
        rows.append(
            LadderRow(
                rung=summary.rung,
                adds=summary.adds,
                n=summary.n,
                failed=len(summary.failed),
                missing=len(study.record.seeds) - len(trials),
                test=summary.mean,
                test_sd=summary.sd,
                difference=comparison.mean if comparison else None,
                interval=comparison.interval if comparison else None,
                train=_mean(result.train_accuracy for result in finished),
                validation=_mean(result.val_accuracy for result in finished),
                seconds=_mean(result.seconds for result in finished),
            )
        )
    return tuple(rows)


def ladder_table(study: SavedStudy) -> TextTable:
    """Return the main table as text; a column that no row fills (validation, not ended) is left out."""
    rows = ladder_rows(study)
    validated = study.record.validation > 0
    header = ["rung", "adds", "test, % (n)", "vs below, points", "train, %"]
    header += ["validation, %"] if validated else []
    header += ["time a trial", "failed"]
    header += ["not ended"] if study.missing else []
    lines = []
    for row in rows:
        line = [row.rung, ", ".join(row.adds) or UNDEFINED, _test(row), _difference(row), hundredths(row.train)]
        line += [hundredths(row.validation)] if validated else []
        line += [duration(row.seconds), str(row.failed)]
        line += [str(row.missing)] if study.missing else []
        lines.append(tuple(line))
    return TextTable(
        caption=(
            "Test: mean ± sample standard deviation over n finished seeds. Vs below: mean of the per-seed differences "
            "to the rung below and its 95 % t-interval, not adjusted for the number of comparisons. Train: plain "
            f"training images in evaluation mode. {UNDEFINED} marks what is not defined: the first rung has none below "
            "it, and fewer than two seeds have no spread and no interval."
        ),
        header=tuple(header),
        rows=tuple(lines),
        text_columns=2,
    )


def difference_table(study: SavedStudy) -> TextTable:
    """Return every paired difference, a column a seed."""
    seeds = study.record.seeds
    lines = []
    for comparison in compare_with_below(summarize_rungs(study)):
        each = [points(comparison.differences.get(seed)) for seed in seeds]
        lines.append((comparison.rung, comparison.below, *each, points(comparison.mean), interval(comparison.interval)))
    return TextTable(
        caption=(
            "Difference in test accuracy, in points, between two rungs trained with the same seed; the mean and its "
            f"95 % t-interval, not adjusted for {count(len(lines), 'comparison')}. {UNDEFINED} marks a pair of which a "
            "trial failed or has not ended, and an interval that fewer than two pairs do not give."
        ),
        header=("rung", "against", *(f"seed {seed}" for seed in seeds), "mean", "95 % interval"),
        rows=tuple(lines),
        text_columns=2,
    )


def terminal_table(study: SavedStudy) -> Table:
    """Return the main table for a terminal of 80 columns, in several lines a rung.

    Under a rung's name stand the techniques that it adds and, where there are any, its failed trials and those to do.
    """
    validated = study.record.validation > 0
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    table.add_column("rung", overflow="fold")
    for head in ("test\n%", "vs below\npoints", "train\n%", *(["val\n%"] if validated else []), "time\na trial"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in ladder_rows(study):
        # Names come from data and recipes; as Text they are never read as rich's markup.
        name = Text(row.rung, style="bold")
        name.append("".join(f"\n+ {technique}" for technique in row.adds), style="dim not bold")
        state = [f"{number} {what}" for number, what in ((row.failed, "failed"), (row.missing, "to do")) if number]
        name.append(f"\n{', '.join(state)}" if state else "", style="red not bold")
        test = hundredths(row.test)
        if row.n and len(study.record.seeds) > 1:
            test += f"\n± {hundredths(row.test_sd)} (n={row.n})" if row.test_sd is not None else f"\n(n={row.n})"
        cells = [test, points(row.difference) + (f"\n{interval(row.interval)}" if row.interval else "")]
        cells += [hundredths(row.train), *([hundredths(row.validation)] if validated else [])]
        cells.append(duration(row.seconds))
        table.add_row(name, *(Text(cell) for cell in cells))
    return table


def _test(row: LadderRow) -> str:
    return UNDEFINED if row.test is None else f"{mean_and_spread(row.test, row.test_sd)} ({row.n})"


def _difference(row: LadderRow) -> str:
    return points(row.difference) if row.interval is None else f"{points(row.difference)} {interval(row.interval)}"


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
