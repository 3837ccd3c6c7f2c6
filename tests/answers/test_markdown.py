"""The page of the answers, ``docs/answers.md``.

``pytest tests/answers/test_markdown.py --refresh-golden`` writes it, as ``stepladder answers --markdown`` prints it.
"""

from __future__ import annotations

import re

import pytest
from markdown_it import MarkdownIt

from stepladder.answers import all_questions, find_questions, to_markdown
from stepladder.answers.markdown import anchor
from tests.test_docs import ROOT, anchors

PAGE = ROOT / "docs/answers.md"


def test_the_page_is_what_the_command_prints(request: pytest.FixtureRequest) -> None:
    text = to_markdown(all_questions())
    if request.config.getoption("--refresh-golden"):
        PAGE.write_text(text, encoding="utf-8")
    assert PAGE.read_text(encoding="utf-8") == text, "run: stepladder answers --markdown > docs/answers.md"


def test_headings_are_the_questions() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert re.findall(r"^### (\d+)\. ", text, re.MULTILINE) == [str(number) for number in range(1, 35)]
    assert "### 7. What does one output see after one and after two convolutions?" in text
    assert {anchor(question) for question in all_questions()} <= anchors(PAGE)


def test_it_is_plain_markdown() -> None:
    html = MarkdownIt("commonmark").enable("table").render(to_markdown(all_questions()))
    assert html.count("<h3>") == 34
    assert html.count("<blockquote>") == 3
    assert "$$" not in html


def test_one_question_is_a_page_too() -> None:
    text = to_markdown(find_questions(["7"]))
    assert text.startswith("### 7. ")
    assert "question 3, question 8" in text  # no links to where they are not
