"""A technique of a user's that breaks the rules is caught on the first batch, with the hook and what was wrong."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from stepladder.errors import RecipeError
from stepladder.recipe import TechniqueSetting
from stepladder.techniques import Technique, catalogue
from stepladder.techniques.guard import guarded, watch_batches
from stepladder.training.assembly import TrainingData
from stepladder.training.device import choose_compute
from stepladder.training.loop import train_network


def bad(hook: str, does) -> type[Technique]:
    return type("Bad", (Technique,), {"name": "bad", "__module__": __name__, "__doc__": "Breaks a rule.", hook: does})


def raising(self, *given):
    raise ValueError("too blurred")


def in_place(self, images, targets, rng):
    images.zero_()
    return images, targets


def targets_in_place(self, images, targets, rng):
    targets += 1
    targets %= 4
    return images, targets


def batches_in_place(self, batches):
    for batch in batches:
        batch[:, :, 0] = 0
    return {}


def reshaped(self, parameters, *more):
    with torch.no_grad():
        parameters[0].data = parameters[0].data.flatten()


def lost_gradient(self, parameters, lr):
    parameters[0].grad = None


def logits_in_place(self, logits, targets):
    with torch.no_grad():
        logits.mul_(2)
    return torch.nn.functional.cross_entropy(logits, targets)


def current_in_place(self, current, averaged, progress):
    current["weight"].add_(1)


def average_of_doubles(self, current, averaged, progress):
    averaged["weight"] = current["weight"].double()


def more_weights(self, module, stream, inputs):
    module.register_buffer("extra", torch.zeros(2))


def other_weights(self, module, stream, inputs):
    first = next(module.parameters())
    first.data = first.data[:, :, :1]


CASES = [
    ("augment", in_place, r"bad\.augment changed its argument images in place, .*\(test_guard\.py, line \d+\)$"),
    ("augment", targets_in_place, r"bad\.augment changed its argument targets in place"),
    (
        "augment",
        lambda self, images, targets, rng: (images.to("meta"), targets),
        r"bad\.augment returned images on meta; it got them on cpu",
    ),
    (
        "augment",
        lambda self, images, targets, rng: (images[..., 2:, 2:], targets),
        r"bad\.augment returned images of 3×6×6, of which the network gets 3×6×6 in training and 3×8×8 in evaluation, "
        r"and it does not take both; .* \(test_guard\.py, line \d+\)$",
    ),
    ("prepare", lambda self, images: images.mul_(0.5), r"bad\.prepare changed its argument images in place"),
    (
        "fit",
        batches_in_place,
        r"bad\.fit changed a batch of training images in place, which the trial trains on; .*line",
    ),
    ("loss", logits_in_place, r"bad\.loss changed its argument logits in place"),
    ("before_step", lost_gradient, r"bad\.before_step left nothing in place of float32 \(4, 3\) on cpu"),
    ("before_step", reshaped, r"bad\.before_step left float32 \(12,\) on cpu in place of float32 \(4, 3\) on cpu"),
    ("after_step", reshaped, r"bad\.after_step left float32 \(12,\) on cpu in place of float32 \(4, 3\) on cpu"),
    ("weights", current_in_place, r"bad\.weights changed its argument current in place"),
    ("weights", average_of_doubles, r"bad\.weights left float64 \(3,\) on cpu in place of float32 \(3,\) on cpu"),
    (
        "initialize",
        more_weights,
        r"bad\.initialize added or removed weights \(extra\); use rewrite",
    ),
    ("initialize", other_weights, r"bad\.initialize left float32 .* in place of float32 .*line \d+\)$"),
    ("frozen", lambda self, before, network: 3, r"bad\.frozen returned 3; it must return a Frozen"),
    ("lr_scales", lambda self, network: [1.0], r"bad\.lr_scales returned a list; it must return finite numbers"),
    (
        "lr_scales",
        lambda self, network: {"conv1": -1.0},
        r"bad\.lr_scales returned a dict; it must return finite numbers",
    ),
    ("augment", raising, r"bad\.augment raised ValueError: too blurred \(test_guard\.py, line \d+\)"),
    (
        "augment",
        lambda self, images, targets, rng: (images.float(), targets),
        r"returned images float32 \(16, 3, 8, 8\)",
    ),
    (
        "augment",
        lambda self, images, targets, rng: images,
        r"bad\.augment returned uint8 .* must return \(images, targets",
    ),
    (
        "augment",
        lambda self, images, targets, rng: (images[:3], targets),
        r"bad\.augment returned targets|images uint8 \(3",
    ),
    (
        "augment",
        lambda self, images, targets, rng: (images, targets[:2]),
        r"returned targets int64 \(2,\); they must be",
    ),
    (
        "augment",
        lambda self, images, targets, rng: (images + torch.randint(2, (1,)).byte(), targets),
        "generator of torch",
    ),
    ("augment", lambda self, images, targets, rng: (images + np.random.randint(2), targets), "generator of numpy"),  # noqa: NPY002
    ("augment", lambda self, images, targets, rng: (images + random.randint(0, 1), targets), "generator of random"),
    ("prepare", raising, r"bad\.prepare raised ValueError"),
    ("prepare", lambda self, images: images.double(), r"bad\.prepare returned float64 .* must return float32 \(16, C"),
    ("prepare", lambda self, images: images / 0, r"bad\.prepare returned values that are not finite"),
    (
        "prepare",
        lambda self, images: images[..., 1:],
        r"bad\.prepare returned images of 3×8×7, and bad\.prepared_shape told of 3×8×8; .* overrides both",
    ),
    ("prepared_shape", raising, r"bad\.prepared_shape raised ValueError"),
    ("prepared_shape", lambda self, shape: (8, 8), r"bad\.prepared_shape returned \(8, 8\); it must return \(channels"),
    ("fit", lambda self, batches: [1], r"bad\.fit returned a list; it must return a dict"),
    ("fit", lambda self, batches: {"mean": torch.zeros(1).double()}, r"bad\.fit returned float64 \(1,\) as 'mean'"),
    ("fit", raising, r"bad\.fit raised ValueError: too blurred"),
    ("rewrite", lambda self, network: None, r"bad\.rewrite returned None; it must return a Network"),
    ("rewrite", raising, r"bad\.rewrite raised ValueError"),
    ("check", raising, r"bad\.check raised ValueError"),
    ("initialize", raising, r"bad\.initialize raised ValueError"),
    ("lr_factor", lambda self, progress: "fast", r"bad\.lr_factor returned 'fast'; it must be a finite number"),
    ("lr_factor", lambda self, progress: float("nan"), r"bad\.lr_factor returned nan"),
    ("loss", lambda self, logits, targets: logits, r"bad\.loss returned float32 \(16, 4\); it must return the mean"),
    ("loss", raising, r"bad\.loss raised ValueError"),
    ("before_step", raising, r"bad\.before_step raised ValueError"),
    ("after_step", raising, r"bad\.after_step raised ValueError"),
    ("weights", raising, r"bad\.weights raised ValueError"),
    ("epoch_ended", raising, r"bad\.epoch_ended raised ValueError"),
]


@pytest.mark.parametrize(("hook", "does", "message"), CASES)
def test_the_message_names_the_hook_and_what_was_wrong(hook, does, message, noise, tiny_recipe, monkeypatch):
    technique = bad(hook, does)
    for attribute in ("group", "summary", "paper", "caveat"):
        setattr(technique, attribute, "own")
    monkeypatch.setitem(catalogue._OWN, "bad", catalogue._Found(technique, "0"))
    recipe = tiny_recipe(epochs=1).with_techniques([TechniqueSetting.model_validate({"name": "bad"})])
    with pytest.raises(RecipeError, match=message):
        train_network(recipe, TrainingData(noise, noise, 4), 0, choose_compute("cpu", "float32"))


def test_a_hook_that_another_technique_has_called_is_the_one_that_is_named():
    """As where ``pca_init`` looks at prepared images; of one technique's own methods it is the outermost."""
    inner = type("Inner", (Technique,), {"name": "inner", "prepare": lambda self, images: self.blur(images)})
    inner.blur = raising
    outer = bad("initialize", lambda self, module, streams, inputs: list(inputs))()
    inputs = (inner().prepare(images) for images in [torch.zeros(1, 1, 2, 2)])
    with (
        pytest.raises(RecipeError, match=r"^inner\.prepare raised ValueError: too blurred"),
        guarded(outer, "initialize"),
    ):
        outer.initialize(torch.nn.Sequential(), lambda name: torch.Generator(), inputs)


def test_smaller_images_in_training_are_fine_where_the_network_takes_both(noise, tiny_recipe, monkeypatch):
    """As progressive resizing does: global average pooling has as many weights for every size."""
    technique = bad("augment", lambda self, images, targets, rng: (images[..., 2:, 2:], targets))
    for attribute in ("group", "summary", "paper", "caveat"):
        setattr(technique, attribute, "own")
    monkeypatch.setitem(catalogue._OWN, "bad", catalogue._Found(technique, "0"))
    settings = [TechniqueSetting.model_validate({"name": name}) for name in ("bad", "global_average_pooling")]
    recipe = tiny_recipe(epochs=1).with_techniques(settings)
    trained = train_network(recipe, TrainingData(noise, noise, 4), 0, choose_compute("cpu", "float32"))
    assert trained.failure is None


def test_every_batch_is_whole_where_a_hook_only_reads(noise):
    technique = bad("fit", lambda self, batches: {})()
    batches = [torch.zeros(2, 3), torch.ones(2, 3)]
    watched = watch_batches(technique, "fit", batches)
    assert [batch.sum().item() for _ in range(2) for batch in watched] == [0, 6, 0, 6]
