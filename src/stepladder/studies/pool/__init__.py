"""Several studies of different image sets, judged together: what a technique does in general, and on a new set."""

from pathlib import Path

#: The atlas that Stepladder comes with, see :mod:`stepladder.studies.pool.atlas`; absent where there is none yet. It is
#: here so that a list which asks for it imports nothing else.
ATLAS_FILE = Path(__file__).with_name("atlas.json")
