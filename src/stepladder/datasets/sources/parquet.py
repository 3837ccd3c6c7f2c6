"""Parquet files in Hugging Face's layout: an image column, a label column, and splits from the file names.

Those whose rows are paths are tables like any other, and only read here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from stepladder.datasets import filesystem
from stepladder.datasets.decode_all import decode_splits
from stepladder.datasets.encoded import CHUNK_BYTES, Encoded, identify
from stepladder.datasets.image_set import ImageSet, first_of_each_class
from stepladder.datasets.labels import NamedLabels, in_order, match_classes, refuse_twins
from stepladder.datasets.mapped import demand_memory
from stepladder.datasets.parquet_pages import rows_in_flight
from stepladder.datasets.sources.base import LoadOptions, PathSource, beside, files_by_split, name_of, split_in
from stepladder.datasets.sources.rows import Table, cell_of
from stepladder.datasets.walk import is_left_behind
from stepladder.errors import DataError, some_of

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("label", "labels", "fine_label")

_BUFFER_BYTES = 1 << 20

# More rows are no list of images that anyone decodes; and the bytes that a cell takes in memory, about.
_MOST_ROWS, _HELD_BY_CELL = 20_000_000, 120

# Arrow's own pool keeps what it has freed: 60,000 small JPEGs took 250 MiB with it, 218 with the system's (176 are
# pixels).
pa.set_memory_pool(pa.system_memory_pool())


def matches(path: Path) -> bool:
    """Whether ``path`` is a parquet file, or a folder with some in it or in ``data`` there; and no table of paths."""
    found = _files_at(path)
    return bool(found) and not lists_paths(found[0])


def load(path: Path, options: LoadOptions) -> ImageSet:
    """Load the parquet file or folder at ``path``; one file alone is all training images.

    Raises:
        DataError: a file cannot be read, has no image or label column, or has labels that name no class; no train file;
            splits whose classes differ.
        DamagedImagesError: rows whose image cannot be decoded (all listed).
    """
    found = _files_at(path)
    by_split, notes = files_by_split(path, found, "{}-*.parquet")
    tables = {name: [_open(file) for file in split_files] for name, split_files in by_split.items()}
    named = {name: _labels(parts) for name, parts in tables.items()}
    class_names, labels, class_notes = match_classes(str(path), named)
    column = options.labels.group_column
    groups: dict[str, np.ndarray] = {}
    group_notes: tuple[str, ...] = ()
    if column is not None:
        groups, group_notes = options.labels.groups_of_column(
            {name: [group for table in parts for group in _groups(table, column)] for name, parts in tables.items()}
        )
    encoded = {name: _encoded(parts, labels[name], options.limit, groups.get(name)) for name, parts in tables.items()}
    decoded = decode_splits(
        encoded, shape=options.shape, skip_damaged=options.skip_damaged, on_progress=options.access.on_progress
    )
    more = (*group_notes, *beside(path, found, "the parquet files"), *_other_columns(tables["train"][0], column))
    return decoded.image_set(name_of(path), class_names, (*notes, *class_notes, *more))


def holds(path: Path) -> bool:
    """Whether the first parquet file of a folder, for training if there is one, has columns of images and labels."""
    found = _files_at(path)
    try:
        _open(next((file for file in found if split_in(file, path) == "train"), found[0]))
    except DataError:
        return False
    return True


def _groups(table: _Table, column: str) -> list[object]:
    """Return the group of each row of a file."""
    if column not in table.file.schema_arrow.names:
        columns = some_of(table.file.schema_arrow.names, at_most=10)
        raise DataError(f"`group_column` is {column}, and {table.path} has no such column; columns: {columns}")
    kind = table.file.schema_arrow.field(column).type
    if not _holds_labels(kind):
        raise DataError(f"`group_column` is {column}, which holds {str(kind)[:40]}; it must hold integers or text")
    with _reasons(table.path):
        groups: list[object] = table.file.read(columns=[column]).column(0).to_pylist()
    if None in groups:
        raise DataError(f"{table.path.name} row {groups.index(None)} has no group in {column}; give each row one")
    return groups


def _other_columns(table: _Table, grouped: str | None) -> tuple[str, ...]:
    """Return a note on columns that hold images or labels, too, and are not read."""
    schema = table.file.schema_arrow
    taken = (table.image_column, table.label_column, grouped)
    others = [
        name
        for name in dict.fromkeys((*IMAGE_COLUMNS, *LABEL_COLUMNS, *schema.names))
        if name in schema.names and name not in taken
    ]
    if not others:
        return ()
    return (f"Not read: the columns {some_of(others)} beside {table.image_column} and {table.label_column}.",)


@dataclass(frozen=True)
class _Table:
    """One opened file, with the columns that matter."""

    path: Path
    file: pq.ParquetFile
    image_column: str
    label_column: str
    class_names: tuple[str, ...] | None
    rows: int
    rows_in_flight: int
    label_rows_in_flight: int


def _files_at(path: Path) -> list[Path]:
    if path.is_file():
        return [path] if path.suffix.lower() == ".parquet" else []
    found = sorted(path.glob("*.parquet")) or sorted(path.glob("data/*.parquet"))
    return [file for file in found if not is_left_behind(file.name)]


def _open(path: Path) -> _Table:
    with _reasons(path, "is no readable parquet file"):
        # A buffer: without one, a whole column chunk is read into memory, and some writers put all rows into one.
        file = pq.ParquetFile(path, buffer_size=_BUFFER_BYTES)
        schema = file.schema_arrow
    image = _column(path, schema, "an image", IMAGE_COLUMNS, _holds_images)
    label = _column(path, schema, "a label", LABEL_COLUMNS, _holds_labels)
    if file.metadata.num_rows == 0:
        raise DataError(f"{path} holds no images (0 rows); remove the file or get it again")
    with _reasons(path):
        in_flight = rows_in_flight(path, image, label)
    names = _published_names(schema, label) if pa.types.is_integer(schema.field(label).type) else None
    if names is not None:
        refuse_twins(f"{path} (ClassLabel {label})", names)
    return _Table(path, file, image, label, names, file.metadata.num_rows, *in_flight)


@contextmanager
def _reasons(path: Path, problem: str = "is damaged") -> Iterator[None]:
    """Turn whatever Arrow makes of a damaged file into a DataError: beside its own, it raises nearly anything."""
    try:
        yield
    except DataError:
        raise
    except OSError as error:
        reason = (
            f"cannot read {path}: {error.strerror}" if error.strerror else f"{path} {problem} ({error}); get it again"
        )
        raise DataError(reason) from error
    except Exception as error:
        raise DataError(f"{path} {problem} ({error or type(error).__name__}); get the file again") from error


def _column(
    path: Path, schema: pa.Schema, what: str, names: tuple[str, ...], fits: Callable[[pa.DataType], bool]
) -> str:
    for name in names:
        if name in schema.names and fits(schema.field(name).type):
            return name
    columns = some_of([f"{field.name} ({str(field.type)[:40]})" for field in schema], at_most=10)
    allowed = "struct{bytes, path} or bytes" if names == IMAGE_COLUMNS else "integers or text"
    raise DataError(
        f"{path} has no column with {what}: call it {' or '.join(names)}, and let it hold {allowed}; columns: {columns}"
    )


def _holds_images(kind: pa.DataType) -> bool:
    """Whether a column of that type can hold encoded images."""
    if pa.types.is_struct(kind):
        return kind.get_field_index("bytes") >= 0 and _holds_images(kind.field("bytes").type)
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _holds_labels(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _holds_labels(kind.value_type)
    return bool(pa.types.is_integer(kind) or pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _published_names(schema: pa.Schema, label: str) -> tuple[str, ...] | None:
    try:
        names: Any = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"][label]["names"]
    except (KeyError, TypeError, ValueError):
        return None
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else None


def _labels(parts: Sequence[_Table]) -> NamedLabels:
    """Join the labels of a split's files, by name; without published names, the sorted values are the classes."""
    found = [_label_values(table) for table in parts]
    if all(table.class_names is not None for table in parts):
        names = tuple(dict.fromkeys(name for table in parts for name in table.class_names or ()))
        meant = [
            [(table.class_names or ())[int(value)] for value in distinct]
            for table, (distinct, _) in zip(parts, found, strict=True)
        ]
    else:
        names = tuple(in_order({str(value) for distinct, _ in found for value in distinct}))
        meant = [[str(value) for value in distinct] for distinct, _ in found]
    positions = {name: position for position, name in enumerate(names)}
    joined = [
        np.array([positions[name] for name in meaning], dtype=np.int64)[codes]
        for meaning, (_, codes) in zip(meant, found, strict=True)
    ]
    return NamedLabels(names, np.concatenate(joined))


def _label_values(table: _Table) -> tuple[list[int | str], np.ndarray]:
    """Return the distinct labels of a file, and for each row (int64) which of them it has."""
    distinct: dict[int | str, int] = {}
    codes, start = [], 0
    with _reasons(table.path):
        for batch in table.file.iter_batches(table.label_rows_in_flight, columns=[table.label_column]):
            column = batch.column(0)
            if column.null_count:
                raise _unlabelled(
                    table, start + int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
                )
            # As codes: one long text must not take its length in every row.
            coded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
            here = np.array(
                [distinct.setdefault(value, len(distinct)) for value in coded.dictionary.to_pylist()], dtype=np.int64
            )
            codes.append(here[coded.indices.to_numpy(zero_copy_only=False)])
            start += len(column)
    _check_rows(table, start)
    used, rows, values = np.unique(np.concatenate(codes), return_index=True, return_inverse=True)
    known = list(distinct)
    labels = [known[code] for code in used]
    count = len(table.class_names or ())
    for value, row in zip(labels, rows, strict=True):
        if isinstance(value, str) and not value.strip():
            raise _unlabelled(table, int(row))
        if table.class_names is not None and not 0 <= int(value) < count:
            raise DataError(
                f"{table.path.name} row {row} has the label {value}, which is none of its {count} classes (0 to "
                f"{count - 1}); mend or remove it"
            )
    return labels, values.astype(np.int64)


def _check_rows(table: _Table, found: int) -> None:
    if found != table.rows:
        raise DataError(f"{table.path} is damaged: it holds {found:,} of its {table.rows:,} rows; get the file again")


def _unlabelled(table: _Table, row: int) -> DataError:
    return DataError(f"{table.path.name} row {row} has no label; give each row one, or remove the row")


def _image_batches(table: _Table) -> Iterator[pa.Array]:
    """Read the images' bytes a batch at a time: a whole row group of PNGs can be nearly as large as its pixels."""
    with _reasons(table.path):
        for batch in table.file.iter_batches(table.rows_in_flight, columns=[table.image_column]):
            column = batch.column(0)
            if pa.types.is_struct(column.type):
                column = pc.struct_field(column, "bytes")
            step = max(1, len(column) * CHUNK_BYTES // max(1, column.nbytes))
            for start in range(0, len(column), step):
                yield column.slice(start, step)


def _encoded(parts: Sequence[_Table], labels: np.ndarray, limit: int | None, groups: np.ndarray | None) -> Encoded:
    starts = np.cumsum([0, *(table.rows for table in parts)])
    rows = np.arange(len(labels)) if limit is None else first_of_each_class(labels, limit, groups)

    def read() -> Iterator[list[bytes | None]]:
        passed = 0
        for table in parts:
            before = passed
            for column in _image_batches(table):
                wanted = slice(*np.searchsorted(rows, (passed, passed + len(column))))
                yield column.take(pa.array(rows[wanted] - passed)).to_pylist()
                passed += len(column)
            _check_rows(table, passed - before)

    def place(position: int) -> str:
        row = int(rows[position])
        part = int(np.searchsorted(starts, row, side="right")) - 1
        return f"{parts[part].path.name} row {row - int(starts[part])}"

    entries = [filesystem.file_entry(table.path.resolve()) for table in parts]
    known = identify(Path(), entries, taken=rows.astype("<i8").tobytes())
    return Encoded(labels[rows], read, place, known, None if groups is None else groups[rows])


def read_parquet_rows(path: Path) -> Table:
    """Return the columns of texts and numbers of the parquet file at ``path``; others come as blank cells.

    Raises:
        DataError: it cannot be read, has too many rows, or holds images.
    """
    with filesystem.open_file(path) as opened:
        return _read_rows(path, opened)


def _read_rows(path: Path, opened: BinaryIO) -> Table:
    with _reasons(path, "is no readable parquet file"):
        file = pq.ParquetFile(opened)
        schema, count = file.schema_arrow, file.metadata.num_rows
    if any(_holds_images(field.type) for field in schema):
        raise DataError(f"{path} holds images and no paths; read it as parquet")
    plain = [field.name for field in schema if _is_plain(field.type)]
    if count > _MOST_ROWS:
        raise DataError(f"{path} has {count:,} rows; a table may have {_MOST_ROWS:,}: split it into smaller ones")
    demand_memory(f"the rows of {path} take", _HELD_BY_CELL * count * len(plain), "split it into smaller tables")
    with _reasons(path):
        read = file.read(columns=plain)
        cells = {name: list(map(cell_of, read.column(name).to_pylist())) for name in plain}
    blank = [""] * count
    columns = [cells.get(field.name, blank) for field in schema]
    return Table(str(path), path.name, list(schema.names), columns, range(count), unit="row")


def lists_paths(path: Path) -> bool:
    """Whether a parquet file has columns of text, and none of images."""
    try:
        with _reasons(path), filesystem.open_file(path) as file:
            schema = pq.read_schema(file)
    except DataError:
        return False
    texts = [field for field in schema if _is_text(field.type)]
    return bool(texts) and not any(_holds_images(field.type) for field in schema)


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _is_plain(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_plain(kind.value_type)
    number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
    return bool(number or _is_text(kind))


SOURCE = PathSource(
    "parquet",
    "Hugging Face layout: train-*.parquet and test-*.parquet, or one file; columns img or image, and label",
    matches,
    load,
    holds,
)
