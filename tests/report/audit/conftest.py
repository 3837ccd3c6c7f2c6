"""Audits of small sets, made by looking at them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Split, load_image_set
from stepladder.datasets.audit import ImageAudit, audit_image_set


@pytest.fixture(scope="session")
def digits_audit() -> ImageAudit:
    return audit_image_set(load_image_set("digits"))


@pytest.fixture
def make_troubled() -> Callable[..., ImageAudit]:
    """Digits with everything wrong: copies across splits, constant and damaged images, uneven classes."""

    def make(names: tuple[str, str] = ("zero", "one"), **options: object) -> ImageAudit:
        digits = load_image_set("digits").splits["train"]
        chosen = np.concatenate([np.flatnonzero(digits.labels == 0)[:90], np.flatnonzero(digits.labels == 1)[:30]])
        images, labels = digits.images[chosen].copy(), digits.labels[chosen]
        images[5], images[6], images[100] = 255, 255, images[99]
        test = np.concatenate([np.arange(80, 90), np.arange(110, 120)])
        train = np.setdiff1d(np.arange(120), test)
        shared = np.arange(4)
        splits = {
            "train": Split(images[train], labels[train]),
            "test": Split(images[np.concatenate([test, shared])], np.concatenate([labels[test], 1 - labels[shared]])),
        }
        damaged = (("images/one/7.png", "the file is empty (0 bytes)"), ("images/zero/1.jpg", "damaged: truncated"))
        notes = ("Image sizes differ: each was resized.",)
        return audit_image_set(ImageSet("troubled", names, splits, notes), damaged)

    return make
