"""Studies whose truth is known: ``--seeds auto``, and A/A studies, for real."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from stepladder.recipe import Recipe
from stepladder.studies.design.rules import Rules, single_look
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.statistics import weigh_effects
from stepladder.studies.judging.verdicts import VERDICTS, rounding_sd, settle
from stepladder.studies.run import next_look

RunStudy = Callable[..., SavedStudy]
MadeUp = Callable[..., SavedStudy]


def test_auto_adds_seeds_to_undecided_rungs_alone(made_up: MadeUp) -> None:
    scores: dict[str, list[float | None]] = {
        "low": [0.500, 0.501, 0.5005],
        "high": [0.900, 0.901, 0.9006],
        "open": [0.88, 0.93, 0.90],
    }
    study = made_up(scores, looks=(3, 5, 8))
    assert [effect.verdict for effect in weigh_effects(study)] == ["helped", "undecided"]
    following = next_look(study)
    assert following is not None
    assert following.seeds == (0, 1, 2, 3, 4)
    assert {name: len(following.seeds_of(name)) for name in scores} == {"low": 3, "high": 5, "open": 5}
    assert following.plan_hash == study.record.plan_hash
    decided = made_up({"low": scores["low"], "high": scores["high"]}, looks=(3, 5, 8))
    assert next_look(decided) is None
    assert next_look(made_up(scores, looks=(3,))) is None


def test_auto_looks_as_declared_and_keeps_what_is_there(study: RunStudy, two_rungs: Recipe) -> None:
    # One epoch on few digits: everything is undecided, so that every look is taken.
    rules = Rules(max_seeds=4)
    saved = study(seeds="auto", rules=rules)
    assert [look.seeds for look in saved.record.looks] == [3, 4]
    assert [(reading.kind, reading.look) for reading in saved.readings] == [("look", 1), ("look", 2)]
    assert (saved.missing, saved.edited, saved.record.added) == (0, None, ())
    assert len(saved.trials) in (11, 12)
    assert study(seeds="auto", rules=rules) == saved


def test_an_a_a_study_has_no_verdict_and_the_same_bits(
    study: RunStudy, tiny_recipe: Callable[..., Recipe], tmp_path: Path
) -> None:
    # Rungs whose techniques have no strength, added and taken away: one and the same recipe, trained eight times with
    # each of five seeds.
    idle: list[dict[str, object]] = [
        {"name": "random_crop", "padding": 0},
        {"name": "horizontal_flip", "p": 0.0},
        {"name": "exponential_lr", "gamma": 1.0},
        {"name": "dropout", "p": 0.0},
    ]
    recipe = tiny_recipe(*idle, epochs=2)
    saved = study(recipe=recipe, plan="ladder+leave-one-out", seeds=5, out=tmp_path / "aa")
    assert len(saved.record.rungs) == 8
    for seed in range(5):
        weights = {
            (trial.folder / "model" / "model.safetensors").read_bytes() for trial in saved.trials if trial.seed == seed
        }
        assert len(weights) == 1
        assert len({trial.result.test_accuracy for trial in saved.trials if trial.seed == seed}) == 1
    assert {effect.verdict for effect in weigh_effects(saved)} <= {"undecided", "equivalent"}


def test_real_luck_keeps_the_error_rate(study: RunStudy, tiny_recipe: Callable[..., Recipe]) -> None:
    # 15 seeds of one recipe, dealt out again and again to six rungs of five: all that differs is real luck.
    saved = study(recipe=tiny_recipe("standardize", epochs=2), seeds=15)
    random = np.random.default_rng(0)
    for rung in ("baseline", "standardize"):
        luck = [trial.result.test_accuracy or 0.0 for trial in saved.of_rung(rung)]
        assert len(set(luck)) > 5
        dealt = np.diff(random.choice(luck, (10_000, 6, 5)), axis=1)
        floor = rounding_sd(saved.record.data.counts["test"])
        verdicts, _ = settle(dealt, single_look(5), 0.05 / 5, 0.005, floor)
        wrong = (verdicts == VERDICTS.index("helped")) | (verdicts == VERDICTS.index("hurt"))
        assert 0.001 < wrong.any(axis=1).mean() < 0.06
