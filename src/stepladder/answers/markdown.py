"""The answers as one page of Markdown, ``docs/answers.md``."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby

from stepladder.answers.book import Demonstration, Question

#: Columns of the page's code blocks; longer prose goes on below, two spaces further in.
_COLUMNS = 118

_HEAD = """\
# The book of answers

The lab report that Stepladder grew out of trains one network on CIFAR-10, adds five techniques, and answers
{count} questions on the way. Here they are in our words, with the reason, the arithmetic of the report's
network, a command that shows it, and what our own studies measured. Where the report slips, a line says so.

The network has three 5×5 convolutions of 32, 64 and 64 maps, each with ReLU and 2×2 pooling behind it, a hidden
layer of 1,000 and ten outputs ([what it costs and sees](networks.md)). `stepladder answers 7` prints a question
in the terminal, `stepladder answers dropout` those on a technique. This page is made by `stepladder answers
--markdown`. No number of its arithmetic is typed: they are worked out, and a test works them out again in
another way. What was measured is quoted from a page, and a test compares. Outputs of trainings are of two cores
of an AMD EPYC in float32 (Python 3.11.7, torch 2.13.0 CPU); another processor gives other last digits, and
other times. [Exercises](exercises.md) and three notebooks go further:
[convolutions](notebooks/convolutions.ipynb), [the ladder](notebooks/ladder.ipynb) and [did it
help?](notebooks/did_it_help.ipynb). The glossary explains [rung, points,
nats and bfloat16](glossary.md).
"""


def to_markdown(questions: Sequence[Question]) -> str:
    """Return the questions as a page: a heading a theme and a question, ``### 7. …``.

    Args:
        questions: in order; links between questions work where all are there.
    """
    parts = [_HEAD.format(count=len(questions))] if len(questions) > 1 else []
    anchors = {question.number: anchor(question) for question in questions}
    for theme, group in groupby(questions, lambda question: question.theme):
        if len(questions) > 1:
            parts.append(f"## {theme}\n")
        parts += [_section(question, anchors) for question in group]
    return "\n".join(parts)


def anchor(question: Question) -> str:
    """Return the address of a question's heading, as GitHub and MkDocs make it."""
    heading = f"{question.number}. {question.title}".lower()
    return re.sub(r"[^\w -]", "", heading).replace(" ", "-")


def _section(question: Question, anchors: dict[int, str]) -> str:
    lines = [f"### {question.number}. {question.title}", "", f"*{question.question}*", "", question.answer, ""]
    if question.slip:
        lines += [f"> ✗ **Slip.** {question.slip}", ""]
    if question.formula:
        lines += ["```text", question.formula, "```", ""]
    for demonstration in question.demonstrations:
        lines += [*_shown(demonstration), ""]
    if question.picture:
        lines += [f"![{question.picture[1]}]({question.picture[0]})", ""]
    if question.evidence:
        lines += ["Measured:", ""]
        for entry in question.evidence:
            page = entry.source.removeprefix("docs/")
            lines.append(f"- {entry.text} ([source]({page if entry.source != 'README.md' else '../README.md'}))")
        lines.append("")
    if see := list(_see_also(question, anchors)):
        lines += [f"See also: {', '.join(see)}.", ""]
    return "\n".join(lines)


def _shown(demonstration: Demonstration) -> Iterator[str]:
    if demonstration.python:
        yield from ("```python", demonstration.command, "```", "", "```text")
    else:
        yield from ("```text", f"$ {demonstration.command}")
    for line in demonstration.output.split("\n"):
        yield from textwrap.wrap(line, _COLUMNS, subsequent_indent="  ") if len(line) > _COLUMNS else [line]
    yield "```"


def _see_also(question: Question, anchors: dict[int, str]) -> Iterator[str]:
    for number in question.related:
        yield f"[question {number}](#{anchors[number]})" if number in anchors else f"question {number}"
    for page, title in question.pages:
        yield f"[{title}]({page})"
    for name in question.techniques:
        yield f"`stepladder techniques {name}`"
