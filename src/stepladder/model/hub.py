"""A model folder on the Hugging Face Hub: fetched into the library's own cache, and sent.

Only the files that a model folder has are ever asked for or sent: tensors without code, plain tables, and the card.
What else a repository holds, a pickle or a program, is not touched.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from stepladder.errors import HubError, StorageError, unknown
from stepladder.files import read_plain, replace_bytes
from stepladder.hub import (
    Address,
    UnreachableError,
    as_sentences,
    cached_file,
    demand_space,
    fetch_file,
    library,
    list_files,
)

#: The files of a model folder, and the most bytes that each may have. ``trained-on.json`` is not among them: it tells
#: by fingerprints which images the model was trained on.
FILES: Mapping[str, int] = {
    "config.json": 16_000_000,
    "model.safetensors": 50_000_000_000,
    "README.md": 1_000_000,
    "limits.json": 16_000_000,
    "unlikeness.safetensors": 2_000_000_000,
}
_NEEDED = ("config.json", "model.safetensors")

#: Licenses by the names that the Hub has for them, the common ones of models first.
LICENSES = (
    *("apache-2.0", "mit", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc0-1.0"),
    *("openrail", "bsd-3-clause", "bsd-2-clause", "gpl-3.0", "lgpl-3.0", "agpl-3.0", "mpl-2.0", "eupl-1.2"),
    *("cc-by-nc-nd-4.0", "cc-by-nd-4.0", "odc-by", "odbl", "pddl", "unlicense", "wtfpl", "isc", "zlib", "other"),
)


def pull_model(address: Address) -> Path:
    """Return the folder of a model in the Hub's cache, fetched where it is not there or the Hub has a newer one.

    Without a connection, what was fetched before is taken.

    Raises:
        HubError: there is no such repository, it holds no model of Stepladder, or it cannot be reached.
        StorageError: a file is larger than it may be, or than the disk has room for.
    """
    try:
        _, there = list_files(address)
    except UnreachableError:
        cached = cached_file(address, "config.json")
        if cached is None or not all((cached.parent / name).exists() for name in _NEEDED):
            raise
        return cached.parent
    missing = [name for name in _NEEDED if name not in there]
    if missing:
        raise HubError(
            f"{address} holds no model of Stepladder: it has no {' and no '.join(missing)}; give a repository that "
            "`stepladder push` wrote"
        )
    wanted = {name: there[name] for name in FILES if name in there}
    for name, size in wanted.items():
        demand_space(address, {name: size}, Path.home(), most=FILES[name])
    folders = {fetch_file(address, name).parent for name in wanted}
    if len(folders) > 1:
        raise HubError(f"{address} changed while it was fetched; try again, or name a commit with @")
    return folders.pop()


def copy_model(source: Path, out: Path) -> list[Path]:
    """Copy the files of a model folder into ``out``, and return their paths.

    Raises:
        StorageError: the folder holds other things, or a file cannot be read or written.
    """
    if out.exists() and (not out.is_dir() or any(each.name not in FILES for each in out.iterdir())):
        raise StorageError(f"`out` is {out}, which holds other things; name a new folder, or one with a model alone")
    written = []
    for name, most in FILES.items():
        if (source / name).exists():
            replace_bytes(out / name, read_plain(source / name, most))
            written.append(out / name)
    return written


@dataclass(frozen=True)
class Parcel:
    """What is about to be sent.

    Attributes:
        files: the bytes of each file, or where it lies, by its name there.
        license: by its name on the Hub.
    """

    address: Address
    files: Mapping[str, bytes | Path]
    license: str
    private: bool

    @property
    def sizes(self) -> dict[str, int]:
        """The bytes of each file."""
        return {
            name: len(content) if isinstance(content, bytes) else content.stat().st_size
            for name, content in self.files.items()
        }


def check_license(name: str | None) -> str:
    """Return a license that the Hub has a name for.

    Raises:
        HubError: none was given, or there is none of that name.
    """
    if name is None:
        raise HubError(
            "a model needs a license that says what others may do with it, and it is yours to choose, with the terms "
            f"of its images in mind; give `license` one of: {', '.join(LICENSES)}"
        )
    if name not in LICENSES:
        raise HubError(unknown("license", name, LICENSES))
    return name


def find_private(text: str, words: Mapping[str, str]) -> str | None:
    """Return what in a text is nobody else's business, with what it is: a path of this machine, or one of ``words``."""
    for word, what in words.items():
        if len(word) > 2 and re.search(rf"(?<![\w]){re.escape(word)}(?![\w])", text):
            return f"{what}, {word}"
    found = re.search(
        r"(?<![\w:/.<])(?:/(?:home|Users|root|mnt|media|tmp|var|data|srv|opt)/[\w./-]+|[A-Z]:\\[\w\\.-]+)", text
    )
    return f"a path of this machine, {found[0]}" if found else None


def send(parcel: Parcel, message: str) -> str:
    """Send a parcel in one commit, and return the address of the page of the commit's repository.

    Who sends it is whoever is logged in: huggingface_hub's own login or ``HF_TOKEN``.

    Raises:
        HubError: nobody is logged in, or the Hub refuses it.
    """
    hub, address = library(), parcel.address
    with as_sentences(address):
        interface = hub.HfApi()
        if hub.get_token() is None:
            raise HubError("nobody is logged in to the Hugging Face Hub; run 'hf auth login', or set HF_TOKEN")
        made = interface.create_repo(address.repo, private=parcel.private, exist_ok=True)
        if address.revision not in (None, "main"):
            interface.create_branch(address.repo, branch=address.revision, exist_ok=True)
        operations = [
            hub.CommitOperationAdd(name, content if isinstance(content, bytes) else str(content))
            for name, content in parcel.files.items()
        ]
        interface.create_commit(address.repo, operations, commit_message=message, revision=address.revision)
        return str(made)
