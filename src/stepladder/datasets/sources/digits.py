"""scikit-learn's handwritten digits: 1,797 gray images of 8×8 pixels, part of the installed package."""

from __future__ import annotations

import numpy as np

from stepladder.datasets.image_set import ImageSet, Split
from stepladder.datasets.sources.base import LoadOptions, NamedSource
from stepladder.errors import DataError


def load(options: LoadOptions) -> ImageSet:
    """Load the digits; there is no test split (Alpaydin and Kaynak, UCI, 1998; scikit-learn carries its test part)."""
    from sklearn.datasets import load_digits  # seconds that no other image set has to wait for

    if options.access.data_dir is not None:
        raise DataError(
            "`data_dir` is where the files of an image set are, and digits come with scikit-learn; leave it out"
        )
    digits = load_digits()
    # Each value counts the ink in a 4×4 block, 0 to 16.
    images = np.round(digits.images * 255 / 16).astype(np.uint8)[:, :, :, None]
    names = tuple(str(name) for name in digits.target_names)
    return ImageSet("digits", names, {"train": Split(images, digits.target.astype(np.int64))})


SOURCE = NamedSource("digits", "scikit-learn's 1,797 handwritten digits, 8×8 gray, embedded", load)
