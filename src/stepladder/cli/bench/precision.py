"""``stepladder bench precision``: what bfloat16 costs in accuracy, step by step and over whole trainings."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.bench.output import at_least_one, finish, progress_of, spread, table_of
from stepladder.cli.console import AsJson, make_console


def precision(
    data: Annotated[str, Parameter(help="A name or a path, as for study.")] = "digits",
    *,
    recipe: Annotated[str, Parameter(help="With all its techniques; auto takes small for few images.")] = "auto",
    limit: Annotated[int | None, Parameter(help="Use only the first N images a class of each split.")] = None,
    seeds: Annotated[int, Parameter(help="Trained in both precisions; two or more give an interval.")] = 5,
    first_seed: Annotated[
        int, Parameter(help="Seeds run from here on: what some have suggested is confirmed by others.")
    ] = 0,
    steps: Annotated[int, Parameter(help="Whose gradients are compared with float64's.")] = 100,
    as_json: AsJson = False,
) -> None:
    """Measure what bfloat16 costs: each step's gradient beside float64's, and whole trainings by paired seeds."""
    from stepladder.bench.precision import compare_steps, compare_trainings, interval_of
    from stepladder.data import load_image_set, make_splits
    from stepladder.recipe import default_recipe, load_recipe
    from stepladder.report.units import count, interval, points
    from stepladder.training.device import choose_compute

    at_least_one(seeds=seeds, steps=steps)
    console = make_console(as_json)
    compute = choose_compute("cpu", "bfloat16")
    images = load_image_set(data, limit=limit)
    splits, classes = make_splits(images), len(images.class_names)
    whole = load_recipe(default_recipe(len(splits.train)) if recipe == "auto" else recipe)
    with progress_of(console, steps + 2 * seeds * (whole.epochs + 1)) as advance:
        close = compare_steps(whole, splits.train, classes, compute, steps, on_step=advance)
        pairs = compare_trainings(whole, splits, classes, compute, range(first_seed, first_seed + seeds), advance)

    table = table_of("", "float32", "bfloat16")
    exact, fast = ([100 * one for one in found.distances] for found in close)
    table.add_row("distance of gradients, %", spread(exact, ".2g"), spread(fast, ".2g"))
    columns = ([100 * pair.float32 for pair in pairs], [100 * pair.bfloat16 for pair in pairs])
    table.add_row("validation accuracy, %", *(spread(column, ".2f") for column in columns))
    times = ([pair.float32_seconds for pair in pairs], [pair.bfloat16_seconds for pair in pairs])
    table.add_row("a training, s", *(spread(column, ".0f") for column in times))
    console.print(table)

    noise = spread([100 * one for one in close[0].batch_noise], ".0f")
    differences = [pair.difference for pair in pairs]
    bounds, mean = interval_of(pairs), sum(differences) / len(differences)
    sure = f" {interval(bounds)}, a 95 % t-interval" if bounds else ", and one seed gives no interval"
    words = (
        f"{data}, {count(len(splits.train), 'training image')}, recipe {whole.name} with all techniques, "
        f"{count(whole.epochs, 'epoch')}; medians (minimum to maximum). Gradients: "
        f"‖g − g64‖ / ‖g64‖ with float64's g64, over all weights, "
        f"{count(steps, 'step')} from the start, the same weights, images and dropout masks; another batch lies "
        f"{noise} % away.\n"
        f"bfloat16 less float32, from seed {first_seed} on: {', '.join(points(one) for one in differences)} points; "
        f"mean {points(mean)}{sure}. Test was not read."
    )
    document = {"steps": close, "pairs": pairs, "mean": mean, "interval": bounds, "recipe": whole.to_table()}
    finish(console, words, compute, document if as_json else None)
