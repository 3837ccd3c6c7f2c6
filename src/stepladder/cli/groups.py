"""The boxes of ``--help``, what most people need first on top."""

from __future__ import annotations

from cyclopts import Group

# Of one command.
FIRST = Group("What most people need", sort_key=0)
IMAGES = Group("Images", sort_key=1)
RECIPE = Group("Recipe", sort_key=2)
COMMAND = Group("A program of your own", sort_key=2)
JUDGING = Group("Plan and judging", sort_key=3)
SCORES = Group("What the scores are", sort_key=1)
SEARCHING = Group("Grid and search", sort_key=3)
RATES = Group("Rates", sort_key=3)
RUNNING = Group("How it runs", sort_key=4)
MORE = Group("More", sort_key=5)
OUTPUT = Group("Output", sort_key=6)

# Of the list of all commands.
TRAINING = Group("Train and compare", sort_key=0)
BEFORE = Group("Before you train", sort_key=1)
STUDIES = Group("An existing study", sort_key=2)
MODELS = Group("A trained model", sort_key=3)
MACHINE = Group("This machine", sort_key=4)
ABOUT = Group("Stepladder itself", sort_key=5)
COMMANDS = Group("Commands")
