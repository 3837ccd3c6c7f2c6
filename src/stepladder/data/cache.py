"""Where downloads and decoded images are kept between runs."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs

#: The environment variable that moves the cache.
VARIABLE = "STEPLADDER_CACHE"


def cache_folder() -> Path:
    """Return the folder of Stepladder's cache: ``$STEPLADDER_CACHE``, else the user's own on this system.

    It need not exist yet.
    """
    chosen = os.environ.get(VARIABLE)
    return Path(chosen).expanduser() if chosen else platformdirs.user_cache_path("stepladder", appauthor=False)
