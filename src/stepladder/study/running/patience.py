"""Before the first trial: do techniques fit, and do they hang? There is no worker yet that could be killed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from stepladder.data import Splits
from stepladder.errors import RecipeError, StudyError
from stepladder.recipe import Recipe
from stepladder.techniques.guard import hook_at
from stepladder.training.context import check_recipe


def check_in_time(what: str, recipe: Recipe, splits: Splits, num_classes: int, limit: float | None) -> None:
    """Refuse a recipe whose techniques do not fit the images, before anything trains.

    Args:
        what: of whom the sentence is, such as ``rung augment``.
        limit: seconds that the techniques may take to say whether they fit.

    Raises:
        RecipeError: they do not.
        StudyError: they took longer.
    """
    try:
        with ending_after(limit, what):
            check_recipe(recipe, splits.train, num_classes, has_validation=splits.validation is not None)
    except RecipeError as error:
        raise RecipeError(f"{what}: {error}") from error


@contextmanager
def ending_after(seconds: float | None, what: str) -> Iterator[None]:
    """End what is done inside once it has taken so many seconds; None for never.

    By an alarm of the system, which Python heeds between two of its own instructions: a sleep, a loop or a lock that
    waits is ended; a call into compiled code that does not return is not.

    Args:
        what: of whom the sentence is, such as ``rung augment``.

    Raises:
        StudyError: it took longer; the message names the technique's method that was at work.
    """
    # Only the main thread can take signals, and Windows has no such alarm.
    if seconds is None or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def expired(_: int, frame: FrameType | None) -> None:
        where = hook_at(frame)
        raise StudyError(
            f"{what} {f'hangs in {where}' if where else 'is not ready'}: it took longer than the {seconds:g} seconds "
            "of --trial-timeout before the first trial; mend the technique or leave it out, or allow more time"
        )

    before = signal.signal(signal.SIGALRM, expired)
    # Again and again: the method itself may catch the error.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
