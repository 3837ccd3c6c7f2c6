from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy import special, stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import log_loss

from stepladder.training import calibration
from stepladder.training.calibration import (
    calibration_error,
    fit_temperature,
    negative_log_likelihood,
    tells_temperature,
)

RANDOM = np.random.default_rng(0)
LOGITS = RANDOM.normal(size=(3000, 5)).astype(np.float32) * 2
PROBABILITIES = torch.from_numpy(LOGITS).double().softmax(dim=1).numpy()
#: Drawn by the logits' own probabilities: such a network is calibrated.
LABELS = np.array([RANDOM.choice(5, p=row) for row in PROBABILITIES])


def test_the_likelihood_is_that_of_sklearn_and_torch() -> None:
    ours = negative_log_likelihood(LOGITS, LABELS)
    assert ours == pytest.approx(log_loss(LABELS, PROBABILITIES))
    assert ours == pytest.approx(float(F.cross_entropy(torch.from_numpy(LOGITS).double(), torch.from_numpy(LABELS))))


def test_the_calibration_error_is_that_of_sklearns_equal_mass_bins() -> None:
    correct = LOGITS.argmax(axis=1) == LABELS
    # 15 bins of 200 images each, by quantiles.
    share, confidence = calibration_curve(correct, PROBABILITIES.max(axis=1), n_bins=15, strategy="quantile")
    assert calibration_error(LOGITS, LABELS) == pytest.approx(np.abs(share - confidence).mean(), abs=1e-3)


def test_an_over_confident_network_is_found_out_and_mended() -> None:
    assert calibration_error(LOGITS, LABELS) < 0.03
    sure = LOGITS * 4
    assert calibration_error(sure, LABELS) > 0.15
    temperature = fit_temperature(sure, LABELS)
    assert temperature == pytest.approx(4 * fit_temperature(LOGITS, LABELS), rel=1e-3)
    assert temperature == pytest.approx(4, rel=0.1)
    assert calibration_error(sure, LABELS, temperature) < 0.03
    losses = [negative_log_likelihood(sure, LABELS, temperature * factor) for factor in (0.98, 1, 1.02)]
    assert losses[1] == min(losses)


def test_no_temperature_is_fitted_where_nothing_is_wrong() -> None:
    assert fit_temperature(np.eye(4) * 3, np.arange(4)) == 1


def test_hand_worked_bins() -> None:
    # Two images a bin: confidences 0.6 and 0.7 with one right, 0.8 and 0.9 with both right.
    confidences = np.array([0.6, 0.9, 0.7, 0.8])
    logits = np.stack([np.log(confidences), np.log(1 - confidences)], axis=1)
    labels = np.array([0, 0, 1, 0])
    assert calibration_error(logits, labels, bins=2) == pytest.approx(0.5 * (0.15 + 0.15))


def test_fewer_images_than_bins_are_a_bin_each() -> None:
    assert calibration_error(LOGITS[:3], LABELS[:3]) <= 1


def test_a_temperature_is_told_from_1_by_twice_the_gain_in_likelihood() -> None:
    # Said with 90 %, right in 80 %: the gain an image is the divergence 0.8 ln(8/9) + 0.2 ln(2) = 0.0444. Twice that of
    # 50 images is 4.44, of 40 it is 3.55; the quantile of χ² with one degree of freedom is 3.84.
    def twice_the_gain(images: int) -> tuple[float, bool]:
        logits = np.tile(np.log([0.9, 0.1]), (images, 1))
        labels = (np.arange(images) >= round(0.8 * images)).astype(np.int64)
        temperature = fit_temperature(logits, labels)
        assert temperature == pytest.approx(np.log(9) / np.log(4), rel=1e-4)
        gain = negative_log_likelihood(logits, labels) - negative_log_likelihood(logits, labels, temperature)
        return 2 * images * gain, tells_temperature(logits, labels, temperature)

    assert twice_the_gain(50) == (pytest.approx(4.44, abs=0.01), True)
    assert twice_the_gain(40) == (pytest.approx(3.55, abs=0.01), False)


def test_a_temperature_counts_where_its_images_tell_it_from_1() -> None:
    random = np.random.default_rng(0)
    logits = random.normal(size=(2000, 5))
    chances = special.softmax(logits, axis=1)
    labels = np.array([random.choice(5, p=row) for row in chances])
    # Logits three times too large are found out by 2,000 images, and right ones are left alone.
    too_sure = 3 * logits
    assert tells_temperature(too_sure, labels, fit_temperature(too_sure, labels))
    found = fit_temperature(logits, labels)
    gain = negative_log_likelihood(logits, labels) - negative_log_likelihood(logits, labels, found)
    assert tells_temperature(logits, labels, found) is bool(stats.chi2.sf(2 * 2000 * gain, 1) < 0.05)
    assert not tells_temperature(logits, labels, found)
    assert not tells_temperature(too_sure[:3], labels[:3], fit_temperature(too_sure[:3], labels[:3]))
    assert not tells_temperature(too_sure, too_sure.argmax(axis=1), 1.0)


def test_what_tells_is_the_quantile_of_chi_square() -> None:
    assert pytest.approx(stats.chi2.ppf(0.95, 1), rel=1e-12) == calibration._TELLING


def test_few_mistakes_tell_no_temperature_however_likely_it_makes_them() -> None:
    # 47 images said rightly by a little, one wrongly by less: a temperature near nothing makes all of them likely.
    margins = np.r_[np.full(47, 0.3), -0.001]
    logits, labels = np.stack([margins, np.zeros(48)], axis=1), np.zeros(48, np.int64)
    temperature = fit_temperature(logits, labels)
    assert temperature < 0.1
    gain = negative_log_likelihood(logits, labels) - negative_log_likelihood(logits, labels, temperature)
    assert 2 * 48 * gain > calibration._TELLING
    assert not tells_temperature(logits, labels, temperature)


def test_a_temperature_that_helps_no_other_images_is_not_told() -> None:
    # Five mistakes, enough to ask, of which one is far out: whoever leaves it out is wrong by much.
    margins = np.r_[np.full(195, 0.3), np.full(4, -0.001), -10]
    logits, labels = np.stack([margins, np.zeros(200)], axis=1), np.zeros(200, np.int64)
    temperature = fit_temperature(logits, labels)
    gain = negative_log_likelihood(logits, labels) - negative_log_likelihood(logits, labels, temperature)
    assert 2 * 200 * gain > calibration._TELLING
    assert not tells_temperature(logits, labels, temperature)
    # Without that one they agree with one another.
    assert tells_temperature(
        logits[:199].repeat(2, 0), labels[:199].repeat(2), fit_temperature(logits[:199], labels[:199])
    )
