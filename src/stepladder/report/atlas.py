"""What the atlas says of techniques, in words: on a technique's card, beside a study's effects, and in a plan.

Without an atlas there is nothing to say, and everything here is empty. It stands beside what a study found, and is no
part of any verdict.
"""

from __future__ import annotations

from collections.abc import Iterable

from stepladder.report.units import Scale, count
from stepladder.studies.pool.atlas import Atlas, AtlasEntry, read_atlas
from stepladder.training.unit import Unit

#: The atlas's figures are accuracies.
_SCALE = Scale(Unit.SHARE)
#: How many techniques a plan names.
_MOST_NAMED = 3


def describe_entry(entry: AtlasEntry) -> str:
    """Say what a technique did on the sets of the atlas.

    >>> describe_entry(entry)  # doctest: +SKIP
    'helped on 5 of 9 sets, hurt on 1; +1.80 points on average, a new set between −0.60 and +4.20'
    """
    words = f"helped on {entry.helped} of {count(entry.sets, 'set')}"
    if entry.hurt:
        words += f", hurt on {entry.hurt}"
    low, high = (_SCALE.difference(end) for end in entry.new_set)
    return f"{words}; {_SCALE.difference(entry.mean)} {_SCALE.step} on average, a new set between {low} and {high}"


def describe_card(technique: str) -> str:
    """Say it of one technique; empty without an atlas, or where it has none of it."""
    atlas = read_atlas()
    entry = None if atlas is None else atlas.find((technique,))
    return "" if entry is None else f"{describe_entry(entry)} (network {entry.network})"


def describe_beside(effects: Iterable[tuple[str, tuple[str, ...]]], network: str | None = None) -> list[str]:
    """Say what the atlas has of the effects of a study, a sentence an effect and a last one on what that is worth.

    Args:
        effects: what the study calls each, and the techniques that it is about.
        network: what the atlas calls the study's own, whose effects are told where it has any.
    """
    atlas = read_atlas()
    if atlas is None:
        return []
    found = {name: entry for name, techniques in effects if (entry := atlas.find(techniques, network)) is not None}
    if not found:
        return []
    said = "; ".join(f"{name}: {describe_entry(entry)}" for name, entry in found.items())
    return [f"In the atlas: {said}. {_worth(atlas)}"]


def describe_first(
    techniques: Iterable[tuple[str, ...]], sd: float, level: float, network: str | None = None
) -> list[str]:
    """Say which of a plan's techniques did most in the atlas, and how many seeds such effects take here, one line.

    Args:
        techniques: those of each comparison of the plan.
        sd: standard deviation of the paired differences that the plan takes.
        level: error of one comparison.
        network: see :func:`describe_beside`.
    """
    atlas = read_atlas()
    if atlas is None:
        return []
    entries = dict.fromkeys(entry for each in techniques if (entry := atlas.find(each, network)) is not None)
    best = sorted((one for one in entries if one.mean > 0), key=lambda one: -one.mean)[:_MOST_NAMED]
    if not best:
        return []
    said = "; ".join(f"{' + '.join(one.techniques)} {describe_entry(one)}, {_seeds(one, sd, level)}" for one in best)
    return [f"To try first, by the atlas: {said}. {_worth(atlas)}"]


def _seeds(entry: AtlasEntry, sd: float, level: float) -> str:
    """Say how many seeds an effect as large as the atlas's mean takes."""
    # Here, as a card that has no seeds to say anything of must not wait for them.
    import numpy as np

    from stepladder.studies.judging.verdicts import MOST_SEEDS_SOUGHT, POWER, power

    seeds = np.arange(2, MOST_SEEDS_SOUGHT + 1)
    enough = seeds[power(entry.mean, sd, seeds, level) >= POWER]
    return f"which takes {enough[0]} seeds here" if len(enough) else f"which takes more than {MOST_SEEDS_SOUGHT} seeds"


def _worth(atlas: Atlas) -> str:
    return f"The atlas is {count(atlas.sets, 'image set')}, and no verdict uses it."
