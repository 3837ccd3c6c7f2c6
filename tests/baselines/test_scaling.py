import numpy as np

from stepladder.baselines import scaling
from stepladder.baselines.features import fit_scaling, scale


def test_mean_and_deviation_are_numpys(monkeypatch) -> None:
    monkeypatch.setattr(scaling, "_ROWS", 7)
    features = np.random.default_rng(0).normal(3, 5, (50, 4)).astype(np.float32)
    features[:, 3] = 2  # a word that never changes
    mean, deviation = fit_scaling(features)
    variance = features.astype(np.float64).var(axis=0)
    np.testing.assert_allclose(mean, features.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation, np.sqrt(variance + 0.01 * variance.mean()), rtol=1e-5)
    expected = (features - mean) / deviation
    assert scale(features, mean, deviation) is features
    np.testing.assert_array_equal(features, expected)


def test_features_that_are_all_the_same_stay_finite() -> None:
    features = np.full((5, 3), 4, np.float32)
    scale(features, *fit_scaling(features))
    assert not features.any()
