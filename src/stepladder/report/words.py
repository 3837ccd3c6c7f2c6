"""What a study means, in plain sentences that claim no more than its numbers do.

Two rules hold throughout. The test split describes and never chooses, so a rung is recommended by validation accuracy
or not at all. And what helped or hurt is said by a verdict alone, whose interval is adjusted for all comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence

from stepladder.report.baseline import describe_baseline
from stepladder.report.tables import RungRow, rung_rows, scale_of
from stepladder.report.units import count, hundredths, listing, percent
from stepladder.report.verdict_words import describe_verdicts
from stepladder.study.design.metrics import find_metric
from stepladder.study.files.records import SavedStudy, StudyRecord

#: Marks every result of a study without validation images.
WATCHED = "report's own protocol: no validation images; the test curve was watched"


def describe(study: SavedStudy) -> list[str]:
    """Return what the study says, a sentence or two an item: what limits it, the verdicts, a choice, the figures."""
    rows = rung_rows(study)
    sentences = limits(study)
    if not any(trial.result.status == "finished" for trial in study.trials):
        return [*sentences, "No trial has finished, so there is nothing to compare."]
    if study.unread or all(row.test is None for row in rows):
        waiting = "test has not been read: that is done once, when every planned trial has ended"
        return [*sentences, f"No verdict yet: {waiting}.", *_choice(study, rows)]
    return [
        *sentences,
        *describe_verdicts(study),
        *_choice(study, rows),
        _highest(study, rows),
        *describe_baseline(study),
    ]


def describe_ladder(study: SavedStudy) -> str:
    """Return what the ladder figure shows, for those who cannot see it."""
    scale, metric = scale_of(study), find_metric(study.record.metric)
    each = [
        f"{row.rung} {scale.full(row.test)} (n = {row.n})" if row.test is not None else f"{row.rung} without a result"
        for row in rung_rows(study)
    ]
    return f"Dot plot of {metric.label} by rung, a dot a seed; means: {', '.join(each)}."


def describe_curves(study: SavedStudy) -> str:
    """Return what the curves figure shows, for those who cannot see it."""
    watching = study.record.validation == 0
    other = "test" if watching else "validation"
    each = []
    for row in rung_rows(study):
        ends = [
            trial.history[-1].test_accuracy
            for trial in study.of_rung(row.rung)
            if trial.result.status == "finished" and watching
        ]
        known = [end for end in ends if end is not None]
        last = (sum(known) / len(known) if known else None) if watching else row.validation
        if row.train is None or last is None:
            each.append(f"{row.rung} has no finished trial")
        else:
            each.append(f"{row.rung} ends at {percent(row.train)} on train and {percent(last)} on {other}")
    return f"Accuracy and loss against epoch, a panel a rung, on training and {other} images: {'; '.join(each)}."


def describe_readings(study: SavedStudy) -> str:
    """Return how often the test images were read, and when, one sentence without its end."""
    record, past = study.record, study.readings
    if not past:
        return "not read yet; read once, when every planned trial has ended"
    looks = len(record.looks)
    if looks == 1 and len(past) == 1:
        return f"read once, after all training had ended ({past[0].time})"
    each = [f"{_READINGS[reading.kind].format(look=reading.look, looks=looks)} ({reading.time})" for reading in past]
    times = "once" if len(past) == 1 else "twice" if len(past) == 2 else f"{len(past)} times"
    return f"read {times}: {listing(each)}"


_READINGS = {
    "planned": "as planned",
    "look": "at declared look {look} of {looks}",
    "added": "for seeds added later",
    "again": "again for trials read before",
}


def limits(study: SavedStudy) -> list[str]:
    """Return what a reader must know before any figure, a sentence or two an item: how :func:`describe` begins."""
    record, planned = study.record, study.record.planned_trials
    sentences = []
    if study.edited:
        sentences.append(f"Do not trust these verdicts: {study.edited}.")
    sentences += _added(record, study)
    failed = [trial for trial in study.trials if trial.result.status == "failed"]
    if failed:
        named = [
            f"{trial.rung}, seed {trial.seed}, after {count(trial.result.epochs, 'epoch')}" for trial in failed[:3]
        ]
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        guess = scale_of(study).full(find_metric(record.metric).failed(len(record.data.class_names)))
        sentences.append(
            f"{len(failed)} of {count(planned, 'trial')} failed ({'; '.join(named)}{more}). A failed seed counts "
            f"against its rung, as guessing ({guess}), in every difference; the rung's own mean is over the seeds that "
            "finished."
        )
    if study.missing:
        sentences.append(
            f"The study is unfinished: {study.missing} of {count(planned, 'trial')} "
            f"{'has' if study.missing == 1 else 'have'} not ended, so every figure may still change."
        )
    if record.validation == 0:
        sentences.append(f"{WATCHED[0].upper()}{WATCHED[1:]}.")
    return sentences


def _added(record: StudyRecord, study: SavedStudy) -> list[str]:
    sentences = []
    late = [str(seed) for added in record.added if added.after_reading for seed in added.seeds]
    early = [str(seed) for added in record.added if not added.after_reading for seed in added.seeds]
    if early:
        sentences.append(f"{_seeds(early)} added to the plan before test was read.")
    if late:
        sentences.append(
            f"{_seeds(late)} added after test had been read, so test was read more than once and the verdicts may be "
            "wrong more often than they say; --seeds auto adds seeds without that."
        )
    if any(reading.kind == "again" for reading in study.readings):
        sentences.append("Test was read again for trials that had been read before; only one reading was planned.")
    return sentences


def _seeds(seeds: list[str]) -> str:
    return f"Seed {seeds[0]} was" if len(seeds) == 1 else f"Seeds {listing(seeds)} were"


def _highest(study: SavedStudy, rows: Sequence[RungRow]) -> str:
    """Describe the test results; which rung to take is not said here."""
    scale, metric = scale_of(study), find_metric(study.record.metric)
    known = [(row.test, row) for row in rows if row.test is not None]
    top = (max if metric.higher_is_better else min)(value for value, _ in known)
    first_ones = [row for value, row in known if value == top]
    mean = "mean " if any(row.n > 1 for _, row in known) else ""
    names = listing([row.rung for row in first_ones])
    extreme = "highest" if metric.higher_is_better else "lowest"
    sentence = f"The {extreme} {mean}{metric.label} is {_score(study, first_ones[0])}, on {names}"
    first = rows[0]
    if first.test is not None and first not in first_ones:
        sentence += f"; the first rung, {first.rung}, has {_score(study, first)}"
    caution = ", which is no verdict" if scale.share and len(known) > 1 else ""
    return f"{sentence}{caution}."


def _choice(study: SavedStudy, rows: Sequence[RungRow]) -> list[str]:
    """Recommend by validation accuracy, or say why nothing can be recommended."""
    if study.record.validation == 0:
        return ["No recipe is recommended: the test images may not choose one; run with --validation 0.1 to choose."]
    ranked = sorted(
        ((row.validation, row) for row in rows if row.validation is not None and not row.failed),
        key=lambda pair: pair[0],
        reverse=True,
    )
    if len(ranked) < 2:
        return []
    (value, row), (second_value, second) = ranked[:2]
    if value == second_value:
        tied = [one.rung for score, one in ranked if score == value]
        tied = tied if len(tied) <= 4 else [*tied[:3], f"{len(tied) - 3} more"]
        return [f"By validation accuracy, which may choose, {listing(tied)} share the first place at {percent(value)}."]
    seeds = len(study.of_rung(row.rung))
    mean = "mean validation accuracy" if seeds > 1 else "validation accuracy"
    caution = "; with one seed this order may be luck" if seeds == 1 else ""
    sure = " of the rungs without a failed trial" if any(each.failed for each in rows) else ""
    return [
        f"The recipe to use now is {row.rung}: it has the highest {mean}{sure} ({percent(value)}, n = {seeds}), "
        f"{hundredths(value - second_value)} points above {second.rung}{caution}."
    ]


def _score(study: SavedStudy, row: RungRow) -> str:
    scale = scale_of(study)
    if row.test_sd is None:
        return f"{scale.full(row.test or 0.0)} (n = {row.n})"
    return f"{scale.spread(row.test, row.test_sd)} {scale.unit} (sd, n = {row.n})"
