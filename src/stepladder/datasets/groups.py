"""Which images belong together: shots of one object, of one patient or film. Groups stay on one side of every split."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np

from stepladder.errors import DataError, some_of

# Draws that are tried, of which the best balanced one is taken: more where groups are few and a slip weighs more.
_GROUPS_TRIED, _MOST_DRAWS = 20_000, 50


def names_by_pattern(option: str, pattern: str, paths: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return what a pattern names of each image, its group or its class, by split.

    Args:
        option: the parameter that the pattern is of, for messages.
        pattern: a regular expression that is looked for in each path. Its first group that takes part, or the whole
            match where it has none, is the name.
        paths: below the root of the images, with ``/`` on every system, by split.

    Raises:
        DataError: it is no regular expression, or some path has no match.
    """
    try:
        search = re.compile(pattern).search
    except re.error as error:
        raise DataError(f"`{option}` is {pattern}, which is no regular expression ({error}); mend it") from error
    named: dict[str, list[str]] = {}
    lacking = []
    for split, of_split in paths.items():
        named[split] = []
        for path in of_split:
            found = search(path)
            name = found and (next((part for part in found.groups() if part), "") if found.re.groups else found[0])
            named[split].append(name or "")
            if not name:
                lacking.append(path)
    if lacking:
        total = sum(map(len, paths.values()))
        raise DataError(
            f"`{option}` is {pattern}, and {len(lacking):,} of {total:,} paths have no match or an empty one: "
            f"{some_of(lacking, at_most=3)}; write one that fits each"
        )
    return named


def number_groups(named: Mapping[str, Sequence[object]]) -> dict[str, np.ndarray]:
    """Return groups as numbers, int64 (N,) by split: equal names have the same number in all splits."""
    numbers: dict[object, int] = {}
    return {
        split: np.fromiter((numbers.setdefault(name, len(numbers)) for name in names), np.int64, len(names))
        for split, names in named.items()
    }


def describe_groups(named: Mapping[str, Sequence[object]], by: str) -> str:
    """Return a note on the groups that ``by``, a parameter, names."""
    names = list(dict.fromkeys(name for of_split in named.values() for name in of_split))
    images = sum(map(len, named.values()))
    if len(names) == images:
        return f"`{by}` names {images:,} groups of one image each, so it keeps nothing together."
    shown = some_of([str(name)[:40] for name in names], at_most=4)
    groups = "1 group" if len(names) == 1 else f"{len(names):,} groups"
    return f"Groups, by `{by}`: {groups} of {images:,} images ({shown})."


def draw_groups(labels: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray | None:
    """Draw whole groups until about ``share`` of each class is set aside.

    Groups come in a random order, and each is taken that brings the classes nearer to their share (sum of squared
    relative distances); of several such draws the nearest is kept. Where a class is then on one side alone, the
    smallest group that mends it changes sides.

    Args:
        labels: int64, (N,).
        groups: int64, (N,).
        share: above 0, below 1.
        seed: of the draw.

    Returns:
        which images are set aside, bool (N,); None where no draw was found that has each class on both sides.
    """
    _, group_of = np.unique(groups, return_inverse=True)
    number = int(labels.max()) + 1
    pairs, sizes = np.unique(group_of * number + labels, return_counts=True)
    holds: list[list[tuple[int, int]]] = [[] for _ in range(int(group_of.max()) + 1)]
    for pair, size in zip(pairs.tolist(), sizes.tolist(), strict=True):
        holds[pair // number].append((pair % number, size))
    totals = np.bincount(labels, minlength=number)
    present = np.flatnonzero(totals)
    rng = np.random.default_rng(seed)
    best: tuple[float, set[int]] | None = None
    for _ in range(int(np.clip(_GROUPS_TRIED // len(holds), 1, _MOST_DRAWS))):
        order = rng.permutation(len(holds)).tolist()
        taken = _complete(_take(order, holds, totals, share), order, holds, totals)
        if taken is None:
            continue
        got = _count(taken, holds, number)
        distance = float((((got - share * totals) / np.maximum(totals, 1))[present] ** 2).sum())
        if best is None or distance < best[0] - 1e-12:
            best = distance, taken
    if best is None:
        return None
    aside = np.zeros(len(holds), dtype=bool)
    aside[list(best[1])] = True
    return aside[group_of]


def _take(order: list[int], holds: list[list[tuple[int, int]]], totals: np.ndarray, share: float) -> set[int]:
    sizes = totals.tolist()
    lacking = [share * size for size in sizes]
    taken = set()
    for group in order:
        # How much nearer the group brings its classes, times each class's size squared.
        change = sum(size * (size - 2 * lacking[label]) / sizes[label] ** 2 for label, size in holds[group])
        if change < 0:
            taken.add(group)
            for label, size in holds[group]:
                lacking[label] -= size
    return taken


def _complete(
    taken: set[int], order: list[int], holds: list[list[tuple[int, int]]], totals: np.ndarray
) -> set[int] | None:
    """Return the draw with each class on both sides; None where moving single groups does not reach that."""
    got = _count(taken, holds, len(totals))
    for aside in (True, False):
        side = got if aside else totals - got
        for label in np.flatnonzero((totals > 0) & (side == 0)).tolist():
            if side[label]:
                continue  # mended with another class
            movable = [
                group for group in order if (group in taken) != aside and any(c == label for c, _ in holds[group])
            ]
            other = totals - side
            movable = [group for group in movable if all(other[c] > size for c, size in holds[group])]
            if not movable:
                return None
            moved = min(movable, key=lambda group: sum(size for _, size in holds[group]))
            taken = taken | {moved} if aside else taken - {moved}
            got = _count(taken, holds, len(totals))
            side = got if aside else totals - got
    return taken


def _count(taken: set[int], holds: list[list[tuple[int, int]]], number: int) -> np.ndarray:
    got = np.zeros(number, dtype=np.int64)
    for group in taken:
        for label, size in holds[group]:
            got[label] += size
    return got


def first_groups(labels: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Return the positions (int64, ascending) of the first groups, whole, until each class has ``count`` images or all.

    A group is taken while a class of it has fewer.
    """
    _, first_seen, group_of = np.unique(groups, return_index=True, return_inverse=True)
    got = np.zeros(int(labels.max()) + 1, dtype=np.int64)
    members = np.split(np.argsort(group_of, kind="stable"), np.cumsum(np.bincount(group_of))[:-1])
    kept = []
    for group in np.argsort(first_seen).tolist():
        of_group = labels[members[group]]
        if (got[of_group] < count).any():
            got += np.bincount(of_group, minlength=len(got))
            kept.append(members[group])
    return np.sort(np.concatenate(kept))


def some_groups(labels: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return the positions (int64, ascending) of whole groups with about ``share`` of each class, at least one group.

    A smaller share is within a larger one: groups have one order for all shares, and each is taken while, of a class
    that it holds, those before it and half of its own do not reach the share.
    """
    ids, group_of = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(ids))
    taken = np.zeros(len(ids), dtype=bool)
    for label in np.unique(labels):
        sizes = np.bincount(group_of[labels == label], minlength=len(ids))[order]
        before = np.cumsum(sizes) - sizes
        here = sizes > 0
        taken[order[here & ((before == 0) | (before + sizes / 2 <= share * sizes.sum()))]] = True
    return np.flatnonzero(taken[group_of])


def joined_groups(groups: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Return groups, int64 (N,), of which those are one that a pair of images (int64, (P, 2)) joins."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ids, group_of = np.unique(groups, return_inverse=True)
    ends = group_of[pairs]
    links = coo_array((np.ones(len(ends)), (ends[:, 0], ends[:, 1])), shape=(len(ids), len(ids)))
    _, joined = connected_components(links, directed=False)
    return joined[group_of].astype(np.int64)
