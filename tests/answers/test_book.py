"""The 34 questions: complete, in form, and measured figures as their sources have them."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from stepladder.answers import Question, all_questions, find_questions, questions_on, see_answers
from stepladder.answers.book import THEMES, fill, raw_questions
from stepladder.errors import RecipeError
from stepladder.techniques import TECHNIQUES
from tests.test_docs import ROOT, anchors

EACH = [pytest.param(question, id=str(question.number)) for question in all_questions()]


def test_there_are_the_34_questions_in_the_order_of_their_themes() -> None:
    questions = all_questions()
    assert [question.number for question in questions] == list(range(1, 35))
    assert list(dict.fromkeys(question.theme for question in questions)) == list(THEMES)
    assert len({question.title for question in questions}) == 34


@pytest.mark.parametrize("question", EACH)
def test_each_is_answered_in_full(question: Question) -> None:
    assert len(question.title) <= 72  # a line of the list at 80 columns
    assert question.question.endswith("?")
    assert 4 <= len(re.findall(r"[.?](?= |\n|$)", question.answer)) <= 11
    assert 60 <= len(question.answer.split()) <= 190
    assert question.demonstrations
    assert all(one.output for one in question.demonstrations)
    assert question.pages
    assert question.number not in question.related
    assert not re.search(r"\{\w+\}", question.question + question.answer + question.slip + question.formula)


@pytest.mark.parametrize("question", EACH)
def test_commands_fit_a_terminal(question: Question) -> None:
    for one in question.demonstrations:
        for line in one.command.split("\n") if one.python else ():
            assert len(line) <= 76, line
        if not one.python:
            assert shlex.split(one.command)[0] == "stepladder"


def test_slips_of_the_lab_report_are_marked() -> None:
    assert [question.number for question in all_questions() if question.slip] == [1, 6, 10]
    assert "leaves out the + 1 and the floor" in find_questions(["1"])[0].slip
    assert "batch size B" in find_questions(["6"])[0].slip
    assert "lacks the factor of the 3 color channels" in find_questions(["10"])[0].slip


def plain(text: str) -> str:
    """A page's words in one line, without links, bold and escapes: what a source says, however it is set."""
    without_links = re.sub(r"\[([^\]]+)\]\([^)\s]+\)", r"\1", text)
    return " ".join(without_links.replace("**", "").replace("\\", "").split())


@pytest.mark.parametrize("question", [one for one in EACH if one.values[0].evidence])  # type: ignore[attr-defined]
def test_measured_figures_are_those_of_their_source(question: Question) -> None:
    for entry in question.evidence:
        source = plain((ROOT / entry.source).read_text(encoding="utf-8"))
        for quote in entry.quotes:
            assert plain(quote) in source, f"{entry.source} no longer says {quote!r}"
        held = " ".join(entry.quotes)
        # Names that have a figure are no figures.
        text = re.sub(r"cifar10-jpeg|LeNet-5|bfloat16|float32|conv3|pool3|95 %", "", entry.text)
        for figure in re.findall(r"[+−]?\d[\d.,]*\d|[+−]?\d", text):
            assert re.search(rf"(?<![\d.]){re.escape(figure)}(?![\d]|\.\d)", held), (
                f"{figure} is in no quote of {question.number}"
            )
        assert re.search(r"\(.*n = \d|one seed|one set of weights|nats|batch of 16|nearest training images", text), text


@pytest.mark.parametrize("question", EACH)
def test_pages_questions_and_techniques_exist(question: Question) -> None:
    for page, title in question.pages:
        path, _, anchor = page.partition("#")
        assert title
        assert (ROOT / "docs" / path).exists(), page
        assert not anchor or anchor in anchors(ROOT / "docs" / path), page
    assert not question.picture or (ROOT / "docs" / question.picture[0]).exists()
    assert set(question.techniques) <= set(TECHNIQUES)
    assert set(question.related) <= set(range(1, 35))


def test_a_technique_leads_to_its_questions() -> None:
    assert questions_on("dropout") == (14, 29, 30, 31, 32, 33)
    assert see_answers("dropout") == "stepladder answers 14 29 30 31 32 33"
    assert questions_on("freeze") == ()
    assert see_answers("freeze") is None
    assert {question.number for question in find_questions(["dropout", "8"])} == {8, 14, 29, 30, 31, 32, 33}


def test_numbers_and_ranges() -> None:
    assert [question.number for question in find_questions(["33", "7-9", "8"])] == [7, 8, 9, 33]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("35", "'35' is no question; there are 1 to 34"),
        ("0", "'0' is no question"),
        ("9-7", "'9-7' is no question; there are 1 to 34: give numbers or ranges, as 7 or 7-9"),
        ("dropuot", "did you mean 'dropout'"),
        ("x", "there is no question 'x'"),
    ],
)
def test_what_is_no_question_is_said(asked: str, words: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(words)):
        find_questions([asked])


def test_a_placeholder_without_a_value_is_a_mistake() -> None:
    assert fill("{one} and {1} and { x }", {"one": "1"}) == "1 and {1} and { x }"
    with pytest.raises(KeyError):
        fill("{two}", {"one": "1"})


def test_the_map_of_techniques_is_not_empty_for_the_ladder_of_the_report() -> None:
    ladder = (Path(ROOT) / "src/stepladder/recipes/report.toml").read_text(encoding="utf-8")
    for technique in re.findall(r'^name = "(\w+)"', ladder.partition("[[techniques]]")[2], re.MULTILINE):
        assert questions_on(technique), technique
    assert len({name for question in raw_questions() for name in question.techniques}) > 20
