import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import training
from benchmarks.peers import ALONE, TOGETHER, Peer, known_peers
from benchmarks.peers.running import PeerRounds, environments_folder, run_round
from benchmarks.training import choose_peers, measure_training, noise, ratios
from stepladder.bench.engine import random_images
from stepladder.datasets import Split
from stepladder.errors import DataError
from stepladder.optimizer import Optimizer
from stepladder.recipe import load_recipe
from stepladder.studies.design.rungs import find_rung
from stepladder.training.device import choose_compute

WEIGHTS = 1_191_170
CPU = choose_compute("cpu", "float32")
RECIPE = find_rung(load_recipe("report"), "augment").recipe.model_copy(update={"epochs": 2})


@pytest.fixture(autouse=True)
def one_step_of_warm_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "_WARMUP_STEPS", 1)
    monkeypatch.setattr(training, "matrix_rate", lambda compute: 1e12)


@pytest.mark.soak
def test_all_that_needs_no_installation_trains_the_same_network() -> None:
    train, val = noise(160)
    peers = choose_peers(["notebook", "notebook-2", "tensors", "tensors-together"])
    phrases: list[str] = []
    speed = measure_training(train, val, 10, RECIPE, CPU, peers=peers, rounds=1, on_part=phrases.append)
    assert [one.peer.name for one in speed.peers] == [ALONE.name, *(peer.name for peer in peers), TOGETHER.name]
    assert len(phrases) == len(peers) * 2 + 2
    assert speed.left_out == {}
    for one in speed.peers:
        assert one.weights == WEIGHTS
        assert one.processes >= 1
        assert len(one.images_per_second) == len(one.accuracy) == 1
        assert len(one.epochs[0]) == 2
        assert min(one.epochs[0]) <= one.images_per_second[0] <= max(one.epochs[0])
        assert 0 <= one.accuracy[0] <= 1
        assert {"python", "torch"} <= set(one.versions)
        if sys.platform == "linux":
            assert one.peak_memory_bytes[0] > 50e6
    assert speed.product_shares(speed.alone) == [speed.alone.images_per_second[0] * speed.flop_an_image / 1e12]


@pytest.mark.long
@pytest.mark.parametrize(
    "name",
    [pytest.param("notebook", marks=pytest.mark.soak), pytest.param("tensors", marks=pytest.mark.soak), "stepladder"],
)
def test_a_peer_learns(name: str, tmp_path: Path) -> None:
    # Dark and bright: with labels that stay with their images, they are told apart in no time.
    random = np.random.default_rng(0)
    labels = random.integers(0, 2, 320)
    images = random.integers(0, 128, (320, 32, 32, 3)) + 128 * labels.reshape(-1, 1, 1, 1)
    split = Split(images.astype(np.uint8), labels)
    # At a rate of 0.1 some seeds end in one class for all.
    recipe = RECIPE.model_copy(update={"epochs": 2, "batch_size": 16, "optimizer": Optimizer(lr=0.02)})
    order = training._write_order(tmp_path, split, split, 10, recipe, CPU) | {"seed": 0}
    peer = {peer.name: peer for peer in (*known_peers(), ALONE)}[name]
    (answer,) = run_round(PeerRounds(peer, 1), [sys.executable, "-P"], tmp_path, order)
    assert answer["accuracy"] > 0.9
    assert len(answer["images_per_second"]) == 2


def test_the_peers_are_told_the_mean_and_spread_of_the_training_images(tmp_path: Path) -> None:
    train = random_images(50)
    order = training._write_order(tmp_path, train, train, 10, RECIPE, CPU)
    pixels = train.images.reshape(-1, 3).astype(np.float64) / 255
    np.testing.assert_allclose(order["mean"], pixels.mean(0), rtol=1e-9)
    np.testing.assert_allclose(order["std"], pixels.std(0), rtol=1e-9)
    assert (order["batch_size"], order["lr"], order["epochs"]) == (128, 0.1, 2)


@pytest.mark.soak
def test_what_cannot_be_installed_is_left_out_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "available_cores", lambda: 1)
    # No index is asked, so that the test needs no network.
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_DISABLE_PIP_VERSION_CHECK", "1")
    peer = Peer("missing", "a library", "notebook.py", requirements=("stepladder-has-no-such-peer",))
    train, val = noise(100)
    recipe = RECIPE.model_copy(update={"epochs": 1})
    speed = measure_training(train, val, 10, recipe, CPU, peers=[peer], rounds=1)
    assert (
        "it cannot be installed: No matching distribution found for stepladder-has-no-such" in speed.left_out["missing"]
    )
    assert [one.peer.name for one in speed.peers] == [ALONE.name, TOGETHER.name]
    assert not (environments_folder() / "missing" / "installed.txt").exists()


def test_an_unknown_peer_and_other_images_are_refused() -> None:
    with pytest.raises(DataError, match=r"unknown peer 'skrch'; did you mean 'skorch'\?"):
        choose_peers(["skrch"])
    assert choose_peers([]) == known_peers()
    small = Split(np.zeros((20, 8, 8, 1), np.uint8), np.zeros(20, np.int64))
    with pytest.raises(DataError, match=r"the images are 8×8 with 1 channel; .*: add `size=32` and `channels=3`"):
        measure_training(small, small, 10, RECIPE, CPU, peers=[])


def test_ratios_are_taken_round_by_round() -> None:
    assert ratios([2.0, 9.0], [1.0, 3.0]) == [2.0, 3.0]
    assert ratios([], [1.0]) == []
