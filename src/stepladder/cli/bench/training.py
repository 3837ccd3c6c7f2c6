"""``stepladder bench training``: training speed beside other libraries, on this machine."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from stepladder.bench.environments import environments_folder
from stepladder.bench.lanes import CLASSES
from stepladder.bench.training import TrainingSpeed, choose_peers, measure_training, noise, ratios
from stepladder.bench.turns import Turns
from stepladder.cli.bench.output import at_least_one, finish, progress_of, spread, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.cli.data_options import DataOptions
from stepladder.cli.options import Precision
from stepladder.data import Split
from stepladder.data.split import make_splits
from stepladder.errors import DataError
from stepladder.recipe import load_recipe
from stepladder.report.units import count
from stepladder.study.design.plan import find_rung
from stepladder.study.files.machine import describe_versions
from stepladder.training.device import choose_compute

#: Images of noise a class, where no DATA is given and no --limit.
_NOISE = 2000
_NO_OPTIONS = DataOptions()


def training(
    data: Annotated[
        str | None, Parameter(help="32×32 color images, by name or path; without, noise, and accuracies mean nothing.")
    ] = None,
    *,
    peers: Annotated[
        tuple[str, ...],
        Parameter(
            negative="",
            show_default=False,
            consume_multiple=True,
            help="Only these beside Stepladder: notebook, notebook-2 (workers), tensors, lightning, skorch, keras-jax, "
            "keras-tensorflow, tensors-together (a process a core).",
        ),
    ] = (),
    epochs: Annotated[int, Parameter(help="Epochs of a turn, after a warm-up.")] = 2,
    rounds: Annotated[int, Parameter(help="Turns of each.")] = 3,
    options: DataOptions = _NO_OPTIONS,
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> None:
    """Measure training beside other libraries: the same network, images, augmentation, batch size and optimizer."""
    at_least_one(epochs=epochs, rounds=rounds)
    chosen = choose_peers(peers)
    console = make_console(as_json)
    compute = choose_compute("cpu", precision)
    train, val, num_classes = _images(console, data, options)
    recipe = find_rung(load_recipe("report"), "augment").recipe.model_copy(update={"epochs": epochs})
    if any(peer.requirements for peer in chosen):
        console.print(f"Libraries are installed once into {environments_folder()}.", markup=False)
    with progress_of(console, len(chosen) * (rounds + 1) + 2 * rounds) as advance:
        speed = measure_training(train, val, num_classes, recipe, compute, peers=chosen, rounds=rounds, on_part=advance)
    console.print(_speeds(speed))
    console.print()
    console.print(_outcomes(speed))
    for name, reason in speed.left_out.items():
        console.print(f"Left out: {name}; {reason}.", markup=False)
    if data is None:
        console.print("The images were noise (no DATA was given): the accuracies mean nothing.")
    product = spread([rate / 1e9 for rate in speed.matrix_product], ",.0f")
    known = describe_versions()
    versions = {name: said for one in speed.turns for name, said in one.versions.items() if name not in known}
    words = (
        f"Median of {count(rounds, 'round')} in turn (minimum to maximum), a seed each. {len(train):,} training and "
        f"{len(val):,} validation images; {count(epochs, 'epoch')} after a warm-up; batch {recipe.batch_size}, SGD, "
        f"lr {recipe.optimizer.lr:g}; standardized, cropped with a padding of 4, mirrored; {speed.alone.weights:,} "
        f"weights in each network. Stepladder computes in {compute.precision}, the others in float32. Over it: "
        "Stepladder's figure over the row's. "
        f"The product: 2048² in {compute.precision} on all cores, {product} GFLOP/s. "
        "Memory: at most, until training ended; compared with Stepladder run alike.\n"
        f"{', '.join(f'{name} {said}' for name, said in versions.items()) or 'No other libraries'}."
    )
    document = _document(speed) | {
        "data": data,
        "images": {"train": len(train), "val": len(val)},
        "precision": compute.precision,
        "recipe": recipe.to_table(),
    }
    finish(console, words, compute, document if as_json else None)


def _images(console: Console, data: str | None, options: DataOptions) -> tuple[Split, Split, int]:
    """Return training and validation images, and the number of classes; test images are not looked at."""
    if data is None:
        if options.limit is not None and options.limit < 1:
            raise DataError(f"--limit is {options.limit}; it must be at least 1 image a class")
        return *noise((options.limit or _NOISE) * CLASSES), CLASSES
    image_set = options.load_data(console, data)
    splits = make_splits(image_set)
    assert splits.validation is not None
    return splits.train, splits.validation, image_set.num_classes


def _speeds(speed: TrainingSpeed) -> Table:
    table = table_of("", "images/s", "one trial over it", "a trial a core over it", "of the product, %")
    for one in speed.turns:
        # A trial alone is compared with what runs alone: many processes share no step, so they are faster together.
        alone = [] if one.peer.together or one is speed.alone else _over(speed.alone, one)
        table.add_row(
            one.peer.label,
            _cell(one.images_per_second, ",.0f"),
            _cell(alone, ".2f"),
            _cell([] if one is speed.together else _over(speed.together, one), ".2f"),
            _cell([100 * share for share in speed.product_shares(one)], ".0f"),
        )
    return table


def _outcomes(speed: TrainingSpeed) -> Table:
    table = table_of("", "accuracy, %", "peak memory, MB", "Stepladder's over it")
    for one in speed.turns:
        ours = speed.together if one.peer.together else speed.alone
        table.add_row(
            one.peer.label,
            _cell([100 * share for share in one.accuracy], ".1f"),
            _cell([peak / 1e6 for peak in one.peak_memory_bytes], ",.0f") or "not told",
            "" if one is ours else _cell(ratios(ours.peak_memory_bytes, one.peak_memory_bytes), ".2f"),
        )
    return table


def _over(ours: Turns, theirs: Turns) -> list[float]:
    return ratios(ours.images_per_second, theirs.images_per_second)


def _cell(values: list[float], form: str) -> str:
    return spread(values, form) if values else ""


def _document(speed: TrainingSpeed) -> dict[str, Any]:
    rows = []
    for one in speed.turns:
        row = asdict(one)
        alike = speed.together if one.peer.together else speed.alone
        row["peer"] = {"name": one.peer.name, "label": one.peer.label, "requirements": list(one.peer.requirements)}
        row["stepladder_over_it"] = ratios(alike.images_per_second, one.images_per_second)
        row["stepladder_in_a_study_over_it"] = ratios(speed.together.images_per_second, one.images_per_second)
        row["stepladder_memory_over_its"] = ratios(alike.peak_memory_bytes, one.peak_memory_bytes)
        row["share_of_matrix_product"] = speed.product_shares(one)
        rows.append(row)
    return {
        "peers": rows,
        "left_out": speed.left_out,
        "matrix_product_flop_per_second": speed.matrix_product,
        "flop_an_image": speed.flop_an_image,
    }
