"""What a technique does, for the eye: images before and after, or the learning rate over the budget."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from stepladder.datasets import ImageSet
from stepladder.errors import RecipeError
from stepladder.network import load_preset
from stepladder.report.figures.style import (
    INK,
    MUTED,
    VALIDATION,
    header_height,
    header_lines,
    house_style,
    new_figure,
    printable,
    write_header,
)
from stepladder.report.units import count
from stepladder.techniques import Context, Progress, Technique
from stepladder.techniques.guard import check_augmented, check_prepared, guarded
from stepladder.techniques.requirements import begin_techniques, check_techniques, techniques_without_effect

#: Images on a sheet, and how often each is augmented.
_IMAGES, _DRAWS = 6, 6
#: Training images at most that a technique learns from, for a picture.
_FITTED = 10_000
_EPOCHS, _STEPS = 20, 100
_CELL, _CAPTION, _LEFT = 1.0, 0.34, 0.9  # inches


def draw_sheet(technique: Technique, image_set: ImageSet) -> Figure:
    """Draw what ``technique`` does to training images of ``image_set``, with targets where it mixes them.

    A technique that changes the learning rate is drawn as its curve over 20 epochs.

    Raises:
        RecipeError: it does neither, or does not fit the images.
    """
    split = image_set.splits["train"]
    height, width, channels = image_set.image_shape
    counts = np.bincount(split.labels, minlength=image_set.num_classes)
    context = Context((channels, height, width), tuple(counts.tolist()), load_preset("report"), _EPOCHS, _STEPS)
    begin_techniques([technique], context)
    if technique.overrides("lr_factor") and not technique.overrides("epoch_ended"):
        return _draw_rate(technique)
    if not (technique.overrides("augment") or technique.overrides("prepare")):
        raise RecipeError(
            f"{technique.name} changes neither the images nor, by a fixed schedule, the learning rate, so there is "
            "nothing to draw"
        )
    check_techniques([technique])
    fitted = split.take(np.arange(0, len(split), max(1, len(split) // _FITTED)))
    with guarded(technique, "fit"):
        learned = technique.fit([torch.from_numpy(chunk.copy()).permute(0, 3, 1, 2) for chunk in fitted.chunks()])
    technique.restore(learned, torch.device("cpu"))
    # One image a class first, then others for partners.
    order = np.concatenate([np.flatnonzero(split.labels == label)[:4] for label in range(image_set.num_classes)])
    order = order[np.argsort(np.arange(len(order)) % 4, kind="stable")][:64]
    batch = split.take(order)
    images, labels = torch.from_numpy(batch.images.copy()).permute(0, 3, 1, 2), torch.from_numpy(batch.labels)
    idle = techniques_without_effect([technique], context.network, images, labels, Progress(0, _STEPS, _EPOCHS))
    warnings = [f"{name} changed nothing on these images" for name in idle]
    with house_style():
        if technique.overrides("augment"):
            return _draw_augmented(technique, image_set, images, labels, warnings)
        return _draw_prepared(technique, image_set, images, labels, warnings)


@dataclass(frozen=True)
class _Row:
    """One line of images: uint8 (n, C, H, W), with a word before and a caption, perhaps empty, under each."""

    label: str
    images: Tensor
    captions: tuple[str, ...]


def _draw_augmented(
    technique: Technique, image_set: ImageSet, images: Tensor, labels: Tensor, warnings: list[str]
) -> Figure:
    draws = [(images, labels)]
    for draw in range(_DRAWS):
        rng = torch.Generator().manual_seed(draw)
        with guarded(technique, "augment"):
            technique.batch_started(torch.arange(len(images)), Progress(draw * _STEPS, _STEPS, _EPOCHS))
            after = technique.augment(images, labels, rng)
        draws.append(check_augmented(technique, (images, labels), after, image_set.num_classes))
    names = image_set.class_names
    rows = [
        _Row(
            names[int(labels[row])],
            _same_size([changed[row] for changed, _ in draws]),
            tuple(_shares(targets[row], names) if targets.ndim == 2 else "" for _, targets in draws),
        )
        for row in range(min(_IMAGES, len(images)))
    ]
    columns = ["before", *(f"draw {number}" for number in range(1, _DRAWS + 1))]
    return _draw_grid(technique, image_set, columns, rows, [], warnings)


def _draw_prepared(
    technique: Technique, image_set: ImageSet, images: Tensor, labels: Tensor, warnings: list[str]
) -> Figure:
    before = images.float() / 255
    with guarded(technique, "prepare"):
        prepared = technique.prepare(before)
    prepared = check_prepared(technique, before, prepared)
    rows, notes = [], []
    count = min(_DRAWS + 1, len(images))
    for name, values in (("before", before), ("after", prepared)):
        low, high, mean = float(values.min()), float(values.max()), float(values.mean())
        notes.append(f"{name} from {low:.2f} to {high:.2f}, mean {mean:.2f}")
        ends = values[:count].quantile(torch.tensor([0.001, 0.999]))
        levels = ((values[:count] - ends[0]) / (ends[1] - ends[0]).clamp(min=1e-9) * 255).clamp(0, 255)
        rows.append(_Row(name, levels.round().to(torch.uint8), ("",) * count))
    columns = [image_set.class_names[int(label)] for label in labels[:count]]
    notes.append("each line shown from its darkest to its brightest")
    return _draw_grid(technique, image_set, columns, rows, notes, warnings)


def _draw_grid(
    technique: Technique,
    image_set: ImageSet,
    columns: list[str],
    rows: list[_Row],
    notes: list[str],
    warnings: list[str],
) -> Figure:
    caption = _CAPTION if any(any(row.captions) for row in rows) else 0.08
    width = max(7.0, _LEFT + len(columns) * (_CELL + 0.15) + 0.1)
    facts = [technique.summary, f"on {Path(image_set.name).name}", *_options(technique), *notes]
    lines = header_lines(facts, warnings, round(width * 13))
    top = header_height(lines) + 0.25
    height = top + len(rows) * (_CELL + caption) + 0.1
    figure = new_figure(width, height)
    write_header(figure, technique.name, lines)
    for column, name in enumerate(columns):
        x = (_LEFT + column * (_CELL + 0.15) + _CELL / 2) / width
        figure.text(x, 1 - (top - 0.1) / height, _short(name, 14), ha="center", fontsize=8.5, color=MUTED)
    for number, row in enumerate(rows):
        bottom = height - top - (number + 1) * _CELL - number * caption
        middle = (bottom + _CELL / 2) / height
        label = _short(row.label, 12)
        figure.text((_LEFT - 0.08) / width, middle, label, ha="right", va="center", fontsize=8.5, color=INK)
        for column, text in enumerate(row.captions):
            left = _LEFT + column * (_CELL + 0.15)
            axes = figure.add_axes((left / width, bottom / height, _CELL / width, _CELL / height))
            axes.set_axis_off()
            pixels = row.images[column].permute(1, 2, 0).numpy()
            if pixels.shape[2] == 1:
                axes.imshow(pixels[:, :, 0], cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            else:
                axes.imshow(pixels, interpolation="nearest")
            x, y = (left + _CELL / 2) / width, (bottom - 0.03) / height
            figure.text(x, y, text, ha="center", va="top", fontsize=6.5, color=INK, linespacing=1.1)
    return figure


def _same_size(images: list[Tensor]) -> Tensor:
    """Stack images that a crop has made smaller, with gray around them."""
    height, width = (max(image.shape[axis] for image in images) for axis in (1, 2))
    stacked = torch.full((len(images), images[0].shape[0], height, width), 200, dtype=torch.uint8)
    for number, image in enumerate(images):
        top, left = (height - image.shape[1]) // 2, (width - image.shape[2]) // 2
        stacked[number, :, top : top + image.shape[1], left : left + image.shape[2]] = image
    return stacked


def _options(technique: Technique) -> list[str]:
    options = {name: value for name, value in technique.model_dump().items() if value is not None}
    return [f"{name} = {str(value).lower() if isinstance(value, bool) else value}" for name, value in options.items()]


def _draw_rate(technique: Technique) -> Figure:
    with house_style():
        steps = np.arange(_EPOCHS * _STEPS)
        factors = [technique.lr_factor(Progress(int(step), _STEPS, _EPOCHS)) for step in steps]
        figure = new_figure(6.4, 3.6)
        facts = [technique.summary, f"over {count(_EPOCHS, 'epoch')} of {_STEPS} steps", *_options(technique)]
        lines = header_lines(facts, [], 85)
        write_header(figure, technique.name, lines)
        top = (header_height(lines) + 0.2) / 3.6
        axes = figure.add_axes((0.1, 0.15, 0.86, 1 - 0.15 - top))
        axes.plot(steps / _STEPS, factors, color=VALIDATION, linewidth=1.6)
        axes.set_xlim(0, _EPOCHS)
        axes.set_ylim(0, max(factors) * 1.05)
        axes.set_xlabel("epoch")
        axes.set_ylabel("share of the learning rate")
        return figure


def _shares(targets: Tensor, names: tuple[str, ...]) -> str:
    """The two largest shares of a target in words."""
    shares, classes = targets.topk(min(2, len(targets)))
    pairs = zip(shares.tolist(), classes.tolist(), strict=True)
    return "\n".join(f"{_short(names[label], 12)}: {share:.2f}" for share, label in pairs if share >= 0.005)


def _short(name: str, letters: int) -> str:
    name = printable(name)
    return name if len(name) <= letters else f"{name[: letters - 1]}…"
