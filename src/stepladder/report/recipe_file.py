"""``recipe.toml``: what a sweep, a search or a range test found, as the recipe of what comes next."""

from __future__ import annotations

import math

from stepladder.files import encoded
from stepladder.network import trace_network
from stepladder.recipe import Recipe, parse_recipe
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.lr_range import LrRange
from stepladder.training.device import SMALL_STEP

#: In the folder of what found it; ``recipe`` takes its path.
RECIPE_FILE = "recipe.toml"


def best_recipe(findings: SweepFindings) -> Recipe | None:
    """Return the recipe of a sweep's best point; None where there is none, as where a command was swept."""
    if findings.best is None or findings.study.record.scores is not None:
        return None
    name = findings.best.point.name
    return parse_recipe(next(rung.recipe for rung in findings.study.record.rungs if rung.name == name))


def sweep_recipe_file(findings: SweepFindings) -> dict[str, bytes]:
    """Return the recipe of a sweep's best point as a file, by its name; nothing where there is none."""
    recipe, record = best_recipe(findings), findings.study.record
    if recipe is None or findings.best is None:
        return {}
    unfinished = "" if findings.complete else " so far"
    return {
        RECIPE_FILE: encoded(
            recipe.to_file(
                f"The best point of a {record.plan} on {record.data.name}{unfinished}: {findings.best.point.name}.",
                f"Chosen by validation images alone ({findings.metric.validation_label}, n = {len(record.seeds)}).",
                record.command,
            )
        )
    }


def range_recipe_file(found: LrRange, command: str) -> dict[str, bytes]:
    """Return the recipe of a range test with the rate that it suggests, by its name; nothing where it suggests none."""
    recipe = found.suggested_recipe
    if recipe is None:
        return {}
    said = f"With the learning rate that a range test on {found.data} suggests: {found.suggested:g}."
    return {RECIPE_FILE: encoded(recipe.to_file(said, command))}


def same_arithmetic(findings: SweepFindings) -> dict[str, str]:
    """Return the parameters with which a single training gets the bits of a trial of the sweep, beside its recipe.

    ``precision`` where another network or batch size could have another, ``threads`` where a single training would take
    all cores.
    """
    recipe, record, needed = best_recipe(findings), findings.study.record, {}
    if recipe is None or record.device != "cpu":
        return {}
    if record.arithmetic is not None and record.arithmetic.reason != "only":
        needed["precision"] = record.precision
    height, width, channels = record.data.image_shape
    costs = trace_network(recipe.network, (channels, height, width), len(record.data.class_names))
    # Techniques change the network a little, so that a step just below the limit may be one above it.
    if record.threads is not None and 2 * recipe.batch_size * math.fsum(cost.macs for cost in costs) > SMALL_STEP:
        needed["threads"] = str(record.threads)
    return needed
