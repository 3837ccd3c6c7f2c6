"""What a study means, in plain sentences that claim no more than its numbers do.

Two rules hold throughout. The test split describes and never chooses, so a rung is recommended by validation accuracy
or not at all. And an interval here is not adjusted for the number of comparisons, so nothing is called a verdict.
"""

from __future__ import annotations

from collections.abc import Sequence

from stepladder.report.tables import LadderRow, ladder_rows
from stepladder.report.units import count, hundredths, interval, listing, mean_and_spread, percent, points
from stepladder.study.records import SavedStudy
from stepladder.study.statistics import Comparison, compare_with_below, summarize_rungs

#: Marks every result of a study without validation images.
WATCHED = "report's own protocol: no validation images; the test curve was watched"


def describe(study: SavedStudy) -> list[str]:
    """Return what the study says, a sentence or two an item: first what limits it, then the figures, then a choice."""
    rows = ladder_rows(study)
    sentences = _limits(study)
    if all(row.test is None for row in rows):
        return [*sentences, "No trial has finished, so there is nothing to compare."]
    return [*sentences, *_figures(study, rows), *_choice(study, rows)]


def describe_ladder(study: SavedStudy) -> str:
    """Return what the ladder figure shows, for those who cannot see it."""
    each = [
        f"{row.rung} {percent(row.test)} (n = {row.n})"
        if row.test is not None
        else f"{row.rung} without a finished trial"
        for row in ladder_rows(study)
    ]
    return f"Dot plot of test accuracy by rung, a dot a seed; means: {', '.join(each)}."


def describe_curves(study: SavedStudy) -> str:
    """Return what the curves figure shows, for those who cannot see it."""
    other = "test" if study.record.validation == 0 else "validation"
    each = []
    for row in ladder_rows(study):
        last = row.test if study.record.validation == 0 else row.validation
        if row.train is None or last is None:
            each.append(f"{row.rung} has no finished trial")
        else:
            each.append(f"{row.rung} ends at {percent(row.train)} on train and {percent(last)} on {other}")
    return f"Accuracy and loss against epoch, a panel a rung, on training and {other} images: {'; '.join(each)}."


def _limits(study: SavedStudy) -> list[str]:
    """What a reader must know before any figure."""
    sentences = []
    planned = len(study.record.rungs) * len(study.record.seeds)
    failed = [trial for trial in study.trials if trial.result.status == "failed"]
    if failed:
        named = [
            f"{trial.rung}, seed {trial.seed}, after {count(trial.result.epochs, 'epoch')}" for trial in failed[:3]
        ]
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        sentences.append(
            f"{len(failed)} of {count(planned, 'trial')} failed ({'; '.join(named)}{more}). The means are over the "
            "seeds that finished, which may flatter a rung that fails."
        )
    if study.missing:
        sentences.append(
            f"The study is unfinished: {study.missing} of {count(planned, 'trial')} "
            f"{'has' if study.missing == 1 else 'have'} not ended, so every figure may still change."
        )
    if study.record.validation == 0:
        sentences.append(f"{WATCHED[0].upper()}{WATCHED[1:]}.")
    return sentences


def _figures(study: SavedStudy, rows: Sequence[LadderRow]) -> list[str]:
    comparisons = compare_with_below(summarize_rungs(study))
    sentences = [_highest(rows)]
    if len(study.record.seeds) == 1:
        return [*sentences, "No verdict is possible: one seed shows no spread; run --seeds 3."]
    decided = [comparison for comparison in comparisons if comparison.interval]
    if not decided:
        return [*sentences, "No verdict is possible: no two neighboring rungs share two finished seeds."]
    unequal = len({one.n for one in decided}) > 1
    clear = [_effect(one, unequal) for one in decided if not _includes_zero(one)]
    unclear = [_effect(one, unequal) for one in decided if _includes_zero(one)]
    without = [one.rung for one in comparisons if not one.interval]
    if clear:
        sentences.append(f"Against the rung below, the 95 % t-interval excludes zero for {listing(clear)}.")
    if unclear:
        sentences.append(
            f"{'Undecided' if clear else 'Against the rung below, undecided'}, as the interval includes zero: "
            f"{listing(unclear)}."
        )
    if without:
        sentences.append(
            f"No interval for {listing(without)}: fewer than two seeds finished there and on the rung below."
        )
    each = "" if unequal else f", each of {decided[0].n} pairs," if len(decided) > 1 else f" of {decided[0].n} pairs"
    if len(comparisons) > 1:
        sentences.append(
            f"The interval{'s' if len(decided) > 1 else ''}{each} {'are' if len(decided) > 1 else 'is'} unadjusted for "
            f"{len(comparisons)} comparisons, so this is no verdict yet."
        )
    else:
        sentences.append(f"The interval{each} is unadjusted, so this is no verdict yet.")
    return sentences


def _highest(rows: Sequence[LadderRow]) -> str:
    """Describe the test accuracies; which rung to take is not said here."""
    known = [row for row in rows if row.test is not None]
    top = max(row.test for row in known if row.test is not None)
    highest = [row for row in known if row.test == top]
    mean = "mean test accuracy" if any(row.n > 1 for row in known) else "test accuracy"
    names = listing([row.rung for row in highest])
    sentence = f"The highest {mean} is {_score(highest[0])}, on {names}"
    first = rows[0]
    if first.test is not None and first not in highest:
        sentence += f"; the first rung, {first.rung}, has {_score(first)}"
    return sentence + "."


def _choice(study: SavedStudy, rows: Sequence[LadderRow]) -> list[str]:
    """Recommend by validation accuracy, or say why nothing can be recommended."""
    if study.record.validation == 0:
        return ["No rung is recommended: the test images may not choose one; run with --validation 0.1 to choose."]
    ranked = sorted(
        ((row.validation, row) for row in rows if row.validation is not None), key=lambda pair: pair[0], reverse=True
    )
    if len(ranked) < 2:
        return []
    (value, row), (second_value, second) = ranked[:2]
    if value == second_value:
        tied = [one.rung for score, one in ranked if score == value]
        return [f"By validation accuracy, which may choose, {listing(tied)} share the first place at {percent(value)}."]
    mean = "mean validation accuracy" if row.n > 1 else "validation accuracy"
    caution = "; with one seed this order may be luck" if min(row.n, second.n) == 1 else ""
    return [
        f"To pick one now, take {row.rung}: it has the highest {mean} ({percent(value)}, n = {row.n}), "
        f"{hundredths(value - second_value)} points above {second.rung}{caution}."
    ]


def _score(row: LadderRow) -> str:
    if row.test_sd is None:
        return f"{percent(row.test or 0.0)} (n = {row.n})"
    return f"{mean_and_spread(row.test, row.test_sd)} % (sd, n = {row.n})"


def _effect(comparison: Comparison, with_n: bool) -> str:
    n = f", n = {comparison.n}" if with_n else ""
    return f"{comparison.rung} ({points(comparison.mean)} points, {interval(comparison.interval)}{n})"


def _includes_zero(comparison: Comparison) -> bool:
    return comparison.interval is not None and comparison.interval[0] <= 0 <= comparison.interval[1]
