r"""A study of every schema that was ever written is read and gone on with, or refused by its version; never misread.

Of each there is a small one in ``schemas/<version>/``, kept as it was written: never mend one to make this pass. When
``SCHEMA_VERSION`` is raised, add one of the new version, from an empty folder::

    stepladder study digits --limit 13 --seeds 2 --epochs 1 --batch-size 16 --network "conv3-2 pool2 fc8 fc" \
        --rung base: --rung +standardize:standardize --workers 1 --threads 1 --precision float32 --device cpu --out 3

and remove what is only derived and large: ``3/figures``, ``3/report.html``, ``3/report.md`` and the files ``.lock``.
Then either read the version before as well, and say so in ``READABLE_VERSIONS``, or leave it out of there: its study
may then shrink to the one ``study.json`` that is refused.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stepladder.api.check import check_folder
from stepladder.studies.check import agrees_with, check_study
from stepladder.studies.files.records import READABLE_VERSIONS, SCHEMA_VERSION
from stepladder.studies.files.store import load_study, read_record, read_result
from stepladder.studies.findings import VERDICTS_VERSION, make_findings, to_document

SCHEMAS = Path(__file__).with_name("schemas")
VERSIONS = sorted(int(path.name) for path in SCHEMAS.iterdir() if path.is_dir())
#: The command that made each, but for its folder and its number of seeds.
COMMAND = (
    *("study", "digits", "--limit", "13", "--epochs", "1", "--batch-size", "16", "--network", "conv3-2 pool2 fc8 fc"),
    *("--rung", "base:", "--rung", "+standardize:standardize"),
    *("--workers", "1", "--threads", "1", "--precision", "float32", "--device", "cpu"),
)
#: Their trials, by rung: seeds 0 and 1, and the third that is asked for here. Whatever the version, they are the same.
TRIALS = {
    "base": ["7d97c11b7a59d407", "2da6354663a338f4", "e5481331bec9c192"],
    "standardize": ["68e199dab70def81", "05920ece3eac29ea", "64f46cf8900f7014"],
}


@pytest.fixture
def stored(tmp_path: Path) -> Callable[[int], Path]:
    """A copy of the study of a version, as it was written."""
    return lambda version: Path(shutil.copytree(SCHEMAS / str(version), tmp_path / "study"))


def content(study: Path) -> dict[str, bytes]:
    """Every file of the trials, but the cards, which tell of other seeds as well."""
    files = [
        path for path in (study / "trials").rglob("*") if path.is_file() and path.name not in ("README.md", ".lock")
    ]
    return {str(path.relative_to(study)): path.read_bytes() for path in files}


def test_there_is_one_of_every_schema() -> None:
    assert list(range(1, SCHEMA_VERSION + 1)) == VERSIONS, "see the top of this file for how to add one"
    assert SCHEMA_VERSION in READABLE_VERSIONS
    for version in VERSIONS:
        assert json.loads((SCHEMAS / str(version) / "study.json").read_text())["schema_version"] == version


@pytest.mark.long
@pytest.mark.parametrize("version", READABLE_VERSIONS)
def test_one_that_is_read_says_what_it_said(version: int, stored: Callable[[int], Path], stepladder) -> None:
    study = stored(version)
    # Every checksum and hash holds, and what is derived from the trials is, to the byte, what was derived then.
    assert [fault for fault in check_study(study) if fault.is_fault] == []
    loaded = load_study(study)
    assert len(loaded.trials) == 4
    assert all(trial.result.status == "finished" and len(trial.history) == 2 for trial in loaded.trials)
    # All that its verdicts said is said today, in as many words or more.
    then = json.loads((study / "verdicts.json").read_text())
    now = json.loads(json.dumps(to_document(make_findings(loaded))))
    assert then["effects"][0]["verdict"] == "undecided"
    # But what is recommended, and so shown, and what the curves show, which version 5 works out by other rules.
    anew = ("version", "choice", "diagnosis", "shown", "answers", "test_set")
    # And a plan of one look has spent its error: how many more seeds would decide is said no longer.
    for effect in then["effects"]:
        del effect["seeds_needed"]
    # And no interval goes beyond what is possible any more.
    for table, least in (("rungs", 0.0), ("effects", -1.0)):
        for one in then.get(table, ()):
            low, high = one["interval"]
            one["interval"] = [max(low, least), min(high, 1.0)]
    assert agrees_with({key: value for key, value in then.items() if key not in anew}, now)
    assert (now["version"], now["choice"]["reason"]) == (VERDICTS_VERSION, "nothing learned")
    found = [fault.place for fault in check_folder(study).faults if fault.is_fault]
    assert set(found) == {"report.md", "report.html"}  # left out here
    done = stepladder("report", "study")
    assert done.code == 0
    assert "standardize" in done.out
    done = stepladder("check", "study")
    assert done.code == 0
    assert "All checksums and hashes hold" in done.out


@pytest.mark.long
@pytest.mark.parametrize("version", READABLE_VERSIONS)
def test_one_that_is_read_is_gone_on_with(version: int, stored: Callable[[int], Path], stepladder) -> None:
    study = stored(version)
    before, hashed = content(study), read_record(study).plan_hash
    done = stepladder(*COMMAND, "--seeds", "3", "--out", "study")
    assert done.code == 0, done.err
    loaded = load_study(study)
    assert (loaded.edited, loaded.missing, loaded.unread) == (None, 0, False)
    # Only the third seed was trained, and its trial too has the name that it always had.
    assert {rung: [trial.folder.name for trial in loaded.of_rung(rung)] for rung in TRIALS} == TRIALS
    after = content(study)
    assert before.items() <= after.items()
    new = {name.split("/")[1] for name in after.keys() - before.keys()}
    assert new == {trials[2] for trials in TRIALS.values()}
    assert loaded.record.plan_hash == hashed
    assert [(added.seeds, added.after_reading) for added in loaded.record.added] == [((2,), True)]
    more = "look" if loaded.record.spending == "open" else "added"  # plans had one look before version 4
    assert [(reading.kind, len(reading.trials)) for reading in loaded.readings] == [("planned", 4), (more, 2)]
    # What is written anew is of today's version, so that an older Stepladder says so rather than call it damaged.
    for name in ("study.json", "test-readings.json"):
        assert json.loads((study / name).read_text())["schema_version"] == SCHEMA_VERSION
    assert check_folder(study).holds
    assert stepladder(*COMMAND, "--seeds", "3", "--out", "study").code == 0
    assert load_study(study) == loaded


def test_a_test_reading_that_an_older_stepladder_left_open_is_done(stored: Callable[[int], Path], stepladder) -> None:
    """Trained by the old version, and read by this one."""
    study = stored(READABLE_VERSIONS[0])
    folder = study / "trials" / TRIALS["base"][0]
    before = json.loads((folder / "result.json").read_text())
    unread = {name: None if name.startswith(("test_", "temperature")) else value for name, value in before.items()}
    (folder / "result.json").write_text(json.dumps(unread))
    readings = json.loads((study / "test-readings.json").read_text())
    readings["readings"][-1]["ended"] = False
    (study / "test-readings.json").write_text(json.dumps(readings))
    assert stepladder(*COMMAND, "--seeds", "2", "--out", "study").code == 0
    result = read_result(folder)
    assert result is not None
    assert result.test_accuracy == before["test_accuracy"]
    assert result.schema_version == SCHEMA_VERSION
    assert [reading.kind for reading in load_study(study).readings] == ["planned"]


@pytest.mark.parametrize("version", [version for version in VERSIONS if version not in READABLE_VERSIONS])
def test_one_that_is_not_read_is_refused_by_its_version(
    version: int, stored: Callable[[int], Path], stepladder
) -> None:
    study = stored(version)
    before = (study / "study.json").read_bytes()
    words = (
        f"has schema version {version}; this Stepladder reads versions {READABLE_VERSIONS[0]} to {SCHEMA_VERSION}: use "
        "the version that wrote it"
    )
    for command in (("report", "study"), ("study", "digits", "--limit", "13", "--out", "study")):
        done = stepladder(*command)
        assert done.code == 2
        assert words in done.err
    assert stepladder("predict", "study", "study").code == 2
    done = stepladder("check", "study")
    assert done.code == 1
    assert f"schema version {version}" in done.out
    assert (study / "study.json").read_bytes() == before
