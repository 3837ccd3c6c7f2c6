"""What MNIST and the sets that copy its format share: four IDX files, found on this computer or fetched."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from stepladder.data.download import Published, downloads, fetch, kept
from stepladder.data.image_set import ImageSet
from stepladder.data.sources.base import LoadOptions
from stepladder.data.sources.idx import check_sizes, read_idx_split
from stepladder.data.wording import some_of
from stepladder.errors import DataError

#: The four files, in the order of the sums in :func:`published`.
STEMS = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)


@dataclass(frozen=True)
class IdxSet:
    """A published set of four IDX files.

    Attributes:
        name: what the user types.
        class_names: in the order of the labels.
        files: as published, in the order of :data:`STEMS`; their names in the cache start with that of the set.
    """

    name: str
    class_names: tuple[str, ...]
    files: tuple[Published, ...]


def published(name: str, sites: tuple[str, ...], files: tuple[tuple[int, str], ...]) -> tuple[Published, ...]:
    """Return the four gzip files of a set, from (size, SHA-256) of each."""
    return tuple(
        Published(f"{name}-{stem}.gz", tuple(f"{site}/{stem}.gz" for site in sites), size, sha256)
        for stem, (size, sha256) in zip(STEMS, files, strict=True)
    )


def load_idx_set(idx_set: IdxSet, options: LoadOptions, package: tuple[Path, str] | None = None) -> ImageSet:
    """Load the set from ``options.data_dir``, else from where a system's package puts it, the cache, or its site.

    Files of the cache are held against their SHA-256; those that the user gives are read as they are.

    Args:
        idx_set: which one.
        options: ``data_dir`` is a folder with the files, plain or gzip.
        package: the folder of a package and the command that installs it.

    Raises:
        DataError: files are missing (the message says how to get them), damaged, or do not belong together.
    """
    folder = options.data_dir
    if folder is None and package is not None and package[0].is_dir():
        folder = package[0]
    if folder is not None:
        pairs = _pairs_in(idx_set, folder)
    else:
        paths = [_kept_or_fetched(idx_set, file, options, package) for file in idx_set.files]
        folder = downloads()
        pairs = {"train": (paths[0], paths[1]), "test": (paths[2], paths[3])}
    splits = {name: read_idx_split(*pair, len(idx_set.class_names)) for name, pair in pairs.items()}
    check_sizes(folder, splits)
    return ImageSet(idx_set.name, idx_set.class_names, splits)


def _pairs_in(idx_set: IdxSet, folder: Path) -> dict[str, tuple[Path, Path]]:
    found = [next((path for path in (folder / f"{stem}.gz", folder / stem) if path.is_file()), None) for stem in STEMS]
    missing = [f"{stem}.gz" for stem, path in zip(STEMS, found, strict=True) if path is None]
    if missing:
        raise DataError(
            f"{idx_set.name} is not in {folder} (missing: {some_of(missing)}); give --data-dir DIR with the four "
            "files, with or without .gz, or leave it out and add --download"
        )
    paths = [path for path in found if path is not None]
    return {"train": (paths[0], paths[1]), "test": (paths[2], paths[3])}


def _kept_or_fetched(idx_set: IdxSet, file: Published, options: LoadOptions, package: tuple[Path, str] | None) -> Path:
    if options.download:
        return fetch(file, options.on_download)
    if (path := kept(file)) is not None:
        return path
    total = sum(each.size for each in idx_set.files) / 1e6
    places = f"{downloads()}" if package is None else f"{package[0]} or {downloads()}"
    install = "" if package is None else f", or install it with '{package[1]}' (Debian, Ubuntu)"
    raise DataError(
        f"{idx_set.name} is not in {places}; add --download to fetch it ({total:.0f} MB from {file.host}){install}, "
        f"or give --data-dir DIR with {', '.join(f'{stem}.gz' for stem in STEMS)} (with or without .gz)"
    )
