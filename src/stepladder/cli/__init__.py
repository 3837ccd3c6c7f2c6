"""The command line: parses, calls the library, prints. It holds no logic, and ``--help`` imports no torch."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from cyclopts import App, CycloptsError

from stepladder.errors import StepladderError

app = App(
    name="stepladder",
    help="Which training techniques actually help on your images, by how much, and the trained model to take home.",
    help_epilogue="Start with: stepladder study digits",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,
)
# As import paths: a command's module is loaded when the command runs. The help texts stand here, so that listing the
# commands loads none of them.
app.command(
    "stepladder.cli.study:study",
    name="study",
    help="Train every rung with several seeds and say what the evidence holds.",
)
app.command("stepladder.cli.train:train", name="train", help="Train one recipe and leave a model folder.")
app.command("stepladder.cli.techniques:techniques", name="techniques", help="List the techniques, or show one.")
app.command("stepladder.cli.report:report", name="report", help="Rebuild the report of a study from its files.")
bench = App(name="bench", help="Measure Stepladder on this machine.")
bench.command(
    "stepladder.cli.bench:engine", name="engine", help="Training speed against plain PyTorch and the matrix product."
)
app.command(bench)
app.register_install_completion_command()


def main() -> None:
    """Run the command line of this process."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code: 0 done, 1 done with failed trials, 2 wrong input, 130 interrupted."""
    try:
        code = app(list(arguments), exit_on_error=False, print_error=False, result_action="return_value")
    except CycloptsError as error:
        return _complain(f"{error}\nSee: stepladder {' '.join(arguments[:1])} --help".replace("  ", " "))
    except StepladderError as error:
        return _complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return _complain("Stopped.", 130)
    return code if isinstance(code, int) else 0


def _complain(message: str, code: int = 2) -> int:
    # Not through rich: its wrapping and markup would change paths and names.
    color = sys.stderr.isatty()
    print(f"\033[31mError:\033[0m {message}" if color and code == 2 else f"Error: {message}", file=sys.stderr)
    return code
