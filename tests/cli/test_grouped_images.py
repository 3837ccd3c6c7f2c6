"""Shots of the same things, from the command line: suspected where nobody named them, kept apart where somebody did."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from stepladder import leak_test
from stepladder.datasets import Labelled, load_image_set
from stepladder.datasets.audit import split_cleanly
from stepladder.errors import DataError
from stepladder.studies.design.rules import Protocol
from stepladder.studies.prepare import draw_splits
from stepladder.studies.study import thin_out
from tests.datasets.objects import write_objects

PATTERN = "(object[0-9]+)_"
QUICK = ("--epochs", "1", "--threads", "1", "--device", "cpu", "--precision", "float32")


@pytest.fixture
def shots(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_objects(tmp_path / "shots", objects=30, shots=5)


def words(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.long
@pytest.mark.parametrize("command", [("data",), ("plan", *QUICK[:2]), ("train", *QUICK)])
def test_shots_that_nobody_named_are_said_first_with_a_command_that_works(shots, stepladder, command):
    first = stepladder(command[0], "shots", *command[1:])
    assert first.code == 0
    said = words(first.out + first.err)
    assert "30 stems of file names, 5 images each, look like shots of the same thing" in said
    found = re.search("keep them apart with --group-pattern '([^']+)'", said)
    assert found
    second = stepladder(command[0], "shots", *command[1:], "--group-pattern", found[1])
    assert second.code in (0, 2)  # a folder with the results of the first is none of the second
    assert "Groups, by --group-pattern: 30 groups of 150 images" in words(second.out + second.err)
    assert "look like shots" not in words(second.out + second.err)


@pytest.mark.long
def test_the_record_keeps_what_was_suspected_and_how_groups_were_kept_apart(shots, stepladder):
    for out, more in (("mixed", ()), ("apart", ("--group-pattern", PATTERN))):
        rungs = ("--rung", "base:", "--rung", "+ema:ema")
        assert stepladder("study", "shots", *rungs, "--seeds", "1", *QUICK, "--out", out, *more).code == 0
    mixed, apart = (json.loads(Path(out, "study.json").read_text())["data"] for out in ("mixed", "apart"))
    assert mixed["notes"][0].startswith("30 stems of file names")
    assert "look like shots of the same thing" in words(Path("mixed", "report.md").read_text())
    (note,) = [note for note in apart["notes"] if note.startswith("Groups stay whole: of 30 groups")]
    assert re.search("to validation .* and 6 to test ", note)
    assert mixed["fingerprint"] == apart["fingerprint"]
    assert mixed["split"] != apart["split"]


def test_data_says_which_groups_lie_in_several_splits(shots, stepladder):
    images = sorted(shots.rglob("*.png"))
    for split, part in (("train", images[:100]), ("test", images[98:])):
        for path in part:
            target = shots.parent / "split" / split / path.parent.name / path.name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(path.read_bytes())
    for label in "ab":  # each class is in each split
        for split in ("train", "test"):
            folder = shots.parent / "split" / split / label
            folder.mkdir(exist_ok=True)
            for number in range(2):
                (folder / f"object9{len(split)}_{label}{number}.png").write_bytes(images[number].read_bytes())
    said = words(stepladder("data", "split", "--group-pattern", PATTERN).out)
    assert re.search(
        r"Groups The test images are not clean: \d+ of them \(.* %\) are of groups that are also in tr", said
    )


def test_sizes_of_a_curve_and_draws_of_seeds_keep_groups_whole(shots):
    images = load_image_set(Labelled(str(shots), group_pattern=PATTERN))
    splits, leaks = split_cleanly(images, 0.1)
    assert leaks.clean
    groups = splits.train.groups
    before: set[int] = set()
    for share in (0.1, 0.2, 0.5):
        part = thin_out(splits, share).train
        here = set(part.groups.tolist())
        assert before < here
        assert (np.isin(groups, part.groups).sum(), len(here)) == (len(part), len(part) // 5)
        assert len(np.unique(part.labels)) == 2
        before = here
    draws = [draw_splits(images, Protocol(), splits, seed) for seed in (0, 1)]
    for draw in draws:
        assert not set(draw.test.groups.tolist()) & {*draw.train.groups.tolist(), *draw.validation.groups.tolist()}
    assert set(draws[0].test.groups.tolist()) != set(draws[1].test.groups.tolist())


def test_leak_test_measures_on_the_groups_that_are_suspected(shots, stepladder):
    outcome = stepladder("data", "shots", "--leak-test")
    assert outcome.code == 0, outcome.err
    said = words(outcome.out)
    assert "look like shots of the same thing" in said
    assert re.search(r"What mixing costs A test that mixes groups promises \d+\.\d points too much\. Right where", said)
    assert "n = 150 training images in 30 groups" in said


@pytest.mark.long
def test_leak_test_in_python_is_that_of_the_command(shots, stepladder):
    suspected = leak_test("shots")
    assert suspected.to_document() == json.loads(stepladder("data", "shots", "--leak-test", "--json").out)["leak_test"]
    named = Labelled("shots", group_pattern=PATTERN)
    assert leak_test(named) == leak_test(load_image_set(named))
    assert leak_test(named).groups == 30
    with pytest.raises(DataError, match="there are no groups to keep apart"):
        leak_test(load_image_set("digits", limit=5))


def test_leak_test_of_named_groups_as_json_and_on_the_page(shots, stepladder):
    outcome = stepladder("data", "shots", "--leak-test", "--group-pattern", PATTERN, "--json", "--html", "page.html")
    found = json.loads(outcome.out)["leak_test"]
    assert found["mixed"]["value"] > found["apart"]["high"]
    assert found["mixed"]["low"] <= found["mixed"]["value"] <= found["mixed"]["high"]
    assert (found["images"], found["groups"], found["splits"], found["misleads"]) == (150, 30, 5, True)
    assert "What mixing costs" in Path("page.html").read_text(encoding="utf-8")


def test_leak_test_without_any_groups_says_how_to_name_them(stepladder):
    outcome = stepladder("data", "digits", "--limit", "5", "--leak-test")
    assert outcome.code == 2
    assert "there are no groups to keep apart" in outcome.err
    assert "name them with --group-pattern, --group-column, --group-bursts or --group-patients" in words(outcome.err)
