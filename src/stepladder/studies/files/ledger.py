"""Which plans have read which test images on this computer: a list outside the folders of the studies.

Whoever tries one plan after another on the same test images, and keeps the one that did best, has chosen by test, even
where each plan read it only once. The list counts the plans. It is no security against its owner, who may remove it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from stepladder.datasets import Split
from stepladder.errors import StorageError
from stepladder.files import read_json, replace_json

#: The environment variable that moves the list.
VARIABLE = "STEPLADDER_STATE"


@dataclass(frozen=True)
class PlanRead:
    """A plan that has read test images.

    Attributes:
        plan_hash: what tells it from others: the plan's of a study, the trial's of a single training.
        what: its kind, as ``ladder`` or ``training``.
        data: the name of the image set.
        folder: where its results were.
        time: of its last reading, in UTC.
    """

    plan_hash: str
    what: str
    data: str
    folder: str
    time: str


@dataclass(frozen=True)
class ReadImages:
    """Test images with the plans that have read them.

    Attributes:
        fingerprint: of the test split, see ``Split.fingerprint``.
        images: how many there are.
        plans: the last to read them last.
    """

    fingerprint: str
    images: int
    plans: tuple[PlanRead, ...]


def state_folder() -> Path:
    """Return where the list is kept: ``$STEPLADDER_STATE``, else the user's own on this system; it need not exist."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_state_path("stepladder", appauthor=False)


@contextmanager
def list_apart() -> Iterator[None]:
    """Keep another list meanwhile, here and in processes that are started, and throw it away at the end.

    What a measurement of the program trains is no plan of the user's.
    """
    before = os.environ.get(VARIABLE)
    with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as folder:
        os.environ[VARIABLE] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before


def note_reading(test: Split, plan: PlanRead) -> int:
    """Add a plan that is about to read ``test``, and return in how many others it was read before.

    Where the list cannot be kept, as in a home that may not be written, that is 0: no study fails for it.
    """
    path = _folder() / f"{test.fingerprint[:32]}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(path.with_suffix(".lock")):
            before = _read(path)
            plans = () if before is None else before.plans
            others = tuple(one for one in plans if one.plan_hash != plan.plan_hash)
            now = ReadImages(test.fingerprint, len(test), (*others, plan))
            replace_json(path, asdict(now))
    except (OSError, StorageError):
        return 0
    return len(others)


def past_readings() -> tuple[ReadImages, ...]:
    """Return all test images that were read on this computer, those that most plans have read first."""
    return tuple(sorted(_all(), key=lambda one: (-len(one.plans), one.fingerprint)))


def _all() -> Iterator[ReadImages]:
    folder = _folder()
    for path in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        if (found := _read(path)) is not None:
            yield found


def _read(path: Path) -> ReadImages | None:
    """Return what a file tells; None where there is none, or it is no such file."""
    try:
        document: Any = read_json(path)
        plans = tuple(PlanRead(**{name: str(value) for name, value in one.items()}) for one in document["plans"])
        return ReadImages(str(document["fingerprint"]), int(document["images"]), plans)
    except (StorageError, LookupError, TypeError, ValueError, AttributeError):
        return None


def _folder() -> Path:
    return state_folder() / "readings"
