"""What a sweep shows, in sentences that claim no more than its figures do."""

from __future__ import annotations

from collections.abc import Sequence

from stepladder.report.sweep.edges import describe_edges
from stepladder.report.sweep.rates import describe_rates
from stepladder.report.units import count, hundredths, listing, percent
from stepladder.study.design.axes import RATE, as_text
from stepladder.study.design.sweep_records import SweepRecord
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.points import Best, Point, chance_bar, find_best, is_broken, summarize_points

#: Points beyond these are counted, not listed.
_LISTED = 6
_CLOSING = "Test was not read: a sweep chooses by validation images alone"


def describe_sweep(study: SavedStudy) -> list[str]:
    """Return what the sweep says: what limits it, what did not learn, the best point and its rivals, where it lies."""
    sweep = study.record.sweep
    assert sweep is not None
    points = summarize_points(study)
    sentences = _limits(study, sweep, points)
    if not study.trials:
        return [*sentences, "No trial has ended, so there is nothing to compare."]
    sentences += _not_learned(study, sweep, points)
    best = find_best(points, study.record.data.counts["validation"])
    if best is None:
        complete = any(point.n and not point.missing for point in points)
        why = "in any of them some seed failed or ended no better than guessing" if complete else "none has all seeds"
        return [*sentences, f"There is no best point: {why}.", f"{_CLOSING}."]
    sentences += _best(best)
    sentences += describe_edges(study, best)
    sentences += describe_rates(study, points, best)
    flattered = "; the highest of several is a little too high by chance" if len(points) > 1 else ""
    return [*sentences, f"{_CLOSING}{flattered}."]


def _limits(study: SavedStudy, sweep: SweepRecord, points: Sequence[Point]) -> list[str]:
    sentences = []
    if study.edited:
        sentences.append(f"Do not trust these figures: {study.edited}.")
    search, planned = sweep.search, study.record.planned_trials
    if search is not None:
        if search.tried < search.points:
            tried = f"{search.tried} of {count(search.points, 'point')} were tried"
            sentences.append(f"The search is unfinished: {tried}, so every figure may still change.")
        if search.pruned:
            verb = "was" if len(search.pruned) == 1 else "were"
            sentences.append(
                f"{len(search.pruned)} of {count(len(points), 'point')} {verb} given up before the last seed, the mean "
                "validation accuracy so far being below the median of the points before."
            )
    if study.missing:
        verb = "has" if study.missing == 1 else "have"
        sentences.append(
            f"The sweep is unfinished: {study.missing} of {count(planned, 'trial')} {verb} not ended, so every figure "
            "may still change."
        )
    return sentences


def _not_learned(study: SavedStudy, sweep: SweepRecord, points: Sequence[Point]) -> list[str]:
    """Name what diverged and what ended at chance; a value at which nothing learned is named once."""
    keys = [axis.key for axis in sweep.axes]
    first = keys.index(RATE) if RATE in keys else 0
    images = study.record.data.counts["validation"]
    guessing = f"ended no better than guessing ({percent(chance_bar(study))} or less on {images:,} validation images)"
    values = dict.fromkeys(point.values[first] for point in points)
    groups = {value: [point for point in points if point.values[first] == value] for value in values}
    hopeless = {
        value: there
        for value, there in groups.items()
        if len(there) > 1
        and not any(point.broken for point in there)
        and all(0 < point.n == len(point.failed) + len(point.at_chance) for point in there)
    }
    sentences = []
    if hopeless:
        others = listing([key for key in keys if key != keys[first]])
        trials = sum(point.n for there in hopeless.values() for point in there)
        failed = sum(len(point.failed) for there in hopeless.values() for point in there)
        if not failed:
            how = f"every trial {guessing}"
        elif failed == trials:
            how = "every trial diverged, the loss being no longer finite"
        else:
            rest = "the other" if trials - failed == 1 else "the others"
            how = f"{failed} of {trials} trials diverged, the loss being no longer finite, {rest} {guessing}"
        at = listing([as_text(value) for value in hopeless])
        sentences.append(f"Nothing learned at {keys[first]}={at}, whatever the {others}: {how}.")
    left = [point for point in points if point.values[first] not in hopeless]
    if broken := [_share(point, len(point.broken)) for point in left if point.broken]:
        reason = next(trial.result.failure for trial in study.trials if is_broken(trial.result))
        sentences.append(f"Failed, and counted as guessing: {_some(broken)}. The first failure: {reason}.")
    if failed_ones := [_share(point, point.diverged) for point in left if point.diverged]:
        sentences.append(f"Diverged, the loss being no longer finite: {_some(failed_ones)}.")
    if chance := [_share(point, len(point.at_chance)) for point in left if point.at_chance]:
        sentences.append(f"{guessing[0].upper()}{guessing[1:]}: {_some(chance)}.")
    if not sentences and not study.missing:
        sentences.append("No point diverged: every loss stayed finite, and every seed ended better than guessing.")
    return sentences


def _share(point: Point, bad: int) -> str:
    return point.name if bad == point.n else f"{point.name} ({bad} of {count(point.n, 'seed')})"


def _best(best: Best) -> list[str]:
    point = best.point
    n = point.n
    score = hundredths(point.mean) if point.sd is None else f"{hundredths(point.mean)} ± {hundredths(point.sd)}"
    spread = f"(sd, n = {n})" if point.sd is not None else f"(n = {n})"
    mean = "mean " if n > 1 else ""
    names = [one.name if one.sd is None else f"{one.name} (± {hundredths(one.sd)})" for one in best.points]
    if len(names) == 1:
        sentence = f"The highest {mean}validation accuracy is {score} % {spread}, at {point.name}"
    else:
        more = names if len(names) <= _LISTED else [*names[:_LISTED], f"{len(names) - _LISTED} more"]
        places = "; ".join(more)
        sentence = (
            f"{count(len(names), 'point')} share the highest {mean}validation accuracy, {percent(point.mean or 0)}"
        )
        sentence += f" (n = {n}): {places}"
    sentences = [f"{sentence}."]
    rivals = len(best.ties) + len(best.beaten)
    if n == 1:
        return [
            *sentences,
            "With one seed there is no spread, so that no point can be told from another; add --seeds 3.",
        ]
    if not rivals or best.margin is None:
        return sentences
    margin = f"less than {hundredths(best.margin)} points between two means is no evidence (Tukey, 95 %)"
    others = count(rivals, "other point")
    if not best.ties:
        which = "the other point that learned" if rivals == 1 else f"all {others} that learned"
        return [*sentences, f"It can be told from {which}: {margin}."]
    if best.beaten:
        which = f"{len(best.ties)} of the {others}"
    else:
        which = "The other point" if rivals == 1 else f"None of the {others}"
    verb = "can" if which.startswith("None") else "cannot"
    named = _some([tie.name for tie in sorted(best.ties, key=lambda tie: -(tie.mean or 0))])
    return [*sentences, f"{which} that learned {verb} be told from it, as {margin}: {named}."]


def _some(items: Sequence[str]) -> str:
    more = len(items) - _LISTED
    return "; ".join(items if more < 2 else [*items[:_LISTED], f"and {more} more"])
