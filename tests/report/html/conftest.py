"""Studies with everything that a page shows, without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stepladder.datasets import Split, Splits
from stepladder.recipe import Recipe
from stepladder.studies.files.gallery import write_gallery
from stepladder.studies.files.predictions import write_predictions
from stepladder.studies.files.recommended import find_shown_model
from stepladder.studies.files.records import RungRecord, SavedStudy

MakeStudy = Callable[..., SavedStudy]
IMAGES = 200


@pytest.fixture(scope="session")
def complete_study(study_builder: MakeStudy, tiny_recipe: Callable[..., Recipe]) -> MakeStudy:
    """Make up a study and write what a reading of the test images leaves: predictions, probabilities, a gallery."""

    def make(folder: Path, **options: Any) -> SavedStudy:
        study = study_builder(folder, **options)
        recipe = tiny_recipe().to_table()
        rungs = tuple(RungRecord(name=rung.name, adds=rung.adds, recipe=recipe) for rung in study.record.rungs)
        study = SavedStudy(
            folder, study.record.model_copy(update={"rungs": rungs}), study.trials, study.readings, study.edited
        )
        if study.unread or study.missing:
            return study
        random = np.random.default_rng(0)
        classes = len(study.record.data.class_names)
        height, width, channels = study.record.data.image_shape
        labels = np.arange(IMAGES, dtype=np.int64) % classes
        pixels = random.integers(0, 256, (IMAGES, height, width, channels), dtype=np.uint8)
        split = Split(pixels, labels)
        answers = {}
        for trial in study.trials:
            logits = random.normal(0, 1, (IMAGES, classes))
            logits[np.arange(IMAGES), labels] += 3
            shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
            answers[trial.result.trial] = shares
            write_predictions(trial.folder, shares.argmax(axis=1), labels, classes, shares)
        shown = find_shown_model(study)
        if shown is not None:
            name = shown.trial.result.trial
            write_gallery(folder, name, answers[name], Splits(split, None, split, (), ""), classes)
        return study

    return make
