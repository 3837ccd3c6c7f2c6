"""Groups that nobody named: images whose names or folders say that they show the same thing, and whose pixels agree.

Names alone prove nothing: ``cat_1.jpg`` and ``cat_2.jpg`` are two cats. So what names suggest is asked of the pixels:
is the nearest image of an image, among those of its class, of the same name far more often than by chance?
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from stepladder.datasets.bursts import USUAL_SECONDS, Taken, name_bursts
from stepladder.datasets.groups import number_groups
from stepladder.datasets.image_set import Split

# What is tried, in this order; the first group of the pattern is the name. A pattern is shown to the user, who types it
# in a shell, so none has a backslash.
_AUGMENTED = "([^/]+)[.]rf[.]"  # as Roboflow names what it makes of one image
_NUMBERED = "([^/]*[^/ _.-])[ _.-]+[A-Za-z]*[(]?[0-9]+[)]?[.][^./]*$"
# A number and what follows it, object07a, object07_flip_left, video7_frame_3_crop_0, 07_<hash>; or the last word with a
# number, aug_3_object07.
_BEGINNING = "(?<![^/])([^/0-9]*[0-9]+)(?:[A-Za-z][0-9]*|[ _.-][^/]*)[.][^./]*$"
_END = "[ _.-]([^/ _.-]*[A-Za-z][0-9]+)[.][^./]*$"
_FOLDER = "([^/]+)/[^/]*$"
_TWO_FOLDERS = "([^/]+/[^/]+)/[^/]*$"
_FOLDER_ABOVE = "([^/]+)/[^/]+/[^/]*$"

# Several groups of several images: at least so many, where words name them, which may be kinds, or numbers, which are
# patients or objects; so many of them in the classes of most images, and in them so much of the images.
_FEWEST_GROUPS, _FEWEST_NUMBERED, _FEWEST_IN_CLASS, _LEAST_SHARE = 10, 5, 3, 0.5

# Names that are tried before all of a large set are.
_LOOKED_AT = 1_000
# Names among which equal ones must be, as numbers at the beginning of names mostly count images.
_DRAWN = 2_000

# Images that are compared, of whole groups, and of these those that are looked up.
_COMPARED, _LOOKED_UP = 4_000, 1_000

# How every note says what to do.
_PROPOSED = re.compile("keep them apart with `(group_[a-z]+)=([^`]+)`")

# How far above chance neighbors of the same group must be: as a ratio, or of what is left to certainty where groups are
# few and chance is high; in all, and in standard errors of chance.
_RATIO, _OF_THE_REST, _MORE, _ERRORS = 3.0, 0.75, 0.1, 6.0


def suspect_groups(splits: Mapping[str, Split], paths: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Return a note where images look like shots of the same things, with what keeps these apart; none where not.

    Looked for is where it would matter: where a test split will be set aside of the training images, or where the names
    of given test images are also among these.

    Args:
        splits: as decoded.
        paths: of their images, below the root, with ``/``, by split and in their order.
    """
    for kind, pattern in _candidates(paths["train"], splits["train"].labels):
        search = _quick_search(pattern)
        named = {split: [_name(search(path), path) for path in of_split] for split, of_split in paths.items()}
        groups = number_groups(named)
        if not _are_groups(groups["train"], splits["train"].labels, _fewest(named["train"])):
            continue
        if _are_kinds(paths["train"], named["train"]):
            continue
        if "test" in groups and not np.isin(groups["test"], groups["train"]).any():
            continue
        if note := _ask_pixels(splits["train"], groups["train"], kind, f"group_pattern='{pattern}'"):
            return (note,)
    return ()


def suspect_bursts(splits: Mapping[str, Split], taken: Mapping[str, Sequence[Taken | None]]) -> tuple[str, ...]:
    """Return a note where images are bursts of a camera, with what keeps these apart; none where they are not.

    Args:
        splits: as decoded.
        taken: when the first images of each were taken.
    """
    of_train = taken.get("train", ())
    if not any(of_train):
        return ()
    groups = number_groups(name_bursts(taken, USUAL_SECONDS))
    train = splits["train"].first(len(of_train))
    if not _are_groups(groups["train"], train.labels, _FEWEST_GROUPS):
        return ()
    if "test" in splits and not np.isin(groups["test"], groups["train"]).any():
        return ()
    note = _ask_pixels(train, groups["train"], "bursts of a camera", f"group_bursts={USUAL_SECONDS}")
    return (note,) if note else ()


def proposed(notes: Sequence[str]) -> dict[str, str | float | bool]:
    """Return what the first note proposes that suspects groups: the parameter of ``LabelOptions`` that keeps them
    apart, with its value.

    Nothing where no note does: shots of the same thing, bursts, and the patients of DICOM images.
    """
    for note in notes:
        if found := _PROPOSED.search(note):
            name, value = found[1], found[2].strip("'")
            return {name: float(value) if name == "group_bursts" else value == "True" or value}
    return {}


def _name(found: re.Match[str] | None, path: str) -> str:
    return path if found is None else next(part for part in found.groups() if part)


def _fewest(names: Sequence[str]) -> int:
    """Return how many groups of such names there must be."""
    several = [name for name, count in Counter(names).items() if count > 1]
    numbered = sum(any(sign.isdigit() for sign in name) for name in several)
    return _FEWEST_NUMBERED if numbered > len(several) / 2 else _FEWEST_GROUPS


def _candidates(paths: Sequence[str], labels: np.ndarray) -> list[tuple[str, str]]:
    """Return what may name groups of images with such labels: in words, and as a pattern that fits every path."""
    classes = len(np.unique(labels))
    # Most patterns fit next to nothing, which a thousand names show as well as all of a large set.
    step = max(1, len(paths) // _LOOKED_AT)
    few = paths[::step]
    found = [("stems of file names", pattern) for pattern in (_AUGMENTED, _NUMBERED, _BEGINNING, _END)]
    # Folders below the class folders, whether or not the latter are below the folder of a split.
    parents = {path.rpartition("/")[0] for path in paths} if all(path.count("/") > 1 for path in few) else set()
    if all("/" in parent for parent in parents) and len(parents) >= _FEWEST_IN_CLASS * classes:
        above: dict[str, set[str]] = {}
        for parent in parents:
            head, _, name = parent.rpartition("/")
            above.setdefault(name, set()).add(head)
        alone = all(len(folders) == 1 for folders in above.values())
        if _name_classes([path.split("/")[-2] for path in few], labels[::step], classes):
            found.append(("folders above the classes", _FOLDER_ABOVE))
        else:
            found.append(("folders below the classes", _FOLDER if alone else _TWO_FOLDERS))
    fitting = []
    known: list[list[str]] = []
    for kind, pattern in found:
        search = _quick_search(pattern)
        tried = [search(path) for path in few]
        if sum(one is not None for one in tried) < _LEAST_SHARE / 2 * len(few):
            continue
        names = [_name(one, path) for one, path in zip(tried, few, strict=True)]
        # One stem for nearly all, IMG_0001.jpg: no groups, whatever the rest is called.
        if len(set(names)) < _FEWEST_NUMBERED or names in known:
            continue
        known.append(names)
        if pattern in (_BEGINNING, _END) and not _repeat(search, paths):
            continue
        matches = sum(search(path) is not None for path in paths)
        if matches == len(paths):
            fitting.append((kind, pattern))
        elif matches >= _LEAST_SHARE * len(paths):
            # Whatever else there is stands for itself; looked for behind the folders, as "(.+)" fits there as well.
            fitting.append((kind, f"^(?:.*/)?(?:{pattern}|(.+))"))
    return fitting


def _name_classes(folders: Sequence[str], labels: np.ndarray, classes: int) -> bool:
    """Whether the folders that images lie in are their classes, by name."""
    pairs = set(zip(folders, labels.tolist(), strict=True))
    return len(pairs) == len(set(folders)) == len({label for _, label in pairs}) == classes


def _repeat(search: Callable[[str], re.Match[str] | None], paths: Sequence[str]) -> bool:
    """Whether any two of some paths drawn at random have one name, as about twenty pairs do of 100,000 in pairs."""
    if len(paths) <= 2 * _DRAWN:
        return True
    drawn = np.random.default_rng(0).choice(len(paths), _DRAWN, replace=False).tolist()
    return len({_name(search(paths[at]), paths[at]) for at in drawn}) < _DRAWN


def _quick_search(pattern: str) -> Callable[[str], re.Match[str] | None]:
    """Return what finds ``pattern`` in a path as ``re.search`` does, and sooner where there is nothing to find."""
    compiled = re.compile(pattern)
    if pattern == _AUGMENTED:
        return lambda path: compiled.search(path) if ".rf." in path else None
    if pattern in (_NUMBERED, _BEGINNING):
        # They fit nowhere but in the last part, and there from its start or not at all. A search would begin at every
        # sign anew: of second loads of files with dashes in their names, it took half of the time.
        return lambda path: compiled.match(path, path.rfind("/") + 1)
    if pattern == _END:
        return lambda path: compiled.search(path, path.rfind("/") + 1)
    return compiled.search


def _are_groups(groups: np.ndarray, labels: np.ndarray, fewest: int) -> bool:
    """Whether most images are in groups of several, and most of these in classes with several of such groups.

    Args:
        fewest: so many groups there must be.
    """
    _, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    several = sizes[group_of] > 1
    if several.mean() < _LEAST_SHARE or (sizes > 1).sum() < fewest:
        return False
    pairs = np.unique(np.column_stack([labels[several], group_of[several]]), axis=0)
    in_class = np.bincount(pairs[:, 0], minlength=int(labels.max()) + 1)
    return bool((in_class[labels[several]] >= _FEWEST_IN_CLASS).mean() >= _LEAST_SHARE)


def _are_kinds(paths: Sequence[str], names: Sequence[str]) -> bool:
    """Whether names are those of the folders that the files are in, and words: ``Apple/Golden/Golden_001.jpg``.

    Such folders are finer classes. Folders of objects and persons have numbers.
    """
    folders = [path.split("/")[-2:-1] for path in paths]
    same = sum(bool(folder) and folder[0] == name for folder, name in zip(folders, names, strict=True))
    words = sum(not any(sign.isdigit() for sign in name) for name in names)
    return same > len(names) / 2 and words > len(names) / 2


def _ask_pixels(train: Split, groups: np.ndarray, kind: str, say: str) -> str | None:
    """Return the note where the nearest images of a class are of the same group far above chance.

    Args:
        kind: what the groups are, in words.
        say: the argument that keeps them apart.
    """
    from stepladder.datasets.audit.mirror import points_of  # with scipy, which reading images does not wait for

    _, group_of, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(np.random.default_rng(0).permutation(len(sizes))[group_of], kind="stable")
    compared = np.sort(order[:_COMPARED])
    points = points_of(train.take(compared), mirrored=False)
    labels, of = train.labels[compared], group_of[compared]
    here = np.bincount(of, minlength=len(sizes))
    asked = np.flatnonzero(here[of] > 1)
    asked = asked[np.unique(np.linspace(0, len(asked) - 1, min(len(asked), _LOOKED_UP)).astype(np.int64))]
    cosines = points[asked] @ points.T
    cosines[np.arange(len(asked)), asked] = -2
    same_class = labels[asked, None] == labels
    same_group = of[asked, None] == of
    nearest_in_class = np.where(same_class, cosines, -2).argmax(axis=1)
    found = float((of[nearest_in_class] == of[asked]).mean())
    chance = ((same_class & same_group).sum(axis=1) - 1) / np.maximum(1, same_class.sum(axis=1) - 1)
    expected = float(chance.mean())
    error = math.sqrt(float((chance * (1 - chance)).sum())) / len(asked)
    least = min(_RATIO * expected, expected + _OF_THE_REST * (1 - expected))
    if found < max(least, expected + _MORE, expected + _ERRORS * error):
        return None
    mixed = float((labels[cosines.argmax(axis=1)] == labels[asked]).mean())
    apart = float((labels[np.where(same_group, -2, cosines).argmax(axis=1)] == labels[asked]).mean())
    several = sizes[sizes > 1]
    each = f"{several.min():,} to {several.max():,}" if several.min() < several.max() else f"{several.max():,}"
    return (
        f"{len(several):,} {kind}, {each} images each, look like shots of the same thing: the nearest image has the "
        f"same class for {100 * mixed:.1f} % of them where shots mix, and for {100 * apart:.1f} % where those of the "
        f"same are left out. A test that mixes them measures memory; keep them apart with `{say}`."
    )


def paths_of(kept: Mapping[str, np.ndarray | None], paths: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Return the paths of those images that could be decoded.

    Args:
        kept: positions, int64, by split; None where all could.
    """
    return {
        name: list(of_split) if (rows := kept.get(name)) is None else [of_split[row] for row in rows.tolist()]
        for name, of_split in paths.items()
    }
