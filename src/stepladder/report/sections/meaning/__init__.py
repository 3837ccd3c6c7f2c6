"""What the study says: what limits it, a mark for every verdict, and sentences that claim no more than their intervals.

Two rules hold throughout. The test split describes and never chooses, so a rung is recommended by validation accuracy
or not at all. And what helped or hurt is said by a verdict alone, whose interval is adjusted for all comparisons.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, assert_never

from stepladder.report.marks import (
    SYMBOLS,
    WATCHED,
    confidence_of,
    figures_of,
    kind_of,
    opening_of,
    question,
    roughly,
    seeds_range,
    several_kinds,
    verdict_word,
)
from stepladder.report.nothing_learned import opening_sentences
from stepladder.report.scores import describe_scores, describe_unknown
from stepladder.report.section import Section
from stepladder.report.sections.meaning.for_paper import citation, paragraph_for_paper
from stepladder.report.units import (
    Scale,
    amount,
    capital,
    count,
    interval,
    listing,
    mean_and_spread,
    points,
    size,
    time_range,
)
from stepladder.studies.design.rules import DEFAULT_SEEDS, next_size
from stepladder.studies.files.bag_files import BAG_NAME
from stepladder.studies.files.records import Ending
from stepladder.studies.findings import Findings
from stepladder.studies.judging.choice import ChoiceReason
from stepladder.studies.judging.statistics import Effect, RungSummary
from stepladder.studies.judging.verdicts import EVEN, POWER, VERDICTS

#: Names are listed up to so many; of more, the first three, or their number.
_NAMED = 4


class MeaningSection(Section[Findings]):
    """The first lines of the report."""

    key = "meaning"
    heading = "What it says"

    def sentences(self, findings: Findings) -> list[str]:
        """Return all that is said in words."""
        return describe(findings)

    def values(self, findings: Findings) -> dict[str, Any]:
        """Return the words in their parts, and the marks; what a mark or the next section shows is not said again."""
        results, choice = describe_results(findings, brief=True), describe_choice(findings)
        return {
            "limits": describe_limits(findings),
            "headline": describe_answer(findings),
            "choice": choice,
            "answers": [sentence for sentence in results if sentence not in choice],
            "marks": verdict_marks(findings),
            "paragraph": paragraph_for_paper(findings),
            "citation": citation(findings),
        }


@dataclass(frozen=True)
class Strip:
    """Both intervals of an effect drawn to the scale that all marks share, each place from 0, left, to 100, right.

    Attributes:
        zero, mean: of no difference, and of the mean.
        these: where the interval on these test images begins, and how long it is.
        new: the same on new images like them; None without one.
    """

    zero: float
    mean: float
    these: tuple[float, float] | None
    new: tuple[float, float] | None


@dataclass(frozen=True)
class Mark:
    """One verdict as the page's first lines show it: ``kind`` is a key of :data:`SYMBOLS`.

    Attributes:
        figures: mean and interval on these test images; ``new_images`` is that on others like them, empty without one.
        decided_by: what would decide an undecided one; else empty.
    """

    kind: str
    symbol: str
    name: str
    word: str
    figures: str
    new_images: str = ""
    decided_by: str = ""
    strip: Strip | None = None


def _strips(findings: Findings, effects: Sequence[Effect]) -> list[Strip | None]:
    """Draw effects to one scale, as wide as what was seen and half as much again: an interval may go on beyond it."""
    seen = [value for each in effects for value in (*each.differences.values(), 0.0)]
    low, high = min(seen, default=0.0), max(seen, default=0.0)
    slack = (high - low) / 2
    ends = [end for each in effects if each.interval for end in each.interval]
    low, high = max(low - slack, min([low, *ends])), min(high + slack, max([high, *ends]))
    if high <= low:
        return [None] * len(effects)

    def place(value: float) -> float:
        return round(100 * (min(max(value, low), high) - low) / (high - low), 2)

    def span(bounds: tuple[float, float] | None) -> tuple[float, float] | None:
        return None if bounds is None else (place(bounds[0]), round(place(bounds[1]) - place(bounds[0]), 2))

    return [
        None
        if each.mean is None
        else Strip(place(0.0), place(each.mean), span(each.interval), span(findings.on_new_images(each)))
        for each in effects
    ]


def verdict_marks(findings: Findings) -> list[Mark]:
    """Return a mark for every effect but the interactions, in plan order.

    None before test is read, of one seed, or where nothing was learned.
    """
    if not findings.limits.read or len(findings.study.record.seeds) == 1 or findings.nothing_learned:
        return []
    scale, effects = Scale(findings.metric.unit), findings.techniques
    several = several_kinds(effects)
    wider = [scale.interval(bounds, each.most) if (bounds := findings.on_new_images(each)) else "" for each in effects]
    return [
        Mark(
            kind=kind_of(effect),
            symbol=SYMBOLS[kind_of(effect)],
            name=f"{effect.name} ({question(effect.design)})" if several else effect.name,
            word=verdict_word(effect),
            figures=figures_of(scale, effect, ", "),
            new_images=on_new_images,
            decided_by=_needed(findings, effect) if effect.verdict == "undecided" else "",
            strip=strip,
        )
        for effect, on_new_images, strip in zip(effects, wider, _strips(findings, effects), strict=True)
        if effect.mean is not None
    ]


def describe(findings: Findings) -> list[str]:
    """Return what the study says, a sentence or two an item: its limits, the answer, what it rests on, a choice."""
    return [*describe_limits(findings), *describe_answer(findings), *describe_results(findings)]


def describe_limits(findings: Findings) -> list[str]:
    """Return what a reader must know before any figure, a sentence or two an item."""
    limits = findings.limits
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
    sentences += _describe_failed(findings)
    if limits.missing:
        sentences.append(
            f"The study is unfinished: {limits.missing} of {count(limits.planned, 'trial')} "
            f"{'has' if limits.missing == 1 else 'have'} not ended, so every figure may still change."
        )
    if limits.watched_test:
        sentences.append(f"{capital(WATCHED)}.")
    if findings.study.record.scores is not None:
        sentences += describe_scores(findings)
    if findings.nothing_learned is None:  # what to try there says it already
        sentences += _describe_uneven(findings)
    return sentences


def _describe_failed(findings: Findings) -> list[str]:
    """Say which trials diverged, and count, and which were stopped, and are left out."""
    limits, scale = findings.limits, Scale(findings.metric.unit)
    sentences = []
    if diverged := [one for one in limits.failed if one.ending is Ending.DIVERGED]:
        named = [f"{one.rung}, seed {one.seed}, after {count(one.epochs, 'epoch')}" for one in diverged[:3]]
        more = f"; and {len(diverged) - 3} more" if len(diverged) > 3 else ""
        sentences.append(
            f"{len(diverged)} of {count(limits.planned, 'trial')} diverged ({'; '.join(named)}{more}). In every "
            f"difference a seed that diverged counts as a result of {scale.full(limits.failed_counts_as)}. The mean "
            "of a rung is over the seeds that finished."
        )
    stopped = Counter((one.rung, one.ending) for one in limits.failed if one.ending is not Ending.DIVERGED)
    if stopped:
        each = [
            f"{number} of {count(findings.rung(rung).planned, 'seed')} of {rung} {'was' if number == 1 else 'were'} "
            f"{_ended_by(ending)}"
            for (rung, ending), number in stopped.items()
        ]
        others = [f"and {len(each) - _NAMED} more such rungs"] if len(each) > _NAMED else []
        scores = findings.study.record.scores
        why, how = "This says nothing about accuracy, so these seeds", "`retry_failed=True` runs them again"
        if scores is not None and scores.source != "command":
            why, how = "These seeds", "if such a run diverged, `diverged` says what it counts as"
        sentences.append(f"{'; '.join([*each[:_NAMED], *others])}. {why} are left out of every comparison; {how}.")
    return sentences


def _ended_by(ending: Ending) -> str:
    """Return what ended a trial before its last epoch."""
    match ending:
        case Ending.DIVERGED:
            return "ended by a loss that was not finite"
        case Ending.TIMEOUT:
            return "ended by `trial_timeout`"
        case Ending.MEMORY:
            return "ended for want of memory"
        case Ending.MACHINE:
            return "ended by the machine"
        case Ending.ERROR:
            return "ended by an exception"
        case Ending.NO_SCORE:
            return "left without a score"
        case _:
            assert_never(ending)


#: Metrics that count every class alike, however many images it has.
_CLASSES_ALIKE = ("macro_f1", "balanced_accuracy", "auc")


def _describe_uneven(findings: Findings) -> list[str]:
    """Say that the classes are uneven, with the metric that sees the small ones."""
    found = findings.uneven
    if found is None:
        return []
    counts = (
        f"The classes are uneven: of {found.images:,} images, {found.fewest:,} are of {found.smallest} and "
        f"{found.most:,} of {found.largest}."
    )
    label = findings.metric.label
    if findings.metric.name in _CLASSES_ALIKE:
        return [f"{counts} {capital(findings.metric.noun)}, which this study is judged by, counts every class alike."]
    if findings.metric.name != "accuracy":
        return [counts]
    return [
        f"{counts} {capital(label)} hardly sees the small ones; macro F1 counts every class alike (`metric=macro_f1`)."
    ]


def describe_answer(findings: Findings) -> list[str]:
    """Return the answer to what was asked, one sentence: what helps and by how much, and what cannot be told yet."""
    if not findings.limits.finished:
        return ["No trial has finished, so there is nothing to compare."]
    if not findings.limits.read:
        return ["No verdict yet: test has not been read. It is read once, when every planned trial has ended."]
    if findings.nothing_learned:
        return ["So no technique has a verdict, and no recipe is recommended."]
    if len(findings.study.record.seeds) == 1:
        return [f"No verdict is possible: one seed shows no spread. Run it with {DEFAULT_SEEDS} seeds."]
    if not findings.effects:
        return ["The plan compares nothing, so there is no verdict."]
    if all(effect.verdict is None for effect in findings.effects):
        return ["No verdict is possible: no comparison has two seeds in which all its rungs ended."]
    sentences = []
    for kind in findings.kinds:
        chosen = [effect for effect in findings.techniques if effect.design is kind]
        opening = opening_of(kind) if len(findings.kinds) > 1 else ""
        if answer := _answer(findings, chosen):
            sentences.append(_open(opening, answer))
    return sentences


def describe_results(findings: Findings, *, brief: bool = False) -> list[str]:
    """Return what the answer rests on and what follows from it, a sentence or two an item.

    Args:
        brief: leave out what the marks show, and the results of the rungs.
    """
    if not findings.limits.finished or (findings.nothing_learned and findings.limits.read):
        return []
    if not findings.limits.read:
        return _describe_choice(findings)
    return [
        *_describe_verdicts(findings, brief=brief),
        *describe_choice(findings),
        *([] if brief else [_describe_highest(findings)]),
        *_describe_bag(findings),
        *describe_unknown(findings),
    ]


def describe_choice(findings: Findings) -> list[str]:
    """Return which recipe to use now, or why none can be named, and what to try next."""
    if not findings.limits.finished or (findings.nothing_learned and findings.limits.read):
        return []
    advice = findings.advice if findings.limits.read else None
    return [*_describe_choice(findings), *([] if advice is None else [advice])]


def _answer(findings: Findings, effects: Sequence[Effect]) -> str:
    """Write "dropout helps by about 4 points; nothing can be told yet of the other 3 (2 more seeds, about 3 min)"."""
    scale = Scale(findings.metric.unit)
    parts = []
    for verdict, word in (("helped", "helps"), ("hurt", "hurts")):
        found = sorted((e for e in effects if e.verdict == verdict), key=lambda e: -abs(e.mean or 0.0))
        sizes = [roughly(scale, effect) for effect in found]
        if found:
            unit = scale.step.removesuffix("s") if sizes[0] == "1" else scale.step
            others = [f"{effect.name} by about {size}" for effect, size in zip(found[1:], sizes[1:], strict=True)]
            parts.append(listing([f"{found[0].name} {word} by about {sizes[0]} {unit}", *others]))
    if same := [effect.name for effect in effects if effect.identical]:
        parts.append(f"{listing(same)} {'has' if len(same) == 1 else 'have'} no effect at all: the same bits")
    if none := [effect.name for effect in effects if effect.verdict == "equivalent" and not effect.identical]:
        smallest = amount(scale, findings.study.record.smallest_effect)
        parts.append(f"{listing(none)} {'makes' if len(none) == 1 else 'make'} less than {smallest} of difference")
    if undecided := [effect for effect in effects if effect.verdict == "undecided"]:
        names = [effect.name for effect in undecided]
        whole = f"the other {len(names)}" if parts else f"any of the {len(names)}"
        of = listing(names) if len(names) < _NAMED else whole
        parts.append(f"nothing can be told yet of {of}{_what_more(findings, undecided)}")
    if not parts:
        return ""
    sentence = "; ".join(parts)
    # A technique's name stays as one types it; only a word of ours begins with a capital.
    return f"{capital(sentence)}." if sentence.startswith("nothing") else f"{sentence}."


def _what_more(findings: Findings, undecided: Sequence[Effect]) -> str:
    """Say what the next look would take, where there may be one and something may come of it."""
    record, costs = findings.study.record, findings.facts.costs
    if record.spending != "open" or findings.limits.missing or not costs.seconds:
        return ""
    seeds = next_size(record.looks[0].seeds, len(record.seeds) + 1)
    more = seeds - len(record.seeds)
    takes = costs.seconds / len(findings.study.trials) * more * len(record.rungs) / costs.at_a_time
    chance = max(effect.chance_by(seeds - len(effect.stopped)) for effect in undecided)
    likely = "" if chance >= EVEN else ", which would probably not be enough"
    return f" ({count(more, 'more seed')}, {time_range(0.8 * takes, 1.25 * takes)}{likely})"


def _seeds(seeds: Sequence[int]) -> str:
    return f"Seed {seeds[0]} was" if len(seeds) == 1 else f"Seeds {listing([str(seed) for seed in seeds])} were"


def _describe_verdicts(findings: Findings, *, brief: bool) -> list[str]:
    judged = [effect for effect in findings.effects if effect.verdict is not None]
    if len(findings.study.record.seeds) == 1 or not judged:
        return []
    sentences = []
    for kind in findings.kinds:
        opening = opening_of(kind) if len(findings.kinds) > 1 else ""
        chosen = [effect for effect in findings.techniques if effect.design is kind]
        sentences += [_open(opening, sentence) for sentence in _describe_rest(findings, chosen, undecided=not brief)]
    sentences += _describe_order(findings)
    sentences += _describe_gain(findings)
    interactions = [effect for effect in findings.effects if effect.is_interaction]
    if interactions:
        sentences += _describe_interactions(interactions)
        sentences += _describe_rest(findings, interactions)
    return [
        *sentences,
        *_describe_new_images(findings),
        *_describe_confidence(findings),
        *_describe_sensitivity(findings),
    ]


def _open(opening: str, sentence: str) -> str:
    return f"{opening}, {sentence[0].lower()}{sentence[1:]}" if opening else sentence


def _describe_interactions(effects: Sequence[Effect]) -> list[str]:
    """Say which techniques work together, and which against one another."""
    sentences = []
    for verdict in VERDICTS:
        found = [effect for effect in effects if effect.verdict == verdict]
        # Of few that are undecided it is said with what would decide them.
        if found and (verdict != "undecided" or len(found) > _NAMED):
            some = f"{len(found)} of {len(effects)} interactions" if len(found) > _NAMED else ""
            word = verdict_word(found[0])
            sentences.append(f"{capital(word)}: {some or listing([effect.name for effect in found])}.")
    return sentences


def _describe_rest(findings: Findings, effects: Sequence[Effect], *, undecided: bool = True) -> list[str]:
    """Say what neither answer nor table does: what small effects mean, what decides others, what is missing."""
    scale, small = Scale(findings.metric.unit), findings.study.record.smallest_effect
    sentences = []
    tiny = [
        effect.name
        for effect in effects
        if effect.verdict in ("helped", "hurt") and effect.interval and max(map(abs, effect.interval)) <= small
    ]
    if tiny:
        sentences.append(f"What {listing(tiny)} changed is real, and less than the {amount(scale, small)} of interest.")
    needed: dict[str, list[str]] = {}
    for effect in effects:
        if effect.verdict == "undecided":
            needed.setdefault(_needed(findings, effect), []).append(effect.name)
    if undecided and needed and sum(map(len, needed.values())) <= _NAMED:
        sentences.append(f"Undecided: {'; '.join(f'{listing(names)} ({what})' for what, names in needed.items())}.")
    silent = [effect for effect in effects if effect.verdict is None]
    nothing = [effect.name for effect in silent if (effect.name, effect.design) in findings.unjudged]
    if nothing:
        sentences.append(f"No verdict on {listing(nothing)}: the rungs compared learned nothing.")
    without = [effect.name for effect in silent if effect.name not in nothing]
    if without:
        sentences.append(f"No verdict on {listing(without)}: too few seeds in which all rungs ended.")
    return sentences


def _describe_new_images(findings: Findings) -> list[str]:
    """Say which verdicts also hold on new images like the test images, whose chance the verdicts leave out."""
    if findings.study.record.resplit:
        return [
            "Each seed drew its own training, validation and test images, so the verdicts are for new images like "
            "these; they allow for the training images that seeds share (Nadeau and Bengio 2003)."
        ]
    claims = [effect for effect in findings.techniques if effect.verdict in ("helped", "hurt")]
    found = [(effect, bounds) for effect in claims if (bounds := findings.on_new_images(effect)) is not None]
    if not found or findings.test_set is None:
        return []
    holds = [effect.name for effect, (low, high) in found if low > 0 or high < 0]
    open_ones = [effect.name for effect, (low, high) in found if low <= 0 <= high]
    if not open_ones:
        what = "this holds too" if len(holds) == 1 else "all of this holds too"
    elif not holds:
        what = f"it cannot be told whether {listing(open_ones)} would do the same"
    else:
        what = f"this holds for {listing(holds)} too; for {listing(open_ones)} it cannot be told"
    these = count(findings.test_set.images, "test image")
    return [f"The verdicts are for these {these}. On new images like them, {what}."]


def _needed(findings: Findings, effect: Effect) -> str:
    """Say what would decide an undecided effect."""
    record = findings.study.record
    if effect.stopped and effect.interval is None:
        return f"{effect.n} of {count(len(record.seeds), 'seed')} ended in all of its rungs"
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
    scale = Scale(findings.metric.unit)
    whole = f"{scale.difference(findings.gain)} {scale.step}"
    if findings.study.record.notes:
        return [f"The shares (Shapley values) add up to {whole}, an estimate from a fraction of the subsets."]
    return [f"The shares (Shapley values) add up to {whole}, the difference between all techniques and none."]


def _describe_confidence(findings: Findings) -> list[str]:
    ns = sorted({effect.n for effect in findings.effects if effect.interval})
    if not ns:
        return []
    seeds = f"{ns[0]} seeds" if len(ns) == 1 else f"{ns[0]} to {ns[-1]} seeds"
    when = ", however often seeds are added," if findings.study.record.spending == "open" else ""
    right = confidence_of(findings.together, findings.interactions, findings.study.record.alpha, when, findings.unseen)
    if max(findings.together, findings.interactions) > 1:
        return [f"Each interval is of {seeds}. {right}"]
    return [right.replace("The interval is right", f"The interval, of {seeds}, is right")]


def _describe_sensitivity(findings: Findings) -> list[str]:
    """Say which differences the study would find, of techniques and of two together apart: these differ in noise."""
    start = f"With {100 * POWER:.0f} % probability this study detects"
    techniques = _detected(findings, findings.techniques, "comparison")
    interactions = _detected(findings, [one for one in findings.effects if one.is_interaction], "interaction")
    if not techniques:
        return []
    also = f"; of two techniques together, {interactions}" if interactions else ""
    return [f"{start} a difference of {techniques}{also}."]


def _detected(findings: Findings, effects: Sequence[Effect], what: str) -> str:
    """Return the differences that are found among ``effects``, from the least noisy to the noisiest; empty for none."""
    found = sorted(effect.detectable for effect in effects if effect.detectable is not None)
    if not found:
        return ""
    scale = Scale(findings.metric.unit)
    least, most = size(scale, found[0]), size(scale, found[-1])
    if least == most:
        return f"{least} in each {what}" if len(found) > 1 else least
    return f"{least} in its least noisy {what} and {most} in its noisiest"


def _describe_choice(findings: Findings) -> list[str]:
    """Recommend by the plan's metric on validation, or say why nothing can be recommended."""
    choice, metric, scale = findings.choice, findings.metric, Scale(findings.metric.unit)
    extreme = "highest" if metric.higher_is_better else "lowest"
    worse = "above" if metric.higher_is_better else "below"
    what = "recipe" if findings.study.record.scores is None else "rung"
    match choice.reason:
        case ChoiceReason.TOO_FEW:
            return []
        case ChoiceReason.NOTHING_LEARNED:
            if findings.nothing_learned:
                return ["No recipe is recommended: no trial learned anything."]
            return [f"No recipe is recommended: validation chooses {choice.refused}, which did not learn anything."]
        case ChoiceReason.NO_VALIDATION:
            if findings.study.record.scores is not None:
                return [
                    f"No rung is recommended: {findings.metric.label} judges, so it must not choose, and there is no "
                    "other score to choose by."
                ]
            return [
                "No recipe is recommended: test images must not choose one, and none were held out for validation. "
                "Hold out a tenth of the training images to get a recommendation."
            ]
        case ChoiceReason.CONTRADICTED:
            return [
                f"No recipe is recommended: validation chooses {choice.refused}, and on test "
                f"{listing(list(choice.hurt))} hurt. More validation images would tell which is right."
            ]
        case ChoiceReason.BEST | ChoiceReason.SIMPLEST | ChoiceReason.LOWEST:
            mean = f"mean {metric.validation_label}" if choice.seeds > 1 else metric.validation_label
            sure = " without a failed trial" if choice.without_failed else ""
            own = f"{scale.full(choice.validation or 0.0)}, n = {choice.seeds}"
            best = f"{scale.full(choice.best_validation or 0.0)}, {choice.best}"
            caution = "; with one seed this may be luck" if choice.seeds == 1 else ""
            if choice.reason is ChoiceReason.SIMPLEST:
                within = f"of the rungs{sure} whose {mean} lies within noise of the best ({best})"
                return [f"The {what} to use now is {choice.rung}: {within}, it is the simplest{caution}."]
            if choice.rung != choice.best:
                above = f"no rung{sure} is {worse} it by more than noise in {mean} ({extreme}: {best})"
                return [f"The {what} to use now is {choice.rung}, the simplest: {above}{caution}."]
            highest = f"it has the {extreme} {mean}{sure and f' of the rungs{sure}'} ({own})"
            lowest = choice.reason is ChoiceReason.LOWEST
            alone = "is the simplest" if lowest else "no simpler one lies within noise of it"
            return [f"The {what} to use now is {choice.rung}: {highest}, and {alone}{caution}."]
        case _:
            assert_never(choice.reason)


def _describe_highest(findings: Findings) -> str:
    """Describe the test results; which rung to take is not said here."""
    metric, scale = findings.metric, Scale(findings.metric.unit)
    known = [rung for rung in findings.rungs if rung.mean is not None]
    top, first = findings.rung(findings.highest[0]), findings.rungs[0]
    mean = "mean " if any(rung.n > 1 for rung in known) else ""
    extreme = "highest" if metric.higher_is_better else "lowest"
    names = listing(list(findings.highest))
    sentence = f"The {extreme} {mean}{metric.label} is {_score(scale, top)}, on {names}."
    if first.mean is not None and first.rung not in findings.highest:
        sentence += f" The first rung, {first.rung}, has {_score(scale, first)}."
    what = "test images" if findings.study.record.scores is None else "scores"
    return f"{sentence} This describes the {what} and is no verdict." if len(known) > 1 else sentence


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
