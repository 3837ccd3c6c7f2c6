"""What the study says: what limits it, a mark for every verdict, and sentences that claim no more than their intervals.

Two rules hold throughout. The test split describes and never chooses, so a rung is recommended by validation accuracy
or not at all. And what helped or hurt is said by a verdict alone, whose interval is adjusted for all comparisons.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from stepladder.report.marks import (
    SYMBOLS,
    WATCHED,
    figures_of,
    kind_of,
    lead_of,
    opening_of,
    question,
    seeds_range,
    several_kinds,
    verdict_word,
)
from stepladder.report.nothing_learned import opening_sentences
from stepladder.report.section import Section
from stepladder.report.units import (
    Scale,
    amount,
    count,
    hundredths,
    interval,
    listing,
    mean_and_spread,
    percent,
    points,
    size,
)
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.files.bag_files import BAG_NAME
from stepladder.studies.findings import ChoiceReason, Findings
from stepladder.studies.judging.statistics import Effect, RungSummary
from stepladder.studies.judging.verdicts import POWER, Verdict

#: Rungs that are equal first are named up to so many; of more, the first three.
_NAMED = 4


class MeaningSection(Section[Findings]):
    """The first lines of the report."""

    key = "meaning"
    heading = "What it says"

    def sentences(self, findings: Findings) -> list[str]:
        """Return all that is said in words."""
        return describe(findings)

    def values(self, findings: Findings) -> dict[str, Any]:
        """Return the words in two parts, and the marks."""
        return {
            "limits": describe_limits(findings),
            "answers": describe_results(findings),
            "marks": verdict_marks(findings),
        }


@dataclass(frozen=True)
class Mark:
    """One verdict as the page's first lines show it: ``kind`` is a key of :data:`SYMBOLS`."""

    kind: str
    symbol: str
    name: str
    word: str
    figures: str


def verdict_marks(findings: Findings) -> list[Mark]:
    """Return a mark for every effect but the interactions, in plan order.

    None before test is read, of one seed, or where nothing was learned.
    """
    if not findings.limits.read or len(findings.study.record.seeds) == 1 or findings.nothing_learned:
        return []
    scale, effects = Scale(findings.metric.share), findings.techniques
    several = several_kinds(effects)
    return [
        Mark(
            kind=kind_of(effect),
            symbol=SYMBOLS[kind_of(effect)],
            name=f"{effect.name} ({question(effect.design)})" if several else effect.name,
            word=verdict_word(effect),
            figures=figures_of(scale, effect, ", "),
        )
        for effect in effects
        if effect.mean is not None
    ]


def describe(findings: Findings) -> list[str]:
    """Return what the study says, a sentence or two an item: its limits, the verdicts, a choice, the figures."""
    return [*describe_limits(findings), *describe_results(findings)]


def describe_limits(findings: Findings) -> list[str]:
    """Return what a reader must know before any figure, a sentence or two an item."""
    limits, scale = findings.limits, Scale(findings.metric.share)
    sentences = opening_sentences(findings)
    if limits.edited:
        sentences.append(f"Do not trust these verdicts: {limits.edited}.")
    if limits.added_before:
        sentences.append(f"{_seeds(limits.added_before)} added to the plan before test was read.")
    if limits.added_after:
        sentences.append(
            f"{_seeds(limits.added_after)} added after test had been read. Test was therefore read more than once, and "
            "the verdicts may be wrong more often than they say. A plan that chooses the number of seeds by itself "
            "does not have this cost."
        )
    if limits.read_again:
        sentences.append("Test was read again for trials that had been read before; only one reading was planned.")
    if failed := limits.failed:
        named = [f"{one.rung}, seed {one.seed}, after {count(one.epochs, 'epoch')}" for one in failed[:3]]
        more = f"; and {len(failed) - 3} more" if len(failed) > 3 else ""
        sentences.append(
            f"{len(failed)} of {count(limits.planned, 'trial')} failed ({'; '.join(named)}{more}). In every difference "
            f"a failed seed counts as a result of {scale.full(limits.failed_counts_as)}. The mean of a rung is over "
            "the seeds that finished."
        )
    if limits.missing:
        sentences.append(
            f"The study is unfinished: {limits.missing} of {count(limits.planned, 'trial')} "
            f"{'has' if limits.missing == 1 else 'have'} not ended, so every figure may still change."
        )
    if limits.watched_test:
        sentences.append(f"{WATCHED[0].upper()}{WATCHED[1:]}.")
    return sentences


def describe_results(findings: Findings) -> list[str]:
    """Return what follows from the trials so far, a sentence or two an item."""
    if not findings.limits.finished:
        return ["No trial has finished, so there is nothing to compare."]
    if not findings.limits.read:
        waiting = "No verdict yet: test has not been read. It is read once, when every planned trial has ended."
        return [waiting, *_describe_choice(findings)]
    if findings.nothing_learned:
        return ["So no technique has a verdict, and no recipe is recommended."]
    return [
        *_describe_verdicts(findings),
        *_describe_choice(findings),
        _describe_highest(findings),
        *_describe_bag(findings),
    ]


def _seeds(seeds: Sequence[int]) -> str:
    return f"Seed {seeds[0]} was" if len(seeds) == 1 else f"Seeds {listing([str(seed) for seed in seeds])} were"


def _describe_verdicts(findings: Findings) -> list[str]:
    if len(findings.study.record.seeds) == 1:
        return ["No verdict is possible: one seed shows no spread. Run it with three seeds or more."]
    techniques = findings.techniques
    if not findings.effects:
        return ["The plan compares nothing, so there is no verdict."]
    if all(effect.verdict is None for effect in findings.effects):
        return ["No verdict is possible: no comparison has two seeds in which all its rungs ended."]
    sentences = []
    if techniques and not any(effect.verdict in ("helped", "hurt") for effect in techniques):
        sentences.append("No effect is certain yet.")
    for kind in findings.kinds:
        opening = opening_of(kind) if len(findings.kinds) > 1 else ""
        chosen = [effect for effect in techniques if effect.design is kind]
        sentences += [_open(opening, sentence) for sentence in _by_verdict(findings, chosen, kind)]
    sentences += _describe_order(findings)
    sentences += _describe_gain(findings)
    interactions = [effect for effect in findings.effects if effect.is_interaction]
    if interactions:
        sentences += _by_verdict(findings, interactions, ContrastKind.INTERACTION)
    return [*sentences, _describe_confidence(findings), *_describe_sensitivity(findings)]


def _open(opening: str, sentence: str) -> str:
    return f"{opening}, {sentence[0].lower()}{sentence[1:]}" if opening else sentence


def _by_verdict(findings: Findings, effects: Sequence[Effect], kind: ContrastKind) -> list[str]:
    sentences = []
    unequal = len({effect.n for effect in effects}) > 1
    smallest = amount(Scale(findings.metric.share), findings.study.record.smallest_effect)
    verdicts: tuple[Verdict, ...] = ("helped", "hurt", "equivalent")
    for verdict in verdicts:
        found = [_describe_effect(findings, effect, unequal) for effect in effects if effect.verdict == verdict]
        within = f", within ± {smallest}" if verdict == "equivalent" else ""
        if found:
            sentences.append(f"{lead_of(kind, verdict)}{within}: {listing(found)}.")
    undecided = [effect for effect in effects if effect.verdict == "undecided"]
    if kind is ContrastKind.INTERACTION and len(undecided) > 3:
        sentences.append(f"Undecided: {len(undecided)} of {len(effects)} interactions; the table has their intervals.")
    elif undecided:
        found = [_describe_effect(findings, one, unequal, _needed(findings, one)) for one in undecided]
        sentences.append(f"{lead_of(kind, 'undecided')}: {listing(found)}.")
    silent = [effect for effect in effects if effect.verdict is None]
    nothing = [effect.name for effect in silent if (effect.name, effect.design) in findings.unjudged]
    if nothing:
        sentences.append(f"No verdict on {listing(nothing)}: the rungs compared learned nothing.")
    without = [effect.name for effect in silent if effect.name not in nothing]
    if without:
        sentences.append(f"No verdict on {listing(without)}: too few seeds in which all rungs ended.")
    return sentences


def _describe_effect(findings: Findings, effect: Effect, with_n: bool, *more: str) -> str:
    """Write one effect: "dropout (−0.51 points, [−0.86, −0.17])"."""
    assert effect.interval is not None
    scale, small = Scale(findings.metric.share), findings.study.record.smallest_effect
    parts = [figures_of(scale, effect, ", ")]
    parts += [f"n = {effect.n}"] if with_n else []
    if effect.verdict in ("helped", "hurt") and max(map(abs, effect.interval)) <= small:
        parts.append(f"less than the {amount(scale, small)} of interest")
    if effect.failed:
        parts.append(f"{count(len(effect.failed), 'failed seed')}")
    return f"{effect.name} ({', '.join([*parts, *more])})"


def _needed(findings: Findings, effect: Effect) -> str:
    """Say what would decide an undecided effect."""
    record = findings.study.record
    if record.spending == "open":
        return f"{seeds_range(effect)} seeds would decide it"
    return "another look is planned" if effect.look < len(record.looks) else "no look is left"


def _describe_order(findings: Findings) -> list[str]:
    """Say for which techniques the ladder and leaving one out disagree."""
    if findings.order is None:
        return []
    sentences = []
    if apart := list(findings.order.apart):
        sentences.append(
            f"Order matters for {listing(apart)}: the intervals on the ladder and on top of all others do not overlap."
        )
    if alike := list(findings.order.alike):
        sentences.append(
            f"For {listing(alike)} the intervals on the ladder and on top of all others overlap, so the study does not "
            "show that order matters."
        )
    return sentences


def _describe_gain(findings: Findings) -> list[str]:
    """Say what the Shapley values add up to."""
    if findings.gain is None:
        return []
    scale = Scale(findings.metric.share)
    whole = f"{scale.difference(findings.gain)} {scale.step}"
    if findings.study.record.notes:
        return [f"The shares (Shapley values) add up to {whole}, an estimate from a fraction of the subsets."]
    return [f"The shares (Shapley values) add up to {whole}, the difference between all techniques and none."]


def _describe_confidence(findings: Findings) -> str:
    share = f"{100 * (1 - findings.study.record.alpha):g} %"
    ns = sorted({effect.n for effect in findings.techniques or findings.effects if effect.interval})
    pairs = f"{ns[0]} pairs" if len(ns) == 1 else f"{ns[0]} to {ns[-1]} pairs"
    together = findings.together or findings.interactions
    however = ", however often seeds are added," if findings.study.record.spending == "open" else ""
    if together == 1:
        return f"The interval, of {pairs} of trials, is right{however} with a probability of {share}."
    return (
        f"Each interval is of {pairs} of trials and is adjusted for {together} comparisons. All intervals are right at "
        f"once{however} with a probability of {share}."
    )


def _describe_sensitivity(findings: Findings) -> list[str]:
    found = sorted(effect.detectable for effect in findings.techniques if effect.detectable is not None)
    if not found:
        return []
    scale = Scale(findings.metric.share)
    least, most = size(scale, found[0]), size(scale, found[-1])
    start = f"With {100 * POWER:.0f} % probability this study detects a difference of {least}"
    if least == most:
        return [f"{start}{' in each comparison' if len(found) > 1 else ''}."]
    return [f"{start} in its least noisy comparison and {most} in its noisiest."]


def _describe_choice(findings: Findings) -> list[str]:
    """Recommend by validation accuracy, or say why nothing can be recommended."""
    choice = findings.choice
    match choice.reason:
        case ChoiceReason.TOO_FEW:
            return []
        case ChoiceReason.NOTHING_LEARNED:
            which = "no trial" if findings.nothing_learned else "the rung with the highest validation accuracy did not"
            learned = "learned anything" if findings.nothing_learned else "learn anything"
            return [f"No recipe is recommended: {which} {learned}."]
        case ChoiceReason.NO_VALIDATION:
            return [
                "No recipe is recommended: test images must not choose one, and none were held out for validation. "
                "Hold out a tenth of the training images to get a recommendation."
            ]
        case ChoiceReason.TIED:
            tied = list(choice.rungs)
            tied = tied if len(tied) <= _NAMED else [*tied[: _NAMED - 1], f"{len(tied) - _NAMED + 1} more"]
            return [
                f"On validation accuracy, the only score used to choose, {listing(tied)} are equal first "
                f"({percent(choice.validation or 0.0)})."
            ]
        case ChoiceReason.HIGHEST:
            mean = "mean validation accuracy" if choice.seeds > 1 else "validation accuracy"
            sure = " of the rungs without a failed trial" if choice.without_failed else ""
            caution = "; with one seed this order may be luck" if choice.seeds == 1 else ""
            return [
                f"The recipe to use now is {choice.rungs[0]}: it has the highest {mean}{sure} "
                f"({percent(choice.validation or 0.0)}, n = {choice.seeds}), {hundredths(choice.ahead)} points above "
                f"{choice.second}{caution}."
            ]
        case _:
            assert_never(choice.reason)


def _describe_highest(findings: Findings) -> str:
    """Describe the test results; which rung to take is not said here."""
    metric, scale = findings.metric, Scale(findings.metric.share)
    known = [rung for rung in findings.rungs if rung.mean is not None]
    top, first = findings.rung(findings.highest[0]), findings.rungs[0]
    mean = "mean " if any(rung.n > 1 for rung in known) else ""
    extreme = "highest" if metric.higher_is_better else "lowest"
    names = listing(list(findings.highest))
    sentence = f"The {extreme} {mean}{metric.label} is {_score(scale, top)}, on {names}."
    if first.mean is not None and first.rung not in findings.highest:
        sentence += f" The first rung, {first.rung}, has {_score(scale, first)}."
    return f"{sentence} This describes the test images and is no verdict." if len(known) > 1 else sentence


def _score(scale: Scale, rung: RungSummary) -> str:
    assert rung.mean is not None
    if rung.sd is None:
        return f"{scale.full(rung.mean)} (n = {rung.n})"
    return f"{scale.spread(rung.mean, rung.sd)} {scale.unit} (sd, n = {rung.n})"


def _describe_bag(findings: Findings) -> list[str]:
    """Say what the bag of words reaches beside the rungs; nothing where it cannot be compared."""
    bag = findings.bag
    if bag is None or bag.difference is None:
        return []
    bounds = f" (Welch's 95 % interval over seeds: {interval(bag.bounds)})" if bag.bounds else ""
    return [
        f"Without a network, a {BAG_NAME} ({bag.saved.record.settings.descriptor}, linear SVM) reaches "
        f"{mean_and_spread(bag.mean, bag.sd)} % test accuracy (n = {len(bag.scores)}). The first rung, {bag.rung}, "
        f"differs from it by {points(bag.difference)} points{bounds}. This comparison is not in the plan and is no "
        "verdict."
    ]
