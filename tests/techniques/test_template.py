from __future__ import annotations

import subprocess
import sys

import pytest

from stepladder.errors import RecipeError, StorageError
from stepladder.techniques import catalogue, register
from stepladder.techniques.template import write_template


@pytest.mark.long
def test_what_is_written_passes_its_own_test(tmp_path, monkeypatch):
    file, test = write_template("SoftFocus", tmp_path)
    assert (file.name, test.name) == ("soft_focus.py", "test_soft_focus.py")
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", test.name],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "4 passed" in ran.stdout, ran.stdout
    monkeypatch.setattr(catalogue, "_OWN", {})
    assert register(f"{file}:SoftFocus").name == "soft_focus"


@pytest.mark.parametrize("name", ["blur", "Bl ur", "1Blur", "../Blur", ""])
def test_no_name_for_a_class(tmp_path, name):
    with pytest.raises(RecipeError, match="is no name for a class; write letters and digits"):
        write_template(name, tmp_path)


def test_nothing_is_lost(tmp_path):
    write_template("Blur", tmp_path)
    with pytest.raises(StorageError, match=r"blur\.py is there already and would be lost"):
        write_template("Blur", tmp_path)
    with pytest.raises(RecipeError, match="the catalogue has a technique called 'dropout'"):
        write_template("Dropout", tmp_path)
