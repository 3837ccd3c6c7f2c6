r"""A study of every schema that was ever written is read, or refused by its version; never misread.

Of each there is a small one in ``schemas/<version>/``, kept as it was written: never mend one to make this pass. When
``SCHEMA_VERSION`` is raised, add one of the new version, from an empty folder::

    stepladder study digits --limit 13 --seeds 2 --epochs 1 --batch-size 16 --network "conv3-2 pool2 fc8 fc" \
        --rung base: --rung +standardize:standardize --workers 1 --threads 1 --precision float32 --device cpu --out 3

and remove what is only derived and large: ``3/figures``, ``3/report.html``, ``3/report.md`` and the files ``.lock``.
Then either read the version before as well, and say so in ``READ``, or leave it out of there: its study may then shrink
to the one ``study.json`` that is refused.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from stepladder.cli import run
from stepladder.report.document import build_verdicts
from stepladder.studies.check import check_study
from stepladder.studies.files.records import SCHEMA_VERSION
from stepladder.studies.files.store import load_study

SCHEMAS = Path(__file__).with_name("schemas")
VERSIONS = sorted(int(path.name) for path in SCHEMAS.iterdir() if path.is_dir())
#: What this Stepladder reads.
READ = (2,)


def test_there_is_one_of_every_schema() -> None:
    assert list(range(1, SCHEMA_VERSION + 1)) == VERSIONS, "see the top of this file for how to add one"
    assert SCHEMA_VERSION in READ
    for version in VERSIONS:
        assert json.loads((SCHEMAS / str(version) / "study.json").read_text())["schema_version"] == version


@pytest.mark.parametrize("version", READ)
def test_one_that_is_read_says_what_it_said(
    version: int, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study = Path(shutil.copytree(SCHEMAS / str(version), tmp_path / "study"))
    # Every checksum and hash holds, and what is derived from the trials is, to the byte, what was derived then.
    assert [finding for finding in check_study(study) if finding.fault] == []
    loaded = load_study(study)
    assert len(loaded.trials) == 4
    assert all(trial.result.status == "finished" and len(trial.history) == 2 for trial in loaded.trials)
    assert json.loads(json.dumps(build_verdicts(loaded))) == json.loads((study / "verdicts.json").read_text())
    monkeypatch.chdir(tmp_path)
    assert run(("report", "study")) == 0
    assert "standardize" in capsys.readouterr().out
    assert run(("check", "study")) == 0
    assert "All checksums and hashes hold" in capsys.readouterr().out


@pytest.mark.parametrize("version", [version for version in VERSIONS if version not in READ])
def test_one_that_is_not_read_is_refused_by_its_version(
    version: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = Path(shutil.copytree(SCHEMAS / str(version), tmp_path / "study"))
    before = (study / "study.json").read_bytes()
    for command in (("report",), ("study", "digits", "--limit", "13", "--out"), ("predict",)):
        assert run((*command, str(study), *([str(study)] if command == ("predict",) else []))) == 2
        if command != ("predict",):
            assert (
                f"has schema version {version}; this Stepladder reads version {SCHEMA_VERSION}: use the one that"
                in (capsys.readouterr().err)
            )
    assert run(("check", str(study))) == 1
    assert f"schema version {version}" in capsys.readouterr().out
    assert (study / "study.json").read_bytes() == before
