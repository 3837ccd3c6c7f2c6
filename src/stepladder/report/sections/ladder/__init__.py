"""The rungs: every rung with its seeds and its mean, and what else was measured of it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.report.marks import SYMBOLS, chart_verdict, is_of_its_rung, techniques_of
from stepladder.report.section import Picture, Section, TextTable
from stepladder.report.units import UNDEFINED, Scale, capital, count, duration, hundredths, p_value
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.files.bag_files import BAG_NAME
from stepladder.studies.findings import Findings
from stepladder.studies.judging.statistics import Effect, RungSummary
from stepladder.training.metrics import find_kind


class LadderSection(Section[Findings]):
    """Every rung with its result on the test images."""

    key = "ladder"

    def title(self, findings: Findings) -> str:
        """Return the heading: the rungs of other plans are no ladder."""
        return "The ladder" if findings.kinds == (ContrastKind.LADDER,) else "The rungs"

    def pictures(self, findings: Findings) -> tuple[Picture, ...]:
        """Return the figure of all rungs."""
        from stepladder.report.sections.ladder.figure import draw_ladder

        name = "ladder" if ContrastKind.LADDER in findings.kinds or not findings.kinds else "rungs"
        return (Picture(name, partial(draw_ladder, findings), describe_ladder(findings)),)

    def values(self, findings: Findings) -> dict[str, Any]:
        """Return what the page says of the chart."""
        caption = "A dot is one seed, the larger sign their mean, the bar its 95 % interval."
        if not effects_of_rungs(findings):
            return {"chart_caption": f"{caption} No verdict of this plan is on one rung alone: they stand below."}
        signs = {
            "helped": "helped",
            "hurt": "hurt",
            "equivalent": "equivalent",
            "undecided": "undecided",
            "none": "not judged",
        }
        each = ", ".join(f"{SYMBOLS[kind]} {word}" for kind, word in signs.items())
        return {"chart_caption": f"{caption} Shape and color are the verdict on what the rung adds: {each}."}

    def tables(self, findings: Findings) -> tuple[TextTable, ...]:
        """Return the rungs, every metric, and model against model."""
        found = (rung_table(findings), score_table(findings), model_table(findings))
        return tuple(table for table in found if table is not None)

    def chart(self, findings: Findings) -> dict[str, Any] | None:
        """Return every rung with a value a seed, its mean, its 95 % t-interval, and the verdict on what it adds.

        Shares are in percent here, as the axis is; losses in nats. None where no rung has a result yet.
        """
        scale = Scale(findings.metric.unit)
        if all(rung.mean is None for rung in findings.rungs):
            return None
        effects = effects_of_rungs(findings)
        return {
            "rungs": [
                _chart_row(scale, rung, effects.get(rung.rung))
                # Of a variant of another program nobody knows which techniques it has: a space, in place of none.
                | ({} if findings.study.record.scores is None or rung.adds else {"adds": ["\u00a0"]})
                for rung in findings.rungs
            ],
            "axis": f"{findings.metric.label}, {scale.unit}",
            "unit": scale.unit,
            "share": scale.share,
        }


def effects_of_rungs(findings: Findings) -> dict[str, Effect]:
    """Return by rung the effect of what it adds; nothing before test has been read for all trials."""
    if not findings.limits.read:
        return {}
    return {effect.rung: effect for effect in findings.effects if effect.rung and is_of_its_rung(effect.design)}


def describe_ladder(findings: Findings) -> str:
    """Return what the figure shows, for those who cannot see it."""
    scale = Scale(findings.metric.unit)
    each = [
        f"{rung.rung} {scale.full(rung.mean)} (n = {rung.n})"
        if rung.mean is not None
        else f"{rung.rung} without a result"
        for rung in findings.rungs
    ]
    return f"Dot plot of {findings.metric.label} by rung, a dot a seed; means: {', '.join(each)}."


@dataclass(frozen=True)
class _Row:
    """One row of the main table: a rung, or the bag of words. Accuracies are fractions of 1.

    Attributes:
        techniques: ``+ name`` for what the rung adds, ``− name`` for what it leaves out.
        n: finished trials whose test images were read, which ``test`` is over.
        failed: trials that failed.
        missing: trials that have not ended.
        test: mean of the plan's metric on test, with ``test_sd`` its sample standard deviation.
        train: mean accuracy on plain training images in evaluation mode.
        validation: mean of the plan's metric on the validation images.
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


def _rows(findings: Findings) -> tuple[_Row, ...]:
    """Return the main table's rows: the bag of words where there is one, then the rungs in plan order."""
    rows = []
    if (bag := findings.bag) is not None:
        learned = ("no network", f"{bag.saved.parameters:,} learned numbers")
        rows.append(
            _Row(
                rung=BAG_NAME,
                techniques=learned,
                n=len(bag.scores),
                failed=0,
                missing=bag.missing,
                test=bag.mean,
                test_sd=bag.sd,
                train=bag.train,
                validation=bag.validation if findings.metric.name == "accuracy" else None,
                seconds=bag.seconds,
            )
        )
    rows += [
        _Row(
            rung=rung.rung,
            techniques=techniques_of(rung),
            n=rung.n,
            failed=len(rung.failed),
            missing=rung.missing,
            test=rung.mean,
            test_sd=rung.sd,
            train=rung.train,
            validation=rung.validation,
            seconds=rung.seconds or None,  # nobody took the time of what a table holds
        )
        for rung in findings.rungs
    ]
    return tuple(rows)


def rung_table(findings: Findings) -> TextTable:
    """Return the main table as text; a column that no row fills (validation, not ended) is left out."""
    scale, metric, validated = Scale(findings.metric.unit), findings.metric, not findings.limits.watched_test
    usual = metric.name == "accuracy"
    header = ["rung", "techniques", f"{metric.label}, {scale.unit} (n)", "train, %" if usual else "train accuracy, %"]
    header += [f"{'validation' if usual else metric.validation_label}, {scale.unit}"] if validated else []
    header += ["time a trial", "failed"]
    header += ["not ended"] if findings.limits.missing else []
    lines = []
    for row in _rows(findings):
        test = UNDEFINED if row.test is None else f"{scale.spread(row.test, row.test_sd)} ({row.n})"
        line = [row.rung, ", ".join(row.techniques) or UNDEFINED, test, hundredths(row.train)]
        line += [scale.value(row.validation)] if validated else []
        line += [duration(row.seconds), str(row.failed)]
        line += [str(row.missing)] if findings.limits.missing else []
        lines.append(tuple(line))
    caption = (
        f"{capital(metric.label)}: mean ± sample standard deviation over n finished seeds. "
        f"Train: accuracy on plain training images in evaluation mode. {UNDEFINED} marks what is not defined."
    )
    if findings.bag is not None:
        caption += (
            f" The row {BAG_NAME} is no network and in no comparison; {UNDEFINED} also marks a metric that needs "
            "probabilities, which it does not have."
        )
    table = TextTable(caption=caption, header=tuple(header), rows=tuple(lines), text_columns=2)
    return table if findings.study.record.scores is None else _without_empty(table)


def _without_empty(table: TextTable) -> TextTable:
    """Return a table without the columns that say nothing of any row: what another program did not measure."""
    kept = [
        place
        for place in range(len(table.header))
        if place == 0 or any(row[place] not in (UNDEFINED, "0") for row in table.rows)
    ]
    return TextTable(
        caption=table.caption.replace(" Train: accuracy on plain training images in evaluation mode.", ""),
        header=tuple(table.header[place] for place in kept),
        rows=tuple(tuple(row[place] for place in kept) for row in table.rows),
        text_columns=sum(place < table.text_columns for place in kept),
    )


#: The columns of the table of every metric, after that of the interval; the plan's own is among them.
_METRIC_HEADS = {
    "macro_f1": "macro F1, %",
    "nll": "NLL, nats",
    "ece": "calibration error, %",
    "nll_calibrated": "NLL calibrated",
    "ece_calibrated": "error calibrated, %",
}


def score_table(findings: Findings) -> TextTable | None:
    """Return every metric on the test images, a row a rung, and how far accuracy depends on which images those are.

    None before test has been read.
    """
    if findings.test_set is None:
        return None
    decides = findings.metric
    more = {decides.name: f"{decides.noun}, {Scale(decides.unit).unit}"} if decides.is_rare else {}
    heads = {**more, **_METRIC_HEADS}
    scales = {name: Scale(find_kind(name).unit) for name in heads}
    lines = []
    for rung in findings.rungs:
        bounds = findings.test_set.rungs[rung.rung]
        lines.append(
            (
                rung.rung,
                hundredths(rung.metrics.get("accuracy")),
                UNDEFINED if bounds is None else f"[{hundredths(bounds[0])}, {hundredths(bounds[1])}]",
                *(scale.value(rung.metrics.get(name)) for name, scale in scales.items()),
                UNDEFINED if rung.temperature is None else f"{rung.temperature:.2f}",
            )
        )
    return TextTable(
        caption=(
            "Means over the finished seeds. New images: the 95 % interval of the mean accuracy on other images like "
            "the test images with other seeds (of one model, of that model). Few test images make it wide, however "
            "many seeds there are. NLL: negative log-likelihood. Calibration "
            "error: equal-mass bins, 15 of them. Calibrated: logits divided by a temperature that was fitted on the "
            "validation images."
        ),
        header=("rung", "accuracy, %", "new images, %", *heads.values(), "temperature"),
        rows=tuple(lines),
        text_columns=1,
        title="Every metric on the test images",
    )


def model_table(findings: Findings) -> TextTable | None:
    """Return McNemar's test of every two models that the plan compares; None where no predictions were saved."""
    pairs = () if findings.test_set is None else findings.test_set.pairs
    if not pairs:
        return None
    return TextTable(
        caption=(
            "Images that only one of two models classifies correctly, and McNemar's exact test of whether both are "
            "equally good on images like these. It is about these two models, each of one seed, and says nothing of "
            "other seeds: only the verdicts judge a technique. The p-values are not adjusted."
        ),
        header=("rung", "against", "seed", "only the first", "only the second", "p"),
        rows=tuple(
            (pair.rung, pair.below, str(pair.seed), str(pair.only_first), str(pair.only_second), p_value(pair.p_value))
            for pair in pairs
        ),
        text_columns=2,
        title="Model against model",
    )


def terminal_table(findings: Findings) -> Table:
    """Return the main table for a terminal of 80 columns, in several lines a rung.

    Under a rung's name stand its techniques and, where there are any, its failed trials and those to do.
    """
    scale, validated = Scale(findings.metric.unit), not findings.limits.watched_test
    record = findings.study.record
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    table.add_column("rung", overflow="fold")
    test = "test" if record.metric == "accuracy" else record.metric
    train, val = ("train", "val") if record.metric == "accuracy" else ("train\naccuracy", f"val\n{record.metric}")
    if record.scores is not None:
        return _terminal_scores(findings, table)
    heads = [f"{test}\n{scale.unit}", f"{train}\n%", *([f"{val}\n{scale.unit}"] if validated else []), "time\na trial"]
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    for row in _rows(findings):
        # Names come from data and recipes; as Text they are never read as rich's markup.
        name = Text(row.rung, style="bold")
        name.append("".join(f"\n{technique}" for technique in row.techniques), style="dim not bold")
        state = [f"{number} {what}" for number, what in ((row.failed, "failed"), (row.missing, "to do")) if number]
        name.append(f"\n{', '.join(state)}" if state else "", style="red not bold")
        cell = scale.spread(row.test, row.test_sd)
        if row.n and len(record.seeds) > 1:
            cell += f" (n={row.n})"
        cells = [cell, hundredths(row.train), *([scale.value(row.validation)] if validated else [])]
        table.add_row(name, *(Text(each) for each in [*cells, duration(row.seconds)]))
    return table


def _terminal_scores(findings: Findings, table: Table) -> Table:
    """Return the main table of scores that another program made: only what there is of them."""
    scale, rows = Scale(findings.metric.unit), _rows(findings)
    validated, timed = any(row.validation is not None for row in rows), any(row.seconds for row in rows)
    heads = [f"{findings.metric.noun}\n{scale.unit}", *([f"val\n{scale.unit}"] if validated else [])]
    for head in [*heads, *(["time\na run"] if timed else [])]:
        table.add_column(head, justify="right", no_wrap=True)
    for row in rows:
        name = Text(row.rung, style="bold")
        name.append("".join(f"\n{what}" for what in row.techniques), style="dim not bold")
        state = [f"{number} {what}" for number, what in ((row.failed, "failed"), (row.missing, "to do")) if number]
        name.append(f"\n{', '.join(state)}" if state else "", style="red not bold")
        cell = scale.spread(row.test, row.test_sd) + (f" (n={row.n})" if row.n else "")
        cells = [cell, *([scale.value(row.validation)] if validated else [])]
        table.add_row(name, *(Text(each) for each in [*cells, *([duration(row.seconds)] if timed else [])]))
    return table


def _chart_row(scale: Scale, rung: RungSummary, effect: Effect | None) -> dict[str, Any]:
    notes = [f"{len(rung.failed)} of {count(rung.planned, 'seed')} failed"] if rung.failed else []
    notes += [f"{rung.missing} of {count(rung.planned, 'seed')} not run yet"] if rung.missing else []
    return {
        "name": rung.rung,
        "adds": list(techniques_of(rung)),
        "notes": notes,
        "seeds": list(rung.scores),
        "values": [scale.axis(value) for value in rung.scores.values()],
        "mean": scale.axis(rung.mean),
        "interval": scale.axis_interval(rung.interval),
        "text": scale.spread(rung.mean, rung.sd),
        **chart_verdict(scale, effect),
    }
