"""From a path to a trained model."""

from __future__ import annotations

import pytest

from stepladder.errors import StorageError
from stepladder.model.find import find_model, model_folder
from stepladder.model.folder import Model


def test_a_model_is_found_in_its_folder_and_in_that_of_its_trial(saved):
    assert model_folder(saved) == saved
    assert model_folder(saved.parent) == saved
    assert isinstance(find_model(saved.parent), Model)


def test_what_is_no_model_says_where_one_is(tmp_path):
    (tmp_path / "study.json").touch()
    with pytest.raises(StorageError, match="is a study with a model in each trial; choose one"):
        model_folder(tmp_path)
    with pytest.raises(StorageError, match=r"nowhere does not exist; give the model folder"):
        model_folder(tmp_path / "nowhere")
    (tmp_path / "notes.txt").touch()
    with pytest.raises(StorageError, match=r"notes\.txt is no model; give"):
        model_folder(tmp_path / "notes.txt")
