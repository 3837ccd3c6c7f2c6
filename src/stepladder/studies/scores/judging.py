"""Scores as a study: the same plan, record, looks and verdicts, so that both are judged by the same code."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from statistics import fmean

from stepladder.errors import StudyError, some_of, unknown
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.design.rules import FEWEST_JUDGED, MOST_SEEDS, final_share, first_share
from stepladder.studies.files.integrity import hash_plan
from stepladder.studies.files.records import (
    ContrastRecord,
    DataRecord,
    LookRecord,
    Machine,
    RungRecord,
    SavedStudy,
    SavedTrial,
    ScoresRecord,
    StudyRecord,
    TrialResult,
)
from stepladder.studies.scores.columns import FoundScores, Score
from stepladder.training.metrics import OWN_SMALLEST_EFFECT

#: What compares the variants of a table: each with the baseline, or with the one before it.
PLANS = ("add-one", "ladder")

#: Variants that are compared at most: each is a comparison, and the error rate is divided by their number.
MOST_VARIANTS = 1000

#: Names of the variant that the others are compared with, where nobody says which it is.
_BASELINES = ("baseline", "base", "control", "default", "vanilla", "reference", "plain", "none")

#: The machine of a run that nobody tells of.
UNKNOWN_MACHINE = Machine(processor="not known", cores=1, memory_gb=0.0, accelerator=None, system="not known")


@dataclass(frozen=True)
class JudgeRules:
    """By what scores are judged.

    Attributes:
        plan: ``add-one`` compares every variant with the baseline, ``ladder`` each with the one before it.
        baseline: the variant that others are compared with; by default the one called baseline, base, control, …, or
            the first.
        alpha: chance of any wrong "helped" or "hurt", above 0 and at most 0.5.
        smallest_effect: smallest effect of interest, in fractions of 1 where scores are shares, else in their unit.
        final: judge once, with all of ``alpha``; else some is kept for when seeds are added.
        first_look: seeds at which these scores were judged for the first time; by default, as many as there are now.
        tried: comparisons that were tried in all, shown or not; None for those that are shown.
        diverged: what a run without a score counts as; None leaves it out.
        images: test images behind each score, which is then a share of so many.
    """

    plan: str = "add-one"
    baseline: str | None = None
    alpha: float = 0.05
    smallest_effect: float | None = None
    final: bool = False
    first_look: int | None = None
    tried: int | None = None
    diverged: float | None = None
    images: int | None = None

    def check(self) -> None:
        """Raise StudyError where a value is out of range."""
        if self.plan not in PLANS:
            raise StudyError(unknown("plan", self.plan, PLANS))
        if not 0 < self.alpha <= 0.5:
            raise StudyError(f"`alpha` is {self.alpha:g}; it must be above 0 and at most 0.5, and 0.05 is usual")
        if self.smallest_effect is not None and not 0 <= self.smallest_effect < math.inf:
            raise StudyError(f"`smallest_effect` is {self.smallest_effect}; it must be 0 or more")
        for name, value in (("tried", self.tried), ("images", self.images)):
            if value is not None and value < 1:
                raise StudyError(f"`{name}` is {value}; it must be at least 1")
        if self.first_look is not None and not FEWEST_JUDGED <= self.first_look <= MOST_SEEDS:
            raise StudyError(f"`first_look` is {self.first_look}; it must be {FEWEST_JUDGED} to {MOST_SEEDS}")
        if self.first_look is not None and self.final:
            raise StudyError("`final` judges once, and `first_look` says that it was judged before; leave one out")
        if self.diverged is not None and not math.isfinite(self.diverged):
            raise StudyError(f"`diverged` is {self.diverged}; it must be a number, as a run that learned nothing has")


def as_study(found: FoundScores, rules: JudgeRules, folder: Path, command: str, created: str) -> SavedStudy:
    """Return scores as a study that has ended, to be judged by the code that judges studies.

    Args:
        folder: where its report goes.
        command: what to type to judge them again.
        created: the time, for a reader.

    Raises:
        StudyError: there is nothing to compare, or the rules do not fit the scores.
    """
    rules.check()
    scores, columns, notes = _of_one_block(found)
    # Data sets pair runs, where each has one of every variant.
    paired = found.paired or len({score.block for score in scores}) < len(found.blocks)
    variants = tuple(dict.fromkeys(score.variant for score in scores))
    if len(variants) < 2:
        raise StudyError(
            f"{found.name} has one variant, {variants[0]}, and nothing to compare it with; add runs of another, or "
            "name the column that says which is which with `variant`"
        )
    if len(variants) > MOST_VARIANTS:
        raise StudyError(
            f"{found.name} has {len(variants):,} variants, and at most {MOST_VARIANTS:,} are compared; `variant` may "
            "name a column that is different in every run"
        )
    numbers, seed_notes = _numbered(scores, found.paired)
    notes += seed_notes
    contrasts = _contrasts(variants, rules)
    if rules.plan == "ladder":
        columns["Compared"] = "each variant with the one before it"
    else:
        base = next(name for name, weight in contrasts[0].weights.items() if weight < 0)
        columns["Compared"] = f"each variant with {base}"
    if not paired:
        notes.append("No column of seeds was found, so runs are not paired; `seed` names it where there is one.")
    if rules.diverged is not None and found.share and not 0 <= rules.diverged <= 1:
        raise StudyError(f"`diverged` is {rules.diverged:g}; as {found.metric} is a share, it must be 0 to 1")
    smallest = rules.smallest_effect
    if smallest is None:
        smallest = OWN_SMALLEST_EFFECT if found.share else 0.0
    by_variant = {
        variant: [
            numbers[score]
            for score in scores
            if score.variant == variant and (score.value is not None or rules.diverged is not None)
        ]
        for variant in variants
    }
    record = StudyRecord(
        plan=rules.plan,
        plan_hash="",
        rungs=tuple(RungRecord(name=variant, adds=(), recipe={}) for variant in variants),
        contrasts=contrasts,
        looks=(_first_look(contrasts, by_variant, paired, rules),),
        metric=found.metric,
        alpha=rules.alpha,
        smallest_effect=smallest,
        spending="declared" if rules.final else "open",
        seeds=tuple(dict.fromkeys(numbers[score] for score in scores)),
        validation=0.0,
        precision="float32",
        device="cpu",
        data=_data(found.name, found.fingerprint, rules.images),
        versions={},
        machine=UNKNOWN_MACHINE,
        command=command,
        created=created,
        scores=ScoresRecord(
            source="table",
            share=found.share,
            higher_is_better=found.higher_is_better,
            resolution=found.resolution,
            paired=paired,
            diverged=rules.diverged,
            tried=rules.tried,
            notes=(*found.notes, *notes),
            columns={**found.columns, **columns},
        ),
    )
    reached = {variant: sum(score.variant == variant for score in scores) for variant in variants}
    # A rung has the seeds that it has: those that others have beyond them are no trials that are still to come.
    record = record.model_copy(update={"reached": reached})
    record = record.model_copy(update={"plan_hash": hash_plan(record)})
    trials = tuple(
        _trial(score, numbers[score], folder, rules.diverged, created)
        for variant in variants
        for score in scores
        if score.variant == variant
    )
    return SavedStudy(folder, record, trials)


def _data(name: str, fingerprint: str, images: int | None) -> DataRecord:
    return DataRecord(
        name=name,
        fingerprint=fingerprint,
        split="",
        class_names=(),
        image_shape=(1, 1, 1),
        counts={} if images is None else {"test": images},
        notes=(),
    )


def _contrasts(variants: Sequence[str], rules: JudgeRules) -> tuple[ContrastRecord, ...]:
    if rules.plan == "ladder":
        if rules.baseline is not None and rules.baseline != variants[0]:
            raise StudyError(
                f"`plan=ladder` compares each variant with the one before it, and `baseline` is {rules.baseline}; "
                "leave one of the two out"
            )
        pairs = [(rung, below) for below, rung in pairwise(variants)]
        kind = ContrastKind.LADDER
    else:
        base = rules.baseline or next((name for name in _BASELINES for v in variants if v.lower() == name), variants[0])
        base = next((variant for variant in variants if variant.lower() == base.lower()), base)
        if base not in variants:
            raise StudyError(unknown("baseline", base, variants))
        pairs = [(rung, base) for rung in variants if rung != base]
        kind = ContrastKind.ADD_ONE
    return tuple(ContrastRecord(name=rung, design=kind, weights={rung: 1.0, below: -1.0}) for rung, below in pairs)


def _first_look(
    contrasts: Sequence[ContrastRecord], seeds: dict[str, list[int]], paired: bool, rules: JudgeRules
) -> LookRecord:
    """Return the first look: at as many seeds as the comparison with the fewest has, whatever came out."""
    sizes = []
    for contrast in contrasts:
        one, other = (seeds[name] for name in contrast.weights)
        shared = len(set(one) & set(other))
        size = shared if paired and shared >= FEWEST_JUDGED else min(len(one), len(other))
        sizes += [size] if size >= FEWEST_JUDGED else []
    first = rules.first_look or min(sizes, default=FEWEST_JUDGED)
    return LookRecord(seeds=first, share=final_share(first) if rules.final else first_share(first))


def _of_one_block(found: FoundScores) -> tuple[list[Score], dict[str, str], list[str]]:
    """Return one score a variant and seed: of several data sets, their mean, or each data set as one pair."""
    blocks = found.blocks
    if len(blocks) < 2:
        return list(found.scores), {}, []
    cells = {(score.variant, score.seed, score.block): score for score in found.scores}
    columns = {"By data set": _by_block(found)}
    most = max(
        sum(score.variant == variant and score.block == block for score in found.scores)
        for variant in found.variants
        for block in blocks
    )
    if most == 1:
        notes = [
            f"Each of the {len(blocks)} data sets has one run a variant, so a data set is what pairs are made of, in "
            "place of a seed: verdicts are for data sets like these."
        ]
        return [replace(score, seed=score.block, block="") for score in found.scores], columns, notes
    scores, short = [], []
    for variant in found.variants:
        for seed in dict.fromkeys(score.seed for score in found.scores if score.variant == variant):
            each = [cells.get((variant, seed, block)) for block in blocks]
            values = [one.value for one in each if one is not None and one.value is not None]
            first = next(one for one in each if one is not None)
            if len(values) < len(blocks):
                short.append(f"seed {seed} of {variant}")
                continue
            vals = [one.validation for one in each if one is not None and one.validation is not None]
            val = fmean(vals) if len(vals) == len(blocks) else None
            scores.append(replace(first, block="", value=fmean(values), validation=val))
    if not scores:
        raise StudyError(
            f"no seed of any variant has a score on all {len(blocks)} data sets ({some_of(blocks)}); judge one of "
            "them, or add the runs that are missing"
        )
    notes = [
        f"A score is the mean over {len(blocks)} data sets ({some_of(blocks)}): verdicts are for these data sets "
        "together, each counting alike."
    ]
    if short:
        verb = "lacks" if len(short) == 1 else "lack"
        notes.append(f"{some_of(short)} {verb} a score on some data set, so no mean of all is defined; left out.")
    return scores, columns, notes


def _by_block(found: FoundScores) -> str:
    """Return the mean of each variant on each data set, in words."""
    factor, digits = (100, 2) if found.share else (1, 4)
    parts = []
    for block in found.blocks:
        means = []
        for variant in found.variants:
            values = [s.value for s in found.scores if (s.variant, s.block) == (variant, block) and s.value is not None]
            means.append(f"{variant} {factor * fmean(values):.{digits}f}" if values else f"{variant} –")
        parts.append(f"{block}: {', '.join(means)}")
    return "; ".join(parts)


def _numbered(scores: Sequence[Score], paired: bool) -> tuple[dict[Score, int], list[str]]:
    """Return the number of each score's seed: its own where seeds are such numbers, else by order of appearance."""
    labels = list(dict.fromkeys(score.seed for score in scores))
    if len(labels) > MOST_SEEDS:
        raise StudyError(
            f"there are {len(labels):,} seeds, and at most {MOST_SEEDS:,} are judged; name them with `seed`"
        )
    own = all(label.isdecimal() and int(label) < 2 * MOST_SEEDS for label in labels)
    numbers = {label: int(label) if own else place for place, label in enumerate(labels)}
    notes = [] if own or not paired else [f"Seeds are numbered by their order: {some_of(labels)}."]
    return {score: numbers[score.seed] for score in scores}, notes


def _trial(score: Score, seed: int, folder: Path, diverged: float | None, created: str) -> SavedTrial:
    failure = None
    if score.value is None:
        # What it counts as is said by the user; without, it is left out, and said to be.
        failure = f"it has no score (row {score.row})" if diverged is None else "the loss was not finite"
    identity = hashlib.sha256(f"{score.variant}\n{score.seed}\n{score.block}".encode(errors="backslashreplace"))
    result = TrialResult(
        trial=identity.hexdigest()[:16],
        seed=seed,
        techniques=(),
        status="finished" if failure is None else "failed",
        epochs=0,
        val_score=None if failure else score.validation,
        test_score=score.value,
        seconds=0.0,
        images_per_second=None,
        failure=failure,
        versions={},
        machine=UNKNOWN_MACHINE,
        finished=created,
    )
    return SavedTrial(score.variant, seed, folder, result, ())
