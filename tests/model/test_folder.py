"""A model comes back as it was saved, or says in one sentence why not."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.numpy import load_file, save_file

from stepladder.errors import RecipeError, StorageError
from stepladder.model.folder import calibrate_model, load_folder, read_card, save_model
from stepladder.model.images import read_pixels
from stepladder.model.torch_model import Model
from stepladder.network import build
from stepladder.training.assembly import TrainingData
from stepladder.training.device import choose_compute
from stepladder.training.evaluate import ImageBatches, compute_logits
from stepladder.training.loop import train_network


def rewrite(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    change(config)
    path.write_text(json.dumps(config))


def logits_of(trained, images: np.ndarray, compute) -> np.ndarray:
    batches = ImageBatches(torch.from_numpy(images))
    return compute_logits(trained.module, trained.techniques, batches, compute).numpy()


def test_logits_come_back_to_the_bit(saved, trained, digits, compute):
    images = digits.splits["train"].images
    model = load_folder(saved, "cpu")
    logits = model.logits(images)
    assert logits.dtype == np.float32
    assert logits.tobytes() == logits_of(trained, images, compute).tobytes()
    assert np.ptp(logits, axis=0).min() > 0
    assert not model.module.training


def test_how_images_are_brought_to_its_shape_comes_back(saved, trained, digits, compute, tmp_path):
    config = json.loads((saved / "config.json").read_text())
    assert config["format_version"] == 1  # which older versions read rightly
    assert "fit" not in config
    assert load_folder(saved, "cpu").fit == "crop"
    save_model(tmp_path / "m", trained, digits.class_names, digits.image_shape, compute, "# A card\n", "pad")
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert (config["format_version"], config["fit"]) == (2, "pad")
    model = load_folder(tmp_path / "m", "cpu")
    assert model.fit == "pad"
    photo = np.random.default_rng(0).integers(0, 256, (10, 40, 1), dtype=np.uint8)
    found, padded, cropped = (
        model.predict(photo).probabilities,
        *(model.probabilities(read_pixels(photo, model.image_shape, fit)) for fit in ("pad", "crop")),
    )
    assert found.tobytes() == padded.tobytes() != cropped.tobytes()
    calibrate_model(tmp_path / "m", 2.0)
    assert load_folder(tmp_path / "m", "cpu").fit == "pad"


def test_what_it_knows_of_itself_comes_back(saved, trained, digits):
    model = load_folder(saved, "cpu")
    assert model.class_names == digits.class_names
    assert model.image_shape == (8, 8, 1)
    assert model.compute.precision == "float32"
    # What has no part in prediction stays behind.
    preparing = [technique for technique in trained.techniques if technique.overrides("prepare")]
    assert [(type(one), one.model_dump()) for one in model.techniques] == [
        (type(one), one.model_dump()) for one in preparing
    ]
    assert load_folder(saved, "cpu", "bfloat16").compute.precision == "bfloat16"


@pytest.mark.parametrize("techniques", [(), ("standardize",), ("batch_norm", "dropout")])
def test_other_recipes_and_precisions(techniques, tiny_recipe, noise, tmp_path):
    compute = choose_compute("cpu", "bfloat16")
    trained = train_network(tiny_recipe(*techniques, epochs=1), TrainingData(noise, noise, 4), 0, compute)
    names = ("a", "caf\udce9", "猫", "<b>")
    save_model(tmp_path, trained, names, (8, 8, 3), compute, "card")
    model = load_folder(tmp_path, "cpu", "bfloat16")
    assert model.class_names == names
    assert model.logits(noise.images).tobytes() == logits_of(trained, noise.images, compute).tobytes()


@pytest.mark.parametrize("native", [True, False])
def test_a_model_in_bfloat16_is_answered_as_the_machine_can(native, tiny_recipe, noise, tmp_path, monkeypatch):
    compute = choose_compute("cpu", "bfloat16")
    trained = train_network(tiny_recipe(epochs=1), TrainingData(noise, noise, 4), 0, compute)
    save_model(tmp_path, trained, ("a", "b", "c", "d"), (8, 8, 3), compute, "card")
    monkeypatch.setattr("stepladder.training.device._multiplies_bfloat16", lambda device: native)
    assert load_folder(tmp_path, "cpu").compute.precision == ("bfloat16" if native else "float32")
    assert load_folder(tmp_path, "cpu", "bfloat16").compute.precision == "bfloat16"
    assert load_folder(tmp_path, "cpu", "float32").compute.precision == "float32"


def test_the_files_are_those_of_hugging_face(saved):
    assert sorted(path.name for path in saved.iterdir()) == ["README.md", "config.json", "model.safetensors"]
    tensors = load_file(saved / "model.safetensors")
    assert tensors["technique.standardize.mean"].shape == (1,)
    assert tensors["network.conv1.weight"].shape == (4, 1, 3, 3)
    config = json.loads((saved / "config.json").read_text())
    assert config["library_name"] == "stepladder"
    assert config["input_shape"] == [1, 6, 6]
    assert [entry["technique"] for entry in config["preprocessing"]][:2] == ["standardize", "random_crop"]


def test_saving_twice_writes_the_same_bytes(saved, trained, digits, compute, tmp_path):
    save_model(tmp_path, trained, digits.class_names, digits.image_shape, compute, "# A card\n")
    names = sorted(path.name for path in saved.iterdir())
    assert names == sorted(path.name for path in tmp_path.iterdir())
    for path in saved.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes()


def test_no_pickle(saved, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("pickle")

    for module, name in ((torch, "load"), (pickle, "load"), (pickle, "loads"), (pickle, "Unpickler")):
        monkeypatch.setattr(module, name, refuse)
    load_folder(saved, "cpu")
    starts = {path.name: path.read_bytes()[:2] for path in saved.iterdir()}
    assert {"model.safetensors", "config.json"} <= set(starts)
    assert not {b"PK", b"\x80\x02"} & set(starts.values())


def test_images_however_they_lie_in_memory(saved, digits):
    model, images = load_folder(saved, "cpu"), digits.splits["train"].images[:8]
    expected = model.logits(images)
    frozen = images.copy()
    frozen.flags.writeable = False
    mirrored = np.ascontiguousarray(images[:, :, ::-1])[:, :, ::-1]
    for same in (frozen, mirrored, np.asfortranarray(images)):
        np.testing.assert_array_equal(model.logits(same), expected)
    assert model.logits(images[:0]).shape == (0, 10)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 8, 8, 1), dtype=np.float32),
        np.zeros((2, 8, 8), dtype=np.uint8),
        np.zeros((8, 8, 1), dtype=np.uint8),
        np.zeros((2, 8, 8, 3), dtype=np.uint8),
        np.zeros((2, 1, 8, 8), dtype=np.uint8),
        np.zeros((2, 6, 6, 1), dtype=np.uint8),
    ],
)
def test_images_that_do_not_fit(saved, images):
    with pytest.raises(RecipeError) as caught:
        load_folder(saved, "cpu").logits(images)
    assert str(caught.value) == f"the model reads uint8 images (N, 8, 8, 1); got {images.dtype} {images.shape}"


def set_to(*path_and_value: Any) -> Callable[[dict[str, Any]], object]:
    *path, last, value = path_and_value

    def change(config: Any) -> None:
        for part in path:
            config = config[part]
        config[last] = value

    return change


def reads(shape: list[int]) -> Callable[[dict[str, Any]], object]:
    """Another shape of images, without the rule that would tell."""
    return lambda config: config.update(image_shape=shape, image_rule=None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_to("format_version", 3), r"config\.json is not a Stepladder model of format 1 or 2; train"),
        (
            lambda config: config.pop("format_version"),
            r"config\.json is not a Stepladder model of format 1 or 2; train",
        ),
        (set_to("fit", "squash"), r"config\.json is damaged \(fit: input should be 'crop', 'pad' or 'stretch'\)"),
        (lambda config: config.pop("precision"), r"config\.json is damaged \(precision: field required\)"),
        (lambda config: config.pop("network"), r"config\.json is damaged \(network: field required\)"),
        (lambda config: config.pop("class_names"), r"config\.json is damaged \(class_names: field required\)"),
        (lambda config: config.pop("preprocessing"), r"config\.json is damaged \(preprocessing: field required\)"),
        (set_to("class_names", []), "class_names: "),
        (set_to("class_names", ["a", "b"]), r"config\.json names 2 classes, and the weights tell 10 apart; give it"),
        (set_to("class_names", 7), "class_names: "),
        (set_to("image_shape", [8, 8]), "image_shape"),
        (set_to("image_shape", [8, 8, 0]), "image_shape.2"),
        (reads([8, 8, 3]), "prepares images to 3×6×6, and its network reads 1×6×6; train the model"),
        (reads([5, 5, 1]), "random_crop.size is 6"),
        (set_to("image_shape", [9, 9, 1]), "image_rule says something else than image_shape, fit and span"),
        (set_to("image_rule", "crop_mode", "border"), "image_rule says something else than image_shape, fit and span"),
        (set_to("temprature", 2.0), r"config\.json is damaged \(temprature: extra inputs are not permitted\)"),
        (set_to("preprocessing", 0, "option", {}), "preprocessing.0.option: extra inputs are not permitted"),
        (set_to("input_shape", [1, 2, 8]), "another network than its config.json: fc1.weight"),
        (set_to("input_shape", "big"), "input_shape"),
        (set_to("precision", "float8"), r"config\.json is damaged \(precision"),
        (
            set_to("network", "layers", 0, "kind", "cnv"),
            r"layer 1 \(conv1\): unknown kind of layer 'cnv'; did you mean 'conv'",
        ),
        (set_to("network", "layers", 0, "name", "fc1"), "two layers called 'fc1'"),
        (set_to("network", "layers", 0, "kernel_size", 99), r"layer 1 \(conv1\) has a kernel of 99"),
        (set_to("network", "layers", 0, "channels", 5), "weights of another network .*: conv1.bias, conv1.weight, "),
        (set_to("network", "layers", []), "the network puts out 1×6×6"),
        (set_to("preprocessing", 0, "technique", "standardise"), "unknown technique 'standardise'; did you mean"),
        (set_to("preprocessing", 0, {}), "preprocessing.0.technique: field required"),
        (set_to("preprocessing", 0, "options", {"strength": 1}), "strength: extra inputs are not permitted"),
        (set_to("preprocessing", 1, "options", {"size": "6 px"}), "size: input should be a valid integer"),
    ],
)
def test_a_config_that_does_not_fit(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(StorageError, match=message) as caught:
        load_folder(folder, "cpu")
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def nested(layers: int) -> dict[str, Any]:
    """A network of residuals within each other, none of which is anything."""
    network: dict[str, Any] = {"kind": "residual", "body": [{"kind": "relu", "name": "r"}] * (layers // 10)}
    return {"layers": [network] * 10}


UPSCALED = {"technique": "upscale", "options": {"factor": 8}}

CLAIMS = {
    # 20 million features: 6 GB for a few bytes of text, and the same again to draw them.
    "features": (
        lambda config: next(one for one in config["network"]["layers"] if one["name"] == "fc1").update(
            features=2 * 10**7
        ),
        "another network than its config.json: fc1.bias, fc1.weight, fc2.weight",
    ),
    "channels": (set_to("network", "layers", 0, "channels", 2**31 - 1), "(another network|takes .* GB of memory)"),
    "no weights": (
        lambda config: config["network"]["layers"].insert(0, {"kind": "pad", "name": "huge", "size": 10**6}),
        r"describes a network that takes [\d,.]+ GB of memory for one image, more than half of what is here; use",
    ),
    "prepared": (
        lambda config: config.update(preprocessing=[UPSCALED] * 9),
        r"takes [\d,.]+ GB of memory for one image, more than half of what is here; use",
    ),
    "side": (set_to("image_shape", [5000, 5000, 1]), r"image_shape.0: input should be less than or equal to 4096"),
    "endless": (set_to("image_shape", [float("inf"), 8, 1]), r"is not valid JSON \(it holds Infinity"),
    "input": (set_to("input_shape", [1, 10**9, 10**9]), r"input_shape.1"),
    "classes": (
        set_to("class_names", [str(number) for number in range(100_001)]),
        r"config\.json has more classes than the 100,000 that a model may have",
    ),
    "all classes": (
        set_to("class_names", [str(number) for number in range(100_000)]),
        r"names 100000 classes, and the weights tell 10 apart",
    ),
    "layers": (
        set_to("network", "layers", [{"kind": "relu", "name": "r"}] * 5_001),
        r"config\.json has more layers than the 5,000 that a model may have",
    ),
    "nested": (set_to("network", nested(5_001)), "has more layers than the 5,000"),
    "steps": (set_to("preprocessing", [UPSCALED] * 101), "has more steps of preprocessing than the 100"),
    "text": (set_to("library_name", "x" * 16_000_000), r"config\.json has 16 MB, and it may have 16 MB; get the model"),
}


@pytest.mark.parametrize(("change", "message"), CLAIMS.values(), ids=CLAIMS.keys())
def test_what_a_folder_claims_is_compared_before_anything_is_allocated_or_run(
    folder: Path, change: Callable[[dict[str, Any]], object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("allocated")

    monkeypatch.setattr(build, "_allocate", refuse)
    monkeypatch.setattr(Model, "logits", refuse)
    rewrite(folder, change)
    with pytest.raises(StorageError, match=message) as caught:
        load_folder(folder, "cpu")
    assert str(folder) in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_sound_folder_gets_there_with_the_same_guards(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    called = []
    real = build._allocate
    monkeypatch.setattr(build, "_allocate", lambda module: called.append(module) or real(module))
    load_folder(folder, "cpu")
    assert len(called) == 1


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_pipe_or_a_device_is_no_file_of_a_model(folder: Path, name: str) -> None:
    for make in (os.mkfifo, lambda path: path.symlink_to("/dev/zero"), Path.mkdir):
        if (folder / name).is_dir():
            (folder / name).rmdir()
        else:
            (folder / name).unlink()
        make(folder / name)
        with pytest.raises(StorageError, match="it is no file"):
            load_folder(folder, "cpu")


def test_weights_larger_than_the_memory_are_a_sentence(folder: Path) -> None:
    with (folder / "model.safetensors").open("r+b") as file:
        file.truncate(2**43)  # takes no room on a disk
    with pytest.raises(
        StorageError, match=r"has 8,796,093 MB, and it does not fit into the memory here; get the model"
    ):
        load_folder(folder, "cpu")


def test_a_card_is_read_up_to_a_size_and_need_not_be_there(folder: Path) -> None:
    assert read_card(folder).startswith("#")
    (folder / "README.md").write_bytes(b"caf\xe9")
    assert read_card(folder) == "caf\ufffd"
    (folder / "README.md").write_bytes(b"x" * 1_000_001)
    with pytest.raises(StorageError, match=r"README\.md has 1 MB, and it may have 1 MB"):
        read_card(folder)
    (folder / "README.md").unlink()
    assert read_card(folder) == ""


@pytest.mark.parametrize("content", ["", "{", "[]", "3", "null", '"text"'])
def test_a_config_that_is_none(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(StorageError, match=r"config\.json is not "):
        load_folder(folder, "cpu")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_file_that_is_missing(folder, name):
    (folder / name).unlink()
    with pytest.raises(StorageError, match=f"cannot read .*{name}: No such file or directory"):
        load_folder(folder, "cpu")


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_weights_that_are_cut_off(folder, kept):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(StorageError, match=r"model\.safetensors is damaged \(.*\); train the model again"):
        load_folder(folder, "cpu")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tensors: tensors.pop("network.fc2.bias"), r"another network than its config\.json: fc2\.bias; train"),
        (set_to("network.extra", np.zeros(3)), r"another network than its config\.json: extra; train"),
        (set_to("network.fc2.bias", np.zeros(11)), r"another network than its config\.json: fc2\.bias; train"),
        (lambda tensors: tensors.pop("technique.standardize.mean"), "misses what its techniques learned"),
        (set_to("technique.standardize.std", np.ones(3, np.float32)), "misses what its techniques learned"),
    ],
)
def test_tensors_that_do_not_fit(folder, change, message):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors")
    with pytest.raises(StorageError, match=message):
        load_folder(folder, "cpu")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(position=st.integers(0, 1500), bit=st.integers(0, 7), name=st.sampled_from(["config.json", "model.safetensors"]))
def test_a_flipped_bit_gives_a_model_or_a_sentence(saved, tmp_path, position, bit, name):
    for path in saved.iterdir():
        content = bytearray(path.read_bytes())
        if path.name == name:
            content[position % len(content)] ^= 1 << bit
        (tmp_path / path.name).write_bytes(content)
    try:
        model = load_folder(tmp_path, "cpu")
    except StorageError:
        return
    assert model.logits(np.zeros((1, *model.image_shape), np.uint8)).shape == (1, len(model.class_names))


def test_a_device_that_does_not_exist_is_the_user_s_matter(saved):
    with pytest.raises(RecipeError, match="unknown device 'gpu'"):
        load_folder(saved, "gpu")


def test_a_temperature_comes_back_and_models_without_one_still_load(folder, digits):
    images = digits.splits["train"].images[:20]
    plain = load_folder(folder, "cpu")
    assert (plain.temperature, plain.calibrated) == (1, False)
    calibrate_model(folder, 2.5)
    model = load_folder(folder, "cpu")
    assert (model.temperature, model.calibrated) == (2.5, True)
    np.testing.assert_array_equal(model.logits(images), plain.logits(images))
    expected = torch.from_numpy(plain.logits(images) / np.float32(2.5)).softmax(1).numpy()
    np.testing.assert_array_equal(model.predict(images).probabilities, expected)
    # Models from before there were temperatures have no such entry.
    rewrite(folder, lambda config: config.pop("temperature"))
    assert not load_folder(folder, "cpu").calibrated
    calibrate_model(folder, None)
    assert json.loads((folder / "config.json").read_text())["temperature"] is None


@pytest.mark.parametrize("value", [0, -1, "hot"])
def test_a_temperature_that_cannot_be_is_damage(folder, value):
    rewrite(folder, lambda config: config.update(temperature=value))
    with pytest.raises(StorageError, match=r"config\.json is damaged \(temperature: .*; train the model again"):
        load_folder(folder, "cpu")


def test_what_became_black_and_white_comes_back(saved, trained, digits, compute, tmp_path):
    config = json.loads((saved / "config.json").read_text())
    assert "span" not in config
    assert load_folder(saved, "cpu").span is None
    save_model(tmp_path / "m", trained, digits.class_names, digits.image_shape, compute, "", span=(100, 900))
    config = json.loads((tmp_path / "m" / "config.json").read_text())
    assert (config["format_version"], config["span"]) == (2, [100, 900])
    model = load_folder(tmp_path / "m", "cpu")
    assert model.span == (100, 900)
    scan = Image.fromarray(np.random.default_rng(0).integers(100, 901, (8, 8), dtype=np.uint16))
    found, spread, plain = (
        model.predict(scan).probabilities,
        *(model.probabilities(read_pixels(scan, model.image_shape, span=span)) for span in ((100, 900), None)),
    )
    assert found.tobytes() == spread.tobytes() != plain.tobytes()
    calibrate_model(tmp_path / "m", 2.0)
    assert load_folder(tmp_path / "m", "cpu").span == (100, 900)
