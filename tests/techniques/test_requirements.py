"""Techniques that exclude one another, and targets that a loss does not take: refused by name, with the reason."""

from __future__ import annotations

import pytest
import torch.nn.functional as F

from stepladder.errors import RecipeError
from stepladder.techniques import TECHNIQUES, Technique
from stepladder.techniques.requirements import begin_techniques, check_techniques


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
