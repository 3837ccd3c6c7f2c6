"""What a technique is: one thing about training that can be switched on or off, and the hooks where it may act.

Before the trial a technique is told what the trial is (:class:`Context`), and in every step how far it has come
(:class:`Progress`).

| hook | when | what it may do |
|---|---|---|
| ``check(context)`` | once, before anything trains | refuse or warn, in a sentence |
| ``rewrite(network)`` | before the network is built | insert or replace layers |
| ``frozen(before, network)`` | once, after rewriting | say which first layers never change |
| ``lr_scales(network)`` | once, after rewriting | train layers at other rates |
| ``fit(batches)`` | once, on the training split alone | learn statistics; the only place that may |
| ``initialize(module, stream, inputs)`` | once, after the network is built | draw other initial weights |
| ``image_weights(labels)`` | once, before the first epoch | draw some training images more often than others |
| ``batch_started(positions, progress)`` | every training batch | see which images it holds |
| ``augment(images, targets, rng)`` | every training batch | change the whole batch at once |
| ``prepare(images)`` | every batch, training and evaluation alike | a change without randomness |
| ``prepared_shape(shape)`` | once, before the network is built | say what ``prepare`` makes of the images' shape |
| ``lr_factor(progress)`` | every step | scale the learning rate |
| ``loss(logits, targets)`` | every step, one technique at most | replace the training loss |
| ``before_step(parameters, lr)`` | every step, after the gradients are there | change gradients or weights |
| ``after_step(parameters, progress)`` | every step, after the optimizer's | change the weights |
| ``weights(current, averaged, progress)`` | every step | average the weights that are evaluated and saved |
| ``epoch_ended(val_loss)`` | after every epoch | see the validation loss; never the test's |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import BaseModel, ConfigDict, PrivateAttr
from torch import Tensor, nn

from stepladder.citations import Citation, written
from stepladder.network import Network

if TYPE_CHECKING:
    from stepladder.datasets.download import Published

#: Gives the random stream of a name on the CPU; the same name always starts the same stream.
Stream = Callable[[str], torch.Generator]

#: The groups that the list shows, in its order.
GROUPS = ("inputs", "augmentation", "learning rate", "network", "loss and weights")

#: Slots: techniques of the same slot exclude one another.
SCHEDULE = "schedule the learning rate over the whole budget"
AVERAGE = "choose the average of the weights that is evaluated"
NORMALIZATION = "normalize after every convolution"
WEIGHTS = "draw the initial weights"
FIRST_LAYER = "set the first layer by patches of the images"


@dataclass(frozen=True)
class Progress:
    """How far a trial has come, before the step at hand.

    Attributes:
        step: steps taken so far, from 0.
        steps_per_epoch: steps in one pass over the training images.
        epochs: the budget.
    """

    step: int
    steps_per_epoch: int
    epochs: int

    @property
    def epoch(self) -> int:
        """Full epochs behind, from 0."""
        return self.step // self.steps_per_epoch

    @property
    def fraction(self) -> float:
        """Share of the budget behind, from 0 to 1."""
        return self.step / (self.steps_per_epoch * self.epochs)

    @property
    def steps(self) -> int:
        """Steps of the whole budget."""
        return self.steps_per_epoch * self.epochs


@dataclass(frozen=True, repr=False)
class Context:
    """What a trial is, known before it starts.

    Attributes:
        image_shape: (C, H, W) of the images before any technique.
        class_counts: training images of each class.
        network: before any rewriting.
        epochs: the budget.
        steps_per_epoch: steps in one pass over the training images.
        has_validation: False where the watched curve is the test's, which no technique may read.
        rewritten: the network after all techniques' rewriting; None until then.
        input_shape: (C, H, W) of what the network reads, as all techniques prepare it; None until then.
    """

    image_shape: tuple[int, int, int]
    class_counts: tuple[int, ...]
    network: Network
    epochs: int
    steps_per_epoch: int
    has_validation: bool = True
    rewritten: Network | None = None
    input_shape: tuple[int, int, int] | None = None

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.image_shape))
        return (
            f"Context({self.num_images:,} training images of {shape}, {self.num_classes} classes, {self.epochs} epochs "
            f"of {self.steps_per_epoch} steps)"
        )

    @property
    def num_classes(self) -> int:
        """Labels run from 0 to this - 1."""
        return len(self.class_counts)

    @property
    def num_images(self) -> int:
        """Training images."""
        return sum(self.class_counts)


@dataclass(frozen=True)
class Frozen:
    """What of a network never changes in training.

    Attributes:
        layers: how many of its layers, from the first on.
        views: random views of each training image for which what these layers make of it is worked out; used where the
            images are augmented.
    """

    layers: int = 0
    views: int = 8


class Technique(BaseModel):
    """Base class: every hook is "no change" until a technique overrides it.

    The fields of a technique are its settings: checked, frozen, part of the recipe. What :meth:`fit` learns goes into
    ``learned``, which is saved with the model; what else it must remember between steps goes into ``state``.

    Class attributes:
        name: what recipes call it.
        group: where the list shows it, one of :data:`GROUPS`.
        summary: one line for the list: what it does.
        plain: two sentences for a student: what it does, and why it may help.
        papers: where it comes from, with sections.
        paper: the same as one line of text, made of ``papers``; a technique of your own may give this text alone.
        differs: where it differs from its papers; empty where it does not.
        caveat: when it hurts, one sentence.
        cost: what it costs in time or memory, as measured.
        interactions: what it does to other techniques and they to it.
        slot: techniques of the same slot exclude one another; the text says what they would both do.
        same_for_every_seed: whether ``initialize`` gives all layers but the output the same weights for every seed.
        begins_from_weights: whether it takes weights from a file, by options ``source`` and ``outputs``.
        mixes_targets: whether ``augment`` gives targets as shares of the classes.
        takes_soft_targets: whether ``loss`` takes such targets.
        reads_layers: whether it needs the network as a list of layers, at other hooks than those that are given it.
        regularizes: whether it is there to keep a network from memorizing; augmentation, which is too, has its group.
        quiet: options that came later: at their default no file mentions them, so that older results keep their names.
    """

    # Deferred: a process that asks a model needs two or three of them, and making ready to check all takes 30 ms.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    name: ClassVar[str]
    group: ClassVar[str]
    summary: ClassVar[str]
    plain: ClassVar[str] = ""
    papers: ClassVar[tuple[Citation, ...]] = ()
    paper: ClassVar[str]
    differs: ClassVar[str] = ""
    caveat: ClassVar[str]
    cost: ClassVar[str] = "not measured"
    interactions: ClassVar[str] = "none known"
    slot: ClassVar[str | None] = None
    same_for_every_seed: ClassVar[bool] = False
    begins_from_weights: ClassVar[bool] = False
    mixes_targets: ClassVar[bool] = False
    takes_soft_targets: ClassVar[bool] = False
    reads_layers: ClassVar[bool] = False
    regularizes: ClassVar[bool] = False
    quiet: ClassVar[frozenset[str]] = frozenset()

    _learned: dict[str, Tensor] = PrivateAttr(default_factory=dict)
    _state: dict[str, Tensor] = PrivateAttr(default_factory=dict)
    _context: Context | None = PrivateAttr(default=None)
    _before: tuple[Technique, ...] = PrivateAttr(default=())
    _reshape: Callable[[tuple[int, int, int]], tuple[int, int, int]] | None = PrivateAttr(default=None)

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        super().__pydantic_init_subclass__(**kwargs)
        given = vars(cls).get("papers", ())
        if given and "paper" not in vars(cls) and all(isinstance(one, Citation) for one in given):
            cls.paper = written(given)

    @property
    def learned(self) -> dict[str, Tensor]:
        """What :meth:`fit` found, by name; float32 tensors on the trial's device."""
        return self._learned

    @property
    def state(self) -> dict[str, Tensor]:
        """What the hooks remember from step to step, by name; a trial that goes on from a checkpoint gets it back."""
        return self._state

    @property
    def context(self) -> Context:
        """What the trial is; there from before the first hook."""
        assert self._context is not None, f"{self.name} was not told of a trial"
        return self._context

    def begin(self, context: Context, before: Sequence[Technique] = ()) -> None:
        """Start a trial.

        Args:
            before: the techniques that prepare the images before this one does.
        """
        self._context, self._before, self._state = context, tuple(before), {}

    def settle(self, context: Context, reshape: Callable[[tuple[int, int, int]], tuple[int, int, int]]) -> None:
        """Tell what all techniques of the trial together make of the network, and of the shape (C, H, W) of images."""
        self._context, self._reshape = context, reshape

    def shape_before(self) -> tuple[int, int, int]:
        """Return the (C, H, W) that :meth:`prepare` will get, after the techniques before this one."""
        shape = self.context.image_shape
        for technique in self._before:
            shape = technique.prepared_shape(shape)
        return shape

    def shape_for_network(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the (C, H, W) that all techniques of the trial would make of images of ``shape``."""
        assert self._reshape is not None, f"{self.name} was not told of the others"
        return self._reshape(shape)

    def restore(self, learned: dict[str, Tensor], device: torch.device) -> None:
        """Put back what an earlier :meth:`fit` found, on ``device``."""
        self._learned = {name: value.to(device) for name, value in learned.items()}

    def restore_state(self, state: Mapping[str, Tensor]) -> None:
        """Put back what an earlier ``state`` was."""
        self._state = {name: value.clone() for name, value in state.items()}

    def prepared(self, batches: Iterable[Tensor]) -> Iterator[Tensor]:
        """Yield uint8 batches as :meth:`prepare` will get them: float32, as the techniques before prepare them."""
        for images in batches:
            prepared = images.float().div_(255)
            for technique in self._before:
                prepared = technique.prepare(prepared)
            yield prepared

    @classmethod
    def overrides(cls, hook: str) -> bool:
        """Whether this technique does anything at ``hook``."""
        return getattr(cls, hook) is not getattr(Technique, hook)

    @classmethod
    def needs_layers(cls) -> bool:
        """Whether this technique works on a list of layers, and so not on a module of the user's own."""
        return cls.reads_layers or any(map(cls.overrides, ("rewrite", "frozen", "lr_scales")))

    def downloads(self, network: Network) -> tuple[Published, ...]:  # noqa: ARG002
        """Return published files that it reads, and that may be fetched when somebody asks for it."""
        return ()

    def check(self, context: Context) -> list[str]:  # noqa: ARG002
        """Say what is wrong with switching this on for that trial, before anything trains.

        Returns:
            warnings, a sentence each, that go into the result.

        Raises:
            RecipeError: it cannot work.
        """
        return []

    def fit(self, batches: Iterable[Tensor]) -> dict[str, Tensor]:  # noqa: ARG002
        """Learn statistics from the training images; the only place that may. Called once.

        Args:
            batches: all training images, uint8 (B, C, H, W) at a time and in a fixed order, since they may be larger
                than the memory; can be gone through more than once. :meth:`prepared` makes of them what
                :meth:`prepare` will get.

        Returns:
            float32 tensors by name; they become ``learned``.
        """
        return {}

    def rewrite(self, network: Network) -> Network:
        """Insert or replace layers, before the network is built."""
        return network

    def frozen(self, before: Frozen, network: Network) -> Frozen:  # noqa: ARG002
        """Say which layers of ``network`` never change, given what the techniques before said."""
        return before

    def lr_scales(self, network: Network) -> Mapping[str, float]:  # noqa: ARG002
        """Return what the learning rate is multiplied by in layers of ``network``, by name; 1 where it is not told."""
        return {}

    def initialize(self, module: nn.Sequential, stream: Stream, inputs: Iterable[Tensor]) -> None:
        """Draw other initial weights, in place and without gradients; weights may be frozen (``requires_grad_``).

        Args:
            module: the network as built, on the trial's device.
            stream: gives a generator on the CPU by name; draw there, so that every device starts from the same weights.
            inputs: some thousand training images as the network will read them, float32 (B, C, H, W) at a time.
        """

    def image_weights(self, labels: Tensor) -> Tensor | None:  # noqa: ARG002
        """Say how often each training image is drawn in an epoch; the weights of all techniques multiply.

        Args:
            labels: int64 (N,), on the CPU.

        Returns:
            float64 (N,) of 0 or more, only their ratios count: images are drawn by them with replacement, N an epoch.
            None to draw each once.
        """
        return None

    def batch_started(self, positions: Tensor, progress: Progress) -> None:
        """See which training images (int64 (B,), positions from 0) the batch holds that ``augment`` gets next."""

    def augment(self, images: Tensor, targets: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:  # noqa: ARG002
        """Change a whole training batch at once, on its device.

        Args:
            images: uint8 (B, C, H, W).
            targets: int64 (B,) labels, or float32 (B, classes) shares once a technique has mixed them.
            rng: the technique's own stream, on the images' device; use no other source of randomness.

        Returns:
            images and targets of the same dtypes; the same tensors where nothing changes.
        """
        return images, targets

    def prepare(self, images: Tensor) -> Tensor:
        """Change every batch, in training and evaluation alike, without randomness.

        Args:
            images: float32 (B, C, H, W), 0 to 1 before the first technique.
        """
        return images

    def prepared_shape(self, shape: tuple[int, int, int]) -> tuple[int, int, int]:
        """Return the (C, H, W) that :meth:`prepare` makes of images of ``shape``; known before anything is learned."""
        return shape

    def lr_factor(self, progress: Progress) -> float:  # noqa: ARG002
        """Scale the learning rate of the step at hand; the factors of all techniques multiply."""
        return 1.0

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Replace the training loss, in one technique at most: float logits (B, classes) and targets to their mean."""
        raise NotImplementedError

    def before_step(self, parameters: Sequence[Tensor], lr: float | Tensor) -> None:
        """Before every step, change gradients (``.grad``, on every parameter) or weights, in place.

        Args:
            lr: of the step at hand; a float32 tensor () on a GPU, where the step is recorded once and replayed.
        """

    def after_step(self, parameters: Sequence[Tensor], progress: Progress) -> None:
        """After every step, change the weights that go on training, in place."""

    def weights(self, current: dict[str, Tensor], averaged: dict[str, Tensor], progress: Progress) -> None:
        """After every step, move ``averaged`` (in place) towards ``current``; evaluation and the saved model use it."""

    def epoch_ended(self, val_loss: float) -> None:
        """After every epoch, see the mean cross-entropy on the validation images, in nats an image."""
