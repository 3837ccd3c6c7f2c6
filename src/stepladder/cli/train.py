"""``stepladder train``: one recipe, one seed, one model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.options import (
    AsJson,
    BatchSize,
    Data,
    DataDir,
    Device,
    Epochs,
    Limit,
    Precision,
    RecipeName,
    Settings,
    SkipDamaged,
    Validation,
    load_data,
    make_console,
    make_recipe,
)
from stepladder.cli.progress import make_watch
from stepladder.report.units import duration, percent
from stepladder.study.plan import find_rung
from stepladder.study.trial import train_model
from stepladder.training.device import choose_compute


def train(
    data: Data = "digits",
    *,
    recipe: RecipeName = "auto",
    settings: Settings = (),
    rung: Annotated[
        str | None, Parameter(help="Only the techniques up to this rung, as augment; all of the recipe by default.")
    ] = None,
    epochs: Epochs = None,
    batch_size: BatchSize = None,
    seed: Annotated[int, Parameter(help="Decides initial weights, order of the images and augmentation.")] = 0,
    validation: Validation = 0.1,
    out: Annotated[
        Path | None, Parameter(help="Folder of the result; trials/<data>-<recipe>-seed<N> by default.")
    ] = None,
    limit: Limit = None,
    data_dir: DataDir = None,
    skip_damaged: SkipDamaged = False,
    device: Device = "auto",
    precision: Precision = "auto",
    as_json: AsJson = False,
) -> int:
    """Train one recipe, with all its techniques, and leave a model folder."""
    console = make_console(as_json)
    compute = choose_compute(device, precision)
    images = load_data(console, data, data_dir, limit, skip_damaged)
    chosen = make_recipe(recipe, images, settings, epochs, batch_size)
    if rung is not None:
        chosen = find_rung(chosen, rung).recipe
    folder = out or Path("trials") / "-".join([images.name, chosen.name, *([rung] if rung else []), f"seed{seed}"])
    watch = make_watch(console)
    try:
        result = train_model(images, chosen, folder, compute, seed=seed, validation=validation, watch=watch)
    except KeyboardInterrupt:
        console.print("\nStopped; the same command starts again.")
        return 130
    finally:
        watch.stop()
    if as_json:
        print(json.dumps({"folder": str(folder), **result.model_dump(mode="json")}, ensure_ascii=False, indent=2))
    if result.test_accuracy is None:
        console.print(f"Failed: {result.failure}", markup=False)
        return 1
    console.print(
        f"Test accuracy {percent(result.test_accuracy)} after {result.epochs} epochs in {duration(result.seconds)} "
        f"(one seed; run a study to see the spread).\nModel: {folder / 'model'}",
        markup=False,
    )
    return 0
