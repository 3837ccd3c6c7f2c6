"""A table of what mistakes cost, from a CSV file as spreadsheets write it."""

from __future__ import annotations

import csv
from pathlib import Path

from stepladder.errors import StudyError

#: Bytes of a file at most: a thousand classes have a million costs.
_MOST_BYTES = 64_000_000


def read_costs(path: Path) -> dict[str, dict[str, float]]:
    """Return costs by true and by predicted class.

    The first row names the predicted classes after its first cell; each row after it begins with the true class. An
    empty cell is a cost that is not given, as that of a right answer may be.

    Raises:
        StudyError: the file cannot be read, or is not such a table.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise StudyError(f"{path} is larger than any table of costs; give another file with `costs`")
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file) if any(cell.strip() for cell in row)]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise StudyError(f"cannot read {path} ({error}); give `costs` a CSV file of true by predicted class") from error
    if len(rows) < 2 or len(rows[0]) < 2:
        raise StudyError(f"{path} has no costs: a row of predicted classes, then a row for each true class")
    predicted = [name.strip() for name in rows[0][1:]]
    costs: dict[str, dict[str, float]] = {}
    for number, row in enumerate(rows[1:], start=2):
        true, cells = row[0].strip(), row[1:]
        if len(cells) > len(predicted):
            classes = f"the first row names {len(predicted)} classes"
            raise StudyError(f"{path}, row {number}: {len(cells)} costs, and {classes}")
        if true in costs:
            raise StudyError(f"{path}, row {number}: {true} is there twice; give each true class one row")
        costs[true] = {}
        for name, cell in zip(predicted, cells, strict=False):
            if not cell.strip():
                continue
            try:
                costs[true][name] = float(cell)
            except ValueError:
                raise StudyError(f"{path}, row {number}: {cell.strip()[:40]!r} is no number") from None
    return costs
