"""What a sweep shows, in sentences that claim no more than its figures do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from stepladder.report.nothing_learned import opening_sentences
from stepladder.report.section import Section
from stepladder.report.units import Scale, count, listing, percent
from stepladder.studies.design.sweeps import RATE, AxisRecord, Value, as_text
from stepladder.studies.judging.points import Best, Edge, Point, RateMove, SweepFindings, Trend, to_sweep_document

#: Points beyond these are counted, not listed.
_LISTED = 6
_DIVERGED = "diverged (the loss was not finite)"


class SweepMeaningSection(Section[SweepFindings]):
    """The best point, its rivals, where it lies, and what did not learn."""

    key = "meaning"
    heading = "What it says"

    def sentences(self, findings: SweepFindings) -> list[str]:
        """Return what limits the sweep, and what it shows."""
        return describe_sweep(findings)

    def values(self, findings: SweepFindings) -> dict[str, Any]:
        """Return what the page has before all other sentences: the limits, and the answer."""
        best = findings.best
        return {
            "limits": [*opening_sentences(findings), *_limits(findings)],
            "headline": "" if best is None or not findings.study.trials else next(_best(findings, best)),
        }


def describe_sweep(findings: SweepFindings) -> list[str]:
    """Return what the sweep says: what limits it, what did not learn, the best point and its rivals, where it lies."""
    best = findings.best
    sentences = [*opening_sentences(findings), *_limits(findings)]
    if not findings.study.trials:
        return [*sentences, "No trial has ended, so there is nothing to compare."]
    sentences += _unlearned(findings)
    if best is None and not findings.nothing_learned:
        why = "in every point some seed did not finish, or ended no better than guessing"
        sentences.append(f"There is no best point: {why if findings.complete else 'no point has all its seeds'}.")
    elif best is not None:
        sentences += _best(findings, best)
        sentences += map(_edge, findings.edges)
        if findings.edges and best.by_chance:
            sentences.append("With one seed, its place may be chance.")
        sentences += map(_rate, findings.rates)
    closing = "Test was not read: a sweep chooses by validation images alone."
    if (own := findings.study.record.scores) is not None:
        closing = "A sweep chooses by val alone, and keeps no test score."
        if not own.reads_test:
            closing += " The command has no {read_test}: nothing here can tell whether it read test."
    if best is not None and len(findings.points) > 1:
        extreme = "highest" if findings.metric.higher_is_better else "lowest"
        closing += f" The {extreme} of several means is a little too {extreme[:-3]} by chance."
    return [*sentences, closing]


def sweep_document(findings: SweepFindings) -> dict[str, Any]:
    """Return what ``points.json`` has: the findings as plain values, and the sentences."""
    return {**to_sweep_document(findings), "summary": describe_sweep(findings)}


def _limits(findings: SweepFindings) -> Iterator[str]:
    study, search = findings.study, findings.sweep.search
    if study.edited:
        yield f"Do not trust these figures: {study.edited}."
    if search is not None and search.tried < search.points:
        tried = f"{search.tried} of {count(search.points, 'point')} were tried"
        yield f"The search is unfinished: {tried}. Every figure may still change."
    side = "below" if findings.metric.higher_is_better else "above"
    if search is not None and search.pruned:
        were, their = ("was", "its") if len(search.pruned) == 1 else ("were", "their")
        yield (
            f"{len(search.pruned)} of {count(len(findings.points), 'point')} {were} given up before {their} last seed, "
            f"with a mean {findings.metric.validation_label} {side} the median of the earlier points."
        )
    if study.missing:
        have = "has" if study.missing == 1 else "have"
        yield (
            f"The sweep is unfinished: {study.missing} of {count(study.record.planned_trials, 'trial')} {have} not "
            "ended. Every figure may still change."
        )


def _unlearned(findings: SweepFindings) -> list[str]:
    """Name what diverged and what ended at chance; a value at which nothing learned is named once."""
    found = findings.unlearned
    guessing = _no_better_than_guessing(findings)
    sentences = []
    if found.values:
        others = [axis.key for axis in findings.sweep.axes if axis.key != found.key]
        if not found.diverged:
            how = f"every trial {guessing}"
        elif found.diverged == found.trials:
            how = f"every trial {_DIVERGED}"
        else:
            rest = "the other" if found.trials - found.diverged == 1 else "the others"
            how = f"{found.diverged} of {found.trials} trials {_DIVERGED}, {rest} {guessing}"
        sentences.append(
            f"Nothing learned at {found.key}={_list(found.values)}, whatever the {listing(others)}: {how}."
        )
    if stopped := [_share(point, len(point.stopped)) for point in found.points if point.stopped]:
        sentences.append(
            f"Stopped early, which says nothing about accuracy: {_some(stopped)}. The first was stopped because: "
            f"{found.stopped}."
        )
    if diverged := [_share(point, point.diverged) for point in found.points if point.diverged]:
        sentences.append(f"D{_DIVERGED[1:]}: {_some(diverged)}.")
    if chance := [_share(point, len(point.at_chance)) for point in found.points if point.at_chance]:
        sentences.append(f"E{guessing[1:]}: {_some(chance)}.")
    if not sentences and not findings.study.missing:
        if findings.chance_level is None:
            return ["Every run ended with a score."]
        sentences.append("Every point learned: no loss diverged, and every seed ended better than guessing.")
    return sentences


def _no_better_than_guessing(findings: SweepFindings) -> str:
    """Return how a trial ended that did not diverge and learned nothing; no run of a command is said to."""
    if findings.chance_level is None or findings.validation_images is None:
        return "ended without a score"
    measured = "" if findings.metric.name == "accuracy" else "an accuracy of "
    return (
        f"ended no better than guessing ({measured}{percent(findings.chance_level)} or less on "
        f"{count(findings.validation_images, 'validation image')})"
    )


def _share(point: Point, bad: int) -> str:
    return point.name if bad == point.ended else f"{point.name} ({bad} of {count(point.ended, 'seed')})"


def _best(findings: SweepFindings, best: Best) -> Iterator[str]:
    point, n = best.point, best.point.n
    metric, scale = findings.metric, Scale(findings.metric.unit)
    extreme = "highest" if metric.higher_is_better else "lowest"
    several = len(best.points) > 1
    if several:
        names = [one.name if one.sd is None else f"{one.name} (± {scale.value(one.sd)})" for one in best.points]
        highest = f"the {extreme} {'mean ' if n > 1 else ''}{metric.validation_label}, {scale.full(point.mean or 0)}"
        yield f"{count(len(names), 'point')} share {highest} (n = {n}): {_some(names)}."
    else:
        score, spread = scale.spread(point.mean, point.sd), f"(n = {n})" if point.sd is None else f"(sd, n = {n})"
        mean = "mean " if n > 1 else ""
        yield f"{point.name} has the {extreme} {mean}{metric.validation_label}: {score} {scale.unit} {spread}."
    rivals = len(best.ties) + len(best.beaten)
    if n == 1:
        yield "With one seed no two points can be told apart. Use 3 seeds or more."
    elif rivals and best.margin is not None:
        yield _rivals(best, rivals, "them" if several else "it", scale)


def _rivals(best: Best, rivals: int, them: str, scale: Scale) -> str:
    margin = f"difference of more than {scale.value(best.margin)} {scale.step} is evidence"
    margin += " (Tukey, 95 %; more where seeds differ more)"
    others = count(rivals, "other point")
    if not best.ties:
        which = "the other point" if rivals == 1 else f"all {others}"
        return f"{'They beat' if them == 'them' else 'It beats'} {which} that learned: a {margin}."
    if best.beaten:
        which = f"{len(best.ties)} of the {others} that learned cannot"
    elif rivals == 1:
        which = "The other point that learned cannot"
    else:
        which = f"None of the {others} that learned can"
    named = _some([tie.name for tie in sorted(best.ties, key=lambda tie: -tie.worth)])
    return f"{which} be told apart from {them}: {named}. Only a {margin}."


def _edge(edge: Edge) -> str:
    axis, extreme = edge.axis, "largest" if edge.largest else "smallest"
    if axis.values:
        values = (*axis.values, edge.further) if edge.largest else (edge.further, *axis.values)
        where, further = f"at the {extreme} {axis.key} of the grid", ",".join(map(as_text, values))
    else:
        ends = (axis.low, edge.further) if edge.largest else (edge.further, axis.high)
        where = f"near the {extreme} {axis.key} of the range"
        further = "..".join(_number(end, axis) for end in ends)
    return f"The best is {where}, so a better one may lie beyond. Try {axis.key}={further}."


def _rate(move: RateMove) -> str:
    lacking = f" (at {_list(move.missing)} no point learned with all its seeds)" if move.missing else ""
    (first, low), (last, high) = move.best[0], move.best[-1]
    if move.trend is Trend.SAME:
        return f"{RATE}={as_text(low)} has the highest mean at every {move.key} tried{lacking}."
    each = listing([f"{as_text(rate)} at {as_text(value)}" for value, rate in move.best]) + lacking
    if move.trend is Trend.NEITHER:
        return f"By {move.key}, the best {RATE} is {each}: it has no clear direction."
    ends = f"{as_text(first)} {'and' if move.told else 'or'} at {as_text(last)}"
    rates = f"{as_text(low)} and {as_text(high)}"
    verb = "rise" if move.trend is Trend.RISES else "fall"
    if move.told:
        return f"The best {RATE} {verb}s with {move.key}: {each}. At {ends}, the rates {rates} can be told apart."
    return (
        f"By {move.key}, the best {RATE} is {each}. It seems to {verb}, but that may be chance: at {ends}, the rates "
        f"{rates} cannot be told apart."
    )


def _some(items: Sequence[str]) -> str:
    more = len(items) - _LISTED
    return "; ".join(items if more < 2 else [*items[:_LISTED], f"and {more} more"])


def _list(values: Sequence[Value]) -> str:
    return listing([as_text(value) for value in values])


def _number(value: Value | None, axis: AxisRecord) -> str:
    assert value is not None
    return as_text(int(value) if axis.whole else value)
