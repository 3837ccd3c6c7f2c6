"""``python -m stepladder`` is the command line."""

from stepladder.cli import main

main()
