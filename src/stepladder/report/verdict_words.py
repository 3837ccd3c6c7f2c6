"""What helped, what hurt, what is the same, what is open: sentences that claim no more than their intervals do."""

from __future__ import annotations

from collections.abc import Sequence

from stepladder.report.tables import scale_of
from stepladder.report.units import Scale, amount, count, listing, size
from stepladder.study.files.records import SavedStudy, StudyRecord
from stepladder.study.judging.statistics import Effect, judged_together, weigh_effects
from stepladder.study.judging.verdicts import MOST_SEEDS_SOUGHT

#: How a sentence on one design begins, where a plan has several.
_OPENINGS = {
    "ladder": "On the ladder, added to all before it",
    "leave-one-out": "Left out of all, so on top of all others",
}

_LEADS = {
    "technique": {"helped": "Helped", "hurt": "Hurt", "equivalent": "Equivalent to leaving it out"},
    "interaction": {
        "helped": "Together worth more than each alone",
        "hurt": "In each other's way",
        "equivalent": "Independent of each other",
    },
}


def describe_verdicts(study: SavedStudy) -> list[str]:
    """Return what the plan's contrasts say, a sentence an item; test has been read."""
    record = study.record
    if len(record.seeds) == 1:
        return ["No verdict is possible: one seed shows no spread; run --seeds 3."]
    effects = weigh_effects(study)
    techniques = [effect for effect in effects if not effect.is_interaction]
    if all(effect.verdict is None for effect in techniques):
        return ["No verdict is possible: no comparison has two seeds in which its rungs ended."]
    scale = scale_of(study)
    sentences = []
    if not any(effect.verdict in ("helped", "hurt") for effect in techniques):
        sentences.append("Of no technique can it be said that it helped or hurt.")
    designs = list(dict.fromkeys(effect.design for effect in techniques))
    for design in designs:
        opening = f"{_OPENINGS[design]}: " if len(designs) > 1 else ""
        chosen = [effect for effect in techniques if effect.design == design]
        sentences += [f"{opening}{sentence}" for sentence in _by_verdict(record, scale, chosen, "technique")]
    sentences += _order(effects)
    sentences += _gain(record, scale, techniques)
    sentences += _by_verdict(record, scale, [effect for effect in effects if effect.is_interaction], "interaction")
    return [*sentences, _confidence(record, techniques), *_sensitivity(scale, techniques)]


def _by_verdict(record: StudyRecord, scale: Scale, effects: Sequence[Effect], kind: str) -> list[str]:
    sentences = []
    unequal = len({effect.n for effect in effects}) > 1
    for verdict, lead in _LEADS[kind].items():
        found = [_effect(record, scale, effect, unequal) for effect in effects if effect.verdict == verdict]
        if verdict == "equivalent":
            lead += f", within ± {amount(scale, record.smallest_effect)}"
        if found:
            sentences.append(f"{lead}: {listing(found)}.")
    undecided = [_undecided(record, scale, effect, unequal) for effect in effects if effect.verdict == "undecided"]
    if kind == "interaction" and len(undecided) > 3:
        sentences.append(f"Undecided: {len(undecided)} of {len(effects)} interactions; the table has their intervals.")
    elif undecided:
        sentences.append(f"Undecided: {listing(undecided)}.")
    without = [effect.name for effect in effects if effect.verdict is None]
    if without:
        sentences.append(f"No verdict on {listing(without)}: too few seeds in which its rungs ended.")
    return sentences


def _effect(record: StudyRecord, scale: Scale, effect: Effect, with_n: bool, more: str = "") -> str:
    """Write one effect: "dropout (−0.51 points, [−0.86, −0.17])"."""
    assert effect.interval is not None
    parts = [f"{scale.difference(effect.mean)} {scale.step}", scale.interval(effect.interval)]
    parts += [f"n = {effect.n}"] if with_n else []
    small = record.smallest_effect
    if effect.verdict in ("helped", "hurt") and max(map(abs, effect.interval)) <= small:
        parts.append(f"yet less than the {amount(scale, small)} of interest")
    if effect.failed:
        parts.append(f"{count(len(effect.failed), 'seed')} failed and counted as guessing")
    return f"{effect.name} ({', '.join(parts)}{more})"


def _undecided(record: StudyRecord, scale: Scale, effect: Effect, with_n: bool) -> str:
    if len(record.looks) > 1:
        left = effect.look < len(record.looks)
        more = ", with a declared look to come" if left else ", every declared look used up"
    elif effect.seeds_needed is None:
        more = f", more than {MOST_SEEDS_SOUGHT:,} seeds to decide"
    else:
        more = f", about {effect.seeds_needed} seeds to decide"
    return _effect(record, scale, effect, with_n, more)


def _order(effects: Sequence[Effect]) -> list[str]:
    """Say for which techniques ladder and leave-one-out disagree: their intervals, which hold together, are apart."""
    ladder = {effect.name: effect for effect in effects if effect.design == "ladder"}
    left_out = {effect.name: effect for effect in effects if effect.design == "leave-one-out"}
    apart: list[str] = []
    alike: list[str] = []
    for name in ladder:
        one, other = ladder[name].interval, left_out[name].interval if name in left_out else None
        if one is None or other is None:
            continue
        (apart if one[0] > other[1] or other[0] > one[1] else alike).append(name)
    sentences = []
    if apart:
        each = "its" if len(apart) == 1 else "their"
        sentences.append(
            f"Order matters for {listing(apart)}: {each} intervals on the ladder and left out of all do not meet."
        )
    if alike:
        sentences.append(
            f"For {listing(alike)} the two agree within their intervals, so the study does not show that order matters."
        )
    return sentences


def _gain(record: StudyRecord, scale: Scale, techniques: Sequence[Effect]) -> list[str]:
    """Say what the Shapley values add up to."""
    shares = [effect.mean for effect in techniques if effect.design == "shapley" and effect.mean is not None]
    if not shares or len({effect.n for effect in techniques}) > 1:
        return []
    whole = f"{scale.difference(sum(shares))} {scale.step}"
    if record.notes:
        return [f"The effects add up to {whole}, which a fraction of the subsets estimates and does not measure."]
    return [f"The shares (Shapley values) add up to the {whole} between no technique and all of them."]


def _confidence(record: StudyRecord, techniques: Sequence[Effect]) -> str:
    together = judged_together(record)
    share = f"{100 * (1 - record.alpha):g} %"
    ns = sorted({effect.n for effect in techniques if effect.interval})
    pairs = f"{ns[0]} pairs" if len(ns) == 1 else f"{ns[0]} to {ns[-1]} pairs"
    if together == 1:
        return f"The interval, of {pairs}, holds with a probability of {share}."
    return (
        f"The intervals, of {pairs} each, are adjusted for {together} comparisons: all of them hold together with a "
        f"probability of {share}."
    )


def _sensitivity(scale: Scale, techniques: Sequence[Effect]) -> list[str]:
    found = sorted(effect.detectable for effect in techniques if effect.detectable is not None)
    if not found:
        return []
    if len(found) == 1:
        return [f"A true difference of {size(scale, found[0])} would have been found four times out of five."]
    return [
        f"A true difference would have been found four times out of five if it were {size(scale, found[0])}, in the "
        f"comparison whose seeds agree most, or {size(scale, found[-1])}, in the one whose seeds agree least."
    ]
