"""Tables of scores: every format to the same rows, and a sentence for what is none."""

from __future__ import annotations

from pathlib import Path

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stepladder.errors import StudyError
from stepladder.studies.scores.tables import digits_of, is_missing, number_of, read_table

ROWS = [{"method": "plain", "seed": 0, "acc": 0.91}, {"method": "mixup", "seed": 0, "acc": 0.93}]
CSV = "method,seed,acc\nplain,0,0.91\nmixup,0,0.93\n"


def values(source: object) -> list[tuple[str, float | None, float | None]]:
    rows = read_table(source).rows
    return [(row["method"], number_of(row["seed"]), number_of(row["acc"])) for row in rows]


EXPECTED = [("plain", 0.0, 0.91), ("mixup", 0.0, 0.93)]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", CSV),
        ("a.csv", "\ufeff" + CSV),
        ("a.tsv", CSV.replace(",", "\t")),
        ("a.csv", "method;seed;acc\nplain;0;0,91\nmixup;0;0,93\n"),
        ("a.jsonl", '{"method": "plain", "seed": 0, "acc": 0.91}\n{"method": "mixup", "seed": 0, "acc": 0.93}\n'),
        ("a.json", '[{"method": "plain", "seed": 0, "acc": 0.91}, {"method": "mixup", "seed": 0, "acc": 0.93}]'),
    ],
)
def test_every_text_format_gives_the_same_rows(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert values(tmp_path / name) == EXPECTED


def test_frames_arrow_tables_lists_and_columns_give_the_same_rows(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet")
    assert values(tmp_path / "a.parquet") == EXPECTED
    frame = pandas.DataFrame(ROWS)
    assert values(frame) == EXPECTED
    assert values(frame.set_index(["method", "seed"])) == EXPECTED
    assert values(pa.Table.from_pylist(ROWS)) == EXPECTED
    assert values(ROWS) == EXPECTED
    assert values({"method": ["plain", "mixup"], "seed": [0, 0], "acc": [0.91, 0.93]}) == EXPECTED


def test_tables_inside_json_rows_are_flattened(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"config": {"lr": 0.1}, "acc": 0.5}\n{"config": {"lr": 1}, "acc": NaN}\n')
    table = read_table(tmp_path / "a.jsonl")
    assert table.columns == ("config.lr", "acc")
    assert is_missing(table.rows[1]["acc"])


def test_dictionaries_in_cells_are_flattened(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("""config,note\n"{'lr': 0.1, 'name': 'nan-guard', 'acc': nan}",{no\n""")
    (row,) = read_table(tmp_path / "a.csv").rows
    assert row == {"config.lr": 0.1, "config.name": "nan-guard", "config.acc": None, "note": "{no"}


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("a.csv", "method,seed,acc\n", "has no rows below its header"),
        ("a.csv", "a,a\n1,2\n", "has the column a twice"),
        ("a.csv", "a,b\n1\n", "row 2 has 1 cells, and the header 2"),
        ("a.jsonl", "{no\n", "is neither JSON lines nor a JSON list"),
        ("a.json", "[1, 2]", "holds no rows"),
        ("a.parquet", "no parquet", "it is no parquet file"),
        ("a.csv", "\0\xff", "has no rows below its header"),
    ],
)
def test_what_is_no_table_gets_a_sentence(tmp_path: Path, name: str, text: str, words: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(StudyError, match=words):
        read_table(tmp_path / name)


def test_a_missing_file_and_a_thing_that_is_no_table() -> None:
    with pytest.raises(StudyError, match=r"cannot read the table nowhere\.csv"):
        read_table("nowhere.csv")
    with pytest.raises(StudyError, match="cannot read scores from a int"):
        read_table(3)
    with pytest.raises(StudyError, match="different lengths"):
        read_table({"a": [1], "b": [1, 2]})


def test_numbers_as_people_write_them() -> None:
    assert [number_of(text) for text in ("0.5", "91.2%", "−1", "nan", "inf", "x", None, True)] == [
        0.5,
        91.2,
        -1.0,
        None,
        None,
        None,
        None,
        None,
    ]
    assert [digits_of(text) for text in ("0.930", "93", "1.5e-3", "x")] == [3, 0, 4, None]
