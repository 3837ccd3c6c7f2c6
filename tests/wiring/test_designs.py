"""Each design on real trials: effects are recomputed from each trial's ``result.json``, by its techniques."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from itertools import combinations, permutations
from pathlib import Path
from statistics import stdev
from typing import Any

import pytest
from scipy import stats

from stepladder.datasets import ImageSet
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.findings import make_findings

NAMES = ("standardize", "dropout", "ema")
ALL = frozenset(NAMES)
SEEDS = 2
#: One look with an α off its default, of which two seeds get nine tenths: intervals that end before all points do.
RULES = {"final": True, "alpha": 0.5}
SPENT = 0.45

Value = Callable[[frozenset[str]], float]


def ladder(value: Value) -> dict[str, float]:
    steps = [frozenset(NAMES[:count]) for count in range(4)]
    return {name: value(steps[place + 1]) - value(steps[place]) for place, name in enumerate(NAMES)}


def leave_one_out(value: Value) -> dict[str, float]:
    return {name: value(ALL) - value(ALL - {name}) for name in NAMES}


def add_one(value: Value) -> dict[str, float]:
    return {name: value(frozenset({name})) - value(frozenset()) for name in NAMES}


def shapley(value: Value) -> dict[str, float]:
    """The mean over all orders of what a technique adds to those before it."""
    gains: dict[str, list[float]] = {name: [] for name in NAMES}
    for order in permutations(NAMES):
        for place, name in enumerate(order):
            gains[name].append(value(frozenset(order[: place + 1])) - value(frozenset(order[:place])))
    return {name: math.fsum(each) / len(each) for name, each in gains.items()}


def interactions(value: Value) -> dict[str, float]:
    """How much more one adds where the other is on, averaged over the third."""
    found = {}
    for one, other in combinations(NAMES, 2):
        more = [
            value(rest | {one, other}) - value(rest | {one}) - value(rest | {other}) + value(rest)
            for rest in (frozenset(), ALL - {one, other})
        ]
        found[f"{one} × {other}"] = math.fsum(more) / 2
    return found


#: By plan: how its effects follow from the results of sets of techniques, the weights of these, and the largest effect.
PLANS: dict[str, dict[str, tuple[Callable[[Value], dict[str, float]], tuple[float, ...], float]]] = {
    "ladder": {"ladder": (ladder, (1, 1), 1)},
    "leave-one-out": {"leave-one-out": (leave_one_out, (1, 1), 1)},
    "add-one": {"add-one": (add_one, (1, 1), 1)},
    # A third where none or both of the others are on, a sixth where one is.
    "factorial": {
        "shapley": (shapley, (*[1 / 3] * 4, *[1 / 6] * 4), 1),
        "interaction": (interactions, (1 / 2,) * 8, 2),
    },
}


@pytest.fixture(scope="module", params=PLANS)
def study(
    request: pytest.FixtureRequest,
    run_made: Callable[..., SavedStudy],
    state_of_the_module: None,
    tmp_path_factory: pytest.TempPathFactory,
) -> SavedStudy:
    return run_made(tmp_path_factory.mktemp("studies") / request.param, request.param, SEEDS, epochs=2, **RULES)


def results_of(folder: Path) -> dict[tuple[frozenset[str], int], float]:
    """The test accuracies by techniques and seed, as the trials' own files have them."""
    found = {}
    for path in folder.glob("trials/*/result.json"):
        result = json.loads(path.read_text())
        found[frozenset(result["techniques"]), result["seed"]] = result["test_accuracy"]
    return found


@pytest.mark.long
def test_a_rung_has_the_techniques_that_it_says(study: SavedStudy) -> None:
    assert len(study.trials) == SEEDS * len(study.record.rungs)
    for trial in study.trials:
        recipe = next(rung.recipe for rung in study.record.rungs if rung.name == trial.rung)
        assert [one["name"] for one in recipe["techniques"]] == list(trial.result.techniques)
        lacking = trial.rung.removeprefix("without ") if trial.rung.startswith("without ") else None
        if lacking is not None:
            assert set(trial.result.techniques) == ALL - {lacking}
        elif study.record.plan in ("add-one", "factorial"):
            assert set(trial.result.techniques) == set(trial.rung.split("+")) - {"baseline"}


@pytest.mark.long
def test_effects_are_what_the_trials_files_say(study: SavedStudy, made_images: ImageSet) -> None:
    effects, results = make_findings(study).effects, results_of(study.folder)
    assert len(set(results.values())) > 1, "equal results would tell no weights apart"
    judged = cut = 0
    for kind, (formula, weights, most) in PLANS[study.record.plan].items():
        by_seed = [formula(lambda chosen, seed=seed: results[chosen, seed]) for seed in range(SEEDS)]
        of_kind = [effect for effect in effects if effect.design == kind]
        assert [effect.name for effect in of_kind] == list(by_seed[0])
        for effect in of_kind:
            judged += 1
            expected = [one[effect.name] for one in by_seed]
            assert effect.differences == pytest.approx(dict(enumerate(expected)), abs=1e-12)
            mean = math.fsum(expected) / SEEDS
            assert effect.mean == pytest.approx(mean, abs=1e-12)
            # Accuracies come in steps of one image, which has this spread.
            floor = math.sqrt(sum(weight**2 for weight in weights) / 12) / len(made_images.splits["test"])
            reach = stats.t.ppf(1 - SPENT / len(of_kind) / 2, SEEDS - 1) * max(stdev(expected), floor)
            ends = mean - reach / math.sqrt(SEEDS), mean + reach / math.sqrt(SEEDS)
            assert effect.interval == pytest.approx((max(ends[0], -most), min(ends[1], most)), abs=1e-9)
            cut += effect.interval != pytest.approx(ends, abs=1e-9)
    assert judged == len(effects)
    assert cut < judged, "intervals that all end at all points would tell nothing"


@pytest.mark.long
def test_the_records_for_programs_say_the_same(study: SavedStudy) -> None:
    from stepladder.studies.findings import to_document

    document: dict[str, Any] = to_document(make_findings(study))
    told = {(one["name"], one["design"]): one["mean"] for one in document["effects"]}
    assert told == {(one.name, one.design): one.mean for one in make_findings(study).effects}
    assert len(told) == len(study.record.contrasts) > 0
