"""What a page is told of a study, its rungs and trials: plain values, with the words and figures that it shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev
from typing import Any, Literal

from stepladder.report.units import Scale, capital, count, duration
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import RungRecord, StudyRecord, TrialResult
from stepladder.studies.judging.trial_facts import describe_machine
from stepladder.training.metrics import Metric
from stepladder.web.studies.cells import DAMAGED, FAILED, FINISHED, RUNNING, Cell
from stepladder.web.studies.standing import Look, describe_look

State = Literal["reading", "running", "finished", "failed", "unfinished", "damaged", "removed"]

#: Failures and warnings that are listed.
_LISTED = 200


@dataclass(frozen=True)
class Standing:
    """What the list of studies is told of one.

    Attributes:
        state: ``failed`` of a training alone: a study has trials that failed.
        ended, planned, failed, damaged, running: trials; of a training alone, ``ended`` and ``planned`` are epochs.
    """

    state: State
    sentence: str
    ended: int = 0
    planned: int = 0
    failed: int = 0
    damaged: int = 0
    running: int = 0


def tell_trial(cell: Cell, metric: Metric) -> list[Any]:
    """Return a trial as a page is told of it: state, seed, epochs done, epochs in all, validation, time."""
    result, trial = cell.result, cell.trial
    planned = trial.recipe.epochs if isinstance(trial, Trial) else 0
    done = result.epochs if result is not None else (cell.epochs[-1].epoch if cell.epochs else 0)
    score = "" if result is None or result.status != "finished" else _validation([result], metric)
    took = "" if result is None else duration(result.seconds)
    return [cell.state, trial.seed, done, planned, score, took]


def tell_rung(rung: RungRecord, planned: int, cells: Sequence[Cell], stamp: int, metric: Metric) -> dict[str, Any]:
    """Return a rung as a page is told of it.

    Args:
        planned: trials.
        cells: those that are worked out by now.
        stamp: changes whenever its curves do.
    """
    finished = [cell.result for cell in cells if cell.result is not None and cell.state == FINISHED]
    return {
        "name": rung.name,
        "adds": [*(f"+ {name}" for name in rung.adds), *(f"− {name}" for name in rung.lacks)],
        "planned": planned,
        "ended": sum(cell.ended for cell in cells),
        "failed": sum(cell.state == FAILED for cell in cells),
        "running": sum(cell.state == RUNNING for cell in cells),
        "validation": _validation(finished, metric),
        "n": len(finished),
        "curve": stamp,
    }


def _validation(results: Sequence[TrialResult], metric: Metric) -> str:
    """Write the mean of the metric on validation, and its spread; nothing where there is none."""
    values = [value for result in results if (value := metric.on_validation(result)) is not None]
    if not values:
        return ""
    return Scale(metric.unit).spread(fmean(values), stdev(values) if len(values) > 1 else None)


def tell_head(
    record: StudyRecord, standing: Standing, look: Look, results: Iterable[TrialResult], *, running: bool, left: str
) -> dict[str, Any]:
    """Return what is said of a study as a whole.

    Args:
        results: of the trials that have ended.
        left: the time that is left, in words.
    """
    metric, results = record.measured_by, list(results)
    machines = {describe_machine(result.machine) for result in results}
    watched = "test" if record.validation == 0 else "validation"
    if record.scores is not None:  # what a command told of its training, where it did; one score alone waits for a look
        shown = look.whole or any(result.val_score is not None for result in results)
        watched = "validation" if shown and any(result.epochs for result in results) else ""
    return {
        **describe_record(record),
        "state": standing.state,
        "sentence": _sentence(standing, running),
        "ended": standing.ended,
        "planned": standing.planned,
        "running": standing.running,
        "failed": standing.failed,
        "damaged": standing.damaged,
        "left": left,
        "look": describe_look(record, look, running=running),
        "metric": metric.validation_label,
        "unit": Scale(metric.unit).unit,
        "watched": watched,
        "shows_watched": watched == "validation" or look.whole,
        "axes": _axes(record, metric),
        "machine": sorted({describe_machine(record.machine), *machines}),
    }


#: What the axes of curves are called where images are trained on, and whether one goes from 0 to 100 %.
AXES_OF_IMAGES: dict[str, dict[str, Any]] = {
    "accuracy": {"title": "Accuracy, %", "share": True},
    "loss": {"title": "Loss, nats", "share": False},
}


def _axes(record: StudyRecord, metric: Metric) -> dict[str, dict[str, Any]]:
    """Return the same of a study: what a command is judged by stands where accuracy does."""
    if record.scores is None:
        return AXES_OF_IMAGES
    title = f"{capital(metric.noun)}{', %' if metric.share else ''}"
    return {"accuracy": {"title": title, "share": metric.share}, "loss": {"title": "Loss", "share": False}}


def _sentence(standing: Standing, running: bool) -> str:
    """Say how far it is, one sentence."""
    of = f"{standing.ended:,} of {count(standing.planned, 'trial')}"
    have = "has" if standing.ended == 1 else "have"
    if standing.state == "reading":
        return f"Reading its files: {of} so far."
    if standing.state == "finished":
        return f"All {count(standing.planned, 'trial')} have ended." if standing.planned > 1 else "Its trial has ended."
    if running:
        now = f", {standing.running} running now" if standing.running else ""
        return f"{of} {have} ended{now}."
    return f"Nobody runs it now. {of} {have} ended; the same command goes on with the rest."


def tell_failures(cells: Iterable[Cell], say: Callable[[str], str]) -> list[list[str]]:
    """Return what failed or is damaged: which trials, and their sentence; those that say the same together."""
    found: dict[str, list[str]] = {}
    for cell in cells:
        if cell.state in (FAILED, DAMAGED):
            found.setdefault(say(cell.sentence), []).append(f"{cell.trial.rung}, seed {cell.trial.seed}")
    told = [
        [names[0] if len(names) == 1 else f"{len(names)} trials, the first of them {names[0]}", sentence]
        for sentence, names in found.items()
    ]
    more = len(told) - _LISTED
    return told[:_LISTED] + ([["", f"and {more} more"]] if more > 0 else [])


def tell_warnings(results: Iterable[TrialResult], say: Callable[[str], str]) -> list[list[Any]]:
    """Return the sentences of warnings, and how many trials each has; the most frequent first."""
    found = Counter(warning for result in results for warning in dict.fromkeys(result.warnings))
    return [[say(sentence), number] for sentence, number in found.most_common(_LISTED)]


def describe_record(record: StudyRecord) -> dict[str, Any]:
    """Return what a record alone says, for a list and a heading."""
    kind = "study"
    if record.is_curve:
        kind = "curve" if record.scores is None else "curve of a command"
    elif record.scores is not None:
        kind = "study of a command"
    elif record.sweep is not None:
        kind = record.plan
    of = record.plan
    if record.sweep is not None:
        of = f"values of {' × '.join(axis.key for axis in record.sweep.axes)}"
    elif record.is_curve:
        by = "number of training images" if record.scores is None else "share of the training images"
        of = f"{record.measured_by.noun} by {by}"
    return {
        "kind": kind,
        "title": f"{of[:1].upper()}{of[1:]} on {record.data.name}",
        "rungs": len(record.rungs),
        "seeds": len(record.seeds),
        "command": record.command,
        "created": record.created,
        "versions": ", ".join(f"{name} {version}" for name, version in record.versions.items()),
        "images": _images(record),
    }


def _images(record: StudyRecord) -> str:
    if record.scores is not None or not record.data.counts:
        return ""
    counts = ", ".join(f"{number:,} {split}" for split, number in record.data.counts.items())
    height, width, _ = record.data.image_shape
    return f"{counts} images of {height}×{width} pixels, {len(record.data.class_names):,} classes"
