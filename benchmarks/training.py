"""How fast does Stepladder train, beside the same network in other people's libraries?

Every peer is a process of its own, with its library in a virtual environment of its own, and gets the same images, the
same augmentation, batch size and optimizer. All train once in every round, so that drift of the machine hits all alike.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from benchmarks.peers import ALONE, TOGETHER, Peer, known_peers
from benchmarks.peers.running import (
    CannotInstallError,
    FailedError,
    PeerRounds,
    add_round,
    environments_folder,
    make_environment,
    run_round,
)
from stepladder.bench.engine import CHANNELS, CLASSES, SIZE, flop_an_image, matrix_rate, random_images
from stepladder.cli.bench import at_least_one, finish, progress_of, spread, table_of
from stepladder.cli.console import AsJson, make_console
from stepladder.cli.data_options import DataOptions
from stepladder.cli.training_options import Precision
from stepladder.datasets import Split, make_splits
from stepladder.errors import DataError, StepladderError, unknown
from stepladder.network import trace_network
from stepladder.recipe import Recipe, load_recipe
from stepladder.report.units import count
from stepladder.studies.design.rungs import find_rung
from stepladder.studies.files.machine import describe_versions
from stepladder.training.device import Compute, available_cores, choose_compute

#: Batches before the clock starts: some libraries compile the network, all of them get their memory.
_WARMUP_STEPS = 100
#: Images of noise a class, where no DATA is given and no --limit.
_NOISE = 2000
_NO_OPTIONS = DataOptions()


@dataclass(frozen=True)
class TrainingSpeed:
    """Figures of one run.

    Attributes:
        peers: Stepladder as one trial first, then its peers, and Stepladder as a study runs it last.
        left_out: peers by name, each with the reason, a sentence.
        matrix_product: FLOP a second of a 2048² matrix product in Stepladder's precision, an entry a round.
        flop_an_image: of one training step.
    """

    peers: list[PeerRounds]
    left_out: dict[str, str]
    matrix_product: list[float]
    flop_an_image: float

    @property
    def alone(self) -> PeerRounds:
        """Stepladder as one trial on all cores."""
        return self.peers[0]

    @property
    def together(self) -> PeerRounds:
        """Stepladder as a study runs it: a trial a core, one thread each."""
        return self.peers[-1]

    def product_shares(self, peer: PeerRounds) -> list[float]:
        """Useful FLOP a second over the matrix product's, round by round."""
        return [
            rate * self.flop_an_image / peak
            for rate, peak in zip(peer.images_per_second, self.matrix_product, strict=True)
        ]


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Return one over the other, round by round; empty where a side is not known."""
    return [one / other for one, other in zip(ours, theirs, strict=False)]


def choose_peers(names: Sequence[str]) -> tuple[Peer, ...]:
    """Return the peers of these names, all where there are none; Stepladder itself is none.

    Raises:
        DataError: a name that no peer has.
    """
    known = {peer.name: peer for peer in known_peers()}
    for name in names:
        if name not in known:
            raise DataError(unknown("peer", name, known))
    return tuple(peer for peer in known.values() if not names or peer.name in names)


def noise(images: int) -> tuple[Split, Split]:
    """Return training and validation images of noise, nine to one, where there are no others."""
    everything, last = random_images(images), images // 10
    return everything.take(np.arange(last, images)), everything.take(np.arange(last))


def measure_training(
    train: Split,
    val: Split,
    num_classes: int,
    recipe: Recipe,
    compute: Compute,
    *,
    peers: Sequence[Peer],
    rounds: int = 3,
    on_part: Callable[[str], None] | None = None,
) -> TrainingSpeed:
    """Let Stepladder and ``peers`` train ``recipe``, all once in every round.

    Args:
        train: 32×32 color images.
        val: on which accuracies are measured.
        recipe: with standardization, crops with a padding of 4 and horizontal flips, which the peers have as well.
        compute: of Stepladder; the peers keep to float32, as their users do. On the CPU.
        rounds: trainings of each.
        on_part: called with a phrase, of what comes, before each of ``len(peers) * (rounds + 1) + 2 * rounds`` parts.

    Raises:
        DataError: the images have another shape.
        StepladderError: Stepladder itself could not be measured.
    """
    if train.image_shape != (SIZE, SIZE, CHANNELS):
        height, width, channels = train.image_shape
        raise DataError(
            f"the images are {height}×{width} with {channels} channel{'s' if channels > 1 else ''}; the peers' "
            f"networks are for {SIZE}×{SIZE} in color: add `size={SIZE}` and `channels={CHANNELS}`"
        )
    left_out: dict[str, str] = {}
    interpreters = {}
    for peer in peers:
        if on_part:
            on_part(f"Installing {peer.name}")
        try:
            interpreters[peer.name] = _interpreter(peer)
        except CannotInstallError as error:
            left_out[peer.name] = f"it cannot be installed: {error}"
    cores = available_cores()
    measured = [PeerRounds(peer, cores if peer.together else 1) for peer in (ALONE, *peers, TOGETHER)]
    weights = sum(cost.weights for cost in trace_network(recipe.network, (CHANNELS, SIZE, SIZE), num_classes))
    products: list[float] = []
    with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as name:
        folder = Path(name)
        order = _write_order(folder, train, val, num_classes, recipe, compute)
        for number in range(rounds):
            for one in measured:
                if one.peer.name in left_out:
                    continue
                if on_part:
                    on_part(f"Round {number + 1} of {rounds}: {one.peer.name}")
                command = interpreters.get(one.peer.name) or _interpreter(one.peer)
                try:
                    answers = run_round(one, command, folder, order | {"seed": number})
                    add_round(one, answers, weights)
                except FailedError as error:
                    if one.peer in (ALONE, TOGETHER):
                        raise StepladderError(f"Stepladder itself failed: {error}") from error
                    left_out[one.peer.name] = str(error)
            products.append(matrix_rate(compute))
    kept = [one for one in measured if one.peer.name not in left_out]
    return TrainingSpeed(kept, left_out, products, flop_an_image(recipe, num_classes))


def _interpreter(peer: Peer) -> list[str]:
    """Return the command that runs a script of the peer's; its folder is not imported from, whatever its files are."""
    if not peer.requirements:
        return [sys.executable, "-P"]
    # Isolated from PYTHONPATH too: what is found there is not what was installed for the peer.
    return [str(make_environment(peer.name, peer.requirements)), "-I"]


def _write_order(
    folder: Path, train: Split, val: Split, num_classes: int, recipe: Recipe, compute: Compute
) -> dict[str, Any]:
    """Write the images where every peer reads them, and return what all are told."""
    for name, split in (("train", train), ("val", val)):
        np.save(folder / f"{name}_images.npy", split.images)
        np.save(folder / f"{name}_labels.npy", split.labels)
    sums, squares, pixels = np.zeros(CHANNELS), np.zeros(CHANNELS), len(train) * SIZE * SIZE
    for chunk in train.chunks():
        scaled = chunk.reshape(-1, CHANNELS) / 255
        sums, squares = sums + scaled.sum(0), squares + (scaled**2).sum(0)
    mean = sums / pixels
    return {
        "epochs": recipe.epochs,
        "warmup_steps": _WARMUP_STEPS,
        "batch_size": recipe.batch_size,
        "lr": recipe.optimizer.lr,
        "mean": mean.tolist(),
        "std": np.sqrt(squares / pixels - mean**2).tolist(),
        "classes": num_classes,
        "recipe": recipe.to_table(),
        "precision": compute.precision,
    }


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
    epochs: Annotated[int, Parameter(help="Epochs of a training, after a warm-up.")] = 2,
    rounds: Annotated[int, Parameter(help="Trainings of each, in turn.")] = 3,
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
    versions = {name: said for one in speed.peers for name, said in one.versions.items() if name not in known}
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
    """Return training and validation images, and the number of classes; test images are not read."""
    if data is None:
        if options.limit is not None and options.limit < 1:
            raise DataError(f"`limit` is {options.limit}; it must be at least 1 image a class")
        return *noise((options.limit or _NOISE) * CLASSES), CLASSES
    image_set = options.load_data(console, data)
    splits = make_splits(image_set)
    assert splits.validation is not None
    return splits.train, splits.validation, image_set.num_classes


def _speeds(speed: TrainingSpeed) -> Table:
    table = table_of("", "images/s", "one trial over it", "a trial a core over it", "of the product, %")
    for one in speed.peers:
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
    for one in speed.peers:
        ours = speed.together if one.peer.together else speed.alone
        table.add_row(
            one.peer.label,
            _cell([100 * share for share in one.accuracy], ".1f"),
            _cell([peak / 1e6 for peak in one.peak_memory_bytes], ",.0f") or "not told",
            "" if one is ours else _cell(ratios(ours.peak_memory_bytes, one.peak_memory_bytes), ".2f"),
        )
    return table


def _over(ours: PeerRounds, theirs: PeerRounds) -> list[float]:
    return ratios(ours.images_per_second, theirs.images_per_second)


def _cell(values: list[float], form: str) -> str:
    return spread(values, form) if values else ""


def _document(speed: TrainingSpeed) -> dict[str, Any]:
    rows = []
    for one in speed.peers:
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
