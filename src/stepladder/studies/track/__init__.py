"""Experiment trackers that see every trial as it runs; the files of the study stay the truth.

A tracker gets what the files get, and one that fails never stops a trial. None sends anything to another machine unless
the user has set that up for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from stepladder.errors import StepladderError, StudyError, described, unknown
from stepladder.files import remove_links
from stepladder.studies.track.base import Tracker, TrackerCallbacks

#: Where each tracker's class is, by name. It is imported when it is asked for: each brings a library that others do not
#: need.
TRACKERS = {
    "tensorboard": "stepladder.studies.track.tensorboard:TensorBoard",
    "trackio": "stepladder.studies.track.trackio:Trackio",
    "wandb": "stepladder.studies.track.wandb:WeightsAndBiases",
    "mlflow": "stepladder.studies.track.mlflow:MLflow",
}

#: Where packages of others name their trackers: a class that inherits from :class:`Tracker`, by its name for ``track``.
ENTRY_POINTS = "stepladder.trackers"


def known_trackers() -> tuple[str, ...]:
    """Return the names of all trackers: ours, then those of installed packages."""
    return tuple(dict.fromkeys([*TRACKERS, *sorted(entry.name for entry in entry_points(group=ENTRY_POINTS))]))


def find_tracker(name: str) -> type[Tracker]:
    """Return the class of a tracker; a package's code is run only when its tracker is named.

    Raises:
        StudyError: there is no tracker of that name, or its package cannot be loaded.
    """
    if name in TRACKERS:
        module, _, tracker = TRACKERS[name].partition(":")
        ours: type[Tracker] = getattr(import_module(module), tracker)
        return ours
    for entry in entry_points(group=ENTRY_POINTS, name=name):
        return _load_entry(entry)
    raise StudyError(unknown("tracker", name, known_trackers()))


def _load_entry(entry: EntryPoint) -> type[Tracker]:
    package = entry.dist.name if entry.dist else entry.value
    try:
        found = entry.load()
    except Exception as error:  # a package of others may raise anything
        raise StudyError(f"the tracker {entry.name} of {package} cannot be loaded: {described(error)}") from error
    if not (isinstance(found, type) and issubclass(found, Tracker)):
        raise StudyError(f"the tracker {entry.name} of {package} is no class that inherits from Tracker")
    return found


def check_trackers(names: Iterable[str]) -> None:
    """Refuse names that are no tracker's, and trackers whose library is not installed.

    Raises:
        StudyError: there is no such tracker.
        RecipeError: its library is not installed.
    """
    for name in names:
        find_tracker(name).check()


def make_trackers(names: Sequence[str], out: Path, say: Callable[[str], None]) -> list[TrackerCallbacks]:
    """Return callbacks for each tracker in ``names``, which keeps its files in ``out``/tracking/<name>.

    Args:
        out: the folder of the study or trial.
        say: told in one sentence when a tracker fails; it is left alone from then on.

    Raises:
        StudyError: there is no tracker of that name, or one cannot begin.
        RecipeError: its library is not installed.
    """
    check_trackers(names)
    remove_links(out / "tracking")
    return [TrackerCallbacks(name, _make(name, out), say) for name in dict.fromkeys(names)]


def _make(name: str, out: Path) -> Tracker:
    try:
        return find_tracker(name)(out / "tracking" / name, out.resolve().name)
    except StepladderError:
        raise
    except Exception as error:  # nothing has begun, so whoever asked for it may as well know now
        raise StudyError(f"the tracker {name} cannot begin ({described(error)}); leave it out, or mend that") from error
