from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F

from stepladder.data import Split
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
    images = DeviceSplit.load(digits_train, CPU.device).images
    whole = compute_logits(module, [], images, CPU)
    monkeypatch.setattr(room, "_BATCH_PIXELS", 7 * 8 * 8)
    torch.testing.assert_close(compute_logits(module, [], images, CPU), whole)
    assert len(whole) == len(digits_train)


def test_the_network_is_left_in_the_mode_that_it_was_in(module: torch.nn.Sequential, digits_train: Split) -> None:
    module.train()
    evaluate(module, [], DeviceSplit.load(digits_train, CPU.device), CPU)
    assert module.training


def test_taken_images_are_those_at_the_positions(digits_train: Split) -> None:
    images, labels = DeviceSplit.load(digits_train, CPU.device).take(torch.tensor([5, 2]))
    assert (images.permute(0, 2, 3, 1).numpy() == digits_train.images[[5, 2]]).all()
    assert labels.tolist() == digits_train.labels[[5, 2]].tolist()
