import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import ImageSet, Split, Splits, make_splits
from stepladder.errors import StorageError
from stepladder.recipe import Recipe
from stepladder.studies.design.trials import Trial
from stepladder.studies.prepare import describe_data
from stepladder.studies.running.execution import Job
from stepladder.studies.running.shared_memory import SharedJobs, read_shared_jobs, share_jobs

MakeJobs = Callable[..., list[Job]]


@pytest.fixture
def make_jobs(digits: ImageSet, tiny_recipe: Callable[..., Recipe]) -> MakeJobs:
    odd = {"name": "sgd", "lr": 0.1 + 0.2}
    recipes = {"base": tiny_recipe(), "standardize": tiny_recipe("standardize", optimizer=odd)}

    def make(*parts: Splits) -> list[Job]:
        return [
            Job(
                Trial(rung, recipe, seed, splits.fingerprint, "float32", "best-val"),
                splits,
                describe_data(digits, splits),
                Path("/study/trials") / f"{rung}-{seed}",
            )
            for splits in parts
            for seed in (0, 7)
            for rung, recipe in recipes.items()
        ]

    return make


def same(one: Split, other: Split) -> bool:
    return np.array_equal(one.images, other.images) and np.array_equal(one.labels, other.labels)


def received(shared: SharedJobs) -> list[Job]:
    return read_shared_jobs(SharedJobs(os.dup(shared.descriptor), shared.start))


def test_what_is_shared_arrives_but_for_the_test_images(digits: ImageSet, make_jobs: MakeJobs) -> None:
    splits = make_splits(digits, 0.1)
    jobs = make_jobs(splits)
    with share_jobs(jobs) as shared:
        found = received(shared)
    assert [(job.trial, job.trial.id, job.data, job.folder) for job in found] == [
        (job.trial, job.trial.id, job.data, job.folder) for job in jobs
    ]
    arrived = found[0].splits
    assert all(job.splits is arrived for job in found)
    assert splits.validation is not None
    assert arrived.validation is not None
    assert same(arrived.train, splits.train)
    assert same(arrived.validation, splits.validation)
    assert len(arrived.test) == 0
    assert (arrived.fingerprint, arrived.notes) == (splits.fingerprint, splits.notes)


def test_trials_on_parts_of_the_images_share_their_pixels(digits: ImageSet, make_jobs: MakeJobs) -> None:
    whole = make_splits(digits, 0.1)
    few = Splits(whole.train.take(np.arange(5)), whole.validation, whole.test, (), "few")
    with share_jobs(make_jobs(whole)) as shared:
        alone = os.fstat(shared.descriptor).st_size
    with share_jobs(make_jobs(whole, few)) as shared:
        assert os.fstat(shared.descriptor).st_size < alone + whole.train.pixels.nbytes
        found = received(shared)
    assert [len(job.splits.train) for job in found] == [len(whole.train)] * 4 + [5] * 4
    assert same(found[-1].splits.train, few.train)


def test_without_validation_the_watched_test_images_are_shared(digits: ImageSet, make_jobs: MakeJobs) -> None:
    splits = make_splits(digits, 0)
    with share_jobs(make_jobs(splits)) as shared:
        found = received(shared)[0].splits
    assert found.validation is None
    assert same(found.test, splits.test)


def test_images_in_a_mapped_file_are_not_copied(tmp_path: Path, make_jobs: MakeJobs) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5000, 4, 4, 3), dtype=np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    mapped = np.load(tmp_path / "pixels.npy", mmap_mode="r")[10:]  # begins within the file
    train = Split(mapped, np.arange(4990, dtype=np.int64) % 2)
    splits = Splits(train, train.take(np.array([3, 1])), train.take(np.array([2])), (), "abc")
    with share_jobs(make_jobs(splits)) as shared:
        assert os.fstat(shared.descriptor).st_size < pixels.nbytes
        found = received(shared)[0].splits
    assert same(found.train, train)
    assert found.validation is not None
    assert np.array_equal(found.validation.images, pixels[10:][[3, 1]])


def test_a_cache_without_room_is_named(
    digits: ImageSet, make_jobs: MakeJobs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("STEPLADDER_CACHE", str(tmp_path / "file"))
    with (
        pytest.raises(StorageError, match="set STEPLADDER_CACHE to a folder with room, or use `workers=1`"),
        share_jobs(make_jobs(make_splits(digits, 0.1))),
    ):
        pass
