"""What a user's own command told of its training, a row an epoch: ``history.csv`` in the folder of its trial.

The command's own file, whatever its columns are called, stays below ``out/``; this is what was understood of it.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path

from stepladder.errors import DamagedError
from stepladder.files import read_plain, replace_text, unreadable

#: Its name in the folder of a trial: that of every other trial's, with other columns.
RUN_HISTORY = "history.csv"


@dataclass(frozen=True)
class RunEpoch:
    """One epoch of a user's own command; None where it told nothing.

    Attributes:
        epoch: as the command counts them, or the number of the row, from 1.
        train_score, val_score: by the metric that decides, in its unit; a share is a fraction of 1.
        train_loss, val_loss: as the command measures it.
    """

    epoch: int
    train_score: float | None = None
    val_score: float | None = None
    train_loss: float | None = None
    val_loss: float | None = None


_COLUMNS = tuple(field.name for field in fields(RunEpoch))


def write_run_history(folder: Path, epochs: Sequence[RunEpoch]) -> None:
    """Replace the history of a trial; without epochs, remove the one of an earlier attempt.

    Raises:
        StorageError: it cannot be written.
    """
    if not epochs:
        (folder / RUN_HISTORY).unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    writer.writerows(["" if value is None else repr(value) for value in astuple(epoch)] for epoch in epochs)
    replace_text(folder / RUN_HISTORY, text.getvalue())


def read_run_history(folder: Path) -> tuple[RunEpoch, ...]:
    """Return the history of a trial; nothing where its command told none.

    Raises:
        DamagedError: it is not what :func:`write_run_history` wrote.
        StorageError: it cannot be read.
    """
    path = folder / RUN_HISTORY
    try:
        rows = list(csv.reader(io.StringIO(read_plain(path, follow=False).decode()), strict=True))
    except FileNotFoundError:
        return ()
    except OSError as error:
        raise unreadable(path, error) from error
    except (ValueError, csv.Error) as error:
        raise _damaged(path, str(error)) from error
    if not rows or tuple(rows[0]) != _COLUMNS or any(len(row) != len(_COLUMNS) for row in rows):
        raise _damaged(path, "it has not the columns of a history")
    try:
        epochs = tuple(
            RunEpoch(int(epoch), *(float(cell) if cell else None for cell in cells)) for epoch, *cells in rows[1:]
        )
    except ValueError as error:
        raise _damaged(path, str(error)) from error
    if not all(value is None or math.isfinite(value) for epoch in epochs for value in astuple(epoch)):
        raise _damaged(path, "it has a figure that is no number")
    return epochs


def _damaged(path: Path, what: str) -> DamagedError:
    return DamagedError(f"{path} is damaged ({what})", "remove it to run the trial again")
