"""MNIST (LeCun, Bottou, Bengio and Haffner, Proceedings of the IEEE 86(11), 1998): 70,000 handwritten digits, 28×28."""

from __future__ import annotations

from stepladder.data.image_set import ImageSet
from stepladder.data.sources.base import LoadOptions, NamedSource
from stepladder.data.sources.mnist_like import IdxSet, load_idx_set, published

# The first author's page no longer gives the files; these two copies are what TensorFlow Datasets and torchvision use.
# Sizes and sums as in both.
_SET = IdxSet(
    "mnist",
    tuple("0123456789"),
    published(
        "mnist",
        ("https://ossci-datasets.s3.amazonaws.com/mnist", "https://storage.googleapis.com/cvdf-datasets/mnist"),
        (
            (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
        ),
    ),
)


def load(options: LoadOptions) -> ImageSet:
    """Load MNIST from ``options.data_dir``, else from the cache or its site.

    Raises:
        DataError: a file is missing (the message says how to get it), truncated or no IDX file.
    """
    return load_idx_set(_SET, options)


SOURCE = NamedSource("mnist", "70,000 handwritten digits, 28×28 grey; --data-dir, the cache or --download", load)
