"""What a command says when it was stopped: what is kept, and how to go on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from stepladder.study.files.records import SavedStudy
from stepladder.study.files.store import load_study


def why_stopped(reason: str) -> str:
    """Return the first words about a training that was stopped for ``reason``, one of ``Stopped``."""
    return "Stopped after --max-time" if reason == "time" else "Stopped"


def say_how_to_continue(
    console: Console, folder: Path, command: str, reason: str, write_report: Callable[[SavedStudy], object]
) -> None:
    """Say what ``folder`` holds of a study or sweep that was stopped, and write its report as far as it goes.

    Args:
        command: that goes on.
        reason: of ``Stopped``.
    """
    if not (folder / "study.json").exists():
        console.print("\nStopped before the first trial; nothing was written.")
        return
    stopped = load_study(folder)
    console.print(
        f"\n{why_stopped(reason)}. {len(stopped.trials)} of {stopped.record.planned_trials} trials are finished and "
        f"those under way have a checkpoint, in {folder}; continue with:\n  {command}",
        markup=False,
        soft_wrap=True,  # a command to copy must stay one line
    )
    write_report(stopped)
