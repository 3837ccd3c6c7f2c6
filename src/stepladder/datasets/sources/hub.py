"""Data sets of the Hugging Face Hub: ``hf://datasets/user/name``, its parquet files or its folder of images.

They are fetched into the cache once, when that is allowed, and read from there by the source of their form; so what is
known of parquet and of folders holds for them as well. No script of a data set is run.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from stepladder.datasets.cache import HUB, cache_folder, private_folder
from stepladder.datasets.image_set import ImageSet
from stepladder.datasets.sources import folder as folders
from stepladder.datasets.sources import parquet
from stepladder.datasets.sources.base import LoadOptions, safe_name, split_of, split_of_name
from stepladder.datasets.walk import is_left_behind
from stepladder.errors import DataError, HubError, some_of
from stepladder.files import read_json, replace_json
from stepladder.hub import SCHEME, Address, UnreachableError, demand_space, fetch_file, list_files, parse_address

#: The branch on which the Hub keeps any data set that it can read as parquet, a folder a config and in it one a split.
_CONVERTED = "refs/convert/parquet"
#: Written last, so that a folder without it is not whole.
_WHOLE = "fetched.json"
#: Forms of images that the reader of folders knows; other files of a repository are not fetched.
_IMAGES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".avif", ".heic", ".dcm")
_TABLES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


@dataclass(frozen=True)
class _Plan:
    """What is to be fetched: files with their bytes, and the name of each in the folder that is read.

    Attributes:
        commit: that the data set was at.
        revision: where the files are; another one than the commit for those that the Hub converted.
        form: ``parquet`` or ``folder``.
    """

    commit: str
    revision: str
    form: str
    files: Mapping[str, int]
    names: Mapping[str, str]


def is_address(data: str) -> bool:
    """Whether data are named by an address of the Hub."""
    return data.startswith(SCHEME)


def load_hub(data: str, options: LoadOptions) -> ImageSet:
    """Load a data set of the Hub from the cache, and fetch it before where ``download`` allows that.

    Once fetched it is read without a connection, and stays at that commit.

    Raises:
        DataError: it is not on this computer and may not be fetched; or it has no images that can be read.
        HubError: the address or the Hub does not allow it.
    """
    address = parse_address(data, "dataset")
    access = options.access
    if access.data_dir is not None:
        raise DataError(f"`data_dir` is where a named image set is, and {data} is fetched from the Hub; leave it out")
    home = cache_folder() / HUB / address.repo.replace("/", "--") / (address.config or "_")
    found = _whole(home, address)
    if found is None:
        if not access.download:
            raise DataError(f"{address} is not on this computer; add `download=True` to fetch it")
        private_folder(cache_folder() / HUB)
        home.mkdir(parents=True, exist_ok=True)
        found = _fetch(address, home, options)
    inner, record = found
    if record["form"] == "parquet":
        options.labels.refuse_of_folders(str(address))
        options.labels.refuse_of_tables(str(address))
        image_set = parquet.SOURCE.load(inner, options)
    else:
        image_set = folders.SOURCE.load(inner, options)
    note = f"Fetched from {address}, commit {str(record['commit'])[:12]}."
    named = "-".join([*address.repo.split("/"), *([address.config] if address.config else [])])
    return replace(image_set, name=safe_name(named), notes=(note, *image_set.notes))


def _whole(home: Path, address: Address) -> tuple[Path, dict[str, str]] | None:
    """Return the folder that was fetched for this revision, and what is noted of it; None where there is none."""
    wanted = address.revision or "main"
    for marker in sorted(home.glob(f"*/{_WHOLE}")):
        record = read_json(marker)
        if isinstance(record, dict) and wanted in (record.get("revision"), record.get("commit")):
            return marker.parent / "files", record
    return None


def _fetch(address: Address, home: Path, options: LoadOptions) -> tuple[Path, dict[str, str]]:
    commit, files = list_files(address)
    plan = _of_parquet(address, commit, files) or _converted(address, commit) or _of_images(address, commit, files)
    if plan is None:
        raise DataError(
            f"{address} has no parquet files, none that the Hub converted, and no folders of images; it has "
            f"{some_of(sorted(files), 8) or 'no files'}"
        )
    whole = demand_space(address, plan.files, home)
    place = home / re.sub(r"[^0-9a-zA-Z]", "", commit)[:40]
    shutil.rmtree(place, ignore_errors=True)  # what an earlier attempt left
    staged, inner = place / "staged", place / "files"
    done = 0
    for name, size in plan.files.items():
        target = inner / plan.names[name]
        target.parent.mkdir(parents=True, exist_ok=True)
        fetched = fetch_file(address, name, folder=staged, revision=plan.revision)
        fetched.replace(target)
        done += size
        if options.access.on_download is not None:
            options.access.on_download(str(address), done, whole)
    shutil.rmtree(staged, ignore_errors=True)
    record = {"commit": commit, "revision": address.revision or "main", "form": plan.form}
    replace_json(place / _WHOLE, record)
    return inner, record


def _of_parquet(address: Address, commit: str, files: Mapping[str, int]) -> _Plan | None:
    """Plan the parquet files of a repository: those of one folder, which is its config, or of ``data``."""
    found = [name for name in files if name.endswith(".parquet") and not name.endswith(_TABLES)]
    return _planned(address, commit, commit, {name: files[name] for name in found}, split_folders=False)


def _converted(address: Address, commit: str) -> _Plan | None:
    """Plan what the Hub itself made parquet of, where it did."""
    try:
        _, files = list_files(address, revision=_CONVERTED)
    except UnreachableError:
        raise
    except HubError:  # it has none
        return None
    found = {name: size for name, size in files.items() if name.endswith(".parquet")}
    return _planned(address, commit, _CONVERTED, found, split_folders=True)


def _planned(
    address: Address, commit: str, revision: str, found: Mapping[str, int], *, split_folders: bool
) -> _Plan | None:
    if not found:
        return None
    by_config: dict[str, list[str]] = {}
    for name in sorted(found):
        above = name.rpartition("/")[0]
        if split_folders or split_of(above.rpartition("/")[2]):
            above = above.rpartition("/")[0]
        by_config.setdefault(above, []).append(name)
    config = _choose(address, by_config)
    names = {}
    for number, name in enumerate(by_config[config]):
        file = name.rpartition("/")[2]
        split = split_of_name(file) or split_of(name.rpartition("/")[0].rpartition("/")[2])
        # The reader tells splits by such names.
        names[name] = f"{split}-{number:05d}.parquet" if split else file
    return _Plan(commit, revision, "parquet", {name: found[name] for name in names}, names)


def _choose(address: Address, configs: Iterable[str]) -> str:
    """Return the config that the address names, or the only one there is."""
    named = {("default" if name in ("", "data") else name.removeprefix("data/")): name for name in configs}
    if address.config is not None:
        if address.config in named:
            return named[address.config]
        raise DataError(
            f"{Address('dataset', address.repo)} has no config {address.config}; it has {some_of(list(named))}"
        )
    if len(named) == 1:
        return next(iter(named.values()))
    if "default" in named:
        return named["default"]
    shown = Address("dataset", address.repo, config=next(iter(named)))
    raise DataError(f"{address} has the configs {some_of(list(named), 20)}; name one, as {shown}")


def _of_images(address: Address, commit: str, files: Mapping[str, int]) -> _Plan | None:
    """Plan the images of a repository that is a folder of them, with the tables that label them."""
    start = f"{address.config}/" if address.config else ""
    found = {
        name: size
        for name, size in files.items()
        if name.startswith(start) and (_is_image(name) or name.endswith(_TABLES))
    }
    if not any(map(_is_image, found)):
        return None
    return _Plan(commit, commit, "folder", found, {name: name.removeprefix(start) for name in found})


def _is_image(name: str) -> bool:
    path = Path(name)
    return path.suffix.lower() in _IMAGES and not any(map(is_left_behind, path.parts))
