"""Which techniques should be the default, and what that default costs on a set that had no say in it."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TypeVar

from benchmarks.atlas.running import network_of
from stepladder.report.units import count, percent, points
from stepladder.studies.pool.files import PoolFile, RungScores, SetRecord, technique_names

#: Validation accuracies of all images or none are taken for half an image away, of so many.
_IMAGES = 1000

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class LeftOutSet:
    """What a default, chosen by all other sets on validation, does on the set left out, on test.

    Attributes:
        name: of the set.
        chosen: techniques of the rung that the others choose; ``best`` of the one that its own validation chooses;
            ``full`` of the one with all techniques, as the recipe has them.
        cost: of the chosen one against its own best, in fractions of 1; below 0 where it is the worse one.
        against_full: of the chosen one against all techniques.
    """

    name: str
    chosen: str
    best: str
    cost: float
    against_full: float


def leave_one_out(records: Sequence[SetRecord]) -> list[LeftOutSet]:
    """Choose for each set by the validation accuracies of all others, and compare on its test images.

    Sets with other numbers of classes have other accuracies, so rungs are compared by the mean of their log odds.
    Several sets of the same images are left out together.
    """
    found = []
    for record in records:
        others = [one for one in records if not _same_images(one, record)]
        own = {_key(rung): rung for rung in record.rungs if rung.test is not None and rung.validation is not None}
        chosen = choose(others)
        if chosen is None or chosen not in own:
            continue
        best = max(own.values(), key=lambda rung: rung.validation or 0.0)
        full = max(own.values(), key=lambda rung: len(rung.techniques))
        test = own[chosen].test or 0.0
        found.append(
            LeftOutSet(
                record.name,
                technique_names(own[chosen].techniques) or "none",
                technique_names(best.techniques) or "none",
                test - (best.test or 0.0),
                test - (full.test or 0.0),
            )
        )
    return found


def choose(records: Sequence[SetRecord]) -> str | None:
    """Return the rung, by its techniques, with the highest mean log odds on validation; None where none is common."""
    return choose_best(
        [{_key(rung): rung.validation for rung in record.rungs if rung.validation is not None} for record in records]
    )


def choose_best(scores: Sequence[Mapping[K, float]]) -> K | None:
    """Return what all sets have and has the highest mean log odds of its accuracies; None where none is common.

    Args:
        scores: of each set, accuracies from 0 to 1 by what may be chosen.
    """
    worth: dict[K, list[float]] = {}
    for one in scores:
        for key, accuracy in one.items():
            share = min(max(accuracy, 0.5 / _IMAGES), 1 - 0.5 / _IMAGES)
            worth.setdefault(key, []).append(math.log(share / (1 - share)))
    everywhere = {key: fmean(values) for key, values in worth.items() if len(values) == len(scores)}
    return max(everywhere, key=lambda key: everywhere[key]) if everywhere else None


def describe_defaults(pool: PoolFile) -> list[str]:
    """Say which default each network's sets choose, and what it costs on the set left out, a line a set."""
    lines = []
    for network in dict.fromkeys(network_of(record) for record in pool.studies):
        records = [record for record in pool.studies if network_of(record) == network]
        found = leave_one_out(records)
        if not found:
            lines.append(f"{network}: {count(len(records), 'set')}, too few to leave one out.")
            continue
        chosen = choose(records)
        names = next(technique_names(rung.techniques) for rung in records[0].rungs if _key(rung) == chosen)
        lines.append(f"{network}: all {len(records)} sets together choose {names or 'no technique'}.")
        lines += [
            f"  {one.name}: the others choose {one.chosen}; against its own best {points(one.cost)} points, against "
            f"all techniques {points(one.against_full)} points."
            for one in found
        ]
        worst = min(one.cost for one in found)
        lines.append(
            f"  Mean cost on the set left out {points(fmean(one.cost for one in found))} points, at worst "
            f"{points(worst)}; chosen alike on {percent(fmean(one.chosen == one.best for one in found))} of sets."
        )
    return lines


def _same_images(one: SetRecord, other: SetRecord) -> bool:
    """Whether two records are of the same images, whatever their labels."""
    total, others = sum(one.images.values()), sum(other.images.values())
    return one.fingerprint == other.fingerprint or (one.image_shape == other.image_shape and total == others)


def _key(rung: RungScores) -> str:
    return repr(rung.techniques)
