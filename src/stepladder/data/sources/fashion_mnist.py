"""Fashion-MNIST (Xiao, Rasul and Vollgraf, arXiv:1708.07747): 70,000 grey images of clothes, 28×28, IDX files."""

from __future__ import annotations

from pathlib import Path

from stepladder.data.image_set import ImageSet
from stepladder.data.sources.base import LoadOptions, NamedSource
from stepladder.data.sources.mnist_like import IdxSet, load_idx_set, published

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

# Sizes and sums as in TensorFlow Datasets and torchvision. Debian's files hold the same, compressed anew.
_SET = IdxSet(
    "fashion-mnist",
    CLASS_NAMES,
    published(
        "fashion-mnist",
        ("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",),
        (
            (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
        ),
    ),
)


def load(options: LoadOptions) -> ImageSet:
    """Load Fashion-MNIST from ``options.data_dir``, else from Debian's folder, the cache, or its site.

    Raises:
        DataError: a file is missing (the message says how to get it), truncated or no IDX file.
    """
    return load_idx_set(_SET, options, (DEBIAN_FOLDER, "sudo apt install dataset-fashion-mnist"))


SOURCE = NamedSource(
    "fashion-mnist",
    "70,000 grey images of clothes, 28×28; --data-dir, Debian's dataset-fashion-mnist, the cache or --download",
    load,
)
