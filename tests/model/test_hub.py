"""Models on the Hub, from a server of ours, by the real client: there and back, and what is not fetched or sent."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stepladder as sl
from stepladder.api.hub import prepare_push, pull, push
from stepladder.errors import HubError, StorageError
from stepladder.model.hub import FILES, LICENSES, find_private
from tests.hub_server import Hub, hub_for_this_process


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of two rungs, whose models can be sent."""

    folder = tmp_path_factory.mktemp("hub") / "study"
    sl.study(
        sl.load_image_set("digits", limit=20),
        sl.RecipeOptions("small", settings={"epochs": 3, "batch_size": 8}),
        plan=["base:", "+standardize:standardize"],
        seeds=2,
        out=folder,
        progress=False,
    )
    return folder


@pytest.fixture
def model(study: Path) -> Path:
    return next(path.parent for path in sorted(study.glob("trials/*/model/config.json")))


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_for_this_process(tmp_path / "hf") as server:
        yield server


@pytest.mark.long
def test_a_model_goes_there_and_comes_back_the_same(hub: Hub, model: Path, tmp_path: Path) -> None:
    page = push(model, "anna/digits", license="apache-2.0", private=True)
    assert page == f"{hub.address}/anna/digits"
    assert hub.private == {"anna/digits"}
    there = hub.repos["models", "anna/digits"]["main"]
    assert "model.safetensors" in there
    assert set(there) <= set(FILES)
    assert "trained-on.json" not in there  # the fingerprints of the images that trained it
    loaded = sl.load_model("hf://anna/digits")
    pixels = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 1), dtype=np.uint8)
    assert np.array_equal(loaded.probabilities(pixels), sl.load_model(model).probabilities(pixels))
    copied = pull("anna/digits", tmp_path / "copy")
    assert (copied / "model.safetensors").read_bytes() == (model / "model.safetensors").read_bytes()
    assert not any(path.is_symlink() for path in copied.iterdir())


def test_the_card_has_the_license_the_verdicts_and_the_seeds(hub: Hub, model: Path) -> None:
    push(model, "anna/digits", license="cc-by-4.0")
    card = hub.repos["models", "anna/digits"]["main"]["README.md"].decode()
    assert "\nlicense: cc-by-4.0\n" in card
    assert "unknown" not in card.split("---")[1]
    assert "The license of the weights is cc-by-4.0." in card
    assert "## What the study says\n\nThis model is one trial of a ladder study with seeds 0, 1 (plan " in card
    assert "| standardize | on the ladder | standardize − base | " in card
    assert "## For whom, and its limits" in card


def test_nothing_private_goes_out(hub: Hub, model: Path, study: Path) -> None:
    push(model, "anna/digits", license="mit")
    there = hub.repos["models", "anna/digits"]["main"]
    assert {"README.md", "config.json", "model.safetensors"} <= set(there)
    for name, content in there.items():
        for word in (str(study), str(Path.home()), str(Path.cwd())):
            assert word == "/" or word.encode() not in content, (name, word)


def test_a_card_that_names_a_folder_of_this_machine_is_not_sent(hub: Hub, model: Path, tmp_path: Path) -> None:
    copy = tmp_path / "model"
    shutil.copytree(model, copy)
    card = (copy / "README.md").read_text(encoding="utf-8")
    (copy / "README.md").write_text(card + "\nFrom /home/anna/private/photos/1.jpg\n", encoding="utf-8")
    with pytest.raises(HubError, match=r"README.md would tell everybody a path of this machine, /home/anna/private"):
        push(copy, "anna/digits", license="mit")
    assert hub.asked == []
    assert find_private("by anna, on a Tuesday", {"anna": "your user name"}) == "your user name, anna"
    assert find_private("joanna and anna_lena", {"anna": "your user name"}) is None


@pytest.mark.parametrize("given", [None, "my own"])
def test_the_license_is_asked_for_and_never_assumed(hub: Hub, model: Path, given: str | None) -> None:
    with pytest.raises(HubError) as refused:
        prepare_push(model, "anna/digits", license=given)
    assert "apache-2.0" in str(refused.value)
    assert ("give `license` one of" if given is None else "unknown license 'my own'") in str(refused.value)
    assert hub.asked == []
    assert len(set(LICENSES)) == len(LICENSES)


def test_who_is_not_logged_in_is_told_how(model: Path, tmp_path: Path) -> None:
    with hub_for_this_process(tmp_path / "hf", token=None) as hub:
        with pytest.raises(HubError, match="nobody is logged in to the Hugging Face Hub; run 'hf auth login'"):
            push(model, "anna/digits", license="mit")
        assert not any(method == "POST" for method, _, _ in hub.asked)
    with (
        hub_for_this_process(tmp_path / "hf", token="hf_of_somebody_else"),
        pytest.raises(HubError, match=r"the Hub refuses the model anna/digits \(status 401\); log in"),
    ):
        push(model, "anna/digits", license="mit")


def test_a_revision_is_a_branch_and_is_read_by_its_name(hub: Hub, model: Path) -> None:
    push(model, "anna/digits", license="mit", revision="v2")
    assert set(hub.repos["models", "anna/digits"]["v2"]) <= set(FILES)
    assert hub.repos["models", "anna/digits"]["main"] == {}
    assert sl.load_model("hf://anna/digits@v2").class_names[0] == "0"
    with pytest.raises(HubError, match=r"holds no model of Stepladder: it has no config\.json"):
        pull("anna/digits")


def test_without_a_connection_the_cache_is_read(model: Path, tmp_path: Path) -> None:
    with hub_for_this_process(tmp_path / "hf") as hub:
        push(model, "anna/digits", license="mit")
        first = pull("anna/digits")
    with hub_for_this_process(tmp_path / "hf") as hub:
        hub.shutdown()
        hub.server_close()
        assert pull("anna/digits") == first
        assert sl.load_model("hf://anna/digits").class_names[0] == "0"
        with pytest.raises(HubError, match="cannot be reached"):
            pull("anna/other")


def test_a_hostile_repository_gives_its_model_files_and_no_more(hub: Hub, model: Path, tmp_path: Path) -> None:
    files = {path.name: path.read_bytes() for path in model.iterdir() if path.name in FILES}
    evil = {
        "model.pkl": b"cos\nsystem\n(S'touch owned'\ntR.",
        "pytorch_model.bin": b"\x80\x04",
        "run.py": b"raise SystemExit",
    }
    hub.add("models", "eve/digits", files | evil)
    hub.listed = {"../../../outside.json": 10, "/etc/outside.json": 10}
    folder = pull("eve/digits", tmp_path / "out")
    assert {path.name for path in folder.iterdir()} == set(files)
    asked = [path.rpartition("/")[2] for path in hub.paths() if "/resolve/" in path]
    assert set(asked) <= set(FILES)
    assert not list(tmp_path.rglob("outside.json"))


@pytest.mark.parametrize(
    ("listed", "words"),
    [
        ({"config.json": 10**9}, "has 1.0 GB in config.json, more than the 0.0 GB it may have"),
        ({"model.safetensors": 10**12}, "has 1,000.0 GB in model.safetensors"),
    ],
)
def test_a_file_larger_than_a_model_has_is_not_fetched(
    hub: Hub, model: Path, listed: dict[str, int], words: str
) -> None:
    hub.add("models", "eve/digits", {path.name: path.read_bytes() for path in model.iterdir()})
    hub.listed = listed
    with pytest.raises(StorageError, match=words):
        pull("eve/digits")
    assert not any("/resolve/" in path for path in hub.paths())


def test_a_damaged_model_is_a_sentence(hub: Hub, model: Path) -> None:
    files = {path.name: path.read_bytes() for path in model.iterdir() if path.name in FILES}
    hub.add("models", "eve/digits", files | {"config.json": b'{"format_version": 99}'})
    with pytest.raises(StorageError, match="is not a Stepladder model of format 1 or 2"):
        sl.load_model("hf://eve/digits")


def test_other_things_in_the_folder_of_a_copy_are_left_alone(hub: Hub, model: Path, tmp_path: Path) -> None:
    push(model, "anna/digits", license="mit")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "config.json").write_text("mine", encoding="utf-8")
    (tmp_path / "photos" / "1.jpg").write_text("mine", encoding="utf-8")
    with pytest.raises(StorageError, match=r"`out` is .*photos, which holds other things"):
        pull("anna/digits", tmp_path / "photos")
    assert (tmp_path / "photos" / "config.json").read_text(encoding="utf-8") == "mine"


def test_the_command_shows_what_goes_out_and_asks(
    hub: Hub, model: Path, stepladder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = stepladder("push", str(model), "anna/digits")
    assert refused.code == 2
    assert "give --license one of: apache-2.0, mit, " in refused.err
    alone = stepladder("push", str(model), "anna/digits", "--license", "mit")
    assert alone.code == 2
    assert "add --yes to send it" in alone.err
    assert "To hf://anna/digits (public where it is made now), license mit:" in alone.out
    size = (model / "model.safetensors").stat().st_size
    assert f"  model.safetensors{size:>21,} bytes" in alone.out
    assert hub.asked == []  # nobody has agreed
    sent = stepladder("push", str(model), "anna/digits", "--license", "mit", "--private", "--yes")
    assert sent.code == 0, sent.err
    assert f"Sent: {hub.address}/anna/digits\nsl.load_model('hf://anna/digits') reads it." in sent.out
    assert hub.private == {"anna/digits"}
    pulled = stepladder("pull", "anna/digits", "--out", "mine")
    assert pulled.out == "Model: mine\n"
    assert stepladder("pull", "anna/digits", "--out", "mine").code == 0  # again, over the same files
    asked = stepladder("predict", "hf://anna/digits", "nothing.png")  # the model is found, the image is not
    assert (asked.code, "nothing.png" in asked.err) == (2, True)
    unknown = stepladder("pull", "anna/nothing")
    assert (unknown.code, "there is no model anna/nothing on the Hub" in unknown.err) == (2, True)
