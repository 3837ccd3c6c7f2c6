import json
from collections.abc import Callable
from dataclasses import replace

import pytest

from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.power_law import Measured, fit_power_law
from stepladder.studies.judging.sizes import make_curve_findings, to_curve_document

MakeUp = Callable[..., SavedStudy]
RECIPE = {"name": "tiny", "epochs": 4, "batch_size": 100}


def curve_of(made_up: MakeUp, scores: dict[str, list[float | None]], images: tuple[int | None, ...]) -> SavedStudy:
    study = made_up(scores, plan="curve", contrasts=())
    rungs = tuple(
        rung.model_copy(update={"images": number, "recipe": RECIPE})
        for rung, number in zip(study.record.rungs, images, strict=True)
    )
    return replace(study, record=study.record.model_copy(update={"rungs": rungs}))


def test_a_curve_is_read_size_by_size(made_up: MakeUp) -> None:
    scores: dict[str, list[float | None]] = {"100 images": [0.5, None], "200 images": [0.6, 0.62], "900": [0.8, 0.81]}
    study = curve_of(made_up, scores, (100, 200, None))
    found = make_curve_findings(study)
    assert [(size.images, size.failed) for size in found.sizes] == [(100, (1,)), (200, ()), (9000, ())]
    assert found.sizes[0].scores == {0: 0.5, 1: 0.1}  # a failed trial counts as guessing
    assert found.sizes[1].mean == pytest.approx(0.61)
    assert [(size.epochs, size.steps) for size in found.sizes] == [(4, 4), (4, 8), (4, 360)]
    assert not found.equal_steps
    sizes = [Measured(size.images, tuple(1 - score for score in size.scores.values())) for size in found.sizes]
    assert found.law == fit_power_law(sizes, 10_000, 0.9)
    assert found.law is not None
    assert found.law.error == pytest.approx(0.195), "the measured one"
    assert [one.rung for one in found.facts.failed] == ["100 images"]
    assert len(repr(found)) < 500
    document = json.loads(json.dumps(to_curve_document(found)))
    assert document["power_law"]["images"] == 9000
    assert document["power_law"]["gain"] == pytest.approx(found.law.gain)
    part = replace(study, trials=study.trials[:-1])
    assert make_curve_findings(part).law is None
    assert [size.scores for size in make_curve_findings(part).sizes] == [{}, {}, {}]


def test_sizes_at_chance_are_left_out_and_too_few_others_are_not_fitted(made_up: MakeUp) -> None:
    def found(*means: float) -> tuple[list[int], bool]:
        scores: dict[str, list[float | None]] = {f"{n}": [mean, mean] for n, mean in enumerate(means)}
        findings = make_curve_findings(curve_of(made_up, scores, (100, 200, 500, None)))
        return [size.images for size in findings.at_chance], findings.law is not None

    # Ten classes and 10,000 test images: guessing has 10 %, and chance adds at most half a point.
    assert found(0.1, 0.12, 0.2, 0.3) == ([100], True)
    assert found(0.1, 0.104, 0.2, 0.3) == ([100, 200], True)
    assert found(0.1, 0.1, 0.1, 0.3) == ([100, 200, 500], False)
    assert found(0.1, 0.1, 0.1, 0.1) == ([100, 200, 500, 9000], False)
    assert found(0.2, 0.3, 0.4, 0.1) == ([9000], False)


def test_a_size_at_chance_moves_nothing(made_up: MakeUp) -> None:
    def law(first: float) -> object:
        scores: dict[str, list[float | None]] = {
            "a": [first, first],
            "b": [0.2, 0.21],
            "c": [0.3, 0.32],
            "d": [0.4, 0.38],
        }
        return make_curve_findings(curve_of(made_up, scores, (100, 200, 500, None))).law

    assert law(0.09) == law(0.102)
