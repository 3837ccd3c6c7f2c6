"""``judge``: the verdicts of a study on its own results to the digit, budgets, requirements, the published schema."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import jsonschema
import pandas
import pytest

import stepladder
from stepladder.api.judge import Judgment
from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.report.scores import judgment_schema
from stepladder.studies.judging.statistics import Effect
from tests.pictures import as_dots

ROWS = [
    {"method": method, "seed": seed, "test_acc": value}
    for method, values in (("plain", [0.912, 0.908, 0.915, 0.910]), ("mixup", [0.929, 0.924, 0.931, 0.930]))
    for seed, value in enumerate(values)
]


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of three rungs and four seeds on a few digits, with its results.csv."""
    folder = tmp_path_factory.mktemp("judge") / "study"
    images = stepladder.load_image_set("digits", limit=12)
    assert isinstance(images, ImageSet)
    with as_dots():
        stepladder.study(
            images,
            stepladder.RecipeOptions("small", settings={"epochs": 2}),
            plan=["base:", "+scaled:standardize", "+normed:batch_norm"],
            seeds=4,
            out=folder,
            execution=stepladder.Execution(precision="float32", workers=1),
            progress=False,
        )
    return folder


FIGURES = (
    "differences",
    "n",
    "mean",
    "sd",
    "interval",
    "level",
    "p_value",
    "verdict",
    "look",
    "correlation",
    "detectable",
)


def figures(effect: Effect) -> dict[str, Any]:
    return {name: getattr(effect, name) for name in FIGURES}


def test_the_verdicts_on_a_studys_own_results_are_those_of_the_study_to_the_digit(study: Path, tmp_path: Path) -> None:
    theirs = stepladder.load_study(study)
    assert isinstance(theirs, stepladder.Study)
    shutil.copy(study / "results.csv", tmp_path / "table.csv")
    # Elsewhere it is a table as any other; how many test images are behind a score, and the plan, it does not say.
    images = theirs.record.data.counts["test"]
    ours = stepladder.judge(tmp_path / "table.csv", plan="ladder", images=images)
    assert [figures(one) for one in ours.effects] == [figures(one) for one in theirs.effects]
    assert [one.decided_by for one in ours.effects] == [one.decided_by for one in theirs.effects]
    assert [(one.rung, one.below) for one in ours.effects] == [("scaled", "base"), ("normed", "scaled")]
    assert {one.rung: one.mean for one in ours.rungs} == {one.rung: one.mean for one in theirs.rungs}


def test_in_its_folder_a_study_is_judged_by_its_own_plan(study: Path) -> None:
    theirs = stepladder.load_study(study)
    for results in (study, study / "results.csv", str(study)):
        ours = stepladder.judge(results)
        assert ours.effects == theirs.findings.effects  # type: ignore[union-attr]
    with pytest.raises(StudyError, match=r"holds a study, which settled how it is judged.*`tried` would change it"):
        stepladder.judge(study, tried=3)
    with pytest.raises(StudyError, match="whose report lies in its own folder"):
        stepladder.judge(study, out="there")


def test_results_that_were_edited_are_refused(study: Path, tmp_path: Path) -> None:
    shutil.copytree(study, tmp_path / "copy")
    results = tmp_path / "copy" / "results.csv"
    results.write_text(results.read_text().replace("base,0", "base,9"))
    with pytest.raises(StudyError, match="is not what the trials of its study say"):
        stepladder.judge(tmp_path / "copy")


def test_a_judgment_has_what_a_program_asks_for(tmp_path: Path) -> None:
    judgment = stepladder.judge(pandas.DataFrame(ROWS))
    assert isinstance(judgment, Judgment)
    assert judgment.verdicts == {"mixup": "helped"}
    assert judgment.columns["Score"].startswith("column test_acc")
    assert [rung.rung for rung in judgment.rungs] == ["plain", "mixup"]
    assert judgment.to_pandas("trials").shape[0] == 8
    assert "helped" in repr(judgment)
    assert not list(tmp_path.iterdir())
    with as_dots():
        written = stepladder.judge(ROWS, out=tmp_path / "out")
    assert written.report_path.is_file()


def test_requirements() -> None:
    judgment = stepladder.judge(ROWS)
    assert judgment.meets("helped")
    assert judgment.meets("mixup=helped")
    assert judgment.meets("not-worse")
    assert not judgment.meets("equivalent")
    worse = stepladder.judge([{**row, "test_acc": 1 - row["test_acc"]} for row in ROWS])  # type: ignore[operator]
    assert not worse.meets("helped")
    assert not worse.meets("not-worse")
    with pytest.raises(StudyError, match="unknown requirement 'better'"):
        judgment.meets("better")
    with pytest.raises(StudyError, match="unknown comparison 'mixp'; did you mean 'mixup'"):
        judgment.meets("mixp=helped")


def test_the_document_is_what_the_published_schema_says() -> None:
    schema = json.loads(judgment_schema())
    jsonschema.Draft202012Validator.check_schema(schema)
    for judgment in (
        stepladder.judge(ROWS),
        stepladder.judge([{"m": row["method"], "acc": row["test_acc"]} for row in ROWS]),
        stepladder.judge([{**row, "test_acc": None} if row["seed"] == 3 else row for row in ROWS]),
        stepladder.judge([row for row in ROWS if row["seed"] == 0], tried=3),
    ):
        document = json.loads(json.dumps(judgment.to_document(), allow_nan=False))
        jsonschema.validate(document, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**document, "more": 1}, schema)


def test_a_budget_holds_one_proposal_after_another_to_alpha(tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    first = stepladder.judge(ROWS, budget=path)
    assert first.record.alpha == pytest.approx(0.05 * 0.369, rel=1e-2)
    assert first.budget is not None
    assert first.budget.accepted == 1
    again = stepladder.judge(ROWS, budget=path)  # the same scores are no new proposal
    assert again.budget == first.budget
    other = [{**row, "test_acc": row["test_acc"] + 0.001} if row["method"] == "mixup" else row for row in ROWS]  # type: ignore[operator]
    second = stepladder.judge(other, budget=path)
    assert second.budget is not None
    assert [claim.accepted for claim in second.budget.claims] == [True, True]
    with pytest.raises(StudyError, match="`proposal` names a proposal of a budget"):
        stepladder.judge(ROWS, proposal="mixup")


def test_a_named_proposal_may_get_more_seeds_and_no_other_scores(tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    few = [row for row in ROWS if row["seed"] != 3]
    level = stepladder.judge(few, budget=path, proposal="mixup").record.alpha
    more = stepladder.judge(ROWS, budget=path, proposal="mixup", first_look=3)
    assert more.record.alpha == level
    assert more.budget is not None
    assert len(more.budget.claims) == 1
    with pytest.raises(StudyError, match="was judged by another score"):
        stepladder.judge([{**row, "test_acc": 0.5} for row in ROWS], budget=path, proposal="mixup")


def test_comparisons_that_are_not_shown_are_not_said_to_be() -> None:
    rows = [
        {"variant": name, "seed": seed, "test_acc": base + 0.01 * (seed % 3)}
        for name, base in (("base", 0.7), ("one", 0.8), ("two", 0.71))
        for seed in range(5)
    ]
    text = str(stepladder.judge(rows, tried=40))
    assert "Both intervals and those of 38 comparisons not shown are right at once" in text
    assert "All 40" not in text
