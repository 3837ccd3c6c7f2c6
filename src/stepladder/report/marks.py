"""How a verdict, and what is asked of a technique, is marked: the words and signs that all sections share.

Everything that depends on the kind of a contrast or on its verdict is a total function, so that mypy names each place
which a new kind still lacks.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import floor, log10
from typing import assert_never

from stepladder.report.units import Scale, count
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.judging.statistics import Effect, RungSummary
from stepladder.studies.judging.verdicts import EVEN, POWER, Verdict

#: Marks every result of a study without validation images.
WATCHED = "no validation images, so the test curve was watched"

#: The sign of each verdict in text, and of none; the charts draw the same shapes.
SYMBOLS = {"helped": "▲", "hurt": "▼", "equivalent": "■", "undecided": "◇", "none": "○"}


def question(kind: ContrastKind) -> str:
    """Return what a contrast asks, in the words of the tables."""
    match kind:
        case ContrastKind.LADDER:
            return "on the ladder"
        case ContrastKind.LEAVE_ONE_OUT:
            return "on top of all others"
        case ContrastKind.ADD_ONE:
            return "alone on the baseline"
        case ContrastKind.SHAPLEY:
            return "share of the gain"
        case ContrastKind.INTERACTION:
            return "together"
        case _:
            assert_never(kind)


def is_of_its_rung(kind: ContrastKind) -> bool:
    """Whether a contrast says what a rung's own techniques add, so that its verdict may stand beside the rung."""
    match kind:
        case ContrastKind.LADDER | ContrastKind.ADD_ONE:
            return True
        case ContrastKind.LEAVE_ONE_OUT | ContrastKind.SHAPLEY | ContrastKind.INTERACTION:
            return False
        case _:
            assert_never(kind)


def opening_of(kind: ContrastKind) -> str:
    """Return how a sentence begins that speaks of one kind of contrast among several."""
    match kind:
        case ContrastKind.LADDER:
            return "On the ladder"
        case ContrastKind.LEAVE_ONE_OUT:
            return "On top of all others"
        case ContrastKind.ADD_ONE:
            return "Alone on the baseline"
        case ContrastKind.SHAPLEY:
            return "Averaged over all orders"
        case ContrastKind.INTERACTION:
            return "Two together"
        case _:
            assert_never(kind)


def compared_with(kind: ContrastKind) -> str:
    """Return what stands over the differences beside the rungs of a figure."""
    match kind:
        case ContrastKind.LADDER:
            return "vs below"
        case ContrastKind.ADD_ONE:
            return "vs baseline"
        case ContrastKind.LEAVE_ONE_OUT | ContrastKind.SHAPLEY | ContrastKind.INTERACTION:
            return "difference"  # of none of these does a rung have one of its own
        case _:
            assert_never(kind)


def roughly(scale: Scale, effect: Effect) -> str:
    """Write the size of an effect, without its unit, with no more digits than half its interval leaves it.

    >>> roughly(Scale(Unit.SHARE), effect)  # doctest: +SKIP
    '4'
    """
    size = abs(effect.mean or 0.0) * scale.factor
    half = 0.0 if effect.interval is None else (effect.interval[1] - effect.interval[0]) / 2 * scale.factor
    most = 1 if scale.share else 3
    digits = min(max(0, -floor(log10(half))), most) if half > 0 else most
    if 0 < size < 10**-digits:
        digits = -floor(log10(size))
    return f"{size:.{digits}f}"


def seeds_range(effect: Effect) -> str:
    """Write how many seeds in all would decide an undecided effect: from an even chance to a probable one.

    >>> seeds_range(effect)  # doctest: +SKIP
    '7 to 14'
    """
    if not effect.decided_by:  # beyond what a forecast looks for
        return f"more than {effect.n}"
    even, probably = (
        next((seeds for seeds, chance in effect.decided_by.items() if chance >= least), None) for least in (EVEN, POWER)
    )
    if even is None:
        return f"more than {max(effect.decided_by)}"
    if probably is None:
        return f"{even} to more than {max(effect.decided_by)}"
    return f"{probably}" if even == probably else f"{even} to {probably}"


def verdict_word(effect: Effect) -> str:
    """Return the verdict in a word or two."""
    if effect.verdict is None:
        return "no verdict"
    if effect.identical:
        return "same bits"
    match effect.design:
        case ContrastKind.LADDER | ContrastKind.LEAVE_ONE_OUT | ContrastKind.ADD_ONE | ContrastKind.SHAPLEY:
            return effect.verdict
        case ContrastKind.INTERACTION:  # which neither helps nor hurts by itself
            return _together(effect.verdict)
        case _:
            assert_never(effect.design)


def _together(verdict: Verdict) -> str:
    match verdict:
        case "helped":
            return "stronger together"
        case "hurt":
            return "weaker together"
        case "equivalent":
            return "independent"
        case "undecided":
            return verdict
        case _:
            assert_never(verdict)


def kind_of(effect: Effect) -> str:
    """Return which of :data:`SYMBOLS` an effect has."""
    return effect.verdict or "none"


def figures_of(scale: Scale, effect: Effect, between: str = " ") -> str:
    """Write an effect's mean and its interval: "+7.02 points [+6.10, +7.94]"."""
    mean = f"{scale.difference(effect.mean)} {scale.step}"
    return f"{mean}{between}{interval_of(scale, effect)}" if effect.interval else mean


def interval_of(scale: Scale, effect: Effect) -> str:
    """Write an effect's interval: "[+6.10, +7.94]"."""
    return scale.interval(effect.interval, effect.most)


def chart_verdict(scale: Scale, effect: Effect | None) -> dict[str, str]:
    """Return a verdict's kind, sign, word and figures for a chart; of a rung that nothing is said of, empty ones."""
    if effect is None:
        return {"kind": "none", "symbol": "", "word": "", "figures": ""}
    kind = kind_of(effect)
    return {
        "kind": kind,
        "symbol": SYMBOLS[kind],
        "word": verdict_word(effect),
        "figures": figures_of(scale, effect),
    }


def confidence_of(techniques: int, interactions: int, alpha: float, when: str, unseen: int = 0) -> str:
    """Return how sure the intervals of a plan are, one sentence: techniques and interactions are a family each.

    >>> confidence_of(5, 0, 0.05, " at any of 3 looks")
    'All 5 intervals are right at once at any of 3 looks with a probability of 95 %.'
    >>> confidence_of(2, 1, 0.05, "")
    'Both intervals of techniques are right at once with a probability of 95 %, and so is that of the interaction.'
    >>> confidence_of(40, 0, 0.05, "", unseen=38)
    'Both intervals and those of 38 comparisons not shown are right at once with a probability of 95 %.'

    Args:
        when: at which looks this holds, with a space or a comma before it.
        unseen: of ``techniques``, those that were tried and are not shown.
    """
    sure = f"{when} with a probability of {100 * (1 - alpha):g} %"
    if not (techniques and interactions):
        judged = techniques or interactions
        if unseen:
            shown = judged - unseen
            which = "The interval" if shown == 1 else f"{_all(shown)} intervals"
            return f"{which} and those of {count(unseen, 'comparison')} not shown are right at once{sure}."
        return f"The interval is right{sure}." if judged == 1 else f"{_all(judged)} intervals are right at once{sure}."
    first = f"{_all(techniques)} intervals of techniques are right at once"
    if interactions == 1:
        return f"{first}{sure}, and so is that of the interaction."
    return f"{first}{sure}, and so are all {interactions} of interactions, which are a family of their own."


def _all(number: int) -> str:
    return "Both" if number == 2 else f"All {number}"


def several_kinds(effects: Iterable[Effect]) -> bool:
    """Whether effects answer different questions, so that each must say which."""
    return len({effect.design for effect in effects}) > 1


def techniques_of(summary: RungSummary) -> tuple[str, ...]:
    """Return what a rung adds and leaves out, each with its sign."""
    return (*(f"+ {name}" for name in summary.adds), *(f"− {name}" for name in summary.lacks))
