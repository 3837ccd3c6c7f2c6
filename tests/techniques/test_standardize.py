from __future__ import annotations

import numpy as np
import pytest
import torch

from stepladder.techniques.standardize import Standardize
from stepladder.training.assembly import TrainingData
from stepladder.training.device import choose_compute
from stepladder.training.loop import train_network


def fitted(images: torch.Tensor) -> Standardize:
    technique = Standardize()
    technique.restore(technique.fit([images]), torch.device("cpu"))
    return technique


def by_numpy(images: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    pixels = images.numpy().astype(np.float64) / 255
    return pixels.mean(axis=(0, 2, 3)), pixels.std(axis=(0, 2, 3))


@pytest.mark.parametrize(("count", "size", "channels"), [(500, 32, 3), (7, 5, 1), (1, 2, 2)])
def test_mean_and_std_are_numpy_s(make_images, count, size, channels):
    images = make_images(count, size, channels)
    images[:, 0] //= 3  # channels that differ
    mean, std = by_numpy(images)
    learned = Standardize().fit([images])
    np.testing.assert_allclose(learned["mean"].numpy(), mean, atol=1e-7, rtol=0)
    np.testing.assert_allclose(learned["std"].numpy(), std, atol=1e-7, rtol=0)


def test_the_order_of_the_images_changes_no_bit(make_images):
    images = make_images(50)
    one, other = Standardize().fit([images]), Standardize().fit([images.flip(0).contiguous()])
    assert all(torch.equal(one[name], other[name]) for name in ("mean", "std"))


def test_prepared_images_have_mean_0_and_std_1(make_images):
    images = make_images(100)
    mean, std = by_numpy(images)
    prepared = fitted(images).prepare(images.float() / 255)
    expected = (images.numpy() / 255 - mean[:, None, None]) / std[:, None, None]
    np.testing.assert_allclose(prepared.numpy(), expected, atol=2e-6)
    np.testing.assert_allclose(prepared.double().mean(dim=(0, 2, 3)), 0, atol=1e-6)
    np.testing.assert_allclose(prepared.double().std(dim=(0, 2, 3), correction=0), 1, atol=1e-6)


def test_a_channel_that_never_varies_is_only_centered(make_images):
    images = make_images(10)
    images[:, 1] = 77
    technique = fitted(images)
    assert technique.learned["std"][1] == 1
    prepared = technique.prepare(images.float() / 255)
    assert torch.isfinite(prepared).all()
    assert prepared[:, 1].abs().max() < 1e-7


def test_other_images_are_prepared_by_what_was_learned(make_images):
    technique = fitted(make_images(20, seed=0))
    learned = {name: value.clone() for name, value in technique.learned.items()}
    other = make_images(5, seed=1) // 4
    technique.prepare(other.float() / 255)
    assert all(torch.equal(technique.learned[name], learned[name]) for name in learned)
    assert technique.prepare(other.float() / 255).mean() < -0.5


def test_the_loop_learns_from_training_images_alone(digits, tiny_recipe):
    compute, recipe = choose_compute("cpu", "float32"), tiny_recipe("standardize", epochs=1)
    train, other = digits.splits["train"].take(np.arange(100)), digits.splits["train"].take(np.arange(100, 200))
    dark = type(other)(other.images // 2, other.labels)
    learned = [
        train_network(recipe, TrainingData(train, watched, 10), 0, compute).techniques[0].learned
        for watched in (other, dark)
    ]
    mean, std = by_numpy(torch.from_numpy(train.images).permute(0, 3, 1, 2))
    for found in learned:
        np.testing.assert_allclose(found["mean"].numpy(), mean, atol=1e-7)
        np.testing.assert_allclose(found["std"].numpy(), std, atol=1e-7)
    assert torch.equal(learned[0]["mean"], learned[1]["mean"])


def test_batches_of_any_size_give_the_same_statistics(make_images):
    images = make_images(37)
    whole, parts = Standardize().fit([images]), Standardize().fit(list(images.split(5)))
    assert all(torch.equal(whole[name], parts[name]) for name in ("mean", "std"))
