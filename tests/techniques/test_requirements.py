"""Techniques that exclude one another are refused by name; one that is on and without effect is said, and only then."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from stepladder.errors import RecipeError
from stepladder.network import Network, load_preset
from stepladder.network.spec import Conv
from stepladder.techniques import TECHNIQUES, Context, Progress, Technique
from stepladder.techniques.requirements import begin_techniques, check_techniques, techniques_without_effect
from stepladder.training.assembly import TrainingData
from stepladder.training.device import choose_compute
from stepladder.training.loop import train_network

from .settings import SETTINGS


class OneLabel(Technique):
    """A loss of a user's that knows only labels."""

    name, group, summary, paper, caveat = "one_label", "loss and weights", "a loss", "none", "none"

    def loss(self, logits, targets):
        return F.nll_loss(F.log_softmax(logits, dim=1), targets)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("cosine_lr", "exponential_lr"),
            "cosine_lr and exponential_lr both schedule the learning rate over the whole",
        ),
        (("batch_norm", "group_norm"), "batch_norm and group_norm both normalize after every convolution; keep one"),
        (("ema", "swa"), "ema and swa both choose the average of the weights that is evaluated; keep one"),
        (("he_init", "xavier_init"), "he_init and xavier_init both draw the initial weights; keep one"),
        (("class_weights", "focal_loss"), "class_weights and focal_loss both replace the training loss; keep one"),
    ],
)
def test_clashes(begin, names, message):
    techniques = [TECHNIQUES[name]() for name in names]
    with pytest.raises(RecipeError, match=message):
        begin_techniques(techniques, begin(TECHNIQUES["dropout"]()).context)


@pytest.mark.parametrize("name", ["mixup", "cutmix", "label_smoothing"])
def test_a_loss_that_takes_no_soft_targets(begin, name):
    context = begin(OneLabel()).context
    with pytest.raises(RecipeError, match=f"^{name} gives each image shares .* the loss of one_label takes one label"):
        begin_techniques([TECHNIQUES[name](), OneLabel()], context)
    techniques = [TECHNIQUES[name](), TECHNIQUES["focal_loss"]()]
    begin_techniques(techniques, context)
    assert check_techniques(techniques) == []


REPORT = load_preset("report")
NO_CONV = Network(layers=tuple(layer for layer in REPORT.layers if not isinstance(layer, Conv)))


class Idle(Technique):
    name, group, summary, paper, caveat = "idle", "inputs", "nothing", "none", "none"


class OtherLoss(Idle):
    name = "other_loss"

    def loss(self, logits, targets):
        return F.cross_entropy(logits, targets, label_smoothing=0.1)


class Average(Idle):
    name = "average"

    def weights(self, current, averaged, progress):
        averaged["weight"] += 0.5 * (current["weight"] - averaged["weight"])


class LateRate(Idle):
    """The learning rate changes only near the end."""

    name = "late_rate"

    def lr_factor(self, progress):
        return 0.1 if progress.epoch == 19 else 1.0


class Mixed(Idle):
    name = "mixed"

    def augment(self, images, targets, rng):
        return images, F.one_hot(targets, 100).float()


class Clip(Idle):
    """Pixels are within 0 and 1 already, until they are standardized."""

    name = "clip"

    def prepare(self, images):
        return images.clamp(0, 1)


class NoDropout(Idle):
    name = "no_dropout"

    def rewrite(self, network):
        return Network(layers=tuple(layer for layer in network.layers if layer.kind != "dropout"))


def idle(*techniques: Technique, images: torch.Tensor, network: Network = REPORT) -> list[str]:
    shape = images.shape[1:]
    counts = (2, *(1,) * 99)  # of unequal size, so that weights of classes matter
    for position, technique in enumerate(techniques):
        technique.begin(Context(tuple(shape), counts, network, epochs=20, steps_per_epoch=5), techniques[:position])
        technique.restore(technique.fit([images]), images.device)
    targets = torch.arange(len(images))
    return techniques_without_effect(techniques, network, images, targets, Progress(0, 5, 20))


def together() -> list[Technique]:
    """All techniques but those that exclude others."""
    return [technique() for name, technique in TECHNIQUES.items() if not SETTINGS[name].alone]


def test_the_techniques_at_their_defaults_all_have_an_effect(make_images):
    assert idle(*together(), images=make_images(64)) == []


@pytest.mark.parametrize("technique", [OtherLoss(), Average(), LateRate(), Mixed()])
def test_every_hook_counts(technique, make_images):
    assert idle(Idle(), technique, images=make_images()) == ["idle"]


def test_each_is_named_where_it_changes_nothing(make_images):
    noise = make_images(32)
    mirror = torch.cat([noise, noise.flip(3)], dim=3)
    black = torch.zeros_like(noise)
    cases = [
        (TECHNIQUES["batch_norm"](), noise, NO_CONV),
        (TECHNIQUES["horizontal_flip"](), mirror, REPORT),
        (TECHNIQUES["random_crop"](), black, REPORT),
        (TECHNIQUES["dropout"](), noise, Network(layers=REPORT.layers[:3])),
    ]
    for technique, images, network in cases:
        assert idle(technique, images=images, network=network) == [technique.name], technique.name


def test_a_technique_sees_what_those_before_it_made(make_images):
    assert idle(Clip(), images=make_images()) == ["clip"]
    assert idle(TECHNIQUES["standardize"](), Clip(), images=make_images()) == []
    dropout, other = TECHNIQUES["dropout"](), NoDropout()
    assert idle(other, dropout, images=make_images()) == ["no_dropout"]
    assert idle(dropout, other, images=make_images()) == []


def test_looking_draws_no_random_number(make_images):
    images, before = make_images(), torch.get_rng_state()
    idle(*together(), images=images)
    assert torch.equal(torch.get_rng_state(), before)


def test_training_warns(noise, tiny_recipe):
    recipe = tiny_recipe({"name": "rotate", "degrees": 0}, "standardize", epochs=1)
    trained = train_network(recipe, TrainingData(noise, noise, 4), 0, choose_compute("cpu", "float32"))
    assert trained.warnings == ["rotate is switched on and changed nothing when tried on one batch"]
