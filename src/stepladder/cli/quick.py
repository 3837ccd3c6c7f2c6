"""A process that is over soon: for commands whose users wait for the start and the end of it."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NoReturn


@contextmanager
def without_collection() -> Iterator[None]:
    """Search for no garbage while libraries are loaded: they make a million objects that all stay.

    It takes 0.2 s of the 1.2 that importing torch does. Afterwards the search leaves those objects out.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_on:
            gc.enable()


def leave(code: int) -> NoReturn:
    """End this process at once with ``code``, all output written.

    Python would first take every loaded library apart, 0.5 s with torch, for memory that the system takes back anyway.
    """
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # nobody listens any more; what there was to say of it has been said
            if stream is not None:
                stream.flush()
    os._exit(code)
