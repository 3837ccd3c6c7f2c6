from __future__ import annotations

import html
import re

import pytest
from markdown_it import MarkdownIt

from stepladder.report import markdown
from stepladder.report.markdown import escape, render_table
from stepladder.report.section import TextTable
from stepladder.report.sections import STUDY_SECTIONS
from stepladder.report.write import study_head
from stepladder.studies.design.designs import PLANS
from stepladder.studies.findings import make_findings

HOSTILE = [
    "<script>alert(1)</script>",
    "a | b || c",
    "*bold* _em_ __strong__ `code` ~~gone~~",
    "[link](http://example.com) ![image](x)",
    "# heading",
    "- item",
    "1. item",
    "2) item",
    "> quote",
    "+ plus",
    "---",
    "===",
    "random_crop and _private_ and trailing_",
    r"back\slash \* \|",
    "&lt;b&gt; &amp; &copy;",
    "$x^2$",
]


def render_markdown(study) -> str:
    findings = make_findings(study)
    return markdown.render_markdown(findings, STUDY_SECTIONS, study_head(findings))


def render(text: str) -> str:
    return MarkdownIt("gfm-like", {"linkify": False}).render(text)


@pytest.mark.parametrize("text", HOSTILE)
def test_escaped_text_reads_as_it_was(text):
    """Against a parser that someone else wrote."""
    assert render(escape(text)) == f"<p>{html.escape(text)}</p>\n".replace("&#x27;", "'")


@pytest.mark.parametrize("text", HOSTILE)
def test_a_cell_stays_one_cell(text):
    page = render(render_table(TextTable("", ("name", "value"), ((text, "1"),), 1)))
    assert page.count("<td") == 2
    assert f"<td>{html.escape(text)}</td>".replace("&#x27;", "'") in page


def test_newlines_become_spaces():
    assert escape("one\n\n# two\r\n| three") == r"one # two \| three"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("report_one_seed.md", {"rungs": 2, "seeds": 1}),
        ("report_five_seeds.md", {"seeds": 5, "warnings": ("the technique 'ema' changes nothing",)}),
        (
            "report_trouble.md",
            {
                "rungs": 3,
                "seeds": 3,
                "failed": [("augment", 1)],
                "missing": [("augment", 2)],
                "channels": 1,
                "data": {
                    "notes": ("3 damaged images were left out | <b>",),
                    "counts": {"train": 900, "validation": 100, "test": 100},
                },
            },
        ),
        ("report_watched.md", {"rungs": 2, "seeds": 3, "validation": 0, "classes": 30}),
    ],
)
def test_report(make_study, check_golden, name, options):
    check_golden(name, render_markdown(make_study(**options)))


@pytest.mark.long
@pytest.mark.parametrize("plan", list(PLANS))
def test_every_design_has_its_own_words(make_design_study, check_golden, plan):
    """A page of each: title, captions and families are those of the design that ran."""
    text = render_markdown(make_design_study(plan))
    assert text.startswith(f"# Stepladder study: {plan} on cifar10-jpeg\n")
    words = re.sub("[Ss]tepladder|cell", "", text)
    assert ("ladder" in words.lower()) == ("ladder" in plan)
    check_golden(f"design_{plan}.md", text)


def test_a_fraction_of_a_factorial_says_what_it_cannot_tell(make_design_study, check_golden):
    text = render_markdown(make_design_study("factorial", max_trials=40))
    assert "A balanced fraction of 8 of 16 subsets" in text
    check_golden("design_fraction.md", text)


def test_warnings_are_said_once_with_their_count(make_study):
    text = render_markdown(make_study(rungs=2, seeds=3, warnings=("same twice", "same twice")))
    assert text.count("same twice") == 1
    assert "- same twice (6 of 6 trials)" in text


def test_trials_of_different_versions_are_pointed_out(make_study):
    study = make_study(rungs=1, seeds=2)
    odd = study.trials[0].result.model_copy(update={"versions": {"torch": "9.9"}})
    trial = type(study.trials[0])("baseline", 0, study.folder, odd, study.trials[0].history)
    text = render_markdown(type(study)(study.folder, study.record, (trial, study.trials[1])))
    assert "The trials ran on different versions" in text
    assert "torch 9.9 (1 trial)" in text


def test_a_command_with_backticks_stays_in_its_block(make_study):
    study = make_study(rungs=1, seeds=1)
    record = study.record.model_copy(update={"command": "stepladder study '```'\n# not a heading"})
    page = render(render_markdown(type(study)(study.folder, record, study.trials)))
    assert "# not a heading\n</code>" in page
