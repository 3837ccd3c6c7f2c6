"""Every kind of folder: a sound one passes, and each single change is found, named, and mended where it can be."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import stepladder as sl
from stepladder.api.check import Check, check_folder
from stepladder.errors import StorageError, StudyError
from stepladder.studies.proposals import Search

KINDS = ("study", "sweep", "search", "curve", "bag", "training", "lr-range")
#: What a change of another file than the one that is named may show in: the file's own checksum is elsewhere.
ELSEWHERE = {"checksums.txt"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished folder of every kind, small ones."""
    out = tmp_path_factory.mktemp("folders")
    images = sl.load_image_set("digits", limit=20)
    network = "conv3-2 pool2 fc"
    recipe = sl.RecipeOptions("small", network, settings={"epochs": 1}, rung="standardize")
    quiet = {"progress": False}
    sl.study(images, recipe, seeds=1, out=out / "study", **quiet)
    saved = sl.load_study(out / "study")
    sl.add_bag(saved, images, **quiet)
    sl.sweep(images, {"optimizer.lr": [0.1, 0.05]}, recipe, seeds=1, out=out / "sweep", **quiet)
    sl.sweep(images, Search(("optimizer.lr=0.01..0.1",), 2), recipe, seeds=1, out=out / "search", **quiet)
    sl.curve(images, recipe, seeds=1, out=out / "curve", **quiet)
    sl.bag_of_words(images, seeds=1, out=out / "bag", **quiet)
    sl.train(images, recipe, out=out / "training", **quiet)
    sl.lr_range(images, sl.RecipeOptions("small", network), seeds=1, out=out / "lr-range", **quiet)
    return {kind: out / kind for kind in KINDS}


@pytest.fixture
def folder(made: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """A copy, which was moved with that."""
    return lambda kind: Path(shutil.copytree(made[kind], tmp_path / kind))


def told(found: Check) -> list[str]:
    return [f"{one.place} {one.what}" for one in found.faults]


def files_of(folder: Path) -> list[str]:
    names = [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]
    return sorted(name for name in names if Path(name).name != ".lock")


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_sound_folder_has_nothing_to_tell(folder: Callable[[str], Path], kind: str) -> None:
    found = check_folder(folder(kind))
    assert (found.holds, told(found)) == (True, [])
    assert check_folder(found.folder, repair=True).repaired == ()


def is_named(name: str, found: Check) -> bool:
    """Whether the file, or the trial that it is in, is named."""
    parts = Path(name).parts
    inside = "/".join(parts[:2]) if parts[0] in ("trials", "bag-of-words") else name
    return any(name in one or (one.startswith(inside) and parts[-1] in one) for one in told(found))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_byte_of_any_file_is_found_and_named(folder: Callable[[str], Path], kind: str) -> None:
    sound = folder(kind)
    for name in files_of(sound):
        path = sound / name
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        found = check_folder(sound)
        assert not found.holds, name
        assert Path(name).name in ELSEWHERE or is_named(name, found), (name, told(found))
        path.write_bytes(content)
    assert check_folder(sound).holds


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_missing_file_is_found_and_named(folder: Callable[[str], Path], kind: str) -> None:
    sound = folder(kind)
    for name in files_of(sound):
        path = sound / name
        content = path.read_bytes()
        path.unlink()
        found = check_folder(sound)
        # Of a trial without a result it cannot be told whether it ever ended, and checksums came with a later version.
        assert found.faults, name
        assert Path(name).name == "result.json" or is_named(name, found), (name, told(found))
        assert not found.holds or Path(name).name in ("result.json", "checksums.txt"), name
        path.write_bytes(content)
    assert check_folder(sound).holds


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_an_added_file_is_found_and_named(folder: Callable[[str], Path], kind: str) -> None:
    sound = folder(kind)
    places = {path.parent for path in sound.rglob("*") if path.is_file()}
    assert sound in places
    for place in sorted(places):
        (place / "new.txt").write_text("new")
        found = check_folder(sound)
        assert any("new.txt" in one for one in told(found)), (place, told(found))
        (place / "new.txt").unlink()


@pytest.mark.long
@pytest.mark.parametrize("kind", ["study", "sweep", "search", "curve"])
def test_what_is_derived_is_rebuilt_and_then_all_holds(folder: Callable[[str], Path], kind: str) -> None:
    sound = folder(kind)
    before = {name: (sound / name).read_bytes() for name in files_of(sound)}
    derived = [name for name in before if not name.startswith(("trials/", "bag-of-words/"))]
    derived = [name for name in derived if name.endswith((".md", ".html", ".png", ".svg", ".csv", "s.json"))]
    derived = [name for name in derived if name != "test-readings.json"]
    derived += [name for name in before if name.endswith("model/README.md")]
    assert len(derived) > 5
    for name in derived:
        (sound / name).unlink()
    assert {one.kind for one in check_folder(sound).faults} == {"derived"}
    assert check_folder(sound, repair=True).repaired
    assert told(check_folder(sound)) == []
    assert {name: (sound / name).read_bytes() for name in files_of(sound)} == before


def test_what_only_a_copy_can_mend_is_not_repaired(folder: Callable[[str], Path]) -> None:
    for kind, name in (("study", "gallery.json"), ("training", "history.csv"), ("lr-range", "lr-range.csv")):
        sound = folder(kind)
        (sound / name).write_text("other")
        assert [(one.kind, one.place) for one in check_folder(sound).faults] == [("plan", name)]
        with pytest.raises(StorageError, match=f"{name} is broken, which nothing can rebuild; restore it from a copy"):
            check_folder(sound, repair=True)


@pytest.mark.long
def test_a_broken_seed_of_a_bag_of_words_is_set_aside_and_fitted_again(folder: Callable[[str], Path]) -> None:
    for kind, inner in (("bag", "."), ("study", "bag-of-words")):
        sound = folder(kind)
        (sound / inner / "seeds" / "0" / "model.safetensors").write_text("other")
        repaired = check_folder(sound, repair=True).repaired
        assert "seeds/0 was set aside as seeds/0.broken-1; the same command fits it again" in repaired
    sl.bag_of_words(sl.load_image_set("digits", limit=20), seeds=1, out=sound.parent / "bag", progress=False)
    shutil.rmtree(sound.parent / "bag" / "seeds" / "0.broken-1")
    assert told(check_folder(sound.parent / "bag")) == []


def test_a_model_is_checked_by_its_training_and_without_it_can_only_be_loaded(folder: Callable[[str], Path]) -> None:
    training = folder("training")
    model = training / "model"
    assert told(check_folder(model)) == []
    alone = Path(shutil.copytree(model, training.parent / "alone"))
    assert told(check_folder(alone)) == [
        "model.safetensors can be loaded; a model without its training has no checksums"
    ]
    (model / "config.json").write_text((model / "config.json").read_text() + " ")
    assert told(check_folder(model)) == ["config.json was changed"]
    (alone / "model.safetensors").write_bytes(b"no tensors")
    assert not check_folder(alone).holds


@pytest.mark.long
def test_more_seeds_and_a_report_of_today_leave_a_sound_folder(folder: Callable[[str], Path]) -> None:
    images = sl.load_image_set("digits", limit=20)
    recipe = sl.RecipeOptions("small", "conv3-2 pool2 fc", settings={"epochs": 1}, rung="standardize")
    sound = folder("sweep")
    sl.sweep(images, {"optimizer.lr": [0.1, 0.05]}, recipe, seeds=2, out=sound, progress=False)
    assert told(check_folder(sound)) == []
    older = folder("curve")
    (older / "checksums.txt").unlink()
    (note,) = check_folder(older).faults
    assert (note.kind, note.place) == ("note", "checksums.txt")


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"there is no study in .* \(no study\.json\), and nothing else to check"):
        check_folder(tmp_path)
