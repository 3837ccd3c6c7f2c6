"""Experiment trackers that see every trial as it runs; the files of the study stay the truth.

A tracker gets what the files get, on this machine and nowhere else, and one that fails never stops a trial.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from pathlib import Path

from stepladder.errors import StudyError, unknown
from stepladder.files import remove_links
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.track.base import Tracker, TrackerCallbacks

#: Where each tracker's class is, by name. It is imported when it is asked for: each brings a library that others do not
#: need.
TRACKERS = {
    "tensorboard": "stepladder.studies.track.tensorboard:TensorBoard",
    "trackio": "stepladder.studies.track.trackio:Trackio",
}


def check_trackers(names: Iterable[str]) -> None:
    """Refuse names that are no tracker's.

    Raises:
        StudyError: there is one.
    """
    for name in names:
        if name not in TRACKERS:
            raise StudyError(unknown("tracker", name, TRACKERS))


def make_trackers(names: Sequence[str], out: Path, say: Callable[[str], None]) -> list[Callbacks]:
    """Return callbacks for each tracker in ``names``, which keeps its files in ``out``/tracking/<name>.

    Args:
        out: the folder of the study or trial.
        say: told in one sentence when a tracker fails; it is left alone from then on.

    Raises:
        StudyError: there is no tracker of that name.
        RecipeError: its library is not installed.
    """
    check_trackers(names)
    remove_links(out / "tracking")
    return [TrackerCallbacks(name, _make(name, out), say) for name in dict.fromkeys(names)]


def _make(name: str, out: Path) -> Tracker:
    module, _, tracker = TRACKERS[name].partition(":")
    made: Tracker = getattr(import_module(module), tracker)(out / "tracking" / name, out.resolve().name)
    return made
