"""Everything that may be said of several studies together, worked out once; whoever draws it computes nothing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stepladder.errors import StudyError, printable
from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.judging.statistics import cut_interval
from stepladder.studies.judging.verdicts import VERDICTS
from stepladder.studies.pool.files import FINDINGS_FILE, EffectRecord, SetRecord, read_pool, technique_names
from stepladder.studies.pool.sameness import asks_about, question_of, what_differs
from stepladder.studies.pool.sets import DescribedStudy, LeftOut, describe_study
from stepladder.studies.pool.statistics import FEWEST_FOR_PREDICTION, PooledEffect, pool_effects
from stepladder.training.unit import Unit

#: Below this many sets nothing is said of what moves an effect, but drawn.
FEWEST_FITTED = 10


@dataclass(frozen=True)
class Property:
    """Something about image sets that an effect may depend on.

    Attributes:
        key: a word for it.
        words: what an axis calls it.
        of: reads it of a study's record and the effect; None where it is not known.
        log: whether it is drawn on a logarithmic axis.
        values: names of its values, where it has no numbers.
    """

    key: str
    words: str
    of: Callable[[SetRecord, EffectRecord], float | None] = field(compare=False)
    log: bool = False
    values: tuple[str, ...] = ()


PROPERTIES = (
    Property("size", "pixels a side", lambda record, _: math.sqrt(math.prod(record.image_shape[:2])), log=True),
    Property("classes", "classes", lambda record, _: float(record.classes), log=True),
    Property("images", "training images", lambda record, _: float(record.images["train"]), log=True),
    Property("without", "without it, %", lambda _, effect: effect.without),
    Property("colors", "colors", lambda record, _: float(record.image_shape[2] > 1), values=("gray", "color")),
    Property(
        "flip",
        "may be flipped",
        lambda record, _: None if record.may_be_flipped is None else float(record.may_be_flipped),
        values=("no", "yes"),
    ),
)


@dataclass(frozen=True)
class Member:
    """One image set's part in a pooled effect.

    Attributes:
        label: what the pool calls the set.
    """

    label: str
    record: SetRecord
    effect: EffectRecord


@dataclass(frozen=True)
class PooledTechnique:
    """One question that several image sets answer.

    Attributes:
        name: what the studies call it; its techniques where they differ in that.
        techniques: that it is about, with their options.
        around: names of the techniques that all rungs have.
        network, optimizer: that all have.
        members: a set each, in the order of the pool.
        points: the pooled effect, in the metric's unit.
        odds: of the log odds ratio; None where the metric is no share of which more is better.
        counted: how many sets have which verdict of their own study; the key None is for sets without one.
    """

    name: str
    kind: ContrastKind
    techniques: tuple[dict[str, Any], ...]
    around: tuple[str, ...]
    network: str
    optimizer: str
    members: tuple[Member, ...]
    points: PooledEffect
    odds: PooledEffect | None
    counted: dict[str | None, int]

    @property
    def sets(self) -> int:
        """How many image sets answer."""
        return len(self.members)

    @property
    def settings(self) -> str:
        """The techniques that it is about, by name."""
        return technique_names(self.techniques)

    @property
    def direction(self) -> int:
        """Which way a new set's effect goes, where its prediction leaves no doubt: 1 better, -1 worse, else 0.

        By the odds ratio where there is one: where sets are 60 and 95 % right, the same points are not the same effect,
        and an interval in points that is drawn for all of them reaches beyond what any set has room for.
        """
        bounds = (self.odds or self.points).prediction
        if bounds is None:
            return 0
        return 1 if bounds[0] > 0 else -1 if bounds[1] < 0 else 0

    def property_values(self, which: Property) -> list[tuple[float, Member]]:
        """Return what is known of a property, and of which set."""
        found = [(which.of(member.record, member.effect), member) for member in self.members]
        return [(value, member) for value, member in found if value is not None]

    def __repr__(self) -> str:
        mean = "no mean" if self.points.mean is None else f"{self.points.mean:+.4g}"
        return printable(f"<PooledTechnique {self.name[:60]}: {mean} over {self.sets} sets>")


@dataclass(frozen=True)
class PoolFindings:
    """What several studies say together.

    Attributes:
        studies: the record of each, in the order given.
        labels: what the pool calls the image set of each.
        techniques: questions that two sets or more answer: those of most sets first, then by their mean.
        left_out: contrasts that no pooled effect uses.
        cautions: sentences on what the figures cannot say.
        metric: of all studies; ``unit`` its unit.
        sources: the folders and files that were read.
    """

    studies: tuple[SetRecord, ...]
    labels: tuple[str, ...]
    techniques: tuple[PooledTechnique, ...]
    left_out: tuple[LeftOut, ...]
    cautions: tuple[str, ...]
    metric: str
    unit: Unit
    sources: tuple[Path, ...] = ()

    @property
    def sets(self) -> int:
        """How many different image sets there are."""
        return len({record.fingerprint for record in self.studies})

    def find(self, name: str) -> PooledTechnique | None:
        """Return the pooled effect called ``name``; None where there is none."""
        return next((one for one in self.techniques if one.name == name), None)

    def __repr__(self) -> str:
        return f"<PoolFindings of {len(self.studies)} studies of {self.sets} sets: {len(self.techniques)} techniques>"


def read_studies(sources: Sequence[Path]) -> list[DescribedStudy]:
    """Read studies, and folders or files of findings that were saved.

    Raises:
        StudyError: one is given twice, or holds neither.
        StorageError: a file is damaged.
    """
    if not sources:
        raise StudyError("give the folders of studies, or of findings that were saved")
    found: list[DescribedStudy] = []
    for place, source in enumerate(sources):
        if source.resolve() in [other.resolve() for other in sources[:place]]:
            raise StudyError(f"{source} is given twice; give each study once")
        if (source / "study.json").is_file():
            found.append(describe_study(source))
        elif (source / FINDINGS_FILE).is_file() or (source.is_file() and source.suffix == ".json"):
            found += [DescribedStudy(record, (), ()) for record in read_pool(source).studies]
        else:
            what = "there is no" if not source.exists() else "neither study.json nor findings.json is in"
            raise StudyError(f"{what} {source}; give the folder of a study, or of findings that were saved")
    return found


def pool_studies(studies: Sequence[DescribedStudy], sources: Sequence[Path] = ()) -> PoolFindings:
    """Judge studies of several image sets together.

    Each question (see :mod:`stepladder.studies.pool.sameness`) that two sets or more answer gets a random-effects mean,
    its interval and the prediction interval of a new set (see :mod:`stepladder.studies.pool.statistics`). An image set
    counts once: where two studies of it answer one question, the one with more seeds does.

    Raises:
        StudyError: the studies are judged by different metrics.
    """
    records = [study.record for study in studies]
    first = records[0]
    for record in records[1:]:
        if record.metric_key != first.metric_key:
            raise StudyError(
                f"{first.name} is judged by {first.metric} and {record.name} by {record.metric}, and their differences "
                "are no common figure; pool studies with one metric"
            )
    labels = _labels(records)
    left_out = [
        LeftOut(label, one.name, one.why)
        for label, study in zip(labels, studies, strict=True)
        for one in study.left_out
    ]
    groups: dict[Hashable, list[Member]] = {}
    for label, record in zip(labels, records, strict=True):
        for effect in record.effects:
            groups.setdefault(question_of(effect), []).append(Member(label, record, effect))
    once = [_each_set_once(members, left_out) for members in groups.values()]
    pooled = [members for members in once if len(members) > 1]
    left_out += [
        LeftOut(alone.label, alone.effect.name, _why_alone(alone, pooled, once))
        for alone, *others in once
        if not others
    ]
    techniques = sorted(
        (_pool(members) for members in pooled), key=lambda one: (-one.sets, -(one.points.mean or 0.0), one.name)
    )
    return PoolFindings(
        studies=tuple(records),
        labels=tuple(labels),
        techniques=_with_own_names(techniques),
        left_out=tuple(left_out),
        cautions=tuple(_find_cautions(labels, studies, techniques)),
        metric=first.metric,
        unit=first.unit,
        sources=tuple(sources),
    )


def _labels(records: Sequence[SetRecord]) -> list[str]:
    """Name each set as its study does; two sets of one name are numbered, studies of one set are not."""
    names: dict[str, str] = {}
    for record in records:
        if record.fingerprint in names:
            continue
        taken, number = set(names.values()), 2
        label = record.name
        while label in taken:
            label, number = f"{record.name} ({number})", number + 1
        names[record.fingerprint] = label
    return [names[record.fingerprint] for record in records]


def _each_set_once(members: list[Member], left_out: list[LeftOut]) -> list[Member]:
    """Keep of every image set the study with most seeds, the first of several."""
    best: dict[str, Member] = {}
    for member in members:
        before = best.get(member.record.fingerprint)
        if before is None:
            best[member.record.fingerprint] = member
            continue
        less, more = (before, member) if member.effect.n > before.effect.n else (member, before)
        best[member.record.fingerprint] = more
        left_out.append(
            LeftOut(
                less.label,
                less.effect.name,
                f"an image set counts once, and another study of it has {more.effect.n} seeds for its {less.effect.n}",
            )
        )
    return list(best.values())


def _why_alone(alone: Member, pooled: list[list[Member]], all_groups: list[list[Member]]) -> str:
    """Return why no other set answers the question of ``alone``: by the nearest of those that others do answer."""
    for groups in (pooled, all_groups):
        alike = [group for group in groups if asks_about(group[0].effect) == asks_about(alone.effect)]
        for group in sorted(alike, key=len, reverse=True):
            nearest = next((one for one in group if one.record.fingerprint != alone.record.fingerprint), None)
            if nearest is not None:
                return f"another contrast than on {nearest.label}: {what_differs(alone.effect, nearest.effect)}"
    return "no other image set has it"


def _pool(members: list[Member]) -> PooledTechnique:
    first = members[0].effect
    names = {member.effect.name for member in members}
    odds = None
    known = [
        (member.effect.log_odds, member.effect.log_odds_error)
        for member in members
        if member.effect.log_odds is not None and member.effect.log_odds_error is not None
    ]
    if len(known) == len(members):
        odds = pool_effects([each[0] for each in known], [each[1] for each in known])
    points = pool_effects([member.effect.mean for member in members], [member.effect.error for member in members])
    counts = Counter(member.effect.verdict for member in members)
    return PooledTechnique(
        name=names.pop() if len(names) == 1 else technique_names(first.switched),
        kind=first.kind,
        techniques=first.switched,
        around=tuple(str(one["name"]) for one in first.around),
        network=first.network.label,
        optimizer=first.optimizer,
        members=tuple(members),
        points=_cut(points) if members[0].record.unit is Unit.SHARE else points,
        odds=odds,
        counted={verdict: counts[verdict] for verdict in (*VERDICTS, None) if counts[verdict]},
    )


def _cut(pooled: PooledEffect) -> PooledEffect:
    """Return intervals without what no difference of two shares can be."""
    return PooledEffect(
        **{
            **vars(pooled),
            "interval": cut_interval(pooled.interval, 1.0),
            "prediction": cut_interval(pooled.prediction, 1.0),
        }
    )


def _with_own_names(techniques: Sequence[PooledTechnique]) -> tuple[PooledTechnique, ...]:
    """Tell questions of one name apart, by the first of these that does: network, plan, what stands around them.

    Plans and networks are short and what one talks of; a list of techniques is exact, and nobody remembers it.
    """
    alike: dict[str, list[PooledTechnique]] = {}
    for one in techniques:
        alike.setdefault(one.name, []).append(one)
    own = {id(one): name for name, ones in alike.items() for one, name in zip(ones, _told_apart(ones), strict=True)}
    return tuple(replace(one, name=own[id(one)]) for one in techniques)


def _told_apart(alike: Sequence[PooledTechnique]) -> list[str]:
    if len(alike) == 1:
        return [alike[0].name]
    ways: tuple[Callable[[PooledTechnique], str], ...] = (
        lambda one: one.network,
        lambda one: one.kind.value,
        lambda one: f"{one.kind.value}, {one.network}",
        lambda one: f"after {', '.join(one.around)}" if one.around else "alone",
        lambda one: f"after {', '.join(one.around) or 'nothing'}; {one.network}, {one.optimizer}",
    )
    for way in ways:
        names = [f"{one.name} ({way(one)})" for one in alike]
        if len(set(names)) == len(names):
            return names
    return [f"{one.name} ({number})" for number, one in enumerate(alike, start=1)]


def _find_cautions(
    labels: Sequence[str], studies: Sequence[DescribedStudy], techniques: Sequence[PooledTechnique]
) -> list[str]:
    """Return what the pool cannot say, a sentence each."""
    found = [f"{label}: {caution}." for label, study in zip(labels, studies, strict=True) for caution in study.cautions]
    records = [study.record for study in studies]
    alike: dict[tuple[Any, ...], dict[str, str]] = {}
    for label, record in zip(labels, records, strict=True):
        total = sum(record.images.values())
        alike.setdefault((record.image_shape, total), {}).setdefault(record.fingerprint, label)
    for names in alike.values():
        if len(names) > 1:
            listed = " and ".join(names.values())
            found.append(
                f"{listed} have as many images of the same size. Where these are the same images with other labels, "
                "they count as two sets and are none, and the intervals are too narrow."
            )
    few = [one for one in techniques if one.sets < FEWEST_FOR_PREDICTION]
    if few:
        found.append(
            f"Two sets say nothing of a third: a prediction takes {FEWEST_FOR_PREDICTION} sets or more, and is very "
            "wide with so few."
        )
    if any(len({member.effect.epochs for member in one.members}) > 1 for one in techniques):
        found.append("The sets had different numbers of epochs, and may differ for that alone.")
    return found
