"""A trial that was stopped after any step ends with the bits of one that never was."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor

from stepladder.datasets import Split
from stepladder.errors import StorageError, StudyError
from stepladder.recipe import Recipe
from stepladder.techniques import TECHNIQUES, Progress, Technique
from stepladder.training import checkpoint
from stepladder.training.assembly import TrainingData
from stepladder.training.checkpoint import Checkpoints
from stepladder.training.device import choose_compute
from stepladder.training.loop import TrainedNetwork, TrainingCallbacks, train_network
from stepladder.training.stop import Stop, Stopped

CPU = choose_compute("cpu", "float32")
IDENTITY = {"trial": "abc", "torch": "2"}

#: Everything that draws random numbers or remembers something from step to step.
MUCH = (
    "standardize",
    "random_crop",
    "mixup",
    "one_cycle",
    "dropout",
    "batch_norm",
    "gradient_clipping",
    "lookahead",
    "ema",
)


class Spy(Technique):
    """Sees of every step which images it took, at what rate, and the weights after it; kept once the step is done."""

    name = "spy"
    group = "test"
    summary = "for a test"
    paper = "none"
    caveat = "none"
    seen: ClassVar[dict[int, tuple[object, ...]]] = {}
    at: ClassVar[dict[str, Any]] = {}

    def batch_started(self, positions: Tensor, progress: Progress) -> None:
        self.at.update({"step": progress.step, "positions": positions.tolist()})

    def before_step(self, parameters: Sequence[Tensor], lr: float) -> None:
        self.at["lr"] = lr

    def after_step(self, parameters: Sequence[Tensor], progress: Progress) -> None:
        weights = b"".join(value.detach().numpy().tobytes() for value in parameters)
        self.at["weights"] = hashlib.sha256(weights).hexdigest()

    @classmethod
    def keep(cls, _: int) -> None:
        """The step is done: it was one of training, and no trial of the hooks."""
        cls.seen[cls.at["step"]] = tuple(cls.at.items())


@pytest.fixture(autouse=True)
def spy(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(TECHNIQUES, "spy", Spy)
    Spy.seen = {}
    return


@pytest.fixture
def recipe(tiny_recipe: Callable[..., Recipe]) -> Recipe:
    optimizer = {"name": "sgd", "lr": 0.1, "momentum": 0.9, "nesterov": True}
    return tiny_recipe(*MUCH, "spy", epochs=2, batch_size=48, optimizer=optimizer)


def figures(trained: TrainedNetwork) -> list[tuple[object, ...]]:
    return [
        (one.epoch, one.lr, one.train_loss_running, one.train_loss, one.train_accuracy, one.val_loss, one.val_accuracy)
        for one in trained.history
    ]


def same(one: TrainedNetwork, other: TrainedNetwork) -> bool:
    left, right = one.module.state_dict(), other.module.state_dict()
    return figures(one) == figures(other) and all(torch.equal(left[name], right[name]) for name in left)


class StopAfter(Stop):
    """Wants to stop once, after so many looks."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.left = steps

    def wanted(self) -> bool:
        self.left -= 1
        if self.left == 0:
            self.request("interrupt")
        return super().wanted()


def recipe_names(recipe: Recipe) -> set[str]:
    return {setting.name for setting in recipe.techniques}


def train(recipe: Recipe, split: Split, checkpoints: Checkpoints | None = None, **more: object) -> TrainedNetwork:
    return train_network(
        recipe,
        TrainingData(split, split, 10),
        0,
        CPU,
        TrainingCallbacks(on_batch=Spy.keep if "spy" in recipe_names(recipe) else None),
        checkpoints=checkpoints,
        **more,
    )  # type: ignore[arg-type]


@pytest.mark.soak
def test_stopped_after_every_step_in_turn_all_later_steps_are_the_same(
    recipe: Recipe, digits_train: Split, tmp_path: Path
) -> None:
    whole = train(recipe, digits_train)
    steps, Spy.seen = Spy.seen, {}
    assert len(steps) > 8
    for count in range(1, len(steps) + 1):
        folder = tmp_path / str(count)
        with pytest.raises(Stopped):
            train(recipe, digits_train, Checkpoints(folder, IDENTITY, stop=StopAfter(count)))
        Spy.seen = {}
        resumed = train(recipe, digits_train, Checkpoints(folder, IDENTITY))
        first = min(Spy.seen, default=len(steps))
        # The stop may have been noticed at the end of the epoch; never later, and no step is done twice or left out.
        assert first in (count, count - 1), count
        assert Spy.seen == {step: seen for step, seen in steps.items() if step >= first}
        assert same(resumed, whole), count


@pytest.mark.long
def test_stopped_again_and_again_it_is_still_the_same(recipe: Recipe, digits_train: Split, tmp_path: Path) -> None:
    whole = train(recipe, digits_train)
    for _ in range(100):
        try:
            resumed = train(recipe, digits_train, Checkpoints(tmp_path, IDENTITY, stop=StopAfter(2)))
            break
        except Stopped:
            continue
    assert same(resumed, whole)


@pytest.mark.parametrize(
    ("optimizer", "lr"), [("adam", 0.01), ("adamw", 0.01), ("rmsprop", 0.01), ("muon", 0.02), ("sgd", 0.1)]
)
def test_every_optimizer_goes_on(
    tiny_recipe: Callable[..., Recipe], digits_train: Split, tmp_path: Path, optimizer: str, lr: float
) -> None:
    recipe = tiny_recipe("standardize", epochs=1, batch_size=48, optimizer={"name": optimizer, "lr": lr})
    with pytest.raises(Stopped):
        train(recipe, digits_train, Checkpoints(tmp_path, IDENTITY, stop=StopAfter(3)))
    assert same(train(recipe, digits_train, Checkpoints(tmp_path, IDENTITY)), train(recipe, digits_train))


@pytest.mark.long
def test_the_best_epoch_and_the_patience_survive(
    tiny_recipe: Callable[..., Recipe], digits_train: Split, tmp_path: Path
) -> None:
    plateau = {"name": "reduce_on_plateau", "patience": 1, "factor": 0.5}
    recipe = tiny_recipe("standardize", plateau, epochs=7, batch_size=48, optimizer={"name": "sgd", "lr": 2.0})
    whole = train(recipe, digits_train, select_best=True)
    rates = [record.lr for record in whole.history[1:]]
    assert len(set(rates)) > 1, "the rate must fall in this test"
    assert whole.selected_epoch < 7, "the best epoch must not be the last in this test"
    resumed = None
    while resumed is None:
        try:
            stop = StopAfter(5)
            resumed = train(recipe, digits_train, Checkpoints(tmp_path, IDENTITY, stop=stop), select_best=True)
        except Stopped:
            continue
    assert same(resumed, whole)
    assert resumed.selected_epoch == whole.selected_epoch


def test_the_rate_at_a_milestone_survives(
    tiny_recipe: Callable[..., Recipe], digits_train: Split, tmp_path: Path
) -> None:
    steps = {"name": "step_lr", "every": 1, "gamma": 0.1}
    recipe = tiny_recipe("standardize", steps, "spy", epochs=3, batch_size=96)
    whole = train(recipe, digits_train)
    a_epoch = len(Spy.seen) // 3
    for count in (a_epoch - 1, a_epoch, a_epoch + 1):
        folder = tmp_path / str(count)
        with pytest.raises(Stopped):
            train(recipe, digits_train, Checkpoints(folder, IDENTITY, stop=StopAfter(count)))
        assert same(train(recipe, digits_train, Checkpoints(folder, IDENTITY)), whole)


def test_a_lone_last_image_with_batch_norm_survives(
    tiny_recipe: Callable[..., Recipe], digits_train: Split, tmp_path: Path
) -> None:
    split = digits_train.take(np.arange(33))
    recipe = tiny_recipe("batch_norm", epochs=2, batch_size=16)
    whole = train(recipe, split)
    for count in (1, 2, 3):
        with pytest.raises(Stopped):
            train(recipe, split, Checkpoints(tmp_path / str(count), IDENTITY, stop=StopAfter(count)))
        assert same(train(recipe, split, Checkpoints(tmp_path / str(count), IDENTITY)), whole)


@pytest.fixture
def stopped(recipe: Recipe, digits_train: Split, tmp_path: Path) -> Path:
    """A folder of two checkpoints."""
    for count in (3, 2):
        with pytest.raises(Stopped):
            train(recipe, digits_train, Checkpoints(tmp_path, IDENTITY, stop=StopAfter(count)))
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["00000003", "00000005"]
    return tmp_path


DAMAGE: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path / "tensors.safetensors", 1000),
    "empty": lambda path: (path / "tensors.safetensors").write_bytes(b""),
    "bit flipped": lambda path: flip(path / "tensors.safetensors"),
    "bit of the state flipped": lambda path: flip(path / "state.json"),
    "no tensors": lambda path: (path / "tensors.safetensors").unlink(),
    "no marker": lambda path: (path / "complete.json").unlink(),
    "marker cut off": lambda path: os.truncate(path / "complete.json", 20),
    "marker is a list": lambda path: (path / "complete.json").write_text("[]"),
    # With checksums that fit: not an accident, but somebody.
    "no identity": lambda path: forge(path, lambda state: state.pop("identity")),
    "no values": lambda path: forge(path, lambda state: state.update(values=[])),
    "values less": lambda path: forge(path, lambda state: state["values"].pop("history")),
    "not a number": lambda path: forge(path, lambda state: state["values"].update(optimizer={"a": float("nan")})),
    "a layout of a terabyte": lambda path: forge(
        path, lambda state: state["values"].update(strides={"place/loss_sum": [10**12], "place/order_state": [10**12]})
    ),
    "a pipe": lambda path: ((path / "state.json").unlink(), os.mkfifo(path / "state.json")),
    "a link": lambda path: ((path / "state.json").unlink(), (path / "state.json").symlink_to("/dev/zero")),
}


def forge(path: Path, edit: Callable[[dict[str, Any]], object]) -> None:
    """Change the state of a checkpoint, and its checksum with it."""
    state = json.loads((path / "state.json").read_text())
    edit(state)
    (path / "state.json").write_text(json.dumps(state))
    told = json.loads((path / "complete.json").read_text())
    told["state.json"] = hashlib.sha256((path / "state.json").read_bytes()).hexdigest()
    (path / "complete.json").write_text(json.dumps(told))


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


@pytest.mark.long
@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_newest_checkpoint_falls_back_to_the_one_before(
    stopped: Path, recipe: Recipe, digits_train: Split, how: str
) -> None:
    DAMAGE[how](stopped / "00000005")
    told: list[str] = []
    Spy.seen = {}
    resumed = train(recipe, digits_train, Checkpoints(stopped, IDENTITY, tell=told.append))
    assert min(Spy.seen) == 3
    assert [sentence.partition(":")[0] for sentence in told] == ["checkpoint 00000005 is passed over"]
    assert same(resumed, train(recipe, digits_train))


def test_without_a_whole_checkpoint_the_trial_starts_again(stopped: Path, recipe: Recipe, digits_train: Split) -> None:
    for folder in stopped.iterdir():
        DAMAGE["empty"](folder)
    told: list[str] = []
    resumed = train(recipe, digits_train, Checkpoints(stopped, IDENTITY, tell=told.append))
    assert len(told) == 2
    assert same(resumed, train(recipe, digits_train))


def test_the_checkpoint_of_another_trial_is_passed_over(stopped: Path) -> None:
    told: list[str] = []
    assert Checkpoints(stopped, {**IDENTITY, "trial": "other"}, tell=told.append).load({"threads": "1"}) is None
    assert all("another trial" in sentence for sentence in told)


@pytest.mark.parametrize(
    ("identity", "threads", "said"),
    [(IDENTITY, "7", "threads was 1 and is 7"), ({**IDENTITY, "torch": "3"}, "1", "torch was 2 and is 3")],
)
def test_other_conditions_are_refused_or_accepted(
    stopped: Path, identity: dict[str, str], threads: str, said: str
) -> None:
    with pytest.raises(StudyError, match=rf"{said}.*`accept_different_bits=True`"):
        Checkpoints(stopped, identity).load({"threads": threads})
    told: list[str] = []
    checkpoints = Checkpoints(stopped, identity, accept_different_bits=True, tell=told.append)
    assert checkpoints.load({"threads": threads}) is not None
    assert said in told[0]


def test_a_newer_version_is_passed_over(stopped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "CHECKPOINT_VERSION", 2)
    told: list[str] = []
    assert Checkpoints(stopped, IDENTITY, tell=told.append).load({"threads": "1"}) is None
    assert "it has version 1; this Stepladder reads version 2" in told[0]


def test_only_two_are_kept_and_nothing_half_written_is_left(
    recipe: Recipe, digits_train: Split, tmp_path: Path
) -> None:
    train(recipe, digits_train, Checkpoints(tmp_path, IDENTITY, every_seconds=1e-9))
    assert len(list(tmp_path.iterdir())) == 2
    assert all(path.name.isdecimal() for path in tmp_path.iterdir())


@pytest.mark.long
@pytest.mark.parametrize("call", ["fsync", "rename"])
def test_a_full_disk_leaves_the_last_good_one_and_says_how_much_it_needs(
    recipe: Recipe, digits_train: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    with pytest.raises(Stopped):
        train(recipe, digits_train, Checkpoints(tmp_path, IDENTITY, stop=StopAfter(3)))

    def no_room(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if call == "fsync":
            patch.setattr(os, "fsync", no_room)
        else:
            patch.setattr(Path, "rename", no_room)
        with pytest.raises(StorageError, match=r"no room to write .*00000005: it needs 0\.\d\d MB, and .* MB are free"):
            train(recipe, digits_train, Checkpoints(tmp_path, IDENTITY, stop=StopAfter(2)))
    assert [path.name for path in tmp_path.iterdir()] == ["00000003"]
    assert same(train(recipe, digits_train, Checkpoints(tmp_path, IDENTITY)), train(recipe, digits_train))


def test_a_loss_that_is_not_finite_is_never_kept_as_best(
    tiny_recipe: Callable[..., Recipe], digits_train: Split, tmp_path: Path
) -> None:
    recipe = tiny_recipe("standardize", epochs=3, batch_size=48, optimizer={"name": "sgd", "lr": 1e20})
    trained = train(recipe, digits_train, Checkpoints(tmp_path, IDENTITY), select_best=True)
    assert trained.failure is not None
    assert "not finite" in trained.failure
    assert not list(tmp_path.iterdir())


def test_epochs_of_less_than_a_second_are_not_kept_one_by_one(
    recipe: Recipe, digits_train: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seconds, kept in ((1000.0, 0), (0.0, 2)):
        monkeypatch.setattr(checkpoint, "WORTH_KEEPING", seconds)
        folder = tmp_path / str(kept)
        checkpoints = Checkpoints(folder, IDENTITY, every_seconds=2000.0)
        train(recipe, digits_train, checkpoints)
        assert len(list(folder.glob("*"))) == kept
        assert not checkpoints.due()


def test_a_run_without_space_for_a_copy_says_so(recipe: Recipe, digits_train: Split, tmp_path: Path) -> None:
    folder = tmp_path / "file"
    folder.write_text("")
    with pytest.raises(StorageError, match="cannot write"):
        train(recipe, digits_train, Checkpoints(folder, IDENTITY, every_seconds=1e-9))


def test_the_copy_of_a_forked_process_ends_itself(recipe: Recipe, digits_train: Split, tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, IDENTITY)
    child = os.fork()
    if child == 0:
        try:
            checkpoints.due()
        finally:
            os._exit(0)  # the copy went on; whatever it comes to, it must not run the tests that follow
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 70
