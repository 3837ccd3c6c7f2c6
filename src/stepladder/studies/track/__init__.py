"""Experiment trackers that see every trial as it runs; the files of the study stay the truth.

A tracker gets what the files get, on this machine and nowhere else, and one that fails never stops a trial.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from stepladder.errors import StudyError, unknown
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.track.base import Tracker, TrackerCallbacks

#: The trackers by name, each in a file of its own.
TRACKERS = ("tensorboard", "trackio")


def make_trackers(names: Sequence[str], out: Path, say: Callable[[str], None]) -> list[Callbacks]:
    """Return a watcher for each tracker in ``names``, which keeps its files in ``out``/tracking/<name>.

    Args:
        out: the folder of the study or trial.
        say: told in one sentence when a tracker fails; it is left alone from then on.

    Raises:
        StudyError: there is no tracker of that name.
        RecipeError: its library is not installed.
    """
    watches: list[Callbacks] = []
    for name in dict.fromkeys(names):
        if name not in TRACKERS:
            raise StudyError(unknown("tracker", name, TRACKERS))
        watches.append(TrackerCallbacks(name, _make(name, out), say))
    return watches


def _make(name: str, out: Path) -> Tracker:
    # Imported here: each brings a library that others do not need.
    if name == "tensorboard":
        from stepladder.studies.track.tensorboard import TensorBoard

        return TensorBoard(out / "tracking" / name)
    from stepladder.studies.track.trackio import Trackio

    return Trackio(out / "tracking" / name, project=out.resolve().name)
