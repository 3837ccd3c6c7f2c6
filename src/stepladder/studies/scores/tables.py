"""Tables of scores as people keep them: CSV, JSON lines, parquet, a data frame; each becomes rows of plain values."""

from __future__ import annotations

import ast
import csv
import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepladder.errors import StudyError, printable
from stepladder.files import parse_json, read_plain

#: Endings of the tables that are read.
TABLES = (".csv", ".tsv", ".txt", ".parquet", ".jsonl", ".ndjson", ".json")

#: Rows that a table of scores may have: every epoch of a thousand runs is fewer.
MOST_ROWS = 2_000_000

#: What an empty cell, and one that is no number, is written as.
_MISSING = {"", "na", "n/a", "nan", "none", "null", "-", "–", "inf", "-inf", "+inf", "infinity"}

Row = Mapping[str, Any]


@dataclass(frozen=True)
class ScoreTable:
    """Rows of a table, each a value by column; None for an empty cell.

    Attributes:
        name: of where it comes from, for titles and folders.
        fingerprint: SHA-256 of its rows, hex.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    fingerprint: str

    def __repr__(self) -> str:
        return printable(f"<ScoreTable {self.name}: {len(self.rows)} rows of {', '.join(self.columns)[:200]}>")

    @classmethod
    def of(cls, name: str, rows: Sequence[Row]) -> ScoreTable:
        """Return a table of rows, whose columns are those of any row.

        Raises:
            StudyError: there are no rows, or too many.
        """
        if not rows:
            raise StudyError(f"{name} has no rows; give a table with a row a run, or a row a run and epoch")
        if len(rows) > MOST_ROWS:
            raise StudyError(f"{name} has {len(rows):,} rows, and at most {MOST_ROWS:,} are read; keep the last epochs")
        columns = tuple(dict.fromkeys(str(column) for row in rows for column in row))
        text = json.dumps([{str(key): str(value) for key, value in row.items()} for row in rows], sort_keys=True)
        return cls(name, columns, tuple(rows), hashlib.sha256(text.encode(errors="backslashreplace")).hexdigest())

    def values(self, column: str) -> list[Any]:
        """Return a column, None where a row has none."""
        return [row.get(column) for row in self.rows]


def read_table(source: object) -> ScoreTable:
    """Return a table of a file, a data frame, an Arrow table, a list of rows, or columns by name.

    Raises:
        StudyError: it cannot be read, or is no table.
    """
    if isinstance(source, str | Path):
        return _read_file(Path(source))
    for method, arguments in (("to_pylist", ()), ("to_dicts", ()), ("to_dict", ("records",))):
        convert = getattr(source, method, None)
        if callable(convert):
            named = [name for name in getattr(getattr(source, "index", None), "names", None) or () if name is not None]
            if method == "to_dict" and named:  # seeds and variants are often the index of a pandas frame
                convert = source.reset_index().to_dict  # type: ignore[attr-defined]
            return ScoreTable.of("frame", [_plain_row(row) for row in convert(*arguments)])
    if isinstance(source, Mapping):
        columns = {str(name): list(values) for name, values in source.items()}
        if len({len(values) for values in columns.values()}) > 1:
            raise StudyError("the columns have different lengths; give each a value a row")
        names = list(columns)
        return ScoreTable.of(
            "frame", [dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        )
    if isinstance(source, Iterable):
        rows = list(source)
        if all(isinstance(row, Mapping) for row in rows):
            return ScoreTable.of("frame", [_plain_row(row) for row in rows])
    raise StudyError(
        f"cannot read scores from a {type(source).__name__}; give a path, a data frame, or a list of rows as "
        "dictionaries"
    )


def number_of(value: Any) -> float | None:
    """Return a cell as a number; None for an empty one and for one that is no finite number."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(str(value).strip().removesuffix("%").replace("−", "-"))
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def is_missing(value: Any) -> bool:
    """Whether a cell is empty, or says that there is no finite number."""
    return value is None or str(value).strip().lower() in _MISSING


def digits_of(value: Any) -> int | None:
    """Return how many digits stand behind the point of a cell as it was written; None where it is no number.

    >>> digits_of("0.930"), digits_of("93"), digits_of(0.1 + 0.2), digits_of("1e-3")
    (3, 0, 17, 3)
    """
    if number_of(value) is None:
        return None
    mantissa, _, exponent = str(value).strip().removesuffix("%").lower().partition("e")
    behind = len(mantissa.partition(".")[2])
    return max(0, behind - int(exponent or 0))


def _read_file(path: Path) -> ScoreTable:
    name = path.stem
    try:
        if path.suffix.lower() == ".parquet":
            return ScoreTable.of(name, _parquet_rows(path))
        text = read_plain(path, 512_000_000).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise StudyError(f"cannot read the table {path}: {getattr(error, 'strerror', None) or error}") from error
    stripped = text.lstrip()
    if path.suffix.lower() in (".jsonl", ".ndjson", ".json") or stripped.startswith(("{", "[")):
        return ScoreTable.of(name, _json_rows(path, stripped))
    return ScoreTable.of(name, _csv_rows(path, text))


def _parquet_rows(path: Path) -> list[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return [_plain_row(row) for row in pq.read_table(path).to_pylist()]
    except pa.ArrowException as error:
        raise ValueError(f"it is no parquet file ({str(error).splitlines()[0]})") from error


def _json_rows(path: Path, text: str) -> list[Row]:
    try:
        if text.startswith("["):
            found = parse_json(text)
        else:
            found = [json.loads(line) for line in text.splitlines() if line.strip()]  # NaN may stand in a log
    except ValueError as error:
        raise StudyError(f"{path} is neither JSON lines nor a JSON list: {error}") from error
    if not isinstance(found, list) or not all(isinstance(row, dict) for row in found):
        raise StudyError(f'{path} holds no rows; write one JSON object a line, as {{"variant": …, "seed": …}}')
    return [_flat(row) for row in found]


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten what lies in tables, as ``config.lr``; lists are left out."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}.")
        elif not isinstance(value, list):
            flat[f"{prefix}{key}"] = value
    return flat


def _csv_rows(path: Path, text: str) -> list[Row]:
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max((",", ";", "\t"), key=first.count)
    try:
        lines = [line for line in csv.reader(io.StringIO(text), delimiter=delimiter, strict=True) if any(line)]
    except csv.Error as error:
        raise StudyError(f"{path} is no CSV: {error}") from error
    if len(lines) < 2:
        raise StudyError(f"{path} has no rows below its header; give a row a run")
    header = [name.strip() for name in lines[0]]
    header[0] = header[0] or "index"
    if twice := next((name for name in header if header.count(name) > 1), None):
        raise StudyError(f"{path} has the column {twice or 'without a name'} twice; rename one")
    for number, line in enumerate(lines[1:], start=2):
        if len(line) != len(header):
            raise StudyError(f"{path}: row {number} has {len(line)} cells, and the header {len(header)}")
    comma = delimiter == ";"  # as spreadsheets write numbers where a comma is the decimal sign
    rows = [{key: _cell(value, comma) for key, value in zip(header, line, strict=True)} for line in lines[1:]]
    return [_flat(_with_tables(row)) for row in rows]


def _with_tables(row: Mapping[str, Any]) -> dict[str, Any]:
    """Read cells that hold a dictionary as Python prints it, as in W&B's documented export: ``summary``, ``config``."""
    return {key: _table_in(cell) if str(cell).startswith("{") else cell for key, cell in row.items()}


def _table_in(cell: str) -> Any:
    try:
        found = ast.literal_eval(re.sub(r"(?<=: )-?(nan|inf)(?=[,}])", "None", cell))
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return cell
    return found if isinstance(found, dict) else cell


def _cell(text: str, comma: bool) -> str | None:
    text = text.strip()
    if comma and text.count(",") == 1 and text.replace(",", "").lstrip("+-−").isdecimal():
        text = text.replace(",", ".")
    return text or None


def _plain_row(row: Mapping[Any, Any]) -> dict[str, Any]:
    return {str(key): _plain(value) for key, value in row.items()}


def _plain(value: Any) -> Any:
    """Return numpy's numbers and pandas' missing values as Python's."""
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    return value if isinstance(value, int | float | str | bool) else str(value)
