"""The Hugging Face Hub: addresses, files that are fetched from it, and its errors as sentences.

All of it goes through huggingface_hub: its login, its cache of files, its variables (``HF_ENDPOINT``, ``HF_HOME``,
``HF_HUB_OFFLINE``). A repository may be anybody's, so only files that were asked for by name are fetched, of a size
that was looked at before, and nothing in one is run.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from stepladder.errors import HubError, StepladderError, StorageError, missing_extra, printable, some_of

#: What an address begins with.
SCHEME = "hf://"

#: More is no list of files that anybody reads as images.
MOST_FILES = 200_000

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9])?"
_REVISION = r"[A-Za-z0-9][A-Za-z0-9_./-]{0,199}"
_ADDRESS = re.compile(
    rf"(?P<datasets>datasets/)?(?P<repo>{_NAME}/{_NAME})(?:@(?P<early>{_REVISION}))?(?:/(?P<config>{_NAME}))?"
    rf"(?:@(?P<late>{_REVISION}))?"
)


class UnreachableError(HubError):
    """There is no way to the Hub, or it was closed."""


@dataclass(frozen=True)
class Address:
    """A repository of the Hub.

    Attributes:
        repo: ``user/name``.
        revision: a branch, a tag or a commit; None for the newest.
        config: of a data set that has several, which one.
    """

    kind: Literal["model", "dataset"]
    repo: str
    revision: str | None = None
    config: str | None = None

    def __str__(self) -> str:
        kind = "datasets/" if self.kind == "dataset" else ""
        config = f"/{self.config}" if self.config else ""
        return f"{SCHEME}{kind}{self.repo}{config}{f'@{self.revision}' if self.revision else ''}"


def parse_address(text: str, kind: Literal["model", "dataset"]) -> Address:
    """Return the repository that an address names.

    >>> parse_address("hf://anna/flowers@v2", "model").revision
    'v2'

    Args:
        text: ``user/name``, with ``hf://`` before it or not, with ``@revision`` after it or not; of a data set
            ``hf://datasets/user/name/config``.

    Raises:
        HubError: it names none, or one of the other kind.
    """
    form = "hf://user/name@revision" if kind == "model" else "hf://datasets/user/name/config@revision"
    found = _ADDRESS.fullmatch(text.removeprefix(SCHEME))
    shown = printable(text)[:200]
    if found is None or ".." in text or "--" in text or (found["early"] and found["late"]):
        raise HubError(f"'{shown}' is no address on the Hugging Face Hub; write it as {form}")
    if kind == "dataset" and not found["datasets"]:
        raise HubError(f"'{shown}' is the address of a model, and images are asked for; write {form}")
    if kind == "model" and (found["datasets"] or found["config"]):
        raise HubError(f"'{shown}' is no address of a model; write it as {form}")
    return Address(kind, found["repo"], found["early"] or found["late"], found["config"])


def library() -> Any:
    """Return huggingface_hub, its bars and reports switched off.

    Raises:
        HubError: it is not installed.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        import huggingface_hub
    except ImportError as error:
        raise HubError(missing_extra("huggingface_hub", "hub")) from error
    return huggingface_hub


@contextmanager
def as_sentences(address: Address) -> Iterator[None]:
    """Turn what the Hub's library raises into one sentence with the fix.

    Raises:
        UnreachableError: there is no way to the Hub.
        HubError: anything else.
    """
    library()
    from huggingface_hub import errors

    whom = f"the {'model' if address.kind == 'model' else 'data set'} {address.repo}"
    try:
        yield
    except StepladderError:
        raise
    except errors.GatedRepoError as error:
        raise HubError(
            f"{whom} is open only to those who accepted its terms on the Hub; accept them there, and log in with "
            "'hf auth login' or HF_TOKEN"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise HubError(
            f"{whom} has no revision {address.revision or 'main'}; look on the Hub for its branches"
        ) from error
    except errors.RepositoryNotFoundError as error:
        raise HubError(
            f"there is no {whom.removeprefix('the ')} on the Hub, or it is private; check its name, or log in with "
            "'hf auth login' or HF_TOKEN"
        ) from error
    except errors.LocalTokenNotFoundError as error:
        raise HubError("nobody is logged in to the Hugging Face Hub; run 'hf auth login', or set HF_TOKEN") from error
    except (errors.OfflineModeIsEnabled, errors.LocalEntryNotFoundError) as error:
        raise UnreachableError(_no_way(whom)) from error
    except errors.HfHubHTTPError as error:
        code = getattr(error.response, "status_code", None)
        if code in (401, 403):
            raise HubError(
                f"the Hub refuses {whom} (status {code}); log in with 'hf auth login' or HF_TOKEN, with a token that "
                "may do this"
            ) from error
        raise HubError(f"the Hub answers for {whom} with status {code}; try again later") from error
    except Exception as error:  # of whichever library it speaks through
        if _is_of_the_line(error):
            raise UnreachableError(_no_way(whom)) from error
        if not isinstance(error, errors.HFValidationError | ValueError | OSError):
            raise
        raise HubError(f"{whom} could not be had from the Hub ({_short(error)}); try again") from error


def list_files(address: Address, revision: str | None = None) -> tuple[str, dict[str, int]]:
    """Ask the Hub for the commit of a repository and the bytes of each of its files, by name.

    Files whose names lead out of a folder are left out.

    Raises:
        HubError: there is no such repository, or it cannot be asked.
    """
    hub = library()
    with as_sentences(address):
        found = hub.HfApi().repo_info(
            address.repo, repo_type=address.kind, revision=revision or address.revision, files_metadata=True
        )
        siblings = found.siblings or []
        if len(siblings) > MOST_FILES:
            raise HubError(f"{address} has {len(siblings):,} files, more than the {MOST_FILES:,} that are read")
        files = {one.rfilename: int(one.size or 0) for one in siblings if is_safe(one.rfilename)}
        return str(found.sha), files


def is_safe(name: str) -> bool:
    """Whether a file's name in a repository stays below the folder that it is written to, on every system.

    >>> is_safe("data/train.parquet"), is_safe("../../.bashrc"), is_safe("C:/x")
    (True, False, False)
    """
    parts = name.split("/")
    return len(name) <= 1000 and all(
        part not in ("", ".", "..") and part.isprintable() and not set(part) & set('\\:*?"<>|') for part in parts
    )


def fetch_file(address: Address, name: str, *, folder: Path | None = None, revision: str | None = None) -> Path:
    """Fetch one file that the list of a repository has, and return where it lies.

    Args:
        folder: where it is written under its name; by default the library's own cache, which works offline as well.

    Raises:
        HubError: it cannot be had.
    """
    hub = library()
    with as_sentences(address):
        path = hub.hf_hub_download(
            address.repo,
            name,
            repo_type=address.kind,
            revision=revision or address.revision,
            local_dir=None if folder is None else str(folder),
        )
        return Path(path)


def cached_file(address: Address, name: str) -> Path | None:
    """Return where a file lies in the library's cache; None where it is not there. Nothing is fetched."""
    found = library().try_to_load_from_cache(
        address.repo, name, repo_type=address.kind, revision=address.revision or "main"
    )
    return Path(found) if isinstance(found, str) else None


def demand_space(address: Address, files: Mapping[str, int], folder: Path, most: int | None = None) -> int:
    """Return the bytes of files that are about to be fetched.

    Raises:
        StorageError: they are more than ``most``, or than the disk has free.
    """
    size = sum(files.values())
    if most is not None and size > most:
        names = some_of(sorted(files, key=lambda name: -files[name]), 3)
        raise StorageError(
            f"{address} has {size / 1e9:,.1f} GB in {names}, more than the {most / 1e9:,.1f} GB it may have"
        )
    there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
    free = shutil.disk_usage(there).free
    if size > free:
        raise StorageError(
            f"{address} has {size / 1e9:,.1f} GB, and {there} has {free / 1e9:,.1f} GB free; make room, or set HF_HOME "
            "or STEPLADDER_CACHE to a larger disk"
        )
    return size


def _no_way(whom: str) -> str:
    return (
        f"the Hugging Face Hub cannot be reached, and {whom} is not whole on this computer; try again with a connection"
    )


def _is_of_the_line(error: Exception) -> bool:
    """Whether there was no connection: huggingface_hub 1 speaks through httpx, and 2 through httpx2."""
    named = any(base.__name__ == "TransportError" and "httpx" in base.__module__ for base in type(error).__mro__)
    return named or isinstance(error, ConnectionError | TimeoutError)


def _short(error: BaseException) -> str:
    return printable(" ".join(str(error).split()))[:200] or type(error).__name__
