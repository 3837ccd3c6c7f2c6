"""What is unlike the training images is found by what the network makes of it, and by its looks."""

from __future__ import annotations

import json
from collections import OrderedDict
from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import nn

from stepladder.errors import StorageError
from stepladder.model import OnnxModel, load_model
from stepladder.model.export import UNLIKENESS_TOLERANCE, export_model
from stepladder.model.image_statistics import statistics_of
from stepladder.model.limits import FEWEST_IMAGES
from stepladder.model.onnx_file import METADATA
from stepladder.model.unlikeness import (
    Looks,
    Seen,
    Unlikeness,
    _most_alarms,
    fit_unlikeness,
    read_unlikeness,
    with_features,
    write_unlikeness,
)

RANDOM = np.random.default_rng(0)
#: Features in four of 32 directions, and a last layer that reads the first three.
MIX = RANDOM.normal(size=(4, 32))
LAST = RANDOM.normal(size=(32, 3))


def seen(images, spread=0.05, random=RANDOM):
    """Images like each other: features in four directions, and six statistics, of which two go together."""
    features = random.normal(size=(images, 4)) @ MIX + spread * random.normal(size=(images, 32))
    statistics = 0.5 + 0.1 * random.normal(size=(images, 6))
    statistics[:, 1] = statistics[:, 0] + 0.01 * random.normal(size=images)
    return Seen(features @ LAST, features, statistics)


def by_network(found, images):
    """Virtual logit less energy, as the paper writes it."""
    rest = np.eye(32) - found.directions @ found.directions.T
    virtual = found.scale * np.linalg.norm((images.features - found.center) @ rest, axis=1)
    return virtual - special.logsumexp(images.logits, axis=1)


def test_the_score_is_virtual_logit_less_energy_or_the_distance_of_the_looks() -> None:
    images = seen(50)
    directions = np.linalg.qr(RANDOM.normal(size=(32, 4)))[0].astype(np.float32)
    center = RANDOM.normal(size=32).astype(np.float32)
    plain = Unlikeness(center, directions, 0.5, 0.5)
    np.testing.assert_allclose(plain.score(images), by_network(plain, images) - 0.5, rtol=1e-5)
    looks = Looks(np.full(6, 0.5, np.float32), np.diag([30, 1, 1, 1, 1, 1]).astype(np.float32), -1.0)
    moved = images.statistics - 0.5
    distance = np.sqrt((30 * moved[:, 0]) ** 2 + (moved[:, 1:] ** 2).sum(axis=1)) - 1
    expected = np.maximum(by_network(plain, images), distance)
    assert 0 < (expected == distance).sum() < 50
    np.testing.assert_allclose(replace(plain, looks=looks).score(images), expected - 0.5, rtol=1e-5)


def test_looks_are_a_mahalanobis_distance_spread_as_the_network_s_scores_are() -> None:
    train = seen(4000, random=np.random.default_rng(3))
    found = fit_unlikeness(train, seen(50))
    assert found is not None
    assert found.looks is not None
    found = replace(found, threshold=0.0)
    distance = found.looks.score(train.statistics)
    np.testing.assert_allclose(
        np.quantile(distance, (0.5, 0.95)), np.quantile(by_network(found, train), (0.5, 0.95)), rtol=1e-4
    )
    inverse = np.linalg.inv(np.cov(train.statistics.T))
    moved = train.statistics - train.statistics.mean(axis=0)
    plain = np.sqrt(np.einsum("ni,ij,nj->n", moved, inverse, moved))
    assert np.corrcoef(plain, distance)[0, 1] > 0.99


def test_at_most_one_in_twenty_like_the_validation_images_is_a_false_alarm_and_what_lies_elsewhere_is_found() -> None:
    random = np.random.default_rng(1)
    alarms = []
    for _ in range(200):
        found = fit_unlikeness(seen(100, random=random), seen(120, random=random))
        assert found is not None
        alarms.append((found.score(seen(400, random=random)) > 0).mean())
    # Of 120 the third sets the threshold: a Beta(3, 118), above 5 % in 5.6 of 100 sets, and in a few more by the 400.
    assert np.mean(alarms) == pytest.approx(3 / 121, abs=0.004)
    assert np.mean(np.array(alarms) > 0.05) < 0.1
    odd = random.normal(size=(100, 32)) * 3
    usual = seen(100, random=random)
    assert (found.score(usual._replace(logits=odd @ LAST, features=odd)) > 0).mean() > 0.95
    # The network sees nothing in these: two statistics that go together do not.
    apart = usual.statistics.copy()
    apart[:, 1] = apart[:, 0] + 0.4
    assert (found.score(usual._replace(statistics=apart)) > 0).mean() > 0.95
    assert (by_network(found, usual) > found.threshold).mean() < 0.05


@pytest.mark.parametrize("images", [45, 76, 77, 118, 144, 1000])
def test_the_threshold_is_the_lowest_that_holds_with_ninety_percent_confidence(images) -> None:
    most = _most_alarms(images)
    assert stats.beta(most, images + 1 - most).cdf(0.05) >= 0.9 > stats.beta(most + 1, images - most).cdf(0.05)
    validation = seen(images)
    found = fit_unlikeness(seen(100), validation)
    assert found is not None
    scores = np.sort(replace(found, threshold=0.0).score(validation))
    assert found.threshold == pytest.approx(scores[-most], rel=1e-6)


def test_directions_are_those_of_the_largest_variance_by_either_product() -> None:
    train = seen(400)
    found = fit_unlikeness(train, seen(50))
    assert found is not None
    assert found.directions.shape == (32, 4)
    few = fit_unlikeness(Seen(*(values[:24] for values in train)), seen(50))
    assert few is not None
    assert few.directions.shape == (32, 3)
    moved = train.features[:24] - train.features[:24].mean(axis=0)
    right = np.linalg.svd(moved)[2][:3].T
    # The same space: each direction of the one lies in the other.
    np.testing.assert_allclose(np.linalg.norm(right.T @ few.directions, axis=0), 1, rtol=1e-5)


def test_without_features_it_is_the_energy() -> None:
    images = seen(100)
    images = images._replace(features=images.features[:, :0])
    found = fit_unlikeness(images, images)
    assert found is not None
    assert found.scale == 0
    np.testing.assert_allclose(
        replace(found, looks=None).score(images) + found.threshold, -special.logsumexp(images.logits, axis=1), atol=1e-4
    )


def test_a_few_validation_images_give_no_measure() -> None:
    assert FEWEST_IMAGES == 45
    assert fit_unlikeness(seen(100), seen(44)) is None
    assert fit_unlikeness(seen(100), seen(45)) is not None
    # One less, and even their largest score promises nothing.
    assert 0.95**44 > 0.1 > 0.95**45


@pytest.mark.parametrize("images", [2, 10])
def test_images_without_a_spread_of_their_own_are_measured_too(images) -> None:
    """Fewer training images than statistics, of which some never change."""
    train = seen(images)
    train.statistics[:, 2:] = 0
    found = fit_unlikeness(train, seen(60))
    assert found is not None
    assert np.isfinite(found.score(seen(5))).all()


def test_features_are_what_comes_into_the_last_layer() -> None:
    images = torch.randn(2, 3, 8, 8)
    last = nn.Linear(144, 5)
    module = nn.Sequential(OrderedDict(conv=nn.Conv2d(3, 4, 3), flat=nn.Flatten(), fc=last)).eval()
    with torch.no_grad():
        found = with_features(module, images)(images)
        assert torch.equal(found[:, :5], module(images))
        assert torch.equal(found[:, 5:], module[:2](images))
    assert dict(module.named_children())["fc"] is last


class Own(nn.Module):
    def __init__(self, last):
        super().__init__()
        self.first, self.out, self.last = nn.Linear(192, 7), nn.Linear(7, 5), last

    def forward(self, images):
        return self.last(self.out(self.first(images.flatten(1)).relu()))


def test_of_a_module_of_the_user_s_own_features_are_had_where_nothing_but_scaling_follows() -> None:
    images = torch.randn(2, 3, 8, 8)
    for last, columns in ((nn.Identity(), 12), (nn.LogSoftmax(1), 5), (nn.BatchNorm1d(5), 5)):
        module = nn.Sequential(OrderedDict(own=Own(last))).eval()
        with torch.no_grad():
            assert with_features(module, images)(images).shape == (2, columns)
    assert with_features(nn.Sequential(nn.Flatten()), images)(images).shape == (2, 192)


@pytest.fixture(scope="module")
def measured(saved, digits):
    model = load_model(saved, "cpu")
    images = digits.splits["train"].images
    module = with_features(model.module, model.example())
    outputs = model._outputs(module, images)
    parts = (outputs[:, :10], outputs[:, 10:], statistics_of(images))
    found = fit_unlikeness(*(Seen(*(values[rows] for values in parts)) for rows in (slice(60, None), slice(60))))
    assert found is not None
    return replace(model, unlikeness=found)


def test_a_saved_measure_is_read_with_its_model(measured, folder, digits) -> None:
    assert not load_model(folder, "cpu").tells_unlikeness
    write_unlikeness(folder, measured.unlikeness)
    read = load_model(folder, "cpu")
    images = digits.splits["train"].images[:50]
    np.testing.assert_array_equal(read.with_unlikeness(images)[1], measured.with_unlikeness(images)[1])
    np.testing.assert_array_equal(read.with_unlikeness(images)[0], read.probabilities(images))
    path = folder / "unlikeness.safetensors"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(StorageError, match=r"unlikeness\.safetensors is damaged"):
        load_model(folder, "cpu")
    found = measured.unlikeness
    write_unlikeness(folder, replace(found, scale=float("nan")))
    with pytest.raises(StorageError, match="its numbers fit no network"):
        read_unlikeness(folder)
    write_unlikeness(folder, replace(found, looks=replace(found.looks, center=found.looks.center[:-1])))
    with pytest.raises(StorageError, match="its numbers fit no network"):
        read_unlikeness(folder)
    other = replace(found.looks, center=found.looks.center[1:], scaling=found.looks.scaling[1:, 1:])
    write_unlikeness(folder, replace(found, looks=other))
    with pytest.raises(StorageError, match="has the unlikeness of another network"):
        load_model(folder, "cpu").with_unlikeness(images)
    # As files from before there were looks.
    write_unlikeness(folder, replace(found, looks=None))
    assert read_unlikeness(folder).looks is None
    write_unlikeness(folder, replace(found, center=found.center[:-1], directions=found.directions[:-1]))
    with pytest.raises(StorageError, match="has the unlikeness of another network"):
        load_model(folder, "cpu").with_unlikeness(images)
    write_unlikeness(folder, None)
    assert read_unlikeness(folder) is None


def test_a_temperature_changes_no_measure(measured, digits) -> None:
    """Its scale and threshold are of the logits as they come."""
    images = digits.splits["train"].images[:50]
    hot = replace(measured, temperature=3.0, calibrated=True)
    np.testing.assert_array_equal(hot.with_unlikeness(images)[1], measured.with_unlikeness(images)[1])
    np.testing.assert_array_equal(hot.with_unlikeness(images)[0], hot.probabilities(images))


@pytest.mark.long
def test_an_exported_file_measures_the_same(measured, digits, tmp_path) -> None:
    pytest.importorskip("onnx", reason="the extra 'export' is not installed")
    images = digits.splits["train"].images[:100]
    export_model(measured, tmp_path / "m.onnx", images[:20])
    read = OnnxModel.load(tmp_path / "m.onnx")
    assert read.tells_unlikeness
    # Of two outputs, which older versions would misread.
    facts = json.loads(read._session.get_modelmeta().custom_metadata_map[METADATA])
    assert facts["file_version"] == 3
    export_model(measured, tmp_path / "m.pt2", images[:20], form="exported-program")
    told = {METADATA: ""}
    torch.export.load(tmp_path / "m.pt2", extra_files=told)
    assert json.loads(told[METADATA])["file_version"] == 1, "which has one output"
    expected, found = measured.with_unlikeness(images), read.with_unlikeness(images)
    np.testing.assert_allclose(found[0], expected[0], atol=1e-4)
    np.testing.assert_allclose(found[1], expected[1], rtol=UNLIKENESS_TOLERANCE, atol=UNLIKENESS_TOLERANCE)
    # But for the image that set the threshold, which is at 0 itself.
    clear = np.abs(expected[1]) > UNLIKENESS_TOLERANCE
    assert clear.sum() >= 99
    assert ((found[1] > 0) == (expected[1] > 0))[clear].all()
    one = read.predict(images[0], unlike=True)
    assert one.unlikeness is not None
    assert one.unlikeness[0] == pytest.approx(expected[1][0], rel=1e-3)
