"""``stepladder answers``: the lab report's questions, from the list to an answer in full. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated

from cyclopts import Parameter
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from stepladder.answers.book import THEMES, Demonstration, Question, all_questions, find_questions, raw_questions
from stepladder.answers.markdown import to_markdown
from stepladder.cli.console import AsJson, print_json
from stepladder.cli.groups import OUTPUT
from stepladder.cli.streams import print_utf_8
from stepladder.errors import RecipeError
from stepladder.report.screen import Screen


def answers(
    *numbers: Annotated[
        str,
        Parameter(
            help="Numbers (7), ranges (7-9), or a technique (dropout) for the questions on it. Without one, all are "
            "listed."
        ),
    ],
    as_json: AsJson = False,
    as_markdown: Annotated[
        bool,
        Parameter(
            name="--markdown", negative="", show_default=False, group=OUTPUT, help="Print the answers as one page."
        ),
    ] = False,
) -> None:
    """List the lab report's questions, or answer some."""
    if as_json and as_markdown:
        raise RecipeError("--json and --markdown exclude one another; choose one")
    if not numbers and not (as_json or as_markdown):
        _list(Screen(highlight=False))
        return
    questions = find_questions(numbers) if numbers else all_questions()
    if as_json:
        print_utf_8()
        print_json([question.to_document() for question in questions])
    elif as_markdown:
        print_utf_8()
        print(to_markdown(questions), end="")
    else:
        screen = Screen(highlight=False)
        for position, question in enumerate(questions):
            if position:
                screen.print()
            screen.print(_page(question, screen.width))


def _list(screen: Screen) -> None:
    questions = raw_questions()
    for theme in THEMES:
        screen.print(Text(theme, style="bold"))
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 1))
        table.add_column(justify="right", width=4)
        table.add_column()
        for question in questions:
            if question.theme == theme:
                table.add_row(str(question.number), Text(question.title))
        screen.print(table)
    screen.print("\nOne in full: stepladder answers 7; several: stepladder answers 7-9 33", style="dim")


def _page(question: Question, width: int) -> RenderableType:
    parts: list[RenderableType] = [
        Text(f"{question.number}. {question.title}", style="bold"),
        _indented(Text(question.question, style="italic")),
        Text(),
        _indented(Text(question.answer)),
    ]
    if question.slip:
        parts += [Text(), _indented(Text.assemble(("✗ Slip. ", "bold yellow"), question.slip))]
    if question.formula:
        parts += [Text(), Text("Worked through", style="bold"), _formula(question.formula, width)]
    for demonstration in question.demonstrations:
        parts += [Text(), *_shown(demonstration, width)]
    if question.evidence:
        parts += [Text(), Text("Measured", style="bold")]
        parts += [_point(Text.assemble(entry.text, (f" ({entry.source})", "dim"))) for entry in question.evidence]
    if see := list(_see_also(question)):
        parts += [Text(), Text("See also", style="bold"), *(_indented(Text(line)) for line in see)]
    return Group(*parts)


def _indented(content: RenderableType) -> Padding:
    return Padding(content, (0, 0, 0, 2))


def _point(content: Text) -> Table:
    row = Table.grid(padding=(0, 1))
    row.add_row("  •", content)
    return row


def _formula(text: str, width: int) -> Padding:
    """Lines with a label in front; where one is too long for the terminal, its working goes below the label."""
    room = width - 2
    lines: list[RenderableType] = []
    for line in text.split("\n"):
        label, _, working = line.strip().partition("  ")
        front = len(line) - len(line.lstrip())
        if len(line) <= room or not working:
            lines.append(Padding(Text(line.lstrip()), (0, 0, 0, front)))
        else:
            lines += [Padding(Text(label), (0, 0, 0, front)), Padding(Text(working.strip()), (0, 0, 0, front + 2))]
    return _indented(Group(*lines))


def _output(text: str, width: int) -> Padding:
    """What a command printed: prose is wrapped, columns are cut at the edge, as they would fall apart if wrapped."""
    room = width - 2
    lines: list[RenderableType] = []
    for line in text.split("\n"):
        if len(line) > room and not line.strip("─"):
            line = line[:room]
        elif len(line) > room and ("  " in line.strip() or line.startswith(" ")):
            line = f"{line[: room - 1]}…"
        lines.append(Text(line))
    return _indented(Group(*lines))


def _shown(demonstration: Demonstration, width: int) -> Iterator[RenderableType]:
    yield Text("In Python" if demonstration.python else "A command that shows it", style="bold")
    typed = demonstration.command if demonstration.python else f"$ {demonstration.command}"
    yield _indented(Text(typed, style="cyan", overflow="fold"))
    if demonstration.python:
        yield _indented(Text("prints", style="dim"))
    yield _output(demonstration.output, width)


def _see_also(question: Question) -> Iterator[str]:
    if question.related:
        yield f"stepladder answers {' '.join(map(str, question.related))}"
    for name in question.techniques:
        yield f"stepladder techniques {name}"
    for page, title in question.pages:
        yield f"docs/{page.partition('#')[0]}: {title}"
