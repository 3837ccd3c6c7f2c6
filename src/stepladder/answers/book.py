"""The questions with their answers, read from ``questions/NN.toml`` and ``outputs/NN-M.txt`` beside this file.

A text holds no number that can be worked out: ``{conv1_weights}`` stands for it, and :mod:`stepladder.answers.numbers`
gives it. ``pytest --refresh-golden tests/answers/test_outputs.py`` runs the commands and writes the outputs.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from difflib import get_close_matches
from functools import cache
from importlib import resources
from typing import Any

from stepladder.errors import RecipeError

#: The parts of the lab report, in its order.
THEMES = (
    "Convolutions and their arithmetic",
    "The network of the report",
    "Training it",
    "Normalizing the inputs",
    "Augmentation",
    "The learning rate",
    "Dropout and regularization",
    "Batch normalization",
)

_PLACEHOLDER = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_RANGE = re.compile(r"(\d{1,3})(?:[-–](\d{1,3}))?", re.ASCII)


@dataclass(frozen=True)
class Excerpt:
    """Lines of a command's output that are shown.

    Attributes:
        begins: how the first of them begins, with single spaces between its words.
        lines: how many.
    """

    begins: str
    lines: int = 1


@dataclass(frozen=True)
class Demonstration:
    """A command that shows the answer, and what it printed.

    Attributes:
        command: what is typed after ``$``; or lines of Python.
        python: which of the two it is.
        trains: whether it trains a network: then its figures are another processor's elsewhere.
        exit_code: of the command; 2 where it shows a refusal.
        shown: the parts of the output that are kept; all of it where there is none.
        output: as it was printed at 80 columns, ``…`` where lines are left out.
    """

    command: str
    python: bool = False
    trains: bool = False
    exit_code: int = 0
    shown: tuple[Excerpt, ...] = ()
    output: str = ""


@dataclass(frozen=True)
class Evidence:
    """What studies of ours measured.

    Attributes:
        text: one or two sentences with n and interval.
        source: the page that has it, from the repository's root.
        quotes: pieces of that page, word for word, that hold every number of ``text``.
    """

    text: str
    source: str
    quotes: tuple[str, ...]


@dataclass(frozen=True)
class Question:
    """One question with its answer.

    Attributes:
        number: 1 to 34, the lab report's own.
        theme: of :data:`THEMES`.
        title: the question in a line, without numbers that would have to be worked out.
        question: in our words.
        answer: with its reason, in about five sentences.
        formula: with the numbers of the report's network put in, a line each; empty where there is none.
        slip: where the lab report is wrong, what is right, and why; empty where it is right.
        demonstrations: commands that show it.
        evidence: what was measured; may be empty.
        techniques: names of those that it is about.
        pages: of the documentation, from ``docs/``, each with its title.
        related: numbers of other questions.
        picture: of the documentation, from ``docs/``, and what it shows; empty where there is none.
    """

    number: int
    theme: str
    title: str
    question: str
    answer: str
    formula: str = ""
    slip: str = ""
    demonstrations: tuple[Demonstration, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    techniques: tuple[str, ...] = ()
    pages: tuple[tuple[str, str], ...] = ()
    related: tuple[int, ...] = ()
    picture: tuple[str, ...] = ()

    def to_document(self) -> dict[str, Any]:
        """Return all of it as plain values, for JSON; without what only making it needs."""
        table = asdict(self)
        table["pages"] = [{"page": f"docs/{page}", "title": title} for page, title in self.pages]
        table["picture"] = f"docs/{self.picture[0]}" if self.picture else None
        for entry in table["demonstrations"]:
            del entry["shown"]
        for entry in table["evidence"]:
            del entry["quotes"]
        return table


@cache
def raw_questions() -> tuple[Question, ...]:
    """Return all questions in order, placeholders not filled in."""
    folder = resources.files("stepladder.answers")
    names = sorted(entry.name for entry in (folder / "questions").iterdir() if entry.name.endswith(".toml"))
    outputs = {entry.name: entry for entry in (folder / "outputs").iterdir()}
    found = []
    for name in names:
        table = tomllib.loads((folder / "questions" / name).read_text(encoding="utf-8"))
        number = table["number"]
        assert name == f"{number:02}.toml", name
        assert table["theme"] in THEMES, name
        demonstrations = []
        for position, entry in enumerate(table.pop("demonstrations", ()), start=1):
            kept = outputs.get(output_name(number, position))
            demonstrations.append(
                Demonstration(
                    **{**entry, "command": entry["command"].strip("\n")}
                    | {"shown": tuple(Excerpt(**one) for one in entry.get("shown", ()))},
                    output=kept.read_text(encoding="utf-8").rstrip("\n") if kept else "",
                )
            )
        evidence = tuple(Evidence(**{**entry, "quotes": tuple(entry["quotes"])}) for entry in table.pop("evidence", ()))
        table |= {key: tuple(table.get(key, ())) for key in ("techniques", "related", "picture")}
        table["pages"] = tuple((page, title) for page, title in table.get("pages", ()))
        table["formula"] = table.get("formula", "").strip("\n")
        table |= {key: _joined(table.get(key, "")) for key in ("question", "answer", "slip")}
        found.append(Question(**table, demonstrations=tuple(demonstrations), evidence=evidence))
    return tuple(found)


def all_questions() -> tuple[Question, ...]:
    """Return the 34 questions in order, every number filled in."""
    from stepladder.answers.numbers import numbers  # here, as a list of titles needs none

    return tuple(_filled(question, numbers()) for question in raw_questions())


def find_questions(asked: Sequence[str]) -> tuple[Question, ...]:
    """Return the questions that are meant, each once, in order.

    Args:
        asked: numbers, ranges such as ``7-9``, and names of techniques.

    Raises:
        RecipeError: there is no such question, and no question on such a technique.
    """
    questions = {question.number: question for question in raw_questions()}
    wanted: set[int] = set()
    for word in asked:
        found = _RANGE.fullmatch(word)
        if found is None:
            wanted |= set(_on_technique(word))
            continue
        first, last = int(found[1]), int(found[2] or found[1])
        if first not in questions or last not in questions or last < first:
            raise RecipeError(
                f"'{word}' is no question; there are {min(questions)} to {max(questions)}: give numbers or ranges, "
                f"as 7 or 7-9"
            )
        wanted |= set(range(first, last + 1))
    from stepladder.answers.numbers import numbers

    return tuple(_filled(questions[number], numbers()) for number in sorted(wanted))


def questions_on(technique: str) -> tuple[int, ...]:
    """Return the numbers of the questions about a technique; none where there is no question about it."""
    return tuple(question.number for question in raw_questions() if technique in question.techniques)


def see_answers(technique: str) -> str | None:
    """Return the command that answers the questions about a technique, for its card; None where there is none.

    >>> see_answers("horizontal_flip")
    'stepladder answers 22 23 24'
    """
    found = questions_on(technique)
    return f"stepladder answers {' '.join(map(str, found))}" if found else None


def output_name(number: int, position: int) -> str:
    """Return the file in ``outputs/`` that has what a demonstration printed; ``position`` counts from 1."""
    return f"{number:02}-{position}.txt"


def cut_out(printed: str, shown: Sequence[Excerpt]) -> str:
    """Return the shown lines of what a command printed, ``…`` where lines are left out.

    Raises:
        AssertionError: no line begins as an excerpt says.
    """
    lines = [line.rstrip() for line in printed.strip("\n").split("\n")]
    if not shown:
        return "\n".join(lines)
    kept: list[str] = []
    position = 0
    for excerpt in shown:
        begins = [n for n in range(position, len(lines)) if " ".join(lines[n].split()).startswith(excerpt.begins)]
        assert begins, f"no line begins with {excerpt.begins!r} in\n{printed}"
        kept += ["…"] if begins[0] > position else []
        position = begins[0] + excerpt.lines
        kept += lines[begins[0] : position]
    return "\n".join(kept + (["…"] if position < len(lines) else []))


def fill(text: str, values: Mapping[str, str]) -> str:
    """Return a text with every ``{name}`` replaced.

    Raises:
        KeyError: no value has that name.
    """
    return _PLACEHOLDER.sub(lambda found: values[found[1]], text)


def _filled(question: Question, values: Mapping[str, str]) -> Question:
    return replace(
        question,
        question=fill(question.question, values),
        answer=fill(question.answer, values),
        formula=fill(question.formula, values),
        slip=fill(question.slip, values),
    )


def _on_technique(name: str) -> tuple[int, ...]:
    found = questions_on(name.replace("-", "_"))
    if not found:
        known = sorted({technique for question in raw_questions() for technique in question.techniques})
        near = get_close_matches(name, known, 1)
        hint = f"did you mean '{near[0]}'? " if near else ""
        raise RecipeError(
            f"there is no question '{name}'; {hint}Give a number, a range such as 7-9, or one of these techniques: "
            f"{', '.join(known)}"
        )
    return found


def _joined(text: str) -> str:
    """Return paragraphs as one line each: in a file they are broken where it suits the file."""
    return "\n\n".join(" ".join(part.split()) for part in re.split(r"\n\s*\n", text.strip()))
