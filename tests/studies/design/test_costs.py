from __future__ import annotations

from pathlib import Path

import pytest

from stepladder.errors import StudyError
from stepladder.studies.design.costs import read_costs


def test_a_table_as_spreadsheets_write_it(tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    path.write_text("\ufefftrue \\ predicted,cat,dog\ncat,,2.5\n\ndog, 1 ,0\n", encoding="utf-8")
    assert read_costs(path) == {"cat": {"dog": 2.5}, "dog": {"cat": 1.0, "dog": 0.0}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no costs: a row of predicted classes"),
        ("true,cat\n", "has no costs"),
        ("true,cat\ncat,1,2\n", "row 2: 2 costs, and the first row names 1 classes"),
        ("true,cat\ndog,much\n", "row 2: 'much' is no number"),
        ("true,cat\ndog,1\ndog,2\n", "row 3: dog is there twice"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "costs.csv"
    path.write_text(text)
    with pytest.raises(StudyError, match=said):
        read_costs(path)


def test_what_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"cannot read .*missing\.csv"):
        read_costs(tmp_path / "missing.csv")
    (tmp_path / "latin.csv").write_bytes(b"\xff\xfe\xfa")
    with pytest.raises(StudyError, match="cannot read"):
        read_costs(tmp_path / "latin.csv")
