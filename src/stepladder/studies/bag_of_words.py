"""A bag of words carried out: fit every seed, then read test once; in a folder of its own, or in that of a study."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from stepladder.baselines.bag_of_words import load_bag
from stepladder.baselines.descriptors import load_opencv
from stepladder.baselines.settings import BagSettings, check_settings, settle
from stepladder.datasets import ImageSet, Splits
from stepladder.errors import DamagedError, StudyError
from stepladder.files import remove_links, replace_json
from stepladder.studies.design.rules import Protocol, check_seeds
from stepladder.studies.files.bag_files import (
    BAG_FILE,
    BagRecord,
    SavedBag,
    bag_files,
    bag_folder,
    load_bag_folder,
    read_bag_record,
    read_bag_result,
    seed_folder,
)
from stepladder.studies.files.checksums import forget_files, note_files
from stepladder.studies.files.ledger import PlanRead, note_reading
from stepladder.studies.files.machine import describe_machine, now
from stepladder.studies.files.predictions import write_predictions
from stepladder.studies.files.records import DataRecord, Reading, SavedStudy
from stepladder.studies.files.store import move_aside, read_readings, write_readings, write_results
from stepladder.studies.prepare import refuse_file, split_images
from stepladder.studies.running.bag import BagCallbacks, fit_seeds, versions_of
from stepladder.studies.running.cluster.address import check_address
from stepladder.studies.running.cluster.session import ending
from stepladder.training import metrics

_CPU = torch.device("cpu")


@dataclass(frozen=True)
class BagOptions:
    """What a bag of words is made of.

    Attributes:
        descriptor: ``patches``, or ``sift``, which needs the extra ``baseline``.
        words: size of the vocabulary; 800 patches or 400 SIFT by default.
    """

    descriptor: str = "patches"
    words: int | None = None

    def check(self) -> None:
        """Raise StudyError where there is no such descriptor, or the number of words is out of range."""
        check_settings(self.descriptor, self.words)


def run_bag_of_words(
    image_set: ImageSet,
    out: Path,
    *,
    options: BagOptions | None = None,
    seeds: int = 3,
    protocol: Protocol | None = None,
    command: str = "",
    cluster: str | None = None,
    callbacks: BagCallbacks | None = None,
) -> SavedBag:
    """Fit a bag of words with every seed that ``out`` does not hold yet, and then read test once.

    Args:
        out: the folder of the result. A bag of the same settings and images in it is continued.
        seeds: how often everything is fitted, with seeds 0 to ``seeds`` - 1.
        protocol: its validation images choose the SVM's C; without any, C is chosen on a tenth of the training images,
            and then all of them are fitted.
        command: what the user typed, for the record.
        cluster: a Ray cluster whose nodes fit the seeds, see ``execution.Execution``; None for this machine.

    Raises:
        StudyError: there is no such descriptor, a number is out of range, or ``out`` holds something else.
        DataError: the images do not fit the splits or the descriptor, or are too few for the vocabulary.
        StepladderError: the extra is not installed.
        StorageError: ``out`` cannot be read or written.
    """
    options, protocol, callbacks = options or BagOptions(), protocol or Protocol(), callbacks or BagCallbacks()
    check_seeds(seeds)
    if cluster is not None:
        check_address(cluster)
    settings = settle(options.descriptor, *image_set.image_shape[:2], options.words)
    if settings.descriptor == "sift":
        load_opencv()  # that it is missing is said before the images are looked at
    splits, data = split_images(image_set, protocol, callbacks.leaks_checked)
    remove_links(out / "seeds")
    _set_damaged_aside(out, seeds, callbacks)
    record = _continue_record(out, _record(data, settings, seeds, protocol.validation, command))
    todo = [seed for seed in range(seeds) if read_bag_result(out, seed) is None]
    callbacks.planned(settings, todo, seeds)
    if todo:
        forget_files(out)
    replace_json(out / BAG_FILE, record.model_dump(mode="json"))
    with ending():
        for result in fit_seeds(record, splits, todo, out, callbacks, cluster):
            callbacks.seed_ended(result)
    _read_test(out, record, splits, seeds, callbacks)
    note_files(out, bag_files(out))
    saved = load_bag_folder(out)
    assert saved is not None
    return saved


def add_bag_of_words(
    study: SavedStudy,
    image_set: ImageSet,
    *,
    drop_leaks: bool = False,
    cluster: str | None = None,
    callbacks: BagCallbacks | None = None,
) -> SavedStudy:
    """Fit a bag of whitened patches with the seeds of ``study`` into its folder, and return the study again.

    It is kept in files of its own, so nothing of the study's plan or trials changes; ``results.csv`` gets its rows.

    Args:
        image_set, drop_leaks: as the study was run with.
        cluster: see :func:`run_bag_of_words`.

    Raises:
        StudyError, DataError, StorageError: see :func:`run_bag_of_words`.
    """
    record = study.record
    folder = bag_folder(study.folder)
    if folder.is_symlink():  # whoever made the study may have put it there
        remove_links(folder)
    run_bag_of_words(
        image_set,
        folder,
        seeds=len(record.seeds),
        protocol=Protocol(record.validation, drop_leaks),
        command=record.command,
        cluster=cluster,
        callbacks=callbacks,
    )
    write_results(study)
    return study


def _set_damaged_aside(out: Path, seeds: int, callbacks: BagCallbacks) -> None:
    """Move seeds whose result is damaged out of the way, so that they are fitted again."""
    for seed in range(seeds):
        try:
            read_bag_result(out, seed)
        except DamagedError as error:
            target = move_aside(seed_folder(out, seed))
            callbacks.message(
                f"Seed {seed} is damaged: {error.what}. It was set aside as seeds/{target.name}, and is fitted again."
            )


def _read_test(out: Path, record: BagRecord, splits: Splits, seeds: int, callbacks: BagCallbacks) -> None:
    """Read test for every fitted seed that was not read, from its file; noted before the first image is looked at."""
    found = [read_bag_result(out, seed) for seed in range(seeds)]
    unread = [result for result in found if result is not None and result.test_accuracy is None]
    if not unread:
        return
    past = read_readings(out)
    names = tuple(f"seed {result.seed}" for result in unread)
    if not (past and not past[-1].ended and set(names) <= set(past[-1].trials)):
        again = {name for reading in past for name in reading.trials} & set(names)
        entry = {
            "time": now(),
            "kind": "again" if again else "added" if past else "planned",
            "look": 1,
            "plan_hash": record.plan_hash,
            "trials": names,
            "ended": False,
        }
        past = (*past, Reading.model_validate(entry))
    write_readings(out, past)
    plan = PlanRead(record.plan_hash, "bag of words", record.data.name, str(out.absolute()), now())
    note_reading(splits.test, plan)
    callbacks.reading(len(unread))
    labels, classes = splits.test.labels, len(record.data.class_names)
    for result in unread:
        folder = seed_folder(out, result.seed)
        predicted = load_bag(folder / "model.safetensors").predict(splits.test, callbacks.progress)
        votes = np.eye(classes)[predicted]
        scores = {
            "test_accuracy": metrics.accuracy(votes, labels),
            "test_macro_f1": metrics.macro_f1(votes, labels),
        }
        write_predictions(folder, predicted, labels, classes)
        replace_json(folder / "result.json", result.model_copy(update=scores).model_dump(mode="json"))
    write_readings(out, (*past[:-1], past[-1].model_copy(update={"ended": True})))


def _record(data: DataRecord, settings: BagSettings, seeds: int, validation: float, command: str) -> BagRecord:
    fixed = {"settings": settings.model_dump(mode="json"), "split": data.split, "validation": validation}
    return BagRecord(
        plan_hash=hashlib.sha256(json.dumps(fixed, sort_keys=True).encode()).hexdigest(),
        settings=settings,
        seeds=seeds,
        validation=validation,
        data=data,
        versions=versions_of(settings),
        machine=describe_machine(_CPU),
        command=command,
        created=now(),
    )


def _continue_record(out: Path, record: BagRecord) -> BagRecord:
    refuse_file(out)
    for name, what in (("study.json", "a study"), ("curve.json", "a curve"), ("result.json", "a trained model")):
        if (out / name).exists():
            raise StudyError(f"{out} holds {what}; choose another folder with `out`")
    found = read_bag_record(out)
    # Where no seed was fitted, as when the words were too many for the images, nothing is lost.
    if found is None or load_bag_folder(out) is None:
        return record
    if found.plan_hash != record.plan_hash:
        raise StudyError(
            f"{out} holds a bag of words of other settings or other images ({found.settings.descriptor}, "
            f"{found.settings.words:,} words, `validation={found.validation:g}`, {found.data.name}); choose another "
            "folder with `out`, or the same settings to continue"
        )
    return found.model_copy(update={"seeds": max(found.seeds, record.seeds)})
