"""What a node of a cluster is asked beside trials: in which arithmetic it trains, how long that takes, bags of words.

Questions and answers are plain values. Each question has its two sides here: what the owner of the study sends, and
what a worker on the node makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stepladder.datasets import Split, Splits
from stepladder.network import trace_network
from stepladder.recipe import Recipe, parse_recipe
from stepladder.studies.files.machine import describe_machine
from stepladder.studies.files.records import DataRecord, Machine
from stepladder.studies.running.callbacks import Callbacks
from stepladder.studies.running.estimate import Work, estimate_seconds
from stepladder.studies.running.shared_memory import describe_splits, read_splits
from stepladder.studies.running.timing import Estimate
from stepladder.training.arithmetic import Arithmetic, choose_arithmetic
from stepladder.training.assembly import trained_network
from stepladder.training.device import Compute, choose_compute

#: Keeps an array where the node finds it, and returns its place; see ``shared_memory.describe_jobs``.
PlaceArray = Callable[[np.ndarray], dict[str, Any]]

#: Images that a question about arithmetic brings: their shape is what counts, and a few are what techniques learn from.
_FEW = 256


def answer(document: Mapping[str, Any], arrays: Path, folder: Path, callbacks: Callbacks) -> dict[str, Any]:
    """Answer a question on a node, in plain values.

    Args:
        folder: for files that go back with the answer.

    Raises:
        StepladderError: the device is not there, or the recipe does not fit.
    """
    match document["ask"]:
        case "settle":
            return _settle(document, arrays)
        case "estimate":
            return _estimate(document, arrays, callbacks)
        case "bag":
            from stepladder.studies.running.bag import fit_asked  # scikit-learn, once it is needed

            fit_asked(document, arrays, folder)
            return {}
    raise AssertionError(document["ask"])


def ask_to_settle(
    recipe: Recipe, splits: Splits, data: DataRecord, compute: tuple[str, str, int | None], place: PlaceArray
) -> dict[str, Any]:
    """Return the question on which device and in which precision a node trains.

    Args:
        compute: device, precision and threads as they were asked for.
    """
    few = replace(splits, train=_alone(splits.train.first(_FEW)), validation=None, test=_alone(splits.train.first(1)))
    return {
        "ask": "settle",
        "recipe": recipe.to_table(),
        "images": describe_splits(few, data, place),
        "compute": list(compute),
    }


def _alone(split: Split) -> Split:
    """Return a split whose pixels are its own: the block that it was a part of would travel as a whole."""
    return Split(np.ascontiguousarray(split.images), split.labels)


def _settle(document: Mapping[str, Any], arrays: Path) -> dict[str, Any]:
    device, precision, threads = document["compute"]
    compute = choose_compute(device, precision, threads)
    chosen = Arithmetic(compute.precision, "asked")
    if precision == "auto":
        recipe, classes = parse_recipe(document["recipe"]), len(document["images"]["data"]["class_names"])
        network, shape = trained_network(recipe, read_splits(document["images"], arrays).train, classes)
        trace_network(network, shape, classes)
        chosen = choose_arithmetic(network, shape, classes, recipe.batch_size, compute)
    machine = describe_machine(compute.device).model_dump(mode="json")
    return {"device": compute.device.type, "threads": threads, "arithmetic": asdict(chosen), "machine": machine}


def settled(told: Mapping[str, Any]) -> tuple[Compute, Arithmetic, Machine]:
    """Return what a node answered on device and precision, and what it is."""
    arithmetic = Arithmetic(**told["arithmetic"])
    compute = Compute(torch.device(told["device"]), arithmetic.precision, told["threads"])
    return compute, arithmetic, Machine.model_validate(told["machine"])


def ask_to_estimate(
    work: Mapping[str, Work],
    splits: Splits,
    data: DataRecord,
    compute: Compute,
    place: PlaceArray,
    more: Mapping[str, Any],
) -> dict[str, Any]:
    """Return the question how long trials take on a node.

    Args:
        more: further arguments of :func:`~stepladder.studies.running.estimate.estimate_seconds`.
    """
    return {
        "ask": "estimate",
        "work": {name: [one.recipe.to_table(), one.images] for name, one in work.items()},
        "images": describe_splits(splits, data, place),
        "compute": [compute.device.type, compute.precision, compute.threads],
        "more": dict(more),
    }


def _estimate(document: Mapping[str, Any], arrays: Path, callbacks: Callbacks) -> dict[str, Any]:
    work = {name: Work(parse_recipe(table), images) for name, (table, images) in document["work"].items()}
    device, precision, threads = document["compute"]
    found = estimate_seconds(
        work,
        read_splits(document["images"], arrays),
        len(document["images"]["data"]["class_names"]),
        Compute(torch.device(device), precision, threads),
        callbacks,
        **document["more"],
    )
    return {"estimate": asdict(found)}


def estimated(told: Mapping[str, Any]) -> Estimate:
    """Return what a node answered on time."""
    return Estimate(**told["estimate"])
