from collections.abc import Callable

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from stepladder.datasets import Split
from stepladder.network.build import build_network
from stepladder.recipe import Recipe
from stepladder.training import evaluate as room
from stepladder.training.device import choose_compute
from stepladder.training.evaluate import DeviceSplit, compute_logits, evaluate
from stepladder.training.rng import Streams

CPU = choose_compute("cpu", "float32")


@pytest.fixture
def module(tiny_recipe: Callable[..., Recipe]) -> torch.nn.Sequential:
    return build_network(tiny_recipe().network, (1, 8, 8), 10, Streams(0))


def test_the_score_is_that_of_one_image_at_a_time(module: torch.nn.Sequential, digits_train: Split) -> None:
    losses, right = [], 0
    for image, label in zip(digits_train.images, digits_train.labels, strict=True):
        logits = module(torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255)[0]
        losses.append(F.cross_entropy(logits, torch.tensor(label)).item())
        right += int(logits.argmax()) == label
    score = evaluate(module, [], DeviceSplit.load(digits_train, CPU.device), CPU)
    assert score.loss == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert score.accuracy == right / len(digits_train)


def test_batches_cover_every_image(
    module: torch.nn.Sequential, digits_train: Split, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches = DeviceSplit.load(digits_train, CPU.device).batches
    whole = compute_logits(module, [], batches, CPU)
    monkeypatch.setattr(room, "_BATCH_PIXELS", 7 * 8 * 8)
    torch.testing.assert_close(compute_logits(module, [], batches, CPU), whole)
    assert len(whole) == len(digits_train)


def test_the_network_is_left_in_the_mode_that_it_was_in(module: torch.nn.Sequential, digits_train: Split) -> None:
    module.train()
    evaluate(module, [], DeviceSplit.load(digits_train, CPU.device), CPU)
    assert module.training


def test_taken_images_are_those_at_the_positions(digits_train: Split) -> None:
    images, labels = DeviceSplit.load(digits_train, CPU.device).take(torch.tensor([5, 2]))
    assert (images.permute(0, 2, 3, 1).numpy() == digits_train.images[[5, 2]]).all()
    assert labels.tolist() == digits_train.labels[[5, 2]].tolist()


def test_a_split_by_rows_is_the_split_of_its_copy(module: torch.nn.Sequential, digits_train: Split) -> None:
    rows = np.random.default_rng(0).permutation(len(digits_train))[:300]
    by_rows = DeviceSplit.load(digits_train.take(rows), CPU.device)
    copied = DeviceSplit.load(Split(digits_train.images[rows], digits_train.labels[rows]), CPU.device)
    assert by_rows.rows is not None
    assert copied.rows is None
    assert torch.equal(torch.cat(list(by_rows.batches)), torch.cat(list(copied.batches)))
    positions = torch.tensor([5, 2, 299])
    for one, other in zip(by_rows.take(positions), copied.take(positions), strict=True):
        assert torch.equal(one, other)
    chosen = by_rows.select(positions)
    assert torch.equal(torch.cat(list(chosen.batches)), copied.take(positions)[0])
    assert evaluate(module, [], by_rows, CPU) == evaluate(module, [], copied, CPU)


def test_read_only_pixels_are_read_in_place_and_without_a_warning(digits_train: Split) -> None:
    pixels = digits_train.images.copy()
    pixels.flags.writeable = False
    assert DeviceSplit.load(Split(pixels, digits_train.labels), CPU.device).pixels.data_ptr() == pixels.ctypes.data
