"""``stepladder bench gpu``: the reference study on a GPU."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.bench.output import at_least_one, finish, progress_of, spread, table_of
from stepladder.cli.console import AsJson, make_console


def gpu(
    data: Annotated[str, Parameter(help="A name or a path, as for study.")] = "cifar10",
    *,
    seeds: Annotated[int, Parameter(help="Of every rung of the ladder.")] = 5,
    rounds: Annotated[int, Parameter(help="Trials of each kind, in turn.")] = 3,
    as_json: AsJson = False,
) -> None:
    """Measure the reference study on a GPU: one trial, its steps replayed and launched one by one; the ladder."""
    import torch

    from stepladder.bench.gpu import CREWS, LADDER_BAR, TRIAL_BAR, GpuSpeed, measure_gpu
    from stepladder.data import load_image_set, make_splits
    from stepladder.recipe import load_recipe
    from stepladder.training.device import choose_compute

    at_least_one(seeds=seeds, rounds=rounds)
    console = make_console(as_json)
    recipe = load_recipe("report")
    measured: GpuSpeed | None = None
    if torch.cuda.is_available():
        images = load_image_set(data)
        with progress_of(console, 1 + 2 * rounds + len(CREWS)) as advance:
            measured = measure_gpu(
                data,
                make_splits(images),
                len(images.class_names),
                recipe,
                choose_compute("cuda"),
                seeds,
                rounds,
                advance,
            )

    absent = "not measured"
    trial = f"a trial of {recipe.epochs} epochs, all rungs"
    table = table_of("", "seconds", "bar on one H200")
    table.add_row(
        f"{trial}, steps replayed", spread(measured.replayed, ".2f") if measured else absent, f"{TRIAL_BAR:g}"
    )
    table.add_row("the same, kernel after kernel", spread(measured.launched, ".2f") if measured else absent, "")
    for position, (workers, at_once) in enumerate(CREWS):
        how = f"{workers} process" + ("es" if workers > 1 else "")
        if at_once > 1:
            how += f" × {at_once} trials"
        found = f"{measured.ladders[position]:.1f}" if measured else absent
        table.add_row(f"the ladder, {seeds} seeds, {how}", found, f"{LADDER_BAR:g}")
    console.print(table)
    words = (
        f"{data}; median of {rounds} rounds in turn (minimum to maximum) after a warm-up; ladders once each, from the "
        f"start of the process to its end."
        if measured
        else "PyTorch finds no CUDA device here, so nothing of this could be measured."
    )
    compute = choose_compute("cuda" if measured else "cpu")
    finish(console, words, compute, {"gpu": measured} if as_json else None)
