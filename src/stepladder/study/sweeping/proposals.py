"""Where a search keeps its proposals: Optuna's storage, and its URL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stepladder.errors import StudyError, missing_extra


def sqlite_url(path: Path) -> str:
    """Return the storage URL of a SQLite file, whatever signs its path has."""
    from sqlalchemy.engine import URL  # comes with optuna

    return URL.create("sqlite", database=str(path.resolve())).render_as_string()


def import_optuna() -> Any:
    """Return Optuna, which then warns only of what matters.

    Raises:
        StudyError: it is not installed.
    """
    try:
        import optuna
    except ImportError as error:
        raise StudyError(missing_extra("optuna", "search")) from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna


@contextmanager
def open_storage(optuna: Any, url: str, asked: str | None) -> Iterator[Any]:
    """Open a storage and close it again; SQLite would keep the file.

    Args:
        url: Optuna's storage URL.
        asked: the one that the user gave, if any, for messages.

    Raises:
        StudyError: it cannot be opened.
    """
    try:
        kept = optuna.storages.RDBStorage(url)
    except Exception as error:  # whatever the database's driver raises
        reason = hide_password(str(error)).strip().partition("\n")[0] or type(error).__name__
        place = f"--storage {hide_password(asked)}" if asked else f"the search's storage {url}"
        raise StudyError(
            f"cannot open {place}: {reason}; give an Optuna storage URL, as sqlite:///search.db"
        ) from error
    try:
        yield kept
    finally:
        kept.remove_session()
        kept.engine.dispose()


def hide_password(text: str) -> str:
    """Return a text without the password of the URL in it: commands are written into files that are passed on."""
    return re.sub(r"(://[^/@\s:]*):[^@/\s]*@", r"\1:***@", text)
