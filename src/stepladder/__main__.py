"""``python -m stepladder`` is the command line."""

import os
import sys

# Python puts the current folder first, which may hold anybody's queue.py; the command itself imports nothing from it.
if not sys.flags.safe_path and sys.path[:1] == [os.getcwd()]:  # noqa: PTH109 (pathlib is not loaded yet)
    del sys.path[0]

from stepladder.cli import main

main()
