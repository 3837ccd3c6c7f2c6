"""What was taken for labels, said in one line by the commands, with options that say the same."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.datasets.conftest import folder_of

Call = Callable[..., Any]


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    return folder_of(tmp_path / "pets", {"cat": 6, "dog": 6})


def write(path: Path, head: str, form: str) -> str:
    rows = [form.format(kind=kind, n=n, site="ab"[n // 3]) for n in range(6) for kind in ("cat", "dog")]
    path.write_text("\n".join([head, *rows]))
    return str(path)


def labels_in(text: str) -> list[str]:
    return re.findall(r"Labels: .*?\.(?=\s)", " ".join(text.split()) + " ")


def test_class_folders_are_said_by_data_alone(stepladder: Call, pets: Path) -> None:
    assert labels_in(stepladder("data", str(pets)).out) == ["Labels: from the folders' names, cat (6), dog (6)."]
    planned = stepladder("plan", str(pets)).out  # which ends there, with so few images
    assert planned.startswith("pets: 12 images")
    assert not labels_in(planned)


def test_the_options_that_are_told_give_the_same_without_a_word(stepladder: Call, pets: Path) -> None:
    table = write(pets / "a.csv", "where,which kind", "{kind}/000{n}.png,{kind}")
    for command in ("data", "plan"):
        outcome = stepladder(command, table)
        (said,) = labels_in(outcome.out)
        assert said == (
            "Labels: from column 'which kind' of a.csv, cat (6), dog (6); state it with --path-column where and "
            "--label-column 'which kind'."
        )
    told = shlex.split(said.split("state it with ")[1].rstrip(".").replace(" and ", " "))
    stated = stepladder("data", table, *told)
    assert stated.code == 0, stated.err
    assert not labels_in(stated.out)


def test_two_readings_end_with_both_ways_to_say_it(stepladder: Call, pets: Path) -> None:
    table = write(pets / "a.csv", "path,kind,site", "{kind}/000{n}.png,{kind},{site}")
    for command in ("data", "study"):
        outcome = stepladder(command, table)
        assert outcome.code == 2
        assert "choose one with --label-column kind or --label-column site" in " ".join(outcome.err.split())
    write(pets / "a.csv", "path,label", "{kind}/000{n}.png,{site}")
    for command in ("data", "study"):
        outcome = stepladder(command, str(pets))
        assert outcome.code == 2
        assert "say which holds: --index a.csv or --level top" in " ".join(outcome.err.split())
    assert "from column 'label' of a.csv, a (6), b (6)" in " ".join(
        stepladder("data", str(pets), "--index", "a.csv").out.split()
    )
