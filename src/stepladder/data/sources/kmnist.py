"""Kuzushiji-MNIST (Clanuwat et al., arXiv:1812.01718): 70,000 cursive Japanese characters, 28×28, IDX files."""

from __future__ import annotations

from stepladder.data.image_set import ImageSet
from stepladder.data.sources.base import LoadOptions, NamedSource
from stepladder.data.sources.mnist_like import IdxSet, load_idx_set, published

# Sizes and sums as in TensorFlow Datasets and torchvision.
_SET = IdxSet(
    "kmnist",
    ("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
    published(
        "kmnist",
        ("https://codh.rois.ac.jp/kmnist/dataset/kmnist", "http://codh.rois.ac.jp/kmnist/dataset/kmnist"),
        (
            (18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            (29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            (3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            (5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
        ),
    ),
)


def load(options: LoadOptions) -> ImageSet:
    """Load Kuzushiji-MNIST from ``options.data_dir``, else from the cache or its site.

    Raises:
        DataError: a file is missing (the message says how to get it), truncated or no IDX file.
    """
    return load_idx_set(_SET, options)


SOURCE = NamedSource(
    "kmnist", "70,000 cursive Japanese characters, 28×28 grey; --data-dir, the cache or --download", load
)
