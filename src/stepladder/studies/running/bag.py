"""The seeds of a bag of words fitted: one after another here, or each on a node of a cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import torch

from stepladder.baselines.bag_of_words import fit_bag, save_bag
from stepladder.baselines.descriptors import load_opencv
from stepladder.baselines.settings import BagSettings
from stepladder.datasets import Splits
from stepladder.datasets.audit import LeakCheck
from stepladder.errors import StorageError
from stepladder.files import parse_json, replace_bytes, replace_json
from stepladder.studies.files.bag_files import BagRecord, BagResult, seed_folder
from stepladder.studies.files.machine import describe_machine, describe_versions, now
from stepladder.studies.running.cluster.asking import Arrays, answer_in, order_of, placing
from stepladder.studies.running.cluster.handing_out import HandingOut, Place, Task
from stepladder.studies.running.cluster.scratch import within
from stepladder.studies.running.cluster.session import connect, refuse_other_stepladder
from stepladder.studies.running.shared_memory import describe_splits, read_splits
from stepladder.training.stop import Stop

_CPU = torch.device("cpu")
#: Seconds between two checkpoints: a bag has none.
_NEVER = 1e9
_MODEL, _RESULT = "model.safetensors", "result.json"


class BagCallbacks:
    """Called as a bag of words is fitted; every method does nothing until it is overridden."""

    def leaks_checked(self, found: LeakCheck) -> None:
        """The images were checked for copies across the splits, before anything else."""

    def message(self, sentence: str) -> None:
        """Something that the user should know."""

    def planned(self, settings: BagSettings, todo: Sequence[int], seeds: int) -> None:
        """All is checked; the seeds ``todo`` of ``seeds`` are about to be fitted."""

    def seed_started(self, seed: int) -> None:
        """A seed starts."""

    def progress(self, what: str, done: int, total: int) -> None:
        """So much of one step is done."""

    def seed_ended(self, result: BagResult) -> None:
        """A seed is fitted and saved."""

    def reading(self, seeds: int) -> None:
        """All has been fitted; the test images are about to be read for ``seeds`` seeds."""


def fit_seeds(
    record: BagRecord, splits: Splits, seeds: Sequence[int], out: Path, callbacks: BagCallbacks, cluster: str | None
) -> Iterator[BagResult]:
    """Fit seeds of a bag of words into their folders, and yield each result as it is saved.

    Args:
        cluster: of whose nodes each fits one seed at a time; None for this machine.

    Raises:
        StudyError: no cluster answers, or a node cannot be used.
        StorageError: a file cannot be written.
    """
    if cluster is None:
        for seed in seeds:
            callbacks.seed_started(seed)
            yield fit_seed(record, splits, seed, seed_folder(out, seed), callbacks)
    elif seeds:
        yield from _fit_on_nodes(record, splits, seeds, out, callbacks, cluster)


def fit_seed(record: BagRecord, splits: Splits, seed: int, folder: Path, callbacks: BagCallbacks) -> BagResult:
    """Fit one seed and write its folder, ``result.json`` last: without that it has not ended."""
    started, busy = perf_counter(), process_time()
    classes = len(record.data.class_names)
    fitted = fit_bag(record.settings, splits.train, splits.validation, classes, seed, callbacks.progress)
    save_bag(folder / _MODEL, fitted.bag)
    result = BagResult(
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
        versions=versions_of(record.settings),
        machine=describe_machine(_CPU),
        finished=now(),
    )
    replace_json(folder / _RESULT, result.model_dump(mode="json"))
    return result


def fit_asked(document: Mapping[str, Any], arrays: Path, folder: Path) -> None:
    """Fit the seed that a node is asked for, into ``folder``, whose files go back."""
    record = BagRecord.model_validate(document["record"])
    fit_seed(record, read_splits(document["images"], arrays), document["seed"], folder, BagCallbacks())


def versions_of(settings: BagSettings) -> dict[str, str]:
    """Return the versions that a bag of words depends on."""
    packages = ["scikit-learn", "scipy", *(["opencv-python-headless"] if settings.descriptor == "sift" else [])]
    found = describe_versions()
    for package in packages:
        try:
            found[package] = version(package)
        except ModuleNotFoundError:  # OpenCV under another name, as opencv-python
            found[package] = str(load_opencv().__version__)
    return found


def _fit_on_nodes(
    record: BagRecord, splits: Splits, seeds: Sequence[int], out: Path, callbacks: BagCallbacks, cluster: str
) -> Iterator[BagResult]:
    session = connect(cluster)
    session.tell(callbacks.message)
    arrays: Arrays = {}
    images = describe_splits(splits, record.data, placing(session, arrays))
    conditions = {"device": "cpu", "precision": "float32", "threads": 1}
    order = order_of([], {**conditions, "checkpoint_seconds": _NEVER, "accept_different_bits": False})

    def begin(seed: int, place: Place) -> Any:
        callbacks.seed_started(seed)
        document = {"ask": "bag", "record": record.model_dump(mode="json"), "images": images, "seed": seed}
        return place.actor.train.remote(order, {}, json.dumps({**document, "name": f"bag-{seed}"}), arrays, {})

    tasks = {f"bag-{seed}": Task(f"bag-{seed}", partial(begin, seed)) for seed in seeds}
    handing = HandingOut(
        session,
        max(1, session.slots_for_each(1, 0)),
        lambda: session.make_slot(1, 0, 0, _NEVER),
        Stop(),
        callbacks.message,
        refuse_other_stepladder,
        places=session.places_for("bag of words"),
    )
    for said in handing.run(list(tasks.values())):
        answer_in(said)
        if said.ended is None:
            continue
        if said.ended["how"] != "handed back" or _RESULT not in said.files:
            callbacks.message(f"{said.place.node} was lost with a seed, which begins again on another slot.")
            handing.again(said.task)
            if said.task.retries >= 10:
                raise StorageError(f"{said.task.name} ended {said.task.retries} times without a result; see its node")
            continue
        folder = seed_folder(out, int(said.task.name.removeprefix("bag-")))
        for name, content in sorted(said.files.items(), key=lambda one: one[0] == _RESULT):
            replace_bytes(within(folder, name), content, within=out)
        yield BagResult.model_validate(parse_json(said.files[_RESULT]))
