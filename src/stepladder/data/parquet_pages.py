"""How large the pages of a parquet file claim to be, from their headers, before Arrow allocates what they claim.

Arrow checks the footer, but takes the unpacked size of each page from the page's own header: a few bytes can ask for
two gigabytes. A header is a Thrift struct in the compact protocol (parquet-format, parquet.thrift, PageHeader; Thrift,
"Thrift Compact protocol encoding"), of which the first three fields matter: kind, unpacked size, packed size.
"""

from __future__ import annotations

from pathlib import Path
from typing import BinaryIO

import pyarrow.parquet as pq

from stepladder.errors import DataError

#: Writers make pages of a megabyte, or of one value if that is larger. No page may claim more than this,
MAX_PAGE_BYTES = 64_000_000
#: unless so many of its bytes are there that it claims less than this many for each.
MAX_RATIO = 64

# What is in flight of one column at a time.
_BATCH_BYTES = 32_000_000
_MAX_ROWS = 512
_MAX_HEADER = 1 << 16
_MAX_DEPTH = 8
# Encodings by which few bytes stand for many, so that a batch of rows can be larger than its pages.
_REPEATING = {"PLAIN_DICTIONARY", "RLE_DICTIONARY", "DELTA_BYTE_ARRAY"}


def rows_in_flight(path: Path, metadata: pq.FileMetaData, column: str) -> int:
    """Check every page of ``column`` and return how many rows may be read at a time, 1 to 512.

    Raises:
        DataError: the file cannot hold what it claims.
    """
    size = path.stat().st_size
    # Not even the smallest image takes fewer bytes; a few rows more do no harm.
    if metadata.num_rows * 8 > size + 1_000_000:
        raise DataError(f"{path} claims {metadata.num_rows:,} rows in {size:,} bytes; get the file again")
    largest, rows = 1, _MAX_ROWS
    with path.open("rb") as file:
        for group in range(metadata.num_row_groups):
            found = metadata.row_group(group)
            for index in range(found.num_columns):
                chunk = found.column(index)
                if chunk.path_in_schema.split(".")[0] != column:
                    continue
                repeats = not _REPEATING.isdisjoint(chunk.encodings)
                largest = _largest_page(path, file, chunk, size)
                weight = largest if repeats else chunk.total_uncompressed_size // max(1, found.num_rows)
                rows = min(rows, max(1, _BATCH_BYTES // max(1, weight)))
    return rows


def _largest_page(path: Path, file: BinaryIO, chunk: pq.ColumnChunkMetaData, size: int) -> int:
    starts = [chunk.data_page_offset]
    if chunk.has_dictionary_page and chunk.dictionary_page_offset:
        starts.append(chunk.dictionary_page_offset)
    position, largest = min(starts), 1
    end = position + chunk.total_compressed_size
    if position < 0 or chunk.total_compressed_size < 0 or end > size:
        raise DataError(f"{path} is damaged: it claims pages beyond its end; get the file again")
    while position < end:
        file.seek(position)
        try:
            unpacked, packed, length = _page_header(file.read(min(_MAX_HEADER, end - position)))
        except (IndexError, ValueError) as error:
            raise DataError(f"{path} is damaged: a page at byte {position:,} cannot be read; get it again") from error
        if unpacked < 0 or packed < 0 or packed > end - position:
            raise DataError(f"{path} is damaged: a page at byte {position:,} claims an impossible size; get it again")
        if unpacked > max(MAX_PAGE_BYTES, packed * MAX_RATIO):
            raise DataError(
                f"{path}: a page at byte {position:,} claims to unpack {packed:,} bytes to {unpacked:,}; it is "
                f"refused, as more than {MAX_PAGE_BYTES // 1_000_000} MB must come from more bytes: write the file "
                "with smaller pages"
            )
        largest = max(largest, unpacked)
        position += length + packed
    return largest


def _page_header(content: bytes) -> tuple[int, int, int]:
    """Return (unpacked size, packed size, length of the header) in bytes."""
    sizes = {2: -1, 3: -1}
    position, field = 0, 0
    while (start := content[position]) != 0:
        field, kind, position = _field(content, position, field, start)
        if kind == 5 and field in sizes:
            value, position = _varint(content, position)
            sizes[field] = (value >> 1) ^ -(value & 1)
        else:
            position = _skip(content, position, kind, 0)
    return sizes[2], sizes[3], position + 1


def _field(content: bytes, position: int, last: int, start: int) -> tuple[int, int, int]:
    """Return (field, kind, where its value starts)."""
    position += 1
    if start >> 4:
        return last + (start >> 4), start & 15, position
    value, position = _varint(content, position)
    return (value >> 1) ^ -(value & 1), start & 15, position


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


def _skip(content: bytes, position: int, kind: int, depth: int) -> int:
    """Return where the value of ``kind`` at ``position`` ends."""
    if depth > _MAX_DEPTH:
        raise ValueError("structs in structs without end")
    if kind in (1, 2):  # true and false, which are in the kind itself
        return position
    if kind == 3:
        return position + 1
    if kind in (4, 5, 6):
        return _varint(content, position)[1]
    if kind == 7:
        return position + 8
    if kind == 8:
        length, position = _varint(content, position)
        return position + length
    if kind == 12:
        field = 0
        while (start := content[position]) != 0:
            field, inner, position = _field(content, position, field, start)
            position = _skip(content, position, inner, depth + 1)
        return position + 1
    # Lists, sets and maps: a page's header has none.
    raise ValueError(f"a value of kind {kind}")
