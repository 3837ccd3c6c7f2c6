"""What may be said of a study while it runs: verdicts by the looks that were declared, and how long is left.

Test is read at looks alone, and α is spent on those. So a study between two looks is judged as it stood at the last one
that is whole, by words without a figure of test, and a study before its first look by nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from stepladder.api.time_left import NARROWING, TimeLeft
from stepladder.report.sections.meaning import describe_answer, describe_choice, describe_limits, verdict_marks
from stepladder.report.terminal import sentences_of
from stepladder.report.units import count
from stepladder.studies.design.rules import look_sizes, next_size
from stepladder.studies.design.trials import Trial
from stepladder.studies.files.records import SavedStudy, StudyRecord, TrialResult
from stepladder.studies.findings import AnyFindings, Findings
from stepladder.studies.running.callbacks import Schedule
from stepladder.studies.running.timing import Estimate, Range, share_out
from stepladder.training.history import EpochRecord

#: Trials of a rung whose times are looked at, the newest: the machine may have become busier or quieter.
_RECENT = 20


@dataclass(frozen=True)
class Look:
    """Where a study stands among its looks.

    Attributes:
        seeds: of the last look that is whole; 0 before the first.
        following: of the next one; None where the plan declares none, or nothing more was asked for.
        whole: whether the last one covers all that was asked for so far.
        reading: trials that have finished and whose test images are still to be read, where all training has ended.
    """

    seeds: int
    following: int | None
    whole: bool
    reading: int = 0


def looks_so_far(record: StudyRecord) -> list[int]:
    """Return the seeds of each look that the plan has by now, those of seeds that were added among them."""
    upto = len(record.seeds)
    first = record.looks[0].seeds
    sizes = look_sizes(first, upto) if record.spending == "open" else [look.seeds for look in record.looks]
    return sorted({size for size in (*sizes, upto) if size <= upto})


def find_look(record: StudyRecord, results: Mapping[tuple[str, int], TrialResult]) -> Look:
    """Return where a study stands; of a sweep, which reads no test, whether all of it has ended.

    Args:
        results: of the trials that have ended, by rung and seed.
    """
    planned = {rung.name: record.seeds_of(rung.name) for rung in record.rungs}
    unended = [len(seeds) - sum((rung, seed) in results for seed in seeds) for rung, seeds in planned.items()]
    unread = 0
    # The first seed, by its place among all, that some rung has not ended or not read; the looks below it are whole.
    places = {seed: place for place, seed in enumerate(record.seeds)}
    first_open = len(record.seeds)
    for rung, seeds in planned.items():
        for seed in seeds:
            result = results.get((rung, seed))
            waits = result is not None and result.status == "finished" and not result.was_read
            if record.sweep is None and waits:
                unread += 1
            if result is None or (record.sweep is None and waits):
                first_open = min(first_open, places[seed])
    upto = len(record.seeds)
    if record.sweep is not None:
        whole = not any(unended) and bool(results)
        return Look(upto if whole else 0, None, whole)
    sizes = looks_so_far(record)
    done = max((size for size in sizes if size <= first_open), default=0) if results else 0
    following = next((size for size in sizes if size > done), None)
    if following is None and record.spending == "open":
        following = next_size(record.looks[0].seeds, upto + 1)
    return Look(done, following, done == upto, unread if not any(unended) else 0)


def at_look(study: SavedStudy, seeds: int) -> SavedStudy:
    """Return a study as it stood at the look at so many seeds: what came later is left out."""
    record = study.record
    if seeds == len(record.seeds):
        return study
    kept = record.seeds[:seeds]
    # What a rung that needed no more seeds stopped at was settled by then.
    reached = {name: min(number, seeds) for name, number in record.reached.items()}
    added = tuple(one for one in record.added if set(one.seeds) <= set(kept))
    cut = record.model_copy(update={"seeds": kept, "reached": reached, "added": added})
    trials = tuple(trial for trial in study.trials if trial.seed in cut.seeds_of(trial.rung))
    return SavedStudy(study.folder, cut, trials, study.readings, study.edited)


def describe_look(record: StudyRecord, look: Look, *, running: bool) -> str:
    """Say when the next verdict comes, one sentence; empty where nothing more is to come by itself."""
    if record.sweep is not None:
        return "" if look.whole else "A sweep reads no test images. It names its best point when every trial has ended."
    if look.reading:
        return (
            f"All training has ended. Test is being read, {count(look.reading, 'trial')} to go; then comes the verdict."
        )
    if look.whole:
        if look.following is None or not record.contrasts:
            return ""
        return f"More seeds may be added: the next look is at {count(look.following, 'seed')}."
    until = "Until then nothing of test is shown."
    if not look.seeds:
        if not record.contrasts:
            return "Test is read once, when every trial has ended. Until then only validation is shown."
        first = look.following or len(record.seeds)
        return f"No verdict yet. The first look is at {count(first, 'seed')}, when all its trials have ended. {until}"
    goes = "Next look" if running else "The next look is"
    return f"{goes} at {count(look.following or len(record.seeds), 'seed')}. {until}"


def describe_verdict(findings: AnyFindings, look: Look) -> dict[str, Any]:
    """Return what a page says of the last look that is whole, as plain values.

    Figures of test stand there only where that look covers all that was asked for: between two looks they would invite
    to peek at the next.
    """
    if not isinstance(findings, Findings):
        return {"seeds": look.seeds, "headline": [], "sentences": sentences_of(findings), "marks": []}
    marks = [
        {
            "kind": mark.kind,
            "symbol": mark.symbol,
            "name": mark.name,
            "word": mark.word,
            "figures": mark.figures if look.whole else "",
            "needs": mark.decided_by if look.whole else "",
        }
        for mark in verdict_marks(findings)
    ]
    if not look.whole:
        return {"seeds": look.seeds, "headline": [], "sentences": [], "marks": marks}
    return {
        "seeds": look.seeds,
        "headline": describe_answer(findings),
        "sentences": [*describe_limits(findings), *describe_choice(findings)],
        "marks": marks,
    }


@dataclass(frozen=True)
class UnderWay:
    """A trial that runs now: its epochs so far, and the seconds since its owner was first seen at it."""

    trial: Trial
    epochs: Sequence[EpochRecord]


def time_left(
    record: StudyRecord,
    ended: Iterable[tuple[Trial, TrialResult]],
    under_way: Sequence[UnderWay],
    waiting: Sequence[Trial],
) -> Range | None:
    """Return the seconds that are probably left, by what the trials that ended took; None before anything is known.

    The arithmetic is that of a running study, :class:`~stepladder.api.time_left.TimeLeft`; only its first guess is of
    files here and not of a measurement: a rung of which nothing has ended takes what an epoch takes elsewhere.

    Args:
        ended: in the order in which they ended.
    """
    recent: dict[str, list[tuple[Trial, TrialResult]]] = {}
    for trial, result in ended:
        if result.status == "finished" and result.reused_from is None:
            recent.setdefault(trial.rung, []).append((trial, result))
    recent = {rung: found[-_RECENT:] for rung, found in recent.items()}
    pace = [result.seconds / max(1, trial.recipe.epochs) for found in recent.values() for trial, result in found]
    pace += [row.seconds for one in under_way for row in one.epochs if row.epoch > 0]
    if not pace or not (under_way or waiting):
        return None
    known = {rung: fmean(result.seconds for _, result in found) for rung, found in recent.items()}
    epochs = {trial.rung: trial.recipe.epochs for trial in (*waiting, *(one.trial for one in under_way))}
    seconds = {rung: known.get(rung, fmean(pace) * number) for rung, number in epochs.items()} | known
    every = [trial for found in recent.values() for trial, _ in found]
    trials = (*every, *(one.trial for one in under_way), *waiting)
    estimate = Estimate(seconds, {})
    schedule = Schedule(record, trials, 0, estimate, dict.fromkeys(seconds, 1), max(1, len(under_way)))
    clock = [0.0]
    time = TimeLeft(schedule, lambda: clock[0])
    for found in recent.values():
        for trial, result in found:
            clock[0] = 0.0
            time.start(trial)
            clock[0] = result.seconds
            time.end(trial)
    clock[0] = 0.0
    for one in under_way:
        time.start(one.trial)
        for row in one.epochs:
            time.end_epoch(one.trial, row.epoch, row.seconds)
    return time.study_left


def time_left_of_training(epochs: Sequence[EpochRecord], planned: int, since: float) -> Range | None:
    """Return the seconds that are probably left of a training alone, by what its epochs took; None before the first.

    Args:
        epochs: that have ended, the untrained network's evaluation among them.
        planned: epochs in all.
        since: seconds since the last of them ended.
    """
    took = [row.seconds for row in epochs if row.epoch > 0][-_RECENT:]
    if not took:
        return None
    each, done = fmean(took), epochs[-1].epoch
    left = each * max(0, planned - done) - min(max(0.0, since), each)
    return Range.around(max(0.0, left), 1 + (Estimate({}, {}).spread - 1) / (1 + NARROWING * done / max(1, planned)))


def time_left_of_runs(took: Sequence[float], since: Sequence[float], waiting: int) -> Range | None:
    """Return the seconds that are probably left of runs of a command, which tell nothing until they end.

    Args:
        took: seconds of each run that ended.
        since: seconds that each run under way has had.
        waiting: runs that have not begun.
    """
    if not took or not (since or waiting):
        return None
    each = fmean(took[-_RECENT:])
    begun = [max(0.0, each - one) for one in since]
    return Range.around(share_out([each] * waiting, max(1, len(begun)), begun), Estimate({}, {}).spread)
