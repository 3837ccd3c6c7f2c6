"""MNIST and the sets that are published like it: four IDX files each, found on this computer or fetched.

A further set is one more entry of :data:`SETS`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stepladder.datasets.download import Published, downloads, fetch, kept
from stepladder.datasets.image_set import ImageSet
from stepladder.datasets.sources.base import LoadOptions, NamedSource
from stepladder.datasets.sources.idx import check_sizes, read_idx_split
from stepladder.errors import DataError, some_of

#: The four files, in the order of the sums in :func:`_published`.
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
        description: one line.
        class_names: in the order of the labels.
        files: as published, in the order of :data:`STEMS`; their names in the cache start with that of the set.
        package: the folder of a system's package that brings them, and the command that installs it.
    """

    description: str
    class_names: tuple[str, ...]
    files: tuple[Published, ...]
    package: tuple[Path, str] | None = None


def _published(name: str, sites: tuple[str, ...], files: tuple[tuple[int, str], ...]) -> tuple[Published, ...]:
    """Return the four gzip files of a set, from (size, SHA-256) of each."""
    return tuple(
        Published(f"{name}-{stem}.gz", tuple(f"{site}/{stem}.gz" for site in sites), size, sha256)
        for stem, (size, sha256) in zip(STEMS, files, strict=True)
    )


#: The sets by name. Sizes and sums are those in TensorFlow Datasets and torchvision.
SETS = {
    # LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86(11), 1998. The first author's page no longer gives
    # the files; these two copies are what TensorFlow Datasets and torchvision use.
    "mnist": IdxSet(
        "70,000 handwritten digits, 28×28 gray; from a folder, the cache or its site",
        tuple("0123456789"),
        _published(
            "mnist",
            ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
            (
                (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
                (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
                (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
                (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
            ),
        ),
    ),
    # Xiao, Rasul and Vollgraf, arXiv:1708.07747; the class names are the authors'. Debian's and Ubuntu's package holds
    # the same files, compressed anew.
    "fashion-mnist": IdxSet(
        "70,000 gray images of clothes, 28×28; from a folder, Debian's dataset-fashion-mnist, the cache or its site",
        (
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        _published(
            "fashion-mnist",
            ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",),
            (
                (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
                (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
                (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
                (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
            ),
        ),
        (Path("/usr/share/datasets/fashion-mnist"), "sudo apt install dataset-fashion-mnist"),
    ),
    # Clanuwat et al., arXiv:1812.01718.
    "kmnist": IdxSet(
        "70,000 cursive Japanese characters, 28×28 gray; from a folder, the cache or its site",
        ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        _published(
            "kmnist",
            ("https://codh.rois.ac.jp/kmnist/dataset/kmnist", "http://codh.rois.ac.jp/kmnist/dataset/kmnist"),
            (
                (18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
                (29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
                (3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
                (5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
            ),
        ),
    ),
}


def load(options: LoadOptions, name: str) -> ImageSet:
    """Load a set from the user's folder, else from where a system's package puts it, the cache, or its site.

    Files of the cache are compared with their SHA-256; those that the user gives are read as they are, plain or gzip.

    Raises:
        DataError: files are missing (the message says how to get them), damaged, or do not belong together.
    """
    idx_set = SETS[name]
    folder = options.access.path
    if folder is None and idx_set.package is not None and idx_set.package[0].is_dir():
        folder = idx_set.package[0]
    if folder is not None:
        pairs = _pairs_in(name, folder)
    else:
        paths = [_kept_or_fetched(name, file, options) for file in idx_set.files]
        folder = downloads()
        pairs = {"train": (paths[0], paths[1]), "test": (paths[2], paths[3])}
    splits = {split: read_idx_split(*pair, len(idx_set.class_names)) for split, pair in pairs.items()}
    check_sizes(folder, splits)
    return ImageSet(name, idx_set.class_names, splits)


def _pairs_in(name: str, folder: Path) -> dict[str, tuple[Path, Path]]:
    found = [next((path for path in (folder / f"{stem}.gz", folder / stem) if path.is_file()), None) for stem in STEMS]
    missing = [f"{stem}.gz" for stem, path in zip(STEMS, found, strict=True) if path is None]
    if missing:
        raise DataError(
            f"{name} is not in {folder} (missing: {some_of(missing)}); give `data_dir` as a folder with the four "
            "files, with or without .gz, or leave it out and add `download=True`"
        )
    paths = [path for path in found if path is not None]
    return {"train": (paths[0], paths[1]), "test": (paths[2], paths[3])}


def _kept_or_fetched(name: str, file: Published, options: LoadOptions) -> Path:
    if options.access.download:
        return fetch(file, options.access.on_download)
    if (path := kept(file)) is not None:
        return path
    idx_set = SETS[name]
    total = sum(each.size for each in idx_set.files) / 1e6
    places, install = f"{downloads()}", ""
    if idx_set.package is not None:
        places = f"{idx_set.package[0]} or {places}"
        install = f", or install it with '{idx_set.package[1]}' (Debian, Ubuntu)"
    raise DataError(
        f"{name} is not in {places}; add `download=True` to fetch it ({total:.0f} MB from {file.host}){install}, "
        f"or give `data_dir` as a folder with {', '.join(f'{stem}.gz' for stem in STEMS)} (with or without .gz)"
    )


SOURCES = tuple(NamedSource(name, idx_set.description, partial(load, name=name)) for name, idx_set in SETS.items())
