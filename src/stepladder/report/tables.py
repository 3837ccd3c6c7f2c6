"""The study's tables as data, and as text for Markdown, HTML and the terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.report.baseline import baseline_cells, describe_row
from stepladder.report.text_table import TextTable
from stepladder.report.units import UNDEFINED, Scale, duration, hundredths
from stepladder.study.design.metrics import METRICS, find_metric
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.statistics import RungSummary, summarize_rungs
from stepladder.study.judging.test_set import accuracy_interval, correct_by_seed


@dataclass(frozen=True)
class RungRow:
    """One rung. Accuracies are fractions of 1; None where a figure is not defined.

    Attributes:
        techniques: ``+ name`` for what the rung adds, ``− name`` for what it leaves out.
        n: finished trials whose test images were read, which ``test`` is over.
        failed: trials that failed.
        missing: trials that have not ended.
        test: mean of the plan's metric on test, with ``test_sd`` its sample standard deviation.
        train: mean accuracy on plain training images in evaluation mode.
        validation: mean accuracy on the validation images.
        seconds: mean wall time of a trial.
    """

    rung: str
    techniques: tuple[str, ...]
    n: int
    failed: int
    missing: int
    test: float | None
    test_sd: float | None
    train: float | None
    validation: float | None
    seconds: float | None


def scale_of(study: SavedStudy) -> Scale:
    """Return how figures of the plan's metric are written."""
    return Scale(find_metric(study.record.metric).share)


def techniques_of(summary: RungSummary) -> tuple[str, ...]:
    """Return what a rung adds and leaves out, each with its sign."""
    return (*(f"+ {name}" for name in summary.adds), *(f"− {name}" for name in summary.lacks))


def rung_rows(study: SavedStudy) -> tuple[RungRow, ...]:
    """Return the main table's rows, in plan order."""
    rows = []
    for summary in summarize_rungs(study):
        trials = study.of_rung(summary.rung)
        finished = [trial.result for trial in trials if trial.result.status == "finished"]
        rows.append(
            RungRow(
                rung=summary.rung,
                techniques=techniques_of(summary),
                n=summary.n,
                failed=len(summary.failed),
                missing=len(study.record.seeds_of(summary.rung)) - len(trials),
                test=summary.mean,
                test_sd=summary.sd,
                train=_mean(result.train_accuracy for result in finished),
                validation=_mean(result.val_accuracy for result in finished),
                seconds=_mean(result.seconds for result in finished),
            )
        )
    return tuple(rows)


def rung_table(study: SavedStudy) -> TextTable:
    """Return the main table as text; a column that no row fills (validation, not ended) is left out."""
    rows = (*_baseline_row(study), *rung_rows(study))
    scale, validated = scale_of(study), study.record.validation > 0
    metric = find_metric(study.record.metric)
    header = ["rung", "techniques", f"{metric.label}, {scale.unit} (n)", "train, %"]
    header += ["validation, %"] if validated else []
    header += ["time a trial", "failed"]
    header += ["not ended"] if study.missing else []
    lines = []
    for row in rows:
        test = UNDEFINED if row.test is None else f"{scale.spread(row.test, row.test_sd)} ({row.n})"
        line = [row.rung, ", ".join(row.techniques) or UNDEFINED, test, hundredths(row.train)]
        line += [hundredths(row.validation)] if validated else []
        line += [duration(row.seconds), str(row.failed)]
        line += [str(row.missing)] if study.missing else []
        lines.append(tuple(line))
    return TextTable(
        caption=(
            f"{metric.label[0].upper()}{metric.label[1:]}: mean ± sample standard deviation over n finished seeds. "
            f"Train: accuracy on plain training images in evaluation mode. {UNDEFINED} marks what is not defined."
            + describe_row(study)
        ),
        header=tuple(header),
        rows=tuple(lines),
        text_columns=2,
    )


def score_table(study: SavedStudy) -> TextTable:
    """Return every metric on the test images, a row a rung, and how far accuracy hangs on which images those are."""
    names = list(METRICS.values())
    fields = ["test_accuracy", *(metric.field for metric in names if metric.name != "accuracy"), "temperature"]
    lines = []
    for rung in study.record.rungs:
        results = [trial.result for trial in study.of_rung(rung.name) if trial.result.test_accuracy is not None]
        means = [_mean(getattr(result, field) for result in results) for field in fields]
        bounds = accuracy_interval(list(correct_by_seed(study, rung.name).values()))
        cells = [Scale(metric.share).value(mean) for metric, mean in zip(names, means[:-1], strict=True)]
        cells.insert(1, UNDEFINED if bounds is None else f"[{hundredths(bounds[0])}, {hundredths(bounds[1])}]")
        lines.append((rung.name, *cells, UNDEFINED if means[-1] is None else f"{means[-1]:.2f}"))
    return TextTable(
        caption=(
            "Means over the finished seeds. Other test images: the 95 % interval of the mean accuracy had other test "
            "images of the same kind been drawn, with these same models (exact for one model, bootstrap over images "
            "for several); it is wide where test images are few, however many the seeds. Calibration error: equal-mass "
            "bins, 15 of them. Calibrated: logits divided by a temperature fitted on the validation images."
        ),
        header=(
            "rung",
            "accuracy, %",
            "other test images, %",
            "macro F1, %",
            "NLL, nats",
            "calibration error, %",
            "NLL calibrated",
            "error calibrated, %",
            "temperature",
        ),
        rows=tuple(lines),
        text_columns=1,
    )


def terminal_table(study: SavedStudy) -> Table:
    """Return the main table for a terminal of 80 columns, in several lines a rung.

    Under a rung's name stand its techniques and, where there are any, its failed trials and those to do.
    """
    scale, validated = scale_of(study), study.record.validation > 0
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    table.add_column("rung", overflow="fold")
    test = "test" if study.record.metric == "accuracy" else study.record.metric
    for head in (f"{test}\n{scale.unit}", "train\n%", *(["val\n%"] if validated else []), "time\na trial"):
        table.add_column(head, justify="right", no_wrap=True)
    for row in (*_baseline_row(study), *rung_rows(study)):
        # Names come from data and recipes; as Text they are never read as rich's markup.
        name = Text(row.rung, style="bold")
        name.append("".join(f"\n{technique}" for technique in row.techniques), style="dim not bold")
        state = [f"{number} {what}" for number, what in ((row.failed, "failed"), (row.missing, "to do")) if number]
        name.append(f"\n{', '.join(state)}" if state else "", style="red not bold")
        cell = scale.spread(row.test, row.test_sd)
        if row.n and len(study.record.seeds) > 1:
            cell += f" (n={row.n})"
        cells = [cell, hundredths(row.train), *([hundredths(row.validation)] if validated else [])]
        table.add_row(name, *(Text(each) for each in [*cells, duration(row.seconds)]))
    return table


def _baseline_row(study: SavedStudy) -> tuple[RungRow, ...]:
    """Return the row of the baseline without a network, where the study has one; it is no rung."""
    cells = baseline_cells(study)
    return () if cells is None else (RungRow(**cells),)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
