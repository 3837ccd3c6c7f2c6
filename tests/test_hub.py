"""Addresses of the Hub, names in repositories, and what its errors become."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from stepladder.errors import HubError, StorageError
from stepladder.hub import (
    Address,
    UnreachableError,
    demand_space,
    is_safe,
    library,
    list_files,
    parse_address,
)
from tests.hub_server import Hub, hub_for_this_process


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with hub_for_this_process(tmp_path) as server:
        yield server


def test_an_address_says_kind_name_config_and_revision() -> None:
    assert parse_address("hf://anna/flowers@v2", "model") == Address("model", "anna/flowers", "v2")
    assert parse_address("anna/flowers", "model") == Address("model", "anna/flowers")
    data = Address("dataset", "anna/flowers", "refs/convert/parquet", "small")
    assert parse_address("hf://datasets/anna/flowers/small@refs/convert/parquet", "dataset") == data
    assert parse_address(str(data), "dataset") == data


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("flowers", "model"),
        ("hf://anna/../secrets", "model"),
        ("anna/flowers@../x", "model"),
        ("anna/flowers@a@b", "model"),
        ("https://example.org/anna/flowers", "model"),
        ("anna/flow ers", "model"),
        ("hf://datasets/anna/flowers", "model"),
        ("hf://anna/flowers", "dataset"),
        ("hf://datasets/anna", "dataset"),
        ("hf://datasets/anna/flowers/a/b", "dataset"),
    ],
)
def test_what_is_no_address_is_refused_with_the_form(text: str, kind: str) -> None:
    with pytest.raises(HubError, match=r"write (it as )?hf://"):
        parse_address(text, kind)  # type: ignore[arg-type]


def test_names_that_lead_out_of_a_folder_are_left_out(hub: Hub) -> None:
    hub.add("models", "anna/flowers", {"config.json": b"{}", "data/a.png": b"x"})
    bad = ("../../.bashrc", "/etc/passwd", "a/../../b", "C:/x", "a\\..\\b", "a//b", "a\nb", "")
    hub.listed = dict.fromkeys(bad, 10)
    assert not any(map(is_safe, bad))
    _, files = list_files(parse_address("anna/flowers", "model"))
    assert files == {"config.json": 2, "data/a.png": 1}


def test_the_hub_errors_are_sentences_with_the_fix(hub: Hub, tmp_path: Path) -> None:
    hub.add("models", "anna/flowers", {"config.json": b"{}"})
    for text, words in (
        ("anna/nothing", "there is no model anna/nothing on the Hub, or it is private"),
        ("anna/flowers@v9", "the model anna/flowers has no revision v9"),
    ):
        with pytest.raises(HubError, match=words):
            list_files(parse_address(text, "model"))
    with pytest.raises(StorageError, match=r"has 1.0 GB in a, more than the 0.5 GB"):
        demand_space(parse_address("anna/flowers", "model"), {"a": 10**9}, tmp_path, most=5 * 10**8)
    with pytest.raises(StorageError, match="GB free; make room"):
        demand_space(parse_address("anna/flowers", "model"), {"a": 10**18}, tmp_path)


def test_without_a_connection_the_sentence_says_so(tmp_path: Path) -> None:
    with hub_for_this_process(tmp_path) as server:
        server.shutdown()
        server.server_close()
        with pytest.raises(UnreachableError, match="the Hugging Face Hub cannot be reached"):
            list_files(parse_address("anna/flowers", "model"))


def test_without_the_library_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(HubError, match=r"needs huggingface_hub, .*pip install 'stepladder\[hub\]'"):
        library()
