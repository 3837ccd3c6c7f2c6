"""The rows of a table, whatever it was written by: CSV, TSV, JSON lines, or lines of a path and a label."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from stepladder.datasets.mapped import demand_memory
from stepladder.errors import DataError

#: A larger table is none of paths; it would only fill the memory.
MAX_TABLE_BYTES = 500_000_000

#: What tables end in: RFC 4180 with commas, semicolons or tabs; an object a line; a path and a label a line.
TABLES, JSON_LINES, LISTS = (".csv", ".tsv"), (".jsonl", ".ndjson"), (".txt",)

# Bytes in memory for each of the file's, about.
_HELD = 6


@dataclass(frozen=True)
class Table:
    """A table as text.

    Attributes:
        header: the names of the columns as they stand in the first row, which may be none of names; of JSON lines, the
            keys; None where the form has no header.
        lines: where each row stands in the file, from 1.
        rows: their cells, as many in each as in the header; without the first row where that is the header.
        notes: what was decided on the way.
    """

    header: list[str] | None
    lines: list[int]
    rows: list[list[str]]
    notes: tuple[str, ...] = ()


def read_table(path: Path) -> Table:
    """Read the table at ``path``.

    Raises:
        DataError: it is too large, or no table.
    """
    if (size := path.stat().st_size) > MAX_TABLE_BYTES:
        raise DataError(f"{path} has {size / 1e6:.0f} MB; a table may have {MAX_TABLE_BYTES // 1_000_000} MB")
    demand_memory(f"the lines of {path} take", _HELD * size, "split it into smaller tables")
    with path.open("rb") as file:
        mark = file.read(2)
    encoding = "utf-16" if mark in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return _read(path, encoding, ())
    except UnicodeDecodeError as error:
        try:
            return _read(path, "cp1252", (f"{path.name} is no UTF-8 (byte {error.start:,}) and was read as cp1252.",))
        except UnicodeDecodeError:
            raise DataError(f"{path} is not UTF-8 (byte {error.start:,}); save it as CSV in UTF-8") from error


def _read(path: Path, encoding: str, notes: tuple[str, ...]) -> Table:
    ending = path.suffix.lower()
    with path.open(encoding=encoding, newline="") as file:
        if ending in JSON_LINES:
            return _read_objects(path, file, notes)
        if ending in LISTS:
            return _read_list(path, file, notes)
        start = file.readline()
        file.seek(0)
        # Spreadsheets write semicolons where the comma is the decimal point.
        mark = "\t" if ending == ".tsv" else max(",;\t", key=start.count)
        reader = csv.reader(file, delimiter=mark, strict=True)
        try:
            header = next(reader, [])
            found = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
        except csv.Error as error:
            raise DataError(f"{path} cannot be read as a table ({error}); save it as CSV in UTF-8") from error
    for line, cells in found:
        if len(cells) != len(header):
            raise DataError(f"{path} line {line} has {len(cells)} cells, its header {len(header)}; mend the line")
    return Table(
        [name.strip() for name in header],
        [line for line, _ in found],
        [[cell.strip() for cell in cells] for _, cells in found],
        notes,
    )


def _read_objects(path: Path, file: Iterable[str], notes: tuple[str, ...]) -> Table:
    header: dict[str, int] = {}
    objects: list[dict[str, object]] = []
    lines = []
    for number, line in enumerate(file, 1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path} line {number} is no JSON ({error}); mend the line") from error
        if not isinstance(one, dict):
            raise DataError(f"{path} line {number} is no JSON object; write one a line, with a path and a label")
        for key in one:
            header.setdefault(str(key), len(header))
        objects.append(one)
        lines.append(number)
    rows = [[_text(one.get(key)) for key in header] for one in objects]
    return Table(list(header), lines, rows, notes)


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value)


def _read_list(path: Path, file: Iterable[str], notes: tuple[str, ...]) -> Table:
    """Read lines of a path and a label, or several: between commas, tabs or spaces, the path first."""
    text = [(number, line.strip()) for number, line in enumerate(file, 1) if line.strip()]
    lines, rows = [], list(_split(path, text))
    lines = [number for number, _ in text]
    return Table(None, lines, rows, notes)


def _split(path: Path, text: list[tuple[int, str]]) -> Iterator[list[str]]:
    mark = next((mark for mark in "\t;," if all(mark in line for _, line in text)), None)
    width = 0
    for number, line in text:
        # A path may have spaces, and a label at the end of a line has none.
        cells = [cell.strip() for cell in (line.rsplit(None, 1) if mark is None else line.split(mark))]
        width = width or len(cells)
        if len(cells) != width or width < 2:
            raise DataError(
                f"{path} line {number} has {len(cells)} cell{'s' if len(cells) != 1 else ''}, and "
                f"{'the first line ' + str(width) if width > 1 else 'it takes a path and a label'}; mend the line"
            )
        yield cells
