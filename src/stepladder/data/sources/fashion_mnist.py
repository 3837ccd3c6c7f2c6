"""Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv:1708.07747): 70,000 grey images of clothes, 28×28, IDX files."""

from __future__ import annotations

from pathlib import Path

from stepladder.data.image_set import ImageSet
from stepladder.data.sources.base import LoadOptions, NamedSource
from stepladder.data.sources.idx import read_idx_split
from stepladder.data.wording import some_of
from stepladder.errors import DataError

#: Where Debian's and Ubuntu's package dataset-fashion-mnist puts the files.
DEBIAN_FOLDER = Path("/usr/share/datasets/fashion-mnist")

#: The names that the authors publish, in the order of the labels.
CLASS_NAMES = (
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
)

_FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}


def load(options: LoadOptions) -> ImageSet:
    """Load Fashion-MNIST from ``options.data_dir``, else from Debian's folder.

    Raises:
        DataError: a file is missing (the message says how to get it), truncated or no IDX file.
    """
    folder = options.data_dir if options.data_dir is not None else DEBIAN_FOLDER
    missing = [f"{stem}.gz" for stems in _FILES.values() for stem in stems if _find(folder, stem) is None]
    if missing:
        raise DataError(
            f"fashion-mnist is not in {folder} (missing: {some_of(missing)}); install it with 'sudo apt install "
            "dataset-fashion-mnist' (Debian, Ubuntu), or give --data-dir DIR with the four files "
            f"{', '.join(f'{stem}.gz' for stems in _FILES.values() for stem in stems)} (with or without .gz)"
        )
    splits = {}
    for split_name, (images, labels) in _FILES.items():
        images_path, labels_path = _find(folder, images), _find(folder, labels)
        assert images_path is not None
        assert labels_path is not None
        splits[split_name] = read_idx_split(images_path, labels_path, len(CLASS_NAMES))
    if splits["train"].images.shape[1:] != splits["test"].images.shape[1:]:
        raise DataError(f"train and test images in {folder} differ in size; get the four files that belong together")
    return ImageSet("fashion-mnist", CLASS_NAMES, splits)


def _find(folder: Path, stem: str) -> Path | None:
    candidates = (folder / f"{stem}.gz", folder / stem)
    return next((path for path in candidates if path.is_file()), None)


SOURCE = NamedSource(
    "fashion-mnist", "70,000 grey images of clothes, 28×28, from Debian's dataset-fashion-mnist or --data-dir", load
)
