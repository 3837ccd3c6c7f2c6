"""The one way in which image files are looked for below a folder, by training and by prediction alike.

What systems and tools leave behind, hidden entries and our own results are passed over, and what was is counted.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator
from operator import attrgetter
from pathlib import Path

from stepladder.datasets import filesystem
from stepladder.datasets.filesystem import Entry, FileEntry
from stepladder.errors import some_of

#: Names, in lower case, that no photograph and no folder of photographs has: thumbnails, waste and notes of systems,
#: network drives, archivers and tools. Hidden names (.DS_Store, .ipynb_checkpoints, ._0001.jpg) go by their dot.
LEFT_BEHIND = frozenset(
    (
        ".ds_store",
        "#recycle",
        "#snapshot",
        "$recycle.bin",
        "@eadir",
        "@recently-snapshot",
        "@recycle",
        "@sharebin",
        "@tmp",
        "__macosx",
        "__pycache__",
        "desktop.ini",
        "ehthumbs.db",
        "ehthumbs_vista.db",
        "icon\r",
        "ipynb_checkpoints",
        "lost+found",
        "network trash folder",
        "picasa.ini",
        "recycler",
        "system volume information",
        "temporary items",
        "thumbs.db",
        "zbthumbnail.info",
    )
)
#: Endings, in lower case, of what a network drive or Windows writes beside a file.
_LEFT_BEHIND_ENDINGS = ("@synoeastream", "@synoresource", ":zone.identifier", ":encryptable")

# What Windows saves of a broken disk: FOUND.000.
_FOUND = re.compile(r"found[.][0-9]{3}")

#: The endings that image files usually have. What a file holds is told by its content; these only help to say what was
#: not read, and whether a folder holds images itself.
IMAGE_ENDINGS = frozenset(
    (
        *("jpg", "jpeg", "jpe", "jfif", "png", "apng", "webp", "bmp", "dib", "tif", "tiff", "gif"),
        *("ppm", "pgm", "pbm", "pnm", "avif", "heic", "heif", "dcm"),
    )
)

# Endings of images that are none of the formats that are read: such a file is damaged, and not a document.
_OTHER_IMAGE_ENDINGS = frozenset(
    ("jp2", "j2k", "j2c", "jpx", "jpf", "jxl", "jxr", "tga", "pcx", "exr", "hdr", "bigtiff")
)

# Endings of files that are no images, however they begin: downloads under way, and raw files of cameras, of which the
# small preview would be read.
_NEVER_IMAGES = (
    *(".part", ".partial", ".crdownload", ".download", ".opdownload"),
    *(".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".dng", ".orf", ".rw2", ".raf", ".pef", ".srw"),
)

# How files of the formats that are read begin, where the first bytes are enough to tell.
_IMAGE_STARTS = (b"\xff\xd8", b"\x89PNG", b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
# Of the box that MP4 and MOV begin with as well, what says that it is of an image.
_BRANDS = (b"avif", b"avis", b"hei", b"hev", b"mif1", b"msf1")
_ANYMAP = re.compile(rb"P[1-6]\s+[0-9#]")
_HEAD = 132

# What nearly every file of a large set ends in, and none that is left behind; for speed.
_MOST_FILES = (".jpg", ".png", ".jpeg", ".JPG", ".JPEG")

#: Where results go in the current folder unless somebody says where; see ``api.verbs``.
RESULT_PARENTS = frozenset(("studies", "trials", "baselines"))


def is_left_behind(name: str) -> bool:
    """Whether a file or folder of that name is none of images: hidden, or left there by a system or tool."""
    if name.startswith("."):
        return True
    return not name.endswith(_MOST_FILES) and is_of_system(name)


def is_of_system(name: str) -> bool:
    """Whether a system or tool leaves something of that name behind; hidden or not."""
    lower = name.casefold()
    if lower in LEFT_BEHIND or lower.endswith(_LEFT_BEHIND_ENDINGS) or lower.startswith("._"):
        return True
    return _FOUND.fullmatch(lower) is not None


def is_image_name(name: str) -> bool:
    """Whether a file of that name is one of images by its ending."""
    _, dot, ending = name.rpartition(".")
    return bool(dot) and ending.lower() in IMAGE_ENDINGS


def is_no_image(path: str) -> bool:
    """Whether a file is neither called as an image nor begins as one."""
    ending = path.rpartition(".")[2].lower()
    if ending in IMAGE_ENDINGS or ending in _OTHER_IMAGE_ENDINGS:
        return False
    if path.lower().endswith(_NEVER_IMAGES):
        return True
    try:
        return not _begins_as_image(filesystem.read_head(path, _HEAD))
    except OSError:
        return False  # reading it will say why


def _begins_as_image(head: bytes) -> bool:
    if head.startswith(_IMAGE_STARTS) or _ANYMAP.match(head):
        return True
    if head[:2] == b"BM":
        return head[15:18] == bytes(3)  # the upper bytes of the length of its second header; a text has letters
    if head[:4] == b"RIFF":
        return head[8:12] == b"WEBP"  # and not a film or a sound
    if head[4:8] == b"ftyp":
        return head[8:12].startswith(_BRANDS)
    return head[128:132] == b"DICM"


def ending_of(name: str) -> str:
    """Return the ending of a file's name, for a list of what was not read."""
    stem, dot, ending = name.rpartition(".")
    return f".{ending.lower()}" if dot and stem and len(ending) <= 20 else "no ending"


def count_endings(names: Iterable[str]) -> str:
    """Return how many of ``names`` have which ending, the most first: ``.md (2), .csv (1)``."""
    counts = Counter(map(ending_of, names))
    return some_of([f"{ending} ({count:,})" for ending, count in counts.most_common()])


def not_read(names: Iterable[str], where: str) -> tuple[str, ...]:
    """Return a note on files that a source did not take; none where there are none.

    Args:
        names: of the files.
        where: where they are, as ``beside the class folders``.
    """
    listed = sorted(names)  # of equally many endings, the same one is named first every time
    if not listed:
        return ()
    were = "1 file was" if len(listed) == 1 else f"{len(listed):,} files were"
    return (f"Not read: {were} {where}, by ending {count_endings(listed)}.",)


class Search:
    """One look for image files below a folder; several folders may be asked about, and what was passed over adds up.

    Links are followed. No folder is walked twice on behalf of the same class, and none from within itself: links can
    lead back to a folder above, or make a few folders look like millions.
    """

    def __init__(self) -> None:
        self._passed: dict[str, str] = {}
        self._results: dict[str, str] = {}

    def folders(self, path: Path) -> list[Path]:
        """Return the folders in ``path`` that may hold images, links among them, by name."""
        return [Path(entry.path) for entry in self._listed(str(path)) if is_folder(entry)]

    def names(self, path: Path) -> list[str]:
        """Return the names of the files in ``path``, those that are left behind apart."""
        return [entry.name for entry in self._listed(str(path)) if not is_folder(entry)]

    def files_below(
        self, folder: str, above: Iterable[str] = (), key: Callable[[str], Hashable] = lambda _: None
    ) -> Iterator[FileEntry]:
        """Find the files below ``folder``, in the order of their names.

        Entries and not paths, because looking at 60,000 files a second time would take as long as decoding many of
        them.

        Args:
            above: folders that ``folder`` was found in, which no link leads back to.
            key: on whose behalf a folder is walked, by its path: each is walked once for each.
        """
        around = [found for path in above if (found := filesystem.identity(path)) is not None]
        start = filesystem.identity(folder)
        seen: set[tuple[Hashable, Hashable]] = {(start, key(folder))}
        waiting = [(start, iter(self._listed(folder)))]
        while waiting:
            entry = next(waiting[-1][1], None)
            if entry is None:
                waiting.pop()
            elif is_folder(entry):
                found = filesystem.identity(entry.path)
                mark = (found, key(entry.path))
                if mark in seen or found in around or any(found == passing for passing, _ in waiting):
                    continue
                seen.add(mark)
                waiting.append((found, iter(self._listed(entry.path))))
            elif (file := self._file(entry)) is not None:
                yield file

    def holds_files(self, folder: Path) -> bool:
        """Whether any file lies below ``folder``."""
        return next(self.files_below(str(folder)), None) is not None

    def holds_results(self, folder: Path) -> bool:
        """Whether ``folder`` is, or has below it, results that were passed over."""
        start = f"{folder}{os.sep}"
        return any(f"{path}{os.sep}".startswith(start) for path in self._results)

    def notes(self) -> tuple[str, ...]:
        """Return one sentence on what was passed over; none where nothing was."""
        counts = Counter(sorted(self._passed.values()))  # of equally many, the same one is named first every time
        parts = [some_of([f"{name} ({count:,})" for name, count in counts.most_common()], 8)] if counts else []
        if self._results:
            parts.append(f"results of Stepladder in {some_of(sorted(self._results))}")
        return (f"Passed over, as none of the images: {'; '.join(parts)}.",) if parts else ()

    def pass_over(self, path: str) -> None:
        """Count ``path`` as left behind by a system or tool, itself or with the folder that it lies in."""
        parts = Path(path).parts
        self._passed[path] = _shown(next((part for part in parts if is_of_system(part)), parts[-1]))

    def _listed(self, folder: str) -> list[Entry]:
        found = list(filesystem.scan(folder))
        if _is_result(folder, {entry.name for entry in found}):
            self._results[folder] = folder
            return []
        kept = []
        for entry in found:
            if is_left_behind(entry.name):
                self.pass_over(entry.path)
            else:
                kept.append(entry)
        kept.sort(key=attrgetter("name"))
        return kept

    def _file(self, entry: Entry) -> FileEntry | None:
        try:
            found = entry.stat()
        except OSError:
            return FileEntry(entry.path, -1, 0)  # a broken link, say: it stays in the list, so that it is reported
        # A pipe or device is no image that somebody forgot; opening one could wait for ever.
        if entry.is_file():
            if not entry.name.endswith(_MOST_FILES) and is_no_image(entry.path):
                ending = ending_of(entry.name)
                self._passed[entry.path] = f"*{ending}" if ending.startswith(".") else f"files with {ending}"
                return None
            return filesystem.entry_of(entry.path, found)
        self._passed[entry.path] = "pipes and devices"
        return None


def is_folder(entry: Entry) -> bool:
    """Whether an entry is a folder, or a link to one."""
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _shown(name: str) -> str:
    """What is counted together: every hidden file without a known name is one of many."""
    if name.startswith("._"):
        return "._*"
    lower = name.casefold()
    if lower.endswith(_LEFT_BEHIND_ENDINGS):
        return f"*{lower[lower.rindex('@' if '@' in lower else ':') :]}"
    known = name in (".DS_Store", ".ipynb_checkpoints", ".git") or not name.startswith(".")
    return name.strip() if known else "hidden"


def is_result_folder(folder: Path) -> bool:
    """Whether ``folder`` holds what Stepladder wrote: a study, sweep, search, curve, training, bag of words, range test
    or model; or is the folder in which those lie by default.

    Raises:
        OSError: it cannot be read.
    """
    return _is_result(str(folder), set(filesystem.names_in(folder)))


def _is_result(folder: str, names: set[str]) -> bool:
    if "study.json" in names:
        return "trials" in names or _starts_with_plan(folder, "study.json")
    if {"config.json", "model.safetensors"} <= names or {"result.json", "history.csv"} <= names:
        return True
    if {"lr-range.json", "lr-range.md"} <= names:
        return True
    if "checkpoint" in names and names <= {"checkpoint", ".lock", "model", "history.csv"}:
        return _has_checkpoint(os.path.join(folder, "checkpoint"))  # noqa: PTH118 (a str, for speed)
    if any(name in names and _starts_with_plan(folder, name) for name in ("bag-of-words.json", "baseline.json")):
        return True
    return os.path.basename(folder) in RESULT_PARENTS and _holds_results_only(folder, names)  # noqa: PTH119


def _starts_with_plan(folder: str, name: str) -> bool:
    """Whether a record of ours is in that file: any program may call a file study.json."""
    try:
        return b'"plan_hash"' in filesystem.read_head(os.path.join(folder, name), 4096)  # noqa: PTH118 (a str)
    except OSError:
        return False


def _has_checkpoint(folder: str) -> bool:
    try:
        return any(entry.name.isdigit() and entry.is_dir() for entry in filesystem.scan(folder))
    except OSError:
        return False


def _holds_results_only(folder: str, names: set[str]) -> bool:
    """Whether a folder of our default name holds our results, or nothing yet: then it is no class of that name."""
    inner = [os.path.join(folder, name) for name in names if not is_left_behind(name)]  # noqa: PTH118
    folders = [path for path in inner if filesystem.is_folder(path)]
    if any(is_image_name(path) for path in inner if path not in folders):
        return False
    filled = []
    for path in folders:
        found = set(filesystem.names_in(path))
        if _is_result(path, found):
            return True
        filled += [name for name in found if not is_left_behind(name)]
    return not filled and len(folders) == len(inner)
