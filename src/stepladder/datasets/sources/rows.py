"""The cells of a table, and how they are read from lines: CSV, TSV, JSON lines, or lines of a path and a label."""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stepladder.datasets import filesystem
from stepladder.datasets.mapped import demand_memory
from stepladder.datasets.walk import is_image_name
from stepladder.errors import DataError

#: A larger table is none of paths; it would only fill the memory.
MAX_TABLE_BYTES = 500_000_000

#: What tables end in: RFC 4180 with commas, semicolons or tabs; an object a line; a path and a label a line; and forms
#: that have no lines.
TABLES, JSON_LINES, LISTS = (".csv", ".tsv"), (".jsonl", ".ndjson"), (".txt", ".lst")
JSON, PARQUET = (".json",), (".parquet",)

# Bytes in memory for each of the file's, about.
_HELD = 6

_SEPARATOR = re.compile("sep=([,;\t|])", re.IGNORECASE)

# Marks at the start of a text, the longest first; and, by which bytes of four are zero, what it is without one.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_BY_ZEROS = {
    (False, True, False, True): "utf-16-le",
    (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le",
    (True, True, True, False): "utf-32-be",
}
_LOOKED_AT, _MOSTLY = 4_000, 0.6

#: How the columns may be called, in any case; the first is the usual name.
PATH_COLUMNS = ("path", "file", "file_name", "filename", "image", "filepath", "file_path", "image_path", "img_path")
LABEL_COLUMNS = ("label", "class")
SPLIT_COLUMNS = ("split", "subset")


@dataclass(frozen=True)
class Table:
    """A table as text, a list a column: 100,000 rows are few lists then, and not 100,000.

    Attributes:
        where: its path, for errors; or what it is, where it is no file.
        name: the same, short.
        header: the names of the columns as they stand in the first row, which may be none of names; of JSON, the keys;
            None where the form has no header.
        columns: the cells of each column, without the first row where that is the header.
        lines: where each row stands, from 1.
        notes: what was decided on the way.
        unit: what ``lines`` count.
        labels_from: where the form itself tells what the labels are, the words for it.
    """

    where: str
    name: str
    header: list[str] | None
    columns: list[list[str]]
    lines: Sequence[int]
    notes: tuple[str, ...] = ()
    unit: str = "line"
    labels_from: str = ""

    @property
    def names(self) -> list[str]:
        """What the columns are called in messages and options."""
        return self.header if self.header is not None else [f"column {at + 1}" for at in range(len(self.columns))]

    def row(self, position: int) -> list[str]:
        """Return the cells of one row."""
        return [cells[position] for cells in self.columns]

    def place(self, position: int) -> str:
        """Return where a row stands: ``line 7``."""
        return f"{self.unit} {self.lines[position]}"

    def without_header(self) -> Table:
        """Return the table whose first row is no header."""
        header = self.header or []
        columns = [[name, *cells] for name, cells in zip(header, self.columns, strict=True)]
        note = f"{self.name} has no header: its first line is that of an image."
        return Table(self.where, self.name, None, columns, [1, *self.lines], (*self.notes, note), self.unit)


def read_text(path: Path) -> tuple[str, tuple[str, ...]]:
    """Return the text of a table, and a note where its encoding had to be guessed.

    Raises:
        DataError: it is too large, or no text.
    """
    if (size := filesystem.file_entry(path).size) > MAX_TABLE_BYTES:
        raise DataError(f"{path} has {size / 1e6:.0f} MB; a table may have {MAX_TABLE_BYTES // 1_000_000} MB")
    demand_memory(f"the lines of {path} take", _HELD * size, "split it into smaller tables")
    with filesystem.open_file(path) as file:
        content = file.read()
    encoding = _wide_encoding(content) or "utf-8-sig"
    try:
        return content.decode(encoding).removeprefix("\ufeff"), ()
    except UnicodeDecodeError as error:
        try:
            text = content.decode("cp1252")
        except UnicodeDecodeError:
            raise DataError(f"{path} is not UTF-8 (byte {error.start:,}); save it as CSV in UTF-8") from error
        read = f"{path.name} is no UTF-8 (byte {error.start:,}) and was read as cp1252"
        return text, (f"{read}; if names look wrong, save it in UTF-8.",)


def _wide_encoding(content: bytes) -> str | None:
    """Return the encoding of a text whose letters have two or four bytes, with a mark at its start or without."""
    for mark, encoding in _MARKS:
        if content.startswith(mark):
            return encoding
    start = np.frombuffer(content[: 4 * (min(len(content), _LOOKED_AT) // 4)], np.uint8).reshape(-1, 4)
    zeros = (
        (start == 0).mean(axis=0) > _MOSTLY if len(start) else np.zeros(4, bool)
    )  # letters of Latin have zeros there
    return _BY_ZEROS.get(tuple(zeros.tolist()))


def read_lines(path: Path, text: str, notes: tuple[str, ...] = ()) -> Table:
    """Return the rows of a table with lines, whose form its ending tells.

    Raises:
        DataError: it is none.
    """
    ending = path.suffix.lower()
    if ending in JSON_LINES:
        return _read_objects(path, text, notes)
    if ending in LISTS:
        return _read_list(path, text, notes)
    if not text.strip():
        raise DataError(f"{path} is empty; give a table with a row for each image")
    file = io.StringIO(text, newline="")
    before, told = 0, None
    while True:  # to the first line that is one of the table
        place, start = file.tell(), file.readline()
        told = told or _SEPARATOR.fullmatch(start.strip())  # for Excel, in a line of its own
        if start and (not start.strip() or start.startswith("#") or _SEPARATOR.fullmatch(start.strip())):
            before += 1
            continue
        file.seek(place)
        break
    # Spreadsheets write semicolons where the comma is the decimal point.
    mark = told[1] if told else "\t" if ending == ".tsv" and "\t" in start else max(",;\t|", key=start.count)
    reader = csv.reader(file, delimiter=mark, strict=True, skipinitialspace=True)
    try:
        header = next(reader, [])
        rows, lines = [], []
        for cells in reader:
            if "".join(cells).strip():
                rows.append(cells)
                lines.append(before + reader.line_num)
    except csv.Error as error:
        raise DataError(f"{path} cannot be read as a table ({error}); save it as CSV in UTF-8") from error
    for line, cells in zip(lines, rows, strict=True):
        if len(cells) != len(header):
            raise DataError(f"{path} line {line} has {len(cells)} cells, its header {len(header)}; mend the line")
    return Table(str(path), path.name, [name.strip() for name in header], by_column(rows, len(header)), lines, notes)


def by_column(rows: Sequence[Sequence[str]], width: int) -> list[list[str]]:
    """Return the cells of rows by column, without spaces around them."""
    return [list(map(str.strip, cells)) for cells in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def objects_table(
    where: tuple[str, str],
    objects: Sequence[dict[str, object]],
    lines: Sequence[int],
    unit: str,
    notes: tuple[str, ...],
) -> Table:
    """Return objects as a table, whose columns are their keys.

    Args:
        where: the path, and its name.
    """
    header = list(dict.fromkeys(str(key) for one in objects for key in one))
    columns = [[cell_of(one.get(key)) for one in objects] for key in header]
    return Table(*where, header, columns, lines, notes, unit)


def cell_of(value: object) -> str:
    """Return a value of JSON, of parquet or of a frame as the text of a cell; empty for none."""
    if isinstance(value, str):
        return value.strip()
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool | int | float):
        return str(value)
    if isinstance(value, list | dict) and len(value) == 1:  # ["cat"], {"name": "cat"}
        (inner,) = value.values() if isinstance(value, dict) else value
        return cell_of(inner) if not isinstance(inner, list | dict) else json.dumps(value, default=str)
    return str(value) if isinstance(value, Path) else json.dumps(value, default=str)


def _read_objects(path: Path, text: str, notes: tuple[str, ...]) -> Table:
    objects: list[dict[str, object]] = []
    lines = []
    for number, line in enumerate(io.StringIO(text, newline=""), 1):
        if not line.strip():
            continue
        try:
            one = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path} line {number} is no JSON ({error}); mend the line") from error
        if not isinstance(one, dict):
            raise DataError(f"{path} line {number} is no JSON object; write one a line, with a path and a label")
        objects.append(one)
        lines.append(number)
    return objects_table((str(path), path.name), objects, lines, "line", notes)


def _read_list(path: Path, text: str, notes: tuple[str, ...]) -> Table:
    """Read lines of a path and a label, or several, between commas, tabs, bars or spaces; or of paths alone."""
    numbered = enumerate(map(str.strip, io.StringIO(text, newline="")), 1)
    found = [(number, line) for number, line in numbered if line and not line.startswith("#")]
    rows = by_column(list(_split(path, found)), 0)
    lines = [number for number, _ in found]
    first = [cells[0].lower() for cells in rows]
    # A header has a usual name, or no file where all other lines have one.
    files_follow = any(len(cells) > 1 and all(map(is_image_name, cells[1:])) for cells in rows)
    if (not set(PATH_COLUMNS).isdisjoint(first) or files_follow) and not any(map(is_image_name, first)):
        header = [cells[0] for cells in rows]
        return Table(str(path), path.name, header, [cells[1:] for cells in rows], lines[1:], notes)
    return Table(str(path), path.name, None, rows, lines, notes)


def _split(path: Path, found: list[tuple[int, str]]) -> Iterator[list[str]]:
    mark = next((mark for mark in "\t;,|" if all(mark in line for _, line in found)), None)
    parts = [line.split() for _, line in found] if mark is None else []
    # Several columns, unless what stands after the first space is the end of a path: "my cat.jpg 3".
    several = len({len(one) for one in parts}) == 1 and not any(
        is_image_name(part) for one in parts for part in one[1:]
    )
    if all(len(line.split()) == 1 for line in (text for _, text in found)) and mark is None:  # paths alone
        yield from ([line] for _, line in found)
        return
    width = 0
    for number, line in found:
        # A path may have spaces, and a label at the end of a line has none.
        cells = line.split(mark) if mark is not None or several else line.rsplit(None, 1)
        width = width or len(cells)
        if len(cells) != width:
            raise DataError(
                f"{path} line {number} has {len(cells)} cell{'s' if len(cells) != 1 else ''}, and the first line "
                f"{width}; mend the line"
            )
        yield cells
