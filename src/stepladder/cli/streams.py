"""Where a command reads and prints: any letter comes through, and an end of a pipe is an end."""

from __future__ import annotations

import codecs
import os
import sys
from contextlib import suppress
from io import TextIOWrapper, UnsupportedOperation

#: Exit status where nobody reads what is printed any more: 128 and the number of SIGPIPE, which ends other commands.
PIPE_ENDED = 141

_ANY_LETTER = "stepladder.any_letter"

#: Our own letters, and those of tables and bars, that some screens lack; and what stands for them there.
_NEAREST = {
    **dict.fromkeys("−–—‑", "-"),
    **dict.fromkeys("•○◇▼▲■✓", "*"),
    **dict.fromkeys("“”″", '"'),
    **dict.fromkeys("‘’′", "'"),
    **dict.fromkeys("⌈⌊", "["),
    **dict.fromkeys("⌉⌋", "]"),
    "…": "...",
    "×": "x",
    "·": "*",
    "±": "+/-",
    "²": "^2",
    "←": "<-",
    "→": "->",
    "≤": "<=",
    "≥": ">=",
    "≠": "!=",
    "≈": "~",
    "√": "sqrt",
    "α": "alpha",
    "λ": "lambda",
    "Λ": "Lambda",
    "μ": "mu",
    "π": "pi",
    "Φ": "Phi",
    "χ": "chi",
    "Σ": "sum",
    "\u00a0": " ",
    "\u202f": " ",
}


def let_any_letter_through() -> None:
    """Let stdout and stderr print what their encoding lacks as something near, in place of raising."""
    codecs.register_error(_ANY_LETTER, _near_letters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            with suppress(OSError):  # what it was opened on has given way to a terminal, which cannot seek
                stream.reconfigure(errors=_ANY_LETTER)
    if isinstance(sys.stdin, TextIOWrapper):  # names of files need not be in any encoding
        with suppress(UnsupportedOperation):  # something was read before
            sys.stdin.reconfigure(errors="surrogateescape")


def print_utf_8() -> None:
    """Let stdout print UTF-8 whatever the screen's encoding is: what is printed is a file for other programs."""
    if isinstance(sys.stdout, TextIOWrapper):
        # A name of a file that is no UTF-8 is written as in our own files, see ``files.replace_text``.
        sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace")


def let_go_of_broken_pipes() -> None:
    """Print into nothing from now on where nobody reads or nothing can be written: Python would complain at its end."""
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _near_letters(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return "".join(map(_near_letter, error.object[error.start : error.end])), error.end


def _near_letter(letter: str) -> str:
    if letter in _NEAREST:
        return _NEAREST[letter]
    number = ord(letter)
    if 0x2500 <= number < 0x2580:  # lines of tables
        return "-" if letter in "─━═╌╍┄┅┈┉╴╶╸╺╼╾" else "|" if letter in "│┃║╎╏┆┇┊┋╵╷╹╻╽╿" else "+"
    if 0x2580 <= number < 0x25A0:  # blocks, of which bars are made
        return "#"
    if 0x2800 <= number < 0x2900:  # dots that turn while somebody waits
        return "."
    return letter.encode("ascii", "backslashreplace").decode()  # of a name: no other name looks so
