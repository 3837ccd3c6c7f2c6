"""Where no trial learned anything, that comes first everywhere, and nothing is recommended or said to help."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from stepladder.report.document import build_document
from stepladder.report.markdown import render_markdown
from stepladder.report.notebook import notebook_view
from stepladder.report.page import render_page
from stepladder.report.section import Section
from stepladder.report.sections import STUDY_SECTIONS
from stepladder.report.terminal import report_text, short_text
from stepladder.report.write import study_head
from stepladder.studies.files.predictions import write_predictions
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.findings import Findings, make_findings, to_document
from stepladder.studies.judging.choice import ChoiceReason
from stepladder.studies.judging.diagnosis import State

LABELS = np.repeat([0, 1], [190, 10])
#: What rungs answer: one class for everything, the other class for everything, and every image rightly.
ANSWERS = {"big": np.zeros(200, int), "small": np.ones(200, int), "right": LABELS}

#: Words that claim something.
CLAIMS = ("Helped", "Hurt", "helped", "hurt", "| good", "memoriz", "recipe to use now", "within noise")


@pytest.fixture
def answering(make_study: Callable[..., SavedStudy]) -> Callable[..., Findings]:
    """Findings of a ladder of two classes, whose rungs answer as they are told to."""

    def make(*answers: str) -> Findings:
        study = make_study(rungs=len(answers), classes=2, epochs=12)
        given = dict(zip((rung.name for rung in study.record.rungs), answers, strict=True))
        trials = []
        for trial in study.trials:
            predicted = ANSWERS[given[trial.rung]]
            right = float((predicted == LABELS).mean())
            shares = {"test_accuracy": right, "train_accuracy": right, "val_accuracy": right}
            write_predictions(trial.folder, predicted, LABELS, 2)
            trials.append(replace(trial, result=trial.result.model_copy(update=shares)))
        return make_findings(replace(study, trials=tuple(trials)))

    return make


FIRST = "Nothing was learned: each of the 9 trials names a single class for all 200 test images, and "
OPENING = f"{FIRST}65.0 % of these are right; naming class 0 always gives 95.0 %."


def test_it_comes_first_and_nothing_else_is_claimed(answering: Callable[..., Findings], check_golden) -> None:
    findings = answering("small", "big", "big")
    # Without the test it would be the best that there is: 90 points, in every seed.
    assert findings.effects[0].mean == pytest.approx(0.9)
    assert [effect.verdict for effect in findings.effects] == [None, None]
    assert findings.choice.reason is ChoiceReason.NOTHING_LEARNED
    assert findings.choice.rung is None
    assert {one.state for one in findings.diagnosis} == {State.NOTHING_LEARNED}
    # What to try is said once, and so the same of every rung.
    assert len({one.advice for one in findings.diagnosis}) == 1
    assert findings.advice is None

    text = report_text(findings, 200)
    assert text.startswith(OPENING)
    assert text.count("Nothing was learned") == 1
    assert "So no technique has a verdict, and no recipe is recommended." in text
    assert short_text(findings).splitlines()[1].startswith("Nothing was learned")
    markdown = render_markdown(findings, STUDY_SECTIONS, study_head(findings))
    assert markdown.splitlines()[4].startswith(OPENING)
    page = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", _page(findings), flags=re.S)
    first = re.search(r'<p class="notice">(.*?)</p>', page, re.S)
    assert first is not None
    assert first[1].replace("\u00a0", " ") == OPENING
    notebook = notebook_view(findings)
    assert notebook.index("Nothing was learned") < notebook.index("<img")
    document = build_document(findings)
    assert document["nothing_learned"]["trials"] == 9
    assert document["summary"][0] == OPENING
    assert document["choice"]["reason"] == "nothing learned"
    for said in (text, short_text(findings), markdown, notebook):
        assert not [word for word in CLAIMS if word in said]
    check_golden("terminal_nothing_learned.txt", text.replace(str(findings.study.folder), "study") + "\n")


def test_rungs_that_learned_nothing_are_named_and_not_compared(answering: Callable[..., Findings]) -> None:
    findings = answering("small", "big", "right")
    assert findings.nothing_learned is None
    found = {one.rung: one for one in findings.diagnosis}
    assert found["baseline"].state is found["standardize"].state is State.NOTHING_LEARNED
    assert found["augment"].state is not State.NOTHING_LEARNED
    assert found["baseline"].advice == "take augment, which learned"
    assert [effect.verdict for effect in findings.effects] == [None, "helped"]
    text = report_text(findings, 200)
    assert "Nothing was learned" not in text
    assert "No verdict on standardize: the rungs compared learned nothing." in text
    assert findings.choice.rung == "augment"


def test_a_rung_that_learned_nothing_is_not_recommended(answering: Callable[..., Findings]) -> None:
    findings = answering("right", "big")
    study = findings.study
    worse = tuple(
        replace(trial, result=trial.result.model_copy(update={"val_accuracy": 0.9}))
        if trial.rung == "baseline"
        else trial
        for trial in study.trials
    )
    assert findings.choice.rung == "baseline"
    refused = make_findings(replace(study, trials=worse))
    assert refused.choice.reason is ChoiceReason.NOTHING_LEARNED
    assert "No recipe is recommended: validation chooses standardize, which did not learn anything." in report_text(
        refused, 200
    )
    assert str(refused.advice).startswith("standardize learned nothing: ")


def _page(findings: Findings) -> str:
    # The first section is enough; plotly's scripts would be five megabytes.
    sections: tuple[Section[Findings], ...] = STUDY_SECTIONS[:1]
    return render_page(findings, sections, study_head(findings))


def test_the_folder_of_a_study_says_it_too(answering: Callable[..., Findings]) -> None:
    document = to_document(answering("big", "big"))
    assert document["nothing_learned"]["named"] == ("class 0",)
    assert to_document(answering("right", "right"))["nothing_learned"] is None
