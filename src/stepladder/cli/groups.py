"""The boxes of ``--help``, what most people need first on top."""

from __future__ import annotations

from cyclopts import Group

FIRST = Group("What most people need", sort_key=0)
IMAGES = Group("Images", sort_key=1)
RECIPE = Group("Recipe", sort_key=2)
JUDGING = Group("Plan and judging", sort_key=3)
RUNNING = Group("How it runs", sort_key=4)
OUTPUT = Group("Output", sort_key=5)
