"""A baseline carried out: fit every seed, then read test once; in a folder of its own, or in that of a study."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
import torch

from stepladder.baselines.bag_file import load_bag, save_bag
from stepladder.baselines.bag_of_words import fit_bag
from stepladder.baselines.settings import BagSettings, settle
from stepladder.baselines.sift import load_opencv
from stepladder.data import ImageSet, Splits, make_splits
from stepladder.data.audit import QuickLook, look_first
from stepladder.errors import StudyError
from stepladder.files import replace_json
from stepladder.study.design import metrics
from stepladder.study.design.rules import MOST_SEEDS
from stepladder.study.files.baseline_files import (
    BaselineRecord,
    BaselineResult,
    SavedBaseline,
    baseline_folder,
    load_baseline,
    read_baseline_record,
    read_baseline_result,
    seed_folder,
)
from stepladder.study.files.machine import describe_machine, describe_versions
from stepladder.study.files.predictions import write_predictions
from stepladder.study.files.records import Reading, SavedStudy
from stepladder.study.files.store import read_readings, write_readings, write_results
from stepladder.study.running.trial import describe_data

_CPU = torch.device("cpu")


class BaselineWatch:
    """Called as a baseline goes on; every method does nothing until a watcher overrides it."""

    def looked(self, look: QuickLook) -> None:
        """The images were looked at, before anything else."""

    def planned(self, settings: BagSettings, todo: Sequence[int], seeds: int) -> None:
        """All is checked; the seeds ``todo`` of ``seeds`` are about to be fitted."""

    def seed_started(self, seed: int) -> None:
        """A seed starts."""

    def progress(self, what: str, done: int, total: int) -> None:
        """So much of one step is done."""

    def seed_ended(self, result: BaselineResult) -> None:
        """A seed is fitted and saved."""

    def reading(self, seeds: int) -> None:
        """All has been fitted; the test images are about to be read for ``seeds`` seeds."""


def run_baseline(
    image_set: ImageSet,
    out: Path,
    *,
    descriptor: str = "patches",
    words: int | None = None,
    seeds: int = 3,
    validation: float = 0.1,
    drop_leaks: bool = False,
    command: str = "",
    watch: BaselineWatch | None = None,
) -> SavedBaseline:
    """Fit a bag of words with every seed that ``out`` does not hold yet, and then read test once.

    Args:
        out: the folder of the result. A baseline of the same settings and images in it is continued.
        descriptor: ``patches``, or ``sift``, which needs the extra ``baseline``.
        words: size of the vocabulary; 800 patches or 400 SIFT by default.
        seeds: how often everything is fitted, with seeds 0 to ``seeds`` - 1.
        validation: share of the training images held out to choose the SVM's C; 0 chooses it on a tenth of the training
            images and then fits on all of them.
        drop_leaks: take training images that are copies of held-out ones out, instead of only noting them.
        command: what the user typed, for the record.

    Raises:
        StudyError: there is no such descriptor, a number is out of range, or ``out`` holds something else.
        DataError: the images do not fit the splits or the descriptor, or are too few for the vocabulary.
        StepladderError: the extra is not installed.
        StorageError: ``out`` cannot be read or written.
    """
    watch = watch or BaselineWatch()
    if not 1 <= seeds <= MOST_SEEDS:
        raise StudyError(f"--seeds is {seeds}; it must be 1 to {MOST_SEEDS}")
    settings = settle(descriptor, *image_set.image_shape[:2], words)
    if settings.descriptor == "sift":
        load_opencv()  # that it is missing is said before the images are looked at
    splits = make_splits(image_set, validation)
    splits, look = look_first(splits, image_set.class_names, drop_leaks=drop_leaks)
    watch.looked(look)
    record = _continue_record(out, _record(image_set, splits, settings, seeds, validation, command))
    todo = [seed for seed in range(seeds) if read_baseline_result(out, seed) is None]
    watch.planned(settings, todo, seeds)
    replace_json(out / "baseline.json", record.model_dump(mode="json"))
    for seed in todo:
        watch.seed_started(seed)
        watch.seed_ended(_fit(record, splits, seed, out, watch))
    _read_test(out, record, splits, seeds, watch)
    saved = load_baseline(out)
    assert saved is not None
    return saved


def add_baseline(
    study: SavedStudy, image_set: ImageSet, *, drop_leaks: bool = False, watch: BaselineWatch | None = None
) -> SavedStudy:
    """Fit a bag of whitened patches with the seeds of ``study`` into its folder, and return the study again.

    It is kept in files of its own, so nothing of the study's plan or trials changes; ``results.csv`` gets its rows.

    Args:
        image_set, drop_leaks: as the study was run with.

    Raises:
        StudyError, DataError, StorageError: see :func:`run_baseline`.
    """
    record = study.record
    run_baseline(
        image_set,
        baseline_folder(study.folder),
        seeds=len(record.seeds),
        validation=record.validation,
        drop_leaks=drop_leaks,
        command=record.command,
        watch=watch,
    )
    write_results(study)
    return study


def _fit(record: BaselineRecord, splits: Splits, seed: int, out: Path, watch: BaselineWatch) -> BaselineResult:
    """Fit one seed and write its folder, ``result.json`` last: without that it has not ended."""
    started, busy = perf_counter(), process_time()
    fitted = fit_bag(
        record.settings, splits.train, splits.validation, len(record.data.class_names), seed, watch.progress
    )
    folder = seed_folder(out, seed)
    save_bag(folder / "model.safetensors", fitted.bag)
    result = BaselineResult(
        baseline=record.plan_hash,
        seed=seed,
        words=len(fitted.bag.vocabulary),
        cost=fitted.chosen.cost,
        tried=fitted.chosen.tried,
        parameters=fitted.bag.parameters(),
        train_accuracy=fitted.train_accuracy,
        val_accuracy=fitted.val_accuracy,
        seconds=perf_counter() - started,
        cpu_seconds=process_time() - busy,
        notes=fitted.notes,
        versions=_versions(record.settings),
        machine=describe_machine(_CPU),
        finished=_now(),
    )
    replace_json(folder / "result.json", result.model_dump(mode="json"))
    return result


def _read_test(out: Path, record: BaselineRecord, splits: Splits, seeds: int, watch: BaselineWatch) -> None:
    """Read test for every fitted seed that was not read, from its file; noted before the first image is looked at."""
    found = [read_baseline_result(out, seed) for seed in range(seeds)]
    unread = [result for result in found if result is not None and result.test_accuracy is None]
    if not unread:
        return
    past = read_readings(out)
    names = tuple(f"seed {result.seed}" for result in unread)
    if not (past and not past[-1].ended and set(names) <= set(past[-1].trials)):
        again = {name for reading in past for name in reading.trials} & set(names)
        entry = {
            "time": _now(),
            "kind": "again" if again else "added" if past else "planned",
            "look": 1,
            "plan_hash": record.plan_hash,
            "trials": names,
            "ended": False,
        }
        past = (*past, Reading.model_validate(entry))
    write_readings(out, past)
    watch.reading(len(unread))
    labels, classes = splits.test.labels, len(record.data.class_names)
    for result in unread:
        folder = seed_folder(out, result.seed)
        predicted = load_bag(folder / "model.safetensors").predict(splits.test, watch.progress)
        votes = np.eye(classes)[predicted]
        scores = {
            "test_accuracy": metrics.accuracy(votes, labels),
            "test_macro_f1": metrics.macro_f1(votes, labels),
        }
        write_predictions(folder, predicted, labels, classes)
        replace_json(folder / "result.json", result.model_copy(update=scores).model_dump(mode="json"))
    write_readings(out, (*past[:-1], past[-1].model_copy(update={"ended": True})))


def _record(
    image_set: ImageSet, splits: Splits, settings: BagSettings, seeds: int, validation: float, command: str
) -> BaselineRecord:
    fixed = {"settings": settings.model_dump(mode="json"), "split": splits.fingerprint, "validation": validation}
    return BaselineRecord(
        plan_hash=hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest(),
        settings=settings,
        seeds=seeds,
        validation=validation,
        data=describe_data(image_set, splits),
        versions=_versions(settings),
        machine=describe_machine(_CPU),
        command=command,
        created=_now(),
    )


def _continue_record(out: Path, record: BaselineRecord) -> BaselineRecord:
    if out.is_file():
        raise StudyError(f"--out is {out}, which is a file; choose a folder")
    for name, what in (("study.json", "a study"), ("curve.json", "a curve"), ("result.json", "a trained model")):
        if (out / name).exists():
            raise StudyError(f"{out} holds {what}; choose another folder with --out")
    found = read_baseline_record(out)
    # Where no seed was fitted, as when the words were too many for the images, nothing is lost.
    if found is None or load_baseline(out) is None:
        return record
    if found.plan_hash != record.plan_hash:
        raise StudyError(
            f"{out} holds a baseline of other settings or other images ({found.settings.descriptor}, "
            f"{found.settings.words:,} words, --validation {found.validation:g}, {found.data.name}); choose another "
            "folder with --out, or the same settings to continue"
        )
    return found.model_copy(update={"seeds": max(found.seeds, record.seeds)})


def _versions(settings: BagSettings) -> dict[str, str]:
    packages = ["scikit-learn", "scipy", *(["opencv-python-headless"] if settings.descriptor == "sift" else [])]
    found = describe_versions()
    for package in packages:
        try:
            found[package] = version(package)
        except ModuleNotFoundError:  # OpenCV under another name, as opencv-python
            found[package] = str(load_opencv().__version__)
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
