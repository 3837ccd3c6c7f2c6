"""Features of frozen layers: the same as in a step, worked out once, shared, and found again after a stop."""

from __future__ import annotations

import threading
import warnings

import numpy as np
import pytest
import torch

from stepladder.datasets import Split
from stepladder.datasets.cache import FEATURES, cache_folder
from stepladder.errors import StepladderWarning
from stepladder.techniques import find_technique
from stepladder.training import frozen
from stepladder.training.assembly import TrainingData, assemble
from stepladder.training.device import choose_compute
from stepladder.training.evaluate import DeviceSplit, compute_logits
from stepladder.training.frozen import FeatureSplit, FrozenLayers, divided, find_frozen, freeze_layers
from stepladder.training.loop import TrainingCallbacks, train_network

CPU = choose_compute("cpu", "float32")
NETWORK = "conv3-4 bn relu pool2 conv3-6 bn relu gap fc8 relu fc"


@pytest.fixture
def images() -> TrainingData:
    random = np.random.default_rng(0)

    def split(count: int) -> Split:
        return Split(random.integers(0, 256, (count, 8, 8, 3), np.uint8), np.arange(count, dtype=np.int64) % 10)

    return TrainingData(split(200), split(40), 10)


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path))
    return tmp_path / FEATURES


def weights(trained):
    return {name: value.numpy().tobytes() for name, value in trained.module.state_dict().items()}


def test_frozen_layers_stay_to_the_bit_and_the_head_learns(images, tiny_recipe, own_cache):
    recipe = tiny_recipe("standardize", "freeze", network=NETWORK, epochs=2)
    begun = assemble(recipe, images, 0, CPU).trained
    before = {name: value.clone() for name, value in begun.state_dict().items()}
    after = train_network(recipe, images, 0, CPU).module.state_dict()
    changed = {name.partition(".")[0] for name, value in after.items() if not torch.equal(value, before[name])}
    assert changed == {"fc2"}


def test_a_step_sees_what_the_layers_make_of_the_images(images, tiny_recipe, own_cache):
    """The logits of the head on features equal those of the whole network on images."""
    recipe = tiny_recipe("standardize", "freeze", network=NETWORK, epochs=2)
    assembly = assemble(recipe, images, 0, CPU)
    assert isinstance(assembly.data, FeatureSplit)
    on_features = compute_logits(assembly.module, assembly.techniques, assembly.watched.batches, CPU)
    plain = DeviceSplit.load(images.watched, CPU.device)
    on_images = compute_logits(assembly.trained, assembly.techniques, plain.batches, CPU)
    torch.testing.assert_close(on_features, on_images, atol=1e-5, rtol=1e-4)


def test_features_are_worked_out_once_for_all_seeds_of_equal_layers(images, tiny_recipe, own_cache, monkeypatch):
    calls = []
    whole = frozen.FrozenLayers._run
    monkeypatch.setattr(frozen.FrozenLayers, "_run", lambda self, one: calls.append(len(one)) or whole(self, one))
    recipe = tiny_recipe("freeze", network=NETWORK, epochs=1)
    first = weights(train_network(recipe, images, 0, CPU))
    count = len(calls)
    assert sum(calls) >= 240
    assert weights(train_network(recipe, images, 0, CPU)) == first
    assert len(calls) == count, "the second trial found them"
    train_network(recipe, images, 1, CPU)  # other random weights, other features
    assert len(calls) > count


def test_the_cache_changes_no_bit(images, tiny_recipe, own_cache, monkeypatch):
    recipe = tiny_recipe("horizontal_flip", "freeze", network=NETWORK, epochs=2)
    kept = weights(train_network(recipe, images, 0, CPU))
    monkeypatch.setattr(frozen, "reserve", lambda *_: (_ for _ in ()).throw(OSError("no room")))
    monkeypatch.setenv("STEPLADDER_CACHE", str(own_cache / "elsewhere"))
    assert weights(train_network(recipe, images, 0, CPU)) == kept


def test_damaged_features_are_worked_out_anew(images, tiny_recipe, own_cache):
    recipe = tiny_recipe("freeze", network=NETWORK, epochs=1)
    kept = weights(train_network(recipe, images, 0, CPU))
    files = sorted(own_cache.glob("*/features.f32"))
    assert len(files) == 2  # training and validation
    for file in files:
        content = bytearray(file.read_bytes())
        content[100] ^= 1
        file.write_bytes(content)
    with pytest.warns(StepladderWarning, match=r"1 of \d parts of .*features.f32 have another checksum than they had"):
        assert weights(train_network(recipe, images, 0, CPU)) == kept
    assert weights(train_network(recipe, images, 0, CPU)) == kept  # whole again: no word


WRONG_FACTS = ["{", "[]", "{}", '{"shape": 3}', '{"shape": [3, 3]}', '{"shape": [1e999, 2]}', '{"shape": ["a", null]}']


@pytest.mark.long
@pytest.mark.parametrize("damage", ["short", *WRONG_FACTS, "marker", "folder"])
def test_a_cache_that_is_not_what_it_says_is_made_again_and_said(damage, images, tiny_recipe, own_cache):
    recipe = tiny_recipe("freeze", network=NETWORK, epochs=1)
    kept = weights(train_network(recipe, images, 0, CPU))
    for file in own_cache.glob("*/features.f32"):
        facts = file.with_suffix(".json")
        if damage == "short":
            file.write_bytes(file.read_bytes()[:-4])
        elif damage == "marker":
            (file.parent / "part-0.json").write_text("{")
        elif damage == "folder":
            facts.unlink()
            facts.mkdir()
        else:
            facts.write_text(damage)
    if damage == "folder":  # nothing can be written there
        with pytest.warns(StepladderWarning, match="are damaged"):
            assert weights(train_network(recipe, images, 0, CPU)) == kept
        return
    with pytest.warns(StepladderWarning, match="Features in the cache are damaged .*; they are worked out again"):
        assert weights(train_network(recipe, images, 0, CPU)) == kept
    assert weights(train_network(recipe, images, 0, CPU)) == kept  # whole again: no word


@pytest.mark.long
@pytest.mark.parametrize("planted", ["features.f32", "features.json", "part-0.json"])
@pytest.mark.parametrize("link", ["symlink_to", "hardlink_to"])
def test_a_planted_link_is_not_written_through(planted, link, images, tiny_recipe, own_cache, tmp_path):
    recipe = tiny_recipe("freeze", network=NETWORK, epochs=1)
    kept = weights(train_network(recipe, images, 0, CPU))
    precious = tmp_path / "precious"
    folders = list(own_cache.iterdir())
    assert len(folders) > 0
    for folder in folders:
        content = (folder / planted).read_bytes()
        precious.write_bytes(content)
        (folder / planted).unlink()
        getattr(folder / planted, link)(precious)
        if planted == "features.f32":
            # Without what says that it is whole, it would be filled.
            (folder / "part-0.json").unlink()
            precious.write_bytes(bytes(len(content)))
        before = precious.read_bytes()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", StepladderWarning)
            assert weights(train_network(recipe, images, 0, CPU)) == kept
        assert precious.read_bytes() == before
        precious.unlink()


def test_a_folder_that_is_a_link_is_not_used_and_that_is_said(images, tiny_recipe, own_cache, tmp_path):
    recipe = tiny_recipe("freeze", network=NETWORK, epochs=1)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    own_cache.parent.mkdir(exist_ok=True)
    own_cache.symlink_to(elsewhere)
    with pytest.warns(StepladderWarning, match="is not used: it is a link or no folder"):
        train_network(recipe, images, 0, CPU)
    assert list(elsewhere.iterdir()) == []


def test_a_stop_keeps_what_is_there_and_the_next_call_goes_on(images, tiny_recipe, own_cache):
    recipe = tiny_recipe("freeze", "horizontal_flip", network=NETWORK, epochs=1)
    done = []

    class EnoughError(Exception):
        pass

    def tell(count: int, _: int) -> None:
        done.append(count)
        if len(done) == 3:
            raise EnoughError

    with pytest.raises(EnoughError):
        train_network(recipe, images, 0, CPU, TrainingCallbacks(on_features=tell))
    assert len(list(own_cache.glob("*/part-*.json"))) == 3
    again = []
    resumed = train_network(recipe, images, 0, CPU, TrainingCallbacks(on_features=lambda *at: again.append(at)))
    parts = len(list(own_cache.glob("*/part-*.json")))
    assert len(again) == parts - 3
    assert weights(resumed) == weights(train_network(recipe, images, 0, CPU))


def test_two_that_need_the_same_features_share_the_work(images, tiny_recipe, own_cache):
    recipe = tiny_recipe("freeze", "horizontal_flip", network=NETWORK, epochs=1)
    told: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
    results = {}

    def run(number: int) -> None:
        callbacks = TrainingCallbacks(on_features=lambda *at: told[number].append(at))
        results[number] = train_network(recipe, images, 0, CPU, callbacks)

    threads = [threading.Thread(target=run, args=(number,)) for number in told]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert weights(results[0]) == weights(results[1])
    markers = len(list(own_cache.glob("*/part-*.json")))
    assert sum(map(len, told.values())) >= markers


def test_views_are_the_same_for_every_seed_and_differ_from_one_another(images, tiny_recipe, own_cache):
    recipe = tiny_recipe({"name": "freeze", "views": 3}, "random_crop", network=NETWORK, epochs=1)
    ones = [assemble(recipe, images, 0, CPU).data for _ in range(2)]
    views = ones[0].views
    assert views.shape[:2] == (3, 200)
    assert torch.equal(views, ones[1].views)
    assert not torch.equal(views[0], views[1])
    positions = torch.arange(200)
    drawn, labels = ones[0].take(positions)
    assert torch.equal(labels, ones[0].labels)
    among = (drawn.unsqueeze(0) == views).flatten(2).all(dim=2).any(dim=0)
    assert among.all()
    assert not torch.equal(drawn, ones[0].take(positions)[0]), "another draw, another view"


def test_mixed_images_are_not_kept_and_that_is_said(images, tiny_recipe, own_cache):
    recipe = tiny_recipe("freeze", "mixup", network=NETWORK, epochs=1)
    trained = train_network(recipe, images, 0, CPU)
    assert trained.warnings == ["mixup mixes images, so that the frozen layers are worked out anew in every step"]
    assert not own_cache.exists()


def test_unfreeze_trains_the_last_blocks_and_their_norms_stay(images, tiny_recipe, own_cache):
    network = "conv3-4 bn relu res:name=block1(conv3-4 bn) relu res:name=block2(conv3-4 bn) relu gap fc"
    recipe = tiny_recipe("freeze", {"name": "unfreeze", "blocks": 1}, network=network, epochs=2)
    begun = assemble(recipe, images, 0, CPU).trained
    before = {name: value.clone() for name, value in begun.state_dict().items()}
    after = train_network(recipe, images, 0, CPU).module.state_dict()
    changed = {name for name, value in after.items() if not torch.equal(value, before[name])}
    assert {name.partition(".")[0] for name in changed} == {"block2", "fc1"}
    assert not any("running" in name for name in changed)


def test_what_techniques_freeze_is_told_in_layers(tiny_recipe):
    network = tiny_recipe(network=NETWORK).network
    freeze, last = find_technique("freeze"), len(network.layers) - 1
    assert find_frozen([], network).layers == 0
    assert find_frozen([freeze()], network).layers == last
    assert find_frozen([freeze(up_to="conv2")], network).layers == 5


def test_layers_are_divided_under_their_names(images, tiny_recipe, own_cache):
    assembly = assemble(tiny_recipe(network=NETWORK), images, 0, CPU)
    below, behind = divided(assembly.module, 3)
    assert [name for name, _ in below.named_children()] == ["conv1", "norm1", "pool1"]
    assert next(iter(behind.named_children()))[0] == "relu1"


def test_what_is_cleared_is_gone(images, tiny_recipe, own_cache):
    from stepladder.datasets.cache import clear_cache

    train_network(tiny_recipe("freeze", network=NETWORK, epochs=1), images, 0, CPU)
    assert clear_cache() > 0
    assert not (cache_folder() / FEATURES).exists()


def test_the_layers_are_told_apart_by_weights_and_images(images, tiny_recipe, own_cache):
    """The content is the key: nothing else finds another's features."""
    for changed in ("nothing", "a weight", "an image"):
        module = assemble(tiny_recipe("freeze", network=NETWORK), images, 0, CPU).trained
        below, _ = divided(module, 10)
        split = images.train
        if changed == "a weight":
            with torch.no_grad():
                next(below.parameters())[0] += 1
        if changed == "an image":
            pixels = split.pixels.copy()
            pixels[7, 3, 3, 1] ^= 1
            split = Split(pixels, split.labels)
        FrozenLayers(below, [], CPU).features(DeviceSplit.load(split, CPU.device), split.fingerprint)
    assert len(list(own_cache.iterdir())) == 4  # training, validation, and one more for each change


def test_images_where_others_lay_in_memory_have_features_of_their_own(images, tiny_recipe, own_cache):
    """An address tells nothing: it is given away again as soon as its images are gone."""
    below, _ = divided(assemble(tiny_recipe("freeze", network=NETWORK), images, 0, CPU).trained, 10)
    pixels, labels, means = np.empty((60, 8, 8, 3), np.uint8), np.zeros(60, np.int64), set()
    for seed in range(3):
        pixels[...] = np.random.default_rng(seed).integers(0, 256, pixels.shape, np.uint8)
        split = Split(pixels, labels)
        features = FrozenLayers(below, [], CPU).features(DeviceSplit.load(split, CPU.device), split.fingerprint)
        means.add(features.mean().item())
    assert len(means) == 3


def test_frozen_norms_are_held_whichever_technique_froze_them(images, tiny_recipe, own_cache):
    module = assemble(tiny_recipe(network=NETWORK), images, 0, CPU).module
    freeze_layers(module, 3)
    module.train()
    norms = [part for part in module.modules() if isinstance(part, torch.nn.BatchNorm2d)]
    assert [norm.training for norm in norms] == [False, True]
    learning = {name.partition(".")[0] for name, value in module.named_parameters() if value.requires_grad}
    assert learning == {"conv2", "norm2", "fc1", "fc2"}
