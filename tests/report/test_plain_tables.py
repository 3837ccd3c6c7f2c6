"""The tables as CSV, read back."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from stepladder.errors import StudyError
from stepladder.report.plain_tables import plain_tables, write_csv
from stepladder.studies.findings import Findings, make_findings


@pytest.fixture
def findings(make_study) -> Findings:
    return make_findings(make_study(seeds=3, rungs=3, failed=[("augment", 1)]))


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_every_digit_of_the_findings_is_in_the_files(findings: Findings, tmp_path: Path) -> None:
    written = write_csv(findings, tmp_path / "tables")
    assert [path.name for path in written] == ["effects.csv", "rungs.csv", "differences.csv", "trials.csv"]
    for row, effect in zip(rows(written[0]), findings.effects, strict=True):
        assert effect.interval is not None
        assert (float(row["low"]), float(row["high"])) == effect.interval
        assert (row["name"], row["design"], row["verdict"]) == (effect.name, effect.design.value, effect.verdict)
    means = [float(row["mean"]) for row in rows(written[1])]
    assert means == [rung.mean for rung in findings.rungs]
    differences = rows(written[2])
    assert len(differences) == sum(len(effect.differences) for effect in findings.effects)
    assert [row["seed"] for row in differences if row["failed"] == "True"] == ["1"]


def test_one_file_has_the_effects_alone(findings: Findings, tmp_path: Path) -> None:
    assert write_csv(findings, tmp_path / "new" / "effects.csv") == [tmp_path / "new" / "effects.csv"]
    assert len(rows(tmp_path / "new" / "effects.csv")) == len(findings.effects)
    for wrong in ("tables.txt", "results.tsv"):
        with pytest.raises(StudyError, match=r"`csv` is .*give a folder"):
            write_csv(findings, tmp_path / wrong)


def test_rows_of_a_table_have_the_same_columns(make_study) -> None:
    findings = make_findings(make_study(rungs=2, seeds=1, missing=[("standardize", 0)]))
    tables = plain_tables(findings)
    assert len(tables) > 1
    for table in tables.values():
        assert len({tuple(row) for row in table}) <= 1
