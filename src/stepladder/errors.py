"""Everything a user can do wrong, as one family of exceptions.

Each message is one clear sentence that names the value, what is allowed and the fix. Parameters stand in backticks, as
`limit` or `download=True`; the command line makes options of them, prints the message without a traceback and exits
with :attr:`StepladderError.exit_code`.
"""

from __future__ import annotations

import difflib
import re
import traceback
from collections.abc import Iterable, Sequence
from pathlib import Path

_OURSELVES = Path(__file__).parent

#: What commands a terminal, turns the direction of writing, or cannot be seen or encoded: control characters but tab
#: and line break, marks and overrides of direction, separators of lines, invisible signs, lone surrogates. Joiners, of
#: which scripts and pictures are made, stay.
_ODD = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ufffe\uffff"
    "\U000e0000-\U000e007f\ud800-\udfff]"
)


def printable(text: str, *, as_json: bool = False) -> str:
    r"""Return ``text`` from outside as a screen or page may show it: what would command it is written as an escape.

    >>> print(printable("cat\x1b[2J"))
    cat\x1b[2J

    Args:
        as_json: the text is a JSON document, whose strings say the same by an escape of JSON.
    """
    return _ODD.sub(_json_escape if as_json else _escape, text)


def _escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    return f"\\x{number:02x}" if number < 0x100 else _json_escape(found) if number < 0x10000 else f"\\U{number:08x}"


def _json_escape(found: re.Match[str]) -> str:
    number = ord(found[0])
    if number < 0x10000:
        return f"\\u{number:04x}"
    return f"\\u{0xD800 + (number - 0x10000 >> 10):04x}\\u{0xDC00 + (number & 0x3FF):04x}"


class StepladderError(Exception):
    """Base of every error that a user can cause and mend; what its message quotes is made printable."""

    exit_code = 2

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(str(message)))


class DataError(StepladderError):
    """An image set that cannot be found, read or split."""


class DamagedImagesError(DataError):
    """Images that cannot be decoded.

    Args:
        damaged: one (place, reason) pair for each damaged image, place being a path or ``file.parquet row 7``.
    """

    def __init__(self, damaged: Iterable[tuple[str, str]]) -> None:
        self.damaged = tuple(damaged)
        count = len(self.damaged)
        listing = "\n".join(f"  {place}: {reason}" for place, reason in self.damaged)
        super().__init__(
            f"{count} damaged image{'s' if count != 1 else ''}; mend or remove {'them' if count != 1 else 'it'}, "
            f"or leave {'them' if count != 1 else 'it'} out with `skip_damaged=True`:\n{listing}"
        )


class RecipeError(StepladderError):
    """A recipe, technique, network or setting that does not exist or does not fit."""


class LayerError(RecipeError):
    """A layer that does not fit what comes into it.

    Args:
        message: the sentence; it names the layer by number and name.
        layer: the layer's name, by which the one-line form finds the place for its caret.
    """

    def __init__(self, message: str, layer: str) -> None:
        super().__init__(message)
        self.layer = layer


class LineError(RecipeError):
    """A mistake in a network's one-line form: the sentence, the line, and a caret under the token.

    Args:
        sentence: without the line, for places that have one line.
        start, end: the token's characters in ``line``.

    Attributes:
        column: where the token begins, counted from 1, for places without room for a caret.
    """

    def __init__(self, sentence: str, line: str, start: int, end: int) -> None:
        # Long lines are cut around the token, so that the caret stays under it on a terminal.
        left = max(0, min(start - 30, len(line) - 70))
        shown = ("…" if left else "") + line[left : left + 70] + ("…" if left + 70 < len(line) else "")
        place = start - left + (1 if left else 0)
        carets = "^" * max(1, min(end - start, len(shown) - place))
        super().__init__(f"{sentence}\n  {shown}\n  {' ' * place}{carets}")
        self.sentence = printable(sentence)
        self.column = start + 1


class StudyError(StepladderError):
    """A study that cannot be started, continued or read."""


class StorageError(StepladderError):
    """A folder or file that cannot be written or read."""


class DamagedError(StorageError):
    """A file that is there, and does not hold what it should.

    Args:
        what: the file and what is wrong with it.
        fix: what to do about it.
    """

    def __init__(self, what: str, fix: str) -> None:
        super().__init__(f"{what}; {fix}")
        self.what = printable(what)


class HubError(StepladderError):
    """A repository of the Hugging Face Hub that cannot be read or written, or an address of none."""


class StepladderWarning(UserWarning):
    """Something that was mended, or done another way, and that the user should know; one or more whole sentences."""

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(str(message)))


def described(error: BaseException) -> str:
    """Return an exception of code that is not ours in words, with the file and line where it came from."""
    text = str(error).partition("\n")[0] or "no message"
    if isinstance(error, SyntaxError):  # its text names the place, and no line of the file has run
        return f"{type(error).__name__}: {text}"
    frames = list(traceback.extract_tb(error.__traceback__))
    later = frames[1:] or frames
    # The innermost line outside torch and ourselves is the one that the author can mend; a library's is a clue.
    others = [frame for frame in later if not Path(frame.filename).is_relative_to(_OURSELVES)]
    outside = [frame for frame in others if "site-packages" not in frame.filename]
    libraries = [frame for frame in others if "torch" not in Path(frame.filename).parts]
    own = outside or libraries or later
    return f"{type(error).__name__}: {text} ({own[-1].filename.rpartition('/')[2]}, line {own[-1].lineno})"


def for_want_of_memory(error: BaseException) -> bool:
    """Return whether ``error`` was raised because memory, the processor's or a GPU's, was short.

    By its text too: torch raises plain RuntimeErrors where the processor's is short.

    >>> for_want_of_memory(RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"))
    True
    """
    text = str(error).lower()
    return isinstance(error, MemoryError) or "out of memory" in text or "allocate memory" in text


def missing_extra(library: str, extra: str) -> str:
    """Return the sentence for a library that only an extra brings."""
    return f"this needs {library}, which is not installed; install it with: pip install 'stepladder[{extra}]'"


def unknown(kind: str, value: str, known: Iterable[str], listed_by: str | None = None) -> str:
    """Return the sentence for a name that does not exist, with the nearest one that does.

    Args:
        listed_by: the command that lists them, where they are too many for a sentence.

    >>> unknown("technique", "mixpu", ["mixup", "cutmix"])
    "unknown technique 'mixpu'; did you mean 'mixup'? Known: cutmix, mixup"
    """
    names = sorted(known)
    near = difflib.get_close_matches(value, names, n=1)
    hint = f"; did you mean '{near[0]}'?" if near else "."
    shown = printable(value).replace("\n", r"\n")  # in a name, a line break would break the sentence
    return f"unknown {kind} '{shown}'{hint} {f'All: {listed_by}' if listed_by else 'Known: ' + ', '.join(names)}"


def some_of(names: Sequence[str], at_most: int = 5) -> str:
    """Return the first of a list of names for a message or note, and how many more there are.

    >>> some_of(["a", "b", "c"], at_most=2)
    'a, b and 1 more'
    """
    shown = ", ".join(names[:at_most])
    more = len(names) - at_most
    return f"{shown} and {more} more" if more > 0 else shown
