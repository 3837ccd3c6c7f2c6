"""What every job settles before its first step: splits, leaks, arithmetic, and whether the techniques fit.

Studies, sweeps, searches, curves, learning-rate tests, bags of words, single trainings and plans all begin here, so
that the same images, protocol and machine give the same trials whatever is asked of them.
"""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import FrameType

from stepladder.datasets import ImageSet, Splits
from stepladder.datasets.audit import LeakCheck, split_cleanly
from stepladder.datasets.download import fetch, kept
from stepladder.datasets.splits import SPLIT_SEED, drawn_fingerprint
from stepladder.errors import RecipeError, StepladderError, StorageError, StudyError
from stepladder.model.training_images import read_training_images
from stepladder.network import trace_network
from stepladder.network.advice import LARGEST_FLATTENED, grave_notes, training_memory
from stepladder.network.presets import preset_of
from stepladder.recipe import Recipe
from stepladder.studies.design.rules import Protocol
from stepladder.studies.files.machine import describe_machine, memory_of
from stepladder.studies.files.records import DataRecord, Machine
from stepladder.studies.running.asked import ask_to_settle, settled
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.cluster.asking import asking
from stepladder.studies.running.dispatch import count_at_a_time
from stepladder.studies.running.execution import Execution
from stepladder.techniques.guard import hook_at
from stepladder.training.arithmetic import Arithmetic, choose_arithmetic
from stepladder.training.assembly import check_recipe, trained_network
from stepladder.training.device import Compute, choose_compute

#: Share of the memory that training steps may take before that is said: images, libraries and the system need the rest.
_MOST_MEMORY = 0.7
#: As many trials as any machine has cores: how many there will be is not known yet.
_MOST_TRIALS = 1000


@dataclass(frozen=True)
class Prepared:
    """The images of a job as they are split, what they are trained with, why in this precision, and on what."""

    splits: Splits
    data: DataRecord
    compute: Compute
    arithmetic: Arithmetic
    machine: Machine


def prepare(
    image_set: ImageSet,
    recipe: Recipe,
    protocol: Protocol,
    execution: Execution,
    callbacks: Callbacks,
    begun_with: str | None = None,
) -> Prepared:
    """Split the images, look for leaks, say what is grave about the network, and settle the arithmetic.

    Args:
        recipe: whose network decides which precision is faster; of a study, with all its techniques.
        begun_with: the precision of what is continued, which ``auto`` then keeps.

    Raises:
        StudyError: a value of the protocol or of the execution is out of range.
        DataError: the images do not fit the splits.
        RecipeError: a device, precision or number of threads that cannot be.
    """
    execution.check()
    if execution.download:
        fetch_published(recipe, callbacks)
    splits, data = split_images(image_set, protocol, callbacks.leaks_checked)
    notes = grave_of(recipe, splits, image_set.num_classes, execution)
    if not protocol.all_data:
        notes += _seen_before(recipe, splits)
    for note in notes:
        callbacks.message(note)
    data = data.model_copy(update={"notes": (*data.notes, *notes)})
    with asking(execution, [recipe]) as node:
        if node is None:
            compute, arithmetic = settle_compute(image_set, recipe, execution, begun_with)
            machine = describe_machine(compute.device)
        else:
            asked = (execution.device, _precision(execution, begun_with), execution.threads)
            compute, arithmetic, machine = settled(
                node.ask(partial(ask_to_settle, recipe, splits, data, asked), small=True)
            )
            execution.check(compute.device.type)
    if arithmetic.reason in ("measured", "features"):
        other = "bfloat16" if compute.precision == "float32" else "float32"
        callbacks.message(f"{arithmetic.describe()} Use `precision={other}` to force the other.")
    return Prepared(splits, data, compute, arithmetic, machine)


def fetch_published(recipe: Recipe, callbacks: Callbacks) -> None:
    """Fetch the published files that the recipe's techniques read and that are not on this computer, as weights.

    Raises:
        DataError: no address answers, or what it gives is not the published file.
        StorageError: the cache cannot be written.
        RecipeError: there is no such file for this network.
    """
    for technique in recipe.make_techniques():
        for file in technique.downloads(recipe.network):
            if kept(file) is not None:
                continue
            path = fetch(file, lambda name, done, total: callbacks.loading(f"Fetching {name}", done, total))
            callbacks.message(f"{file.name} ({file.size / 1e6:,.0f} MB from {file.host}) is in {path.parent}.")


def grave_of(recipe: Recipe, splits: Splits, num_classes: int, execution: Execution) -> tuple[str, ...]:
    """Return what should be known before a step: far too many weights, or more memory than there is.

    Each is a sentence with what mends it. A network that does not fit the images is left to what refuses it.
    """
    compute = choose_compute("cpu" if execution.cluster else execution.device, "float32", execution.threads)
    try:
        network, shape = trained_network(recipe, splits.train, num_classes)
        costs = trace_network(network, shape, num_classes)
    except StepladderError:
        return ()
    published = preset_of(recipe.network)
    # One with published weights is there to begin from them, and knows more than these images can tell it.
    notes = () if published is not None and published.weights else grave_notes(costs, len(splits.train))
    memory = memory_of(compute.device)
    processes = 1  # of a cluster, whose slots are given the memory that a trial takes
    if execution.cluster is None:
        processes = count_at_a_time(execution, compute, _MOST_TRIALS, math.inf, memory)
    batch = min(recipe.batch_size, len(splits.train))
    needed = training_memory(costs, batch) / 1e9
    if not memory or processes * needed <= _MOST_MEMORY * memory:
        return notes
    beside = f", and {processes} trials at a time {processes * needed:,.1f} GB" if processes > 1 else ""
    mends = ["`workers=1`"] if processes > 1 and needed <= _MOST_MEMORY * memory else []
    smaller = batch
    while smaller > 2 and processes * training_memory(costs, smaller) / 1e9 > _MOST_MEMORY * memory:
        smaller //= 2
    mends += [f"`batch_size={smaller}`"] if smaller < batch else []
    mends += [f"`size={LARGEST_FLATTENED}`"] if max(shape[1:]) > LARGEST_FLATTENED else []
    return (
        *notes,
        f"A training step takes about {needed:,.1f} GB{beside}, and there are {memory:,.1f} GB of memory: take "
        f"{' or '.join(mends)}.",
    )


def _seen_before(recipe: Recipe, splits: Splits) -> tuple[str, ...]:
    """Return a sentence where test images have trained the model that is begun from, as far as its folder tells."""
    notes = []
    for technique in recipe.make_techniques():
        source = Path(str(getattr(technique, "source", ""))).expanduser()
        folder = source if source.is_dir() else source.parent
        if not technique.begins_from_weights or not (folder / "config.json").is_file():
            continue
        known = read_training_images(folder)
        seen = 0 if known is None else known.count_in(splits.test)
        if seen:
            notes.append(
                f"{seen:,} of the {len(splits.test):,} test images trained the model that this begins from, {source}: "
                "its score on them is too good; give test images that it has not seen."
            )
    return tuple(notes)


def split_images(
    image_set: ImageSet, protocol: Protocol, leaks_checked: Callable[[LeakCheck], None]
) -> tuple[Splits, DataRecord]:
    """Return the splits of an image set, and what the record of a job keeps of them.

    Args:
        leaks_checked: told what was found of copies across the splits.

    Raises:
        StudyError: a value of the protocol is out of range.
        DataError: the images do not fit the splits.
    """
    protocol.check()
    splits, leaks = split_cleanly(image_set, protocol.validation, drop_leaks=protocol.drop_leaks)
    leaks_checked(leaks)
    return splits, describe_data(image_set, splits)


def draw_splits(image_set: ImageSet, protocol: Protocol, own: Splits, seed: int) -> Splits:
    """Return the splits that a seed of a study draws anew, each as large as those of the protocol's own, or nearly so
    where groups stay whole.

    Args:
        own: the protocol's own splits, which also decide whether copies are drawn together.

    Raises:
        StudyError: the images have a split of their own.
        DataError: the images do not fit the splits.
    """
    if given := [name for name in ("test", "validation") if name in image_set.splits]:
        raise StudyError(
            f"`resplit` draws training and test images out of all, and {image_set.name} has a {given[0]} split of its "
            "own, which would then be trained on; leave `resplit` out"
        )
    splits, _ = split_cleanly(
        image_set, protocol.validation, drop_leaks=protocol.drop_leaks, seed=SPLIT_SEED + 1 + seed, like=own
    )
    return replace(splits, fingerprint=drawn_fingerprint(own.fingerprint, seed))


def settle_compute(
    image_set: ImageSet, recipe: Recipe, execution: Execution, begun_with: str | None = None
) -> tuple[Compute, Arithmetic]:
    """Return device, precision and threads, and why this precision: asked for, begun with, or the faster one here.

    Raises:
        StudyError, RecipeError: see :func:`prepare`.
    """
    asked = _precision(execution, begun_with)
    keeps = execution.precision == "auto" and begun_with is not None
    compute = choose_compute(execution.device, asked, execution.threads)
    execution.check(compute.device.type)
    if asked != "auto":
        return compute, Arithmetic(compute.precision, "kept" if keeps else "asked")
    network, shape = trained_network(recipe, image_set.splits["train"], image_set.num_classes)
    chosen = choose_arithmetic(network, shape, image_set.num_classes, recipe.batch_size, compute)
    return replace(compute, precision=chosen.precision), chosen


def _precision(execution: Execution, begun_with: str | None) -> str:
    """Return the precision that is asked for, or that what is continued was begun with."""
    return begun_with if execution.precision == "auto" and begun_with is not None else execution.precision


def describe_data(image_set: ImageSet, splits: Splits) -> DataRecord:
    """Return what the record of a job keeps of its images."""
    counts = {"train": len(splits.train), "test": len(splits.test)}
    if splits.validation is not None:
        counts = {"train": len(splits.train), "validation": len(splits.validation), "test": len(splits.test)}
    return DataRecord(
        name=image_set.name,
        fingerprint=image_set.fingerprint,
        split=splits.fingerprint,
        class_names=image_set.class_names,
        image_shape=image_set.image_shape,
        counts=counts,
        notes=(*image_set.notes, *splits.notes),
        fit=image_set.fit,
        span=image_set.span,
    )


def preflight(what: str, recipe: Recipe, splits: Splits, num_classes: int, limit: float | None) -> None:
    """Refuse a recipe whose techniques do not fit the images, before anything trains.

    Args:
        what: of whom the sentence is, such as ``rung augment``.
        limit: seconds that the techniques may take to say whether they fit: there is no worker yet that could be ended.

    Raises:
        RecipeError: they do not.
        StudyError: they took longer.
    """
    try:
        with time_limit(limit, what):
            check_recipe(recipe, splits.train, num_classes, has_validation=splits.validation is not None)
    except RecipeError as error:
        raise RecipeError(f"{what}: {error}") from error


def refuse_file(out: Path) -> None:
    """Refuse a folder of results that is a file.

    Raises:
        StudyError: it is.
        StorageError: the system does not say, as of a name too long or a folder that may not be entered.
    """
    try:
        is_file = out.is_file()
    except OSError as error:
        raise StorageError(f"cannot read {out}: {error.strerror or error}; choose another folder with `out`") from error
    if is_file:
        raise StudyError(f"`out` is {out}, which is a file; choose a folder")


def refuse_among_images(out: Path, image_set: ImageSet, usual: Path) -> None:
    """Refuse a place for results that would be read as images with the others, or that would hide a class.

    Args:
        usual: where the results go unless somebody says where. That folder, and others beside it, may lie among the
            images, as of ``.``: reading passes over results.

    Raises:
        StudyError: it lies in a folder that was read as a whole.
        StorageError: the system does not say where it lies.
    """
    try:
        place, default = out.resolve(), usual.parent.resolve()
    except (OSError, RuntimeError) as error:  # links in a circle
        raise StorageError(f"cannot read {out}: {error}; choose another folder with `out`") from error
    if default in place.parents:
        return
    for folder in image_set.folders:
        if place == folder or folder in place.parents:
            where = "is the folder of the images" if place == folder else f"lies among the images in {folder}"
            raise StudyError(f"`out` is {out}, which {where} and would be read as one; choose a folder outside")


@contextmanager
def time_limit(seconds: float | None, what: str) -> Iterator[None]:
    """End what is done inside once it has taken so many seconds; None for never.

    By an alarm of the system, which Python heeds between two of its own instructions: a sleep, a loop or a lock that
    waits is ended; a call into compiled code that does not return is not.

    Args:
        what: of whom the sentence is, such as ``rung augment``.

    Raises:
        StudyError: it took longer; the message names the technique's method that was at work.
    """
    # Only the main thread can take signals, and Windows has no such alarm.
    if seconds is None or not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def expired(_: int, frame: FrameType | None) -> None:
        where = hook_at(frame)
        raise StudyError(
            f"{what} {f'hangs in {where}' if where else 'is not ready'}: before the first trial it took longer than "
            f"the {seconds:g} seconds of `trial_timeout`; mend the technique or leave it out, or allow more time"
        )

    before = signal.signal(signal.SIGALRM, expired)
    # Again and again: the method itself may catch the error.
    signal.setitimer(signal.ITIMER_REAL, seconds, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
