import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.sizes import fit_power_law, make_curve_findings, to_curve_document

IMAGES = [100, 100, 200, 200, 500, 500, 1000, 1000]


def test_an_exact_law_is_found_again() -> None:
    law = fit_power_law(IMAGES, [0.9 * images**-0.35 for images in IMAGES], 10_000)
    assert (law.scale, law.exponent) == pytest.approx((0.9, 0.35))
    assert law.error == pytest.approx(0.9 * 1000**-0.35)
    assert law.gain == pytest.approx(law.error - 0.9 * 2000**-0.35)
    assert law.at(2000) == pytest.approx(law.error - law.gain)
    assert law.exponent_interval == pytest.approx((0.35, 0.35))


def test_the_interval_is_that_of_scipys_regression() -> None:
    errors = [0.30, 0.28, 0.24, 0.22, 0.15, 0.17, 0.13, 0.12]
    law = fit_power_law(IMAGES, errors, 10_000)
    expected = stats.linregress(np.log(IMAGES), np.log(errors))
    reach = stats.t.ppf(0.975, len(IMAGES) - 2) * expected.stderr
    assert law.exponent == pytest.approx(-expected.slope)
    assert law.exponent_interval == pytest.approx((-expected.slope - reach, -expected.slope + reach))
    low, high = law.exponent_interval
    assert law.gain_interval == pytest.approx((law.error * (1 - 2**-low), law.error * (1 - 2**-high)))
    assert law.gain_interval[0] < law.gain < law.gain_interval[1]


def test_a_trial_without_error_counts_as_half_an_image() -> None:
    law = fit_power_law([100, 200, 500], [0.1, 0.05, 0.0], 1000)
    assert np.isfinite(law.exponent)
    assert law == fit_power_law([100, 200, 500], [0.1, 0.05, 0.0005], 1000)


def test_a_curve_is_read_size_by_size(made_up: Callable[..., SavedStudy]) -> None:
    scores: dict[str, list[float | None]] = {"100 images": [0.5, None], "200 images": [0.6, 0.62], "900": [0.8, 0.81]}
    study = made_up(scores, plan="curve", contrasts=())
    rungs = tuple(
        rung.model_copy(update={"images": images})
        for rung, images in zip(study.record.rungs, (100, 200, None), strict=True)
    )
    study = replace(study, record=study.record.model_copy(update={"rungs": rungs}))
    found = make_curve_findings(study)
    assert [(size.images, size.failed) for size in found.sizes] == [(100, (1,)), (200, ()), (9000, ())]
    assert found.sizes[0].scores == {0: 0.5, 1: 0.1}  # a failed trial counts as guessing
    assert found.sizes[1].mean == pytest.approx(0.61)
    errors = [1 - score for size in found.sizes for score in size.scores.values()]
    assert errors == pytest.approx([0.5, 0.9, 0.4, 0.38, 0.2, 0.19])
    assert found.law == fit_power_law([100, 100, 200, 200, 9000, 9000], errors, 10_000)
    assert [one.rung for one in found.facts.failed] == ["100 images"]
    assert len(repr(found)) < 500
    document = json.loads(json.dumps(to_curve_document(found)))
    assert document["power_law"]["images"] == 9000
    part = replace(study, trials=study.trials[:-1])
    assert make_curve_findings(part).law is None
    assert [size.scores for size in make_curve_findings(part).sizes] == [{}, {}, {}]
