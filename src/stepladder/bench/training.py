"""How fast does Stepladder train, beside the same network in other people's libraries?

Every peer is a process of its own, with its library in a virtual environment of its own, and gets the same images, the
same augmentation, batch size and optimizer. They take turns, so that drift of the machine hits all alike.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stepladder.bench.environments import CannotInstallError, make_environment
from stepladder.bench.lanes import CHANNELS, SIZE, random_images
from stepladder.bench.peers import ALONE, TOGETHER, Peer, known_peers
from stepladder.bench.product import flop_an_image, matrix_rate
from stepladder.bench.turns import FailedError, Turns, note, take_turn
from stepladder.data import Split
from stepladder.errors import DataError, StepladderError, unknown
from stepladder.network import trace_network
from stepladder.recipe import Recipe
from stepladder.training.device import Compute, available_cores

#: Batches before the clock starts: some libraries compile the network, all of them get their memory.
_WARMUP_STEPS = 100


@dataclass(frozen=True)
class TrainingSpeed:
    """Figures of one run.

    Attributes:
        turns: of Stepladder as one trial first, then of its peers, and of Stepladder as a study runs it last.
        left_out: peers by name, each with the reason, a sentence.
        matrix_product: FLOP a second of a 2048² matrix product in Stepladder's precision, an entry a round.
        flop_an_image: of one training step.
    """

    turns: list[Turns]
    left_out: dict[str, str]
    matrix_product: list[float]
    flop_an_image: float

    @property
    def alone(self) -> Turns:
        """Stepladder as one trial on all cores."""
        return self.turns[0]

    @property
    def together(self) -> Turns:
        """Stepladder as a study runs it: a trial a core, one thread each."""
        return self.turns[-1]

    def product_shares(self, turns: Turns) -> list[float]:
        """Useful FLOP a second over the matrix product's, round by round."""
        return [
            rate * self.flop_an_image / peak
            for rate, peak in zip(turns.images_per_second, self.matrix_product, strict=True)
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
    """Let Stepladder and ``peers`` train ``recipe`` in turn.

    Args:
        train: 32×32 color images.
        val: on which accuracies are measured.
        recipe: with standardization, crops with a padding of 4 and horizontal flips, which the peers have as well.
        compute: of Stepladder; the peers keep to float32, as their users do. On the CPU.
        rounds: turns of each.
        on_part: called with a phrase, of what comes, before each of ``len(peers) * (rounds + 1) + 2 * rounds`` parts.

    Raises:
        DataError: the images have another shape.
        StepladderError: Stepladder itself could not be measured.
    """
    if train.image_shape != (SIZE, SIZE, CHANNELS):
        height, width, channels = train.image_shape
        raise DataError(
            f"the images are {height}×{width} with {channels} channel{'s' if channels > 1 else ''}; the peers' "
            f"networks are for {SIZE}×{SIZE} in color: add --size {SIZE} --channels {CHANNELS}"
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
    turns = [Turns(peer, cores if peer.together else 1) for peer in (ALONE, *peers, TOGETHER)]
    weights = sum(cost.weights for cost in trace_network(recipe.network, (CHANNELS, SIZE, SIZE), num_classes))
    products: list[float] = []
    with tempfile.TemporaryDirectory(prefix="stepladder-bench-") as name:
        folder = Path(name)
        order = _write_order(folder, train, val, num_classes, recipe, compute)
        for number in range(rounds):
            for one in turns:
                if one.peer.name in left_out:
                    continue
                if on_part:
                    on_part(f"Round {number + 1} of {rounds}: {one.peer.name}")
                command = interpreters.get(one.peer.name) or _interpreter(one.peer)
                try:
                    answers = take_turn(one, command, folder, order | {"seed": number})
                    note(one, answers, weights)
                except FailedError as error:
                    if one.peer in (ALONE, TOGETHER):
                        raise StepladderError(f"Stepladder's own turn failed: {error}") from error
                    left_out[one.peer.name] = str(error)
            products.append(matrix_rate(compute))
    kept = [one for one in turns if one.peer.name not in left_out]
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
