"""What a pool keeps of a study: the figures of its verdicts, standard errors, and odds by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stepladder
from stepladder.datasets import ImageSet
from stepladder.errors import StudyError
from stepladder.recipe import load_recipe
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.findings import Findings, make_findings
from stepladder.studies.pool.sets import describe_findings, describe_study
from stepladder.studies.pool.statistics import pool_effects
from tests.pictures import as_dots

MadeUp = Callable[..., SavedStudy]
BASE, MIXUP = [0.70, 0.72, 0.71, 0.74], [0.74, 0.75, 0.73, 0.79]


def described(made_up: MadeUp, scores: dict[str, list[float | None]], **settings: Any) -> tuple[Findings, Any]:
    study = made_up(scores, **settings)
    table = load_recipe("small").to_table()
    rungs = tuple(
        rung.model_copy(update={"recipe": {**table, "techniques": table["techniques"][:place]}})
        for place, rung in enumerate(study.record.rungs)
    )
    findings = make_findings(study)
    record = study.record.model_copy(update={"rungs": rungs})
    return findings, describe_findings(replace(findings, study=replace(study, record=record)))


def test_an_effect_keeps_the_figures_of_its_study_and_their_standard_error(made_up: MadeUp) -> None:
    findings, found = described(made_up, {"base": BASE, "standardize": MIXUP})
    (effect,), (kept,) = findings.effects, found.record.effects
    differences = np.subtract(MIXUP, BASE)
    assert (kept.mean, kept.interval, kept.verdict, kept.n) == (effect.mean, effect.interval, effect.verdict, 4)
    assert kept.error == pytest.approx(differences.std(ddof=1) / 2)
    assert [part.mean for part in kept.parts] == pytest.approx([np.mean(MIXUP), np.mean(BASE)])
    assert [one["name"] for one in kept.switched] == ["standardize"]
    assert "rung" not in kept.switched[0]
    assert (kept.network.label, kept.optimizer, kept.epochs, kept.lr) == ("report", "sgd", 25, 0.1)
    record = found.record
    assert (record.name, record.classes, record.image_shape, record.metric) == ("digits", 10, (8, 8, 1), "accuracy")
    assert found.left_out == ()


def test_log_odds_are_of_the_means_and_their_error_is_the_delta_method_s(made_up: MadeUp) -> None:
    kept = described(made_up, {"base": BASE, "standardize": MIXUP})[1].record.effects[0]
    high, low = np.mean(MIXUP), np.mean(BASE)
    assert kept.log_odds == pytest.approx(math.log(high / (1 - high) * (1 - low) / low))
    each = np.array(MIXUP) / (high * (1 - high)) - np.array(BASE) / (low * (1 - low))
    assert kept.log_odds_error == pytest.approx(each.std(ddof=1) / 2)


def test_an_accuracy_of_all_images_has_odds_too(made_up: MadeUp) -> None:
    kept = described(made_up, {"base": [0.9, 0.9], "standardize": [1.0, 1.0]})[1].record.effects[0]
    assert kept.log_odds == pytest.approx(math.log(19_999) - math.log(9))  # half of 10,000 images is wrong
    assert kept.error > 0


def test_a_seed_that_diverged_counts_as_guessing_in_the_odds_as_well(made_up: MadeUp) -> None:
    kept = described(made_up, {"base": [0.8, 0.8, 0.8], "standardize": [0.8, None, 0.8]})[1].record.effects[0]
    assert kept.parts[0].mean == pytest.approx((0.8 + 0.1 + 0.8) / 3)
    assert kept.mean == pytest.approx(-0.7 / 3)


def test_what_has_no_standard_error_is_left_out(made_up: MadeUp) -> None:
    _, found = described(made_up, {"base": [0.7], "standardize": [0.8]})
    assert found.record.effects == ()
    assert [one.why for one in found.left_out] == ["it has fewer than 2 seeds, and so no standard error"]


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two studies of few digits, the second of other images and with half the epochs."""
    folder = tmp_path_factory.mktemp("pool")
    limits = {"one": 14, "two": 18}
    with as_dots():
        for epochs, (name, limit) in enumerate(limits.items(), start=1):
            images = stepladder.load_image_set("digits", limit=limit)
            assert isinstance(images, ImageSet)
            stepladder.study(
                images,
                stepladder.RecipeOptions("small", settings={"epochs": epochs}),
                plan=["base:", "+scaled:standardize", "+normed:batch_norm"],
                seeds=3,
                out=folder / name,
                execution=stepladder.Execution(precision="float32", workers=1),
                progress=False,
            )
    return [folder / name for name in limits]


@pytest.mark.long
def test_real_studies_are_pooled_saved_and_pooled_again(studies: list[Path], tmp_path: Path) -> None:
    pool = stepladder.pool(studies, out=tmp_path / "report", save=tmp_path / "kept")
    assert [one.name for one in pool.techniques if one.name in ("scaled", "normed")]
    for one in pool.techniques:
        each = [member.effect for member in one.members]
        expected = pool_effects([effect.mean for effect in each], [effect.error for effect in each])
        assert (one.points.mean, one.points.error) == (expected.mean, expected.error)
    assert {path.name for path in (tmp_path / "report").iterdir()} == {"pool.md", "pool.html", "pool.json", "figures"}
    again = stepladder.pool([tmp_path / "kept"])
    assert [one.points for one in again.techniques] == [one.points for one in pool.techniques]
    text = (tmp_path / "kept/findings.json").read_text(encoding="utf-8")
    assert str(tmp_path) not in text
    assert json.loads(text)["studies"][0]["name"] == "set 1"


def test_a_study_alone_is_kept_and_not_pooled(studies: list[Path], tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"is one image set, and a pool takes two or more; give more studies, or keep"):
        stepladder.pool(studies[0])
    assert stepladder.pool(studies[0], save=tmp_path).techniques == ()
    assert stepladder.pool([tmp_path, studies[1]]).techniques


def test_a_study_is_known_by_the_hash_of_its_plan(studies: list[Path]) -> None:
    record = json.loads((studies[0] / "study.json").read_text(encoding="utf-8"))
    assert describe_study(studies[0]).record.study == record["plan_hash"]
