"""How large the pages of a parquet file claim to be, from their headers, before Arrow allocates what they claim.

Arrow takes the unpacked size of each page from the page's own header: a few bytes can ask for two gigabytes. And its
own view of the same numbers, ``RowGroupMetaData.column()`` in pyarrow 26, ends the process on damaged statistics
instead of raising. So the headers are read here: structs in Thrift's compact protocol (Apache Thrift, "Thrift Compact
protocol encoding") with the field numbers of parquet-format's parquet.thrift: FileMetaData, RowGroup, ColumnChunk,
ColumnMetaData, PageHeader.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from stepladder.datasets.mapped import demand_memory
from stepladder.errors import DataError

#: Writers make pages of a megabyte, or of one value if that is larger. No page may claim more than this,
MAX_PAGE_BYTES = 64_000_000
#: unless so many of its bytes are there that it claims less than this many for each.
MAX_RATIO = 64

# What one batch of rows takes, as far as the sizes tell; and what it could take at worst, if every row were the largest
# value of a page. The latter is far from what real files come to, and as small as it may be without making batches
# tiny.
_BATCH_BYTES = 32_000_000
_WORST_BATCH_BYTES = 256_000_000
_MAX_ROWS = 512
_MAX_HEADER = 1 << 16
# Encodings by which few bytes stand for many, so that a batch of rows can be larger than its pages: PLAIN_DICTIONARY,
# DELTA_BYTE_ARRAY, RLE_DICTIONARY.
_REPEATING = {2, 7, 8}
_DELTA_BYTE_ARRAY, _DICTIONARY_PAGE = 7, 2
_MAX_DEPTH = 12  # of structs and lists in each other


#: Rows of labels that are read at a time at most: they are small.
MAX_LABEL_ROWS = 65_536


def rows_in_flight(path: Path, image: str, label: str) -> tuple[int, int]:
    """Check every page of two columns and return how many rows of each may be read at a time.

    Returns:
        of ``image``, 1 to 512, and of ``label``, 1 to :data:`MAX_LABEL_ROWS`.

    Raises:
        DataError: the file cannot hold what it claims, or its labels are too large for the memory.
    """
    size = path.stat().st_size
    batch_rows, label_rows, labels = _MAX_ROWS, MAX_LABEL_ROWS, 0
    with path.open("rb") as file:
        try:
            footer = _footer(file, size)
            # Not even the smallest image takes fewer bytes; a few rows more do no harm.
            if footer[3] * 8 > size + 1_000_000:
                raise DataError(f"{path} claims {footer[3]:,} rows in {size:,} bytes; get the file again")
            for group in footer[4]:
                for chunk in group[1]:
                    column = chunk[3]
                    name = column[3][0].decode()
                    if name not in (image, label):
                        continue
                    pages = _pages(path, file, column, size)
                    weight = max(1, column[6] // max(1, group[3]))
                    repeats = not _REPEATING.isdisjoint(column[2])
                    if name == image:
                        batch_rows = min(batch_rows, max(1, _BATCH_BYTES // weight))
                        if repeats:
                            batch_rows = min(batch_rows, max(1, _WORST_BATCH_BYTES // pages.largest))
                    else:
                        labels += pages.unpacked
                        label_rows = min(label_rows, max(1, _BATCH_BYTES // weight))
                        if repeats:
                            label_rows = min(label_rows, max(1, _WORST_BATCH_BYTES // pages.largest_value))
        except (IndexError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{path} is damaged: its pages cannot be found; get the file again") from error
    demand_memory(
        f"the column {label} of {path} unpacks to", labels, "a label is a number or a name: save shorter ones"
    )
    return batch_rows, label_rows


@dataclass(frozen=True)
class _Pages:
    """What the pages of a column chunk claim, in bytes.

    Attributes:
        largest: of a page. unpacked: of all together.
        largest_value: that rows may repeat: no value is larger than the dictionary, or, where each tells how much it
            has of the one before it, than a page.
    """

    largest: int
    unpacked: int
    largest_value: int


def _footer(file: BinaryIO, size: int) -> dict[int, Any]:
    file.seek(max(0, size - 8))
    length = int.from_bytes(file.read(4), "little")
    if length > size - 8:
        raise ValueError("the footer is longer than the file")
    file.seek(size - 8 - length)
    return _read_struct(file.read(length))[0]


def _pages(path: Path, file: BinaryIO, column: dict[int, Any], size: int) -> _Pages:
    starts = [start for start in (column[9], column.get(11, 0)) if start > 0]
    position, largest, dictionary, total = min(starts), 1, 1, 0
    end = position + column[7]
    if column[7] < 0 or end > size:
        raise DataError(f"{path} is damaged: it claims pages beyond its end; get the file again")
    while position < end:
        file.seek(position)
        header, length = _read_struct(file.read(min(_MAX_HEADER, end - position)))
        unpacked, packed = header[2], header[3]
        if unpacked < 0 or not 0 <= packed <= end - position:
            raise DataError(f"{path} is damaged: a page at byte {position:,} claims an impossible size; get it again")
        if unpacked > max(MAX_PAGE_BYTES, packed * MAX_RATIO):
            raise DataError(
                f"{path}: a page at byte {position:,} claims to unpack {packed:,} bytes to {unpacked:,}; it is "
                f"refused, as more than {MAX_PAGE_BYTES // 1_000_000} MB must come from more bytes: write the file "
                "with smaller pages"
            )
        largest, total = max(largest, unpacked), total + unpacked
        if header.get(1) == _DICTIONARY_PAGE:
            dictionary = max(dictionary, unpacked)
        position += length + packed
    return _Pages(largest, total, largest if _DELTA_BYTE_ARRAY in column[2] else dictionary)


def _read_struct(content: bytes, position: int = 0, depth: int = 0) -> tuple[dict[int, Any], int]:
    """Read the struct at ``position``.

    Returns:
        its values by field number (numbers, bytes, lists and structs; sets as lists), and where it ends.

    Raises:
        ValueError: it is no such struct, or nested too deeply. IndexError: it is cut off.
    """
    if depth > _MAX_DEPTH:
        raise ValueError("structs in structs without end")
    values: dict[int, Any] = {}
    field = 0
    while (start := content[position]) != 0:
        position += 1
        if start >> 4:
            field += start >> 4
        else:
            field, position = _integer(content, position)
        kind = start & 15
        if kind in (1, 2):  # in a struct, the kind itself says true or false
            values[field] = kind == 1
        else:
            values[field], position = _value(content, position, kind, depth)
    return values, position + 1


def _value(content: bytes, position: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in (1, 2, 3):
        return content[position], position + 1
    if kind in (4, 5, 6):
        return _integer(content, position)
    if kind in (7, 8):
        length, position = (8, position) if kind == 7 else _varint(content, position)
        if position + length > len(content):
            raise IndexError("cut off")
        return content[position : position + length], position + length
    if kind in (9, 10):
        return _list(content, position, depth)
    if kind == 12:
        return _read_struct(content, position, depth + 1)
    raise ValueError(f"a value of kind {kind}")  # maps: parquet has none


def _list(content: bytes, position: int, depth: int) -> tuple[list[Any], int]:
    if depth > _MAX_DEPTH:
        raise ValueError("lists in lists without end")
    length, kind = content[position] >> 4, content[position] & 15
    position += 1
    if length == 15:
        length, position = _varint(content, position)
    values = []
    for _ in range(length):  # each takes a byte, so that a length that lies ends with the content
        value, position = _value(content, position, kind, depth + 1)
        values.append(value)
    return values, position


def _integer(content: bytes, position: int) -> tuple[int, int]:
    value, position = _varint(content, position)
    return (value >> 1) ^ -(value & 1), position


def _varint(content: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError("a number that never ends")
