"""``stepladder plan``: what a study would run, for how long, and what it could find."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median
from typing import Annotated, Any

from cyclopts import Parameter

from stepladder.cli.console import make_console
from stepladder.cli.options import DEFAULTS, Data, TrainingOptions, say_what_was_loaded
from stepladder.cli.rules import DEFAULT_RULES, RuleOptions
from stepladder.errors import StudyError
from stepladder.report.units import Scale, amount, count, duration, listing, size
from stepladder.study.design.metrics import find_metric
from stepladder.study.files.store import load_study, planned_trials
from stepladder.study.judging.statistics import judged_together, level_of, looks_of, weigh_effects
from stepladder.study.judging.verdicts import POWER, detectable_difference
from stepladder.study.run import plan_study
from stepladder.study.running.estimate import estimate_seconds
from stepladder.study.running.watch import Watch
from stepladder.training.device import choose_compute

#: Taken for the standard deviation of paired differences where nobody states one: between that of 0.2 points on 10,000
#: test images and that of a point on a few hundred.
_USUAL_SD = {True: 0.005, False: 0.01}


def plan(
    data: Data = "digits",
    *,
    sd: Annotated[
        float | None,
        Parameter(help="Standard deviation of the differences between two rungs over seeds, in points (nats for nll)."),
    ] = None,
    pilot: Annotated[Path | None, Parameter(help="Take it from this study's folder instead.")] = None,
    rules: RuleOptions = DEFAULT_RULES,
    options: TrainingOptions = DEFAULTS,
) -> None:
    """Print what a study would run, for how long, and the smallest difference that it could find; run nothing."""
    console = make_console(options.as_json)
    compute = choose_compute(options.device, options.precision)
    images = options.load_data(console, data, skip_damaged=options.skip_damaged)
    recipe = options.make_recipe(images)
    say_what_was_loaded(console, images, recipe)
    compute = options.settle_precision(console, compute, recipe, images)
    scale = Scale(find_metric(rules.metric).share)
    spread, source = _spread(sd, pilot, rules.metric, scale)
    planned = plan_study(
        images,
        recipe,
        compute,
        seeds=rules.number_of_seeds(),
        plan=rules.plan,
        rules=rules.rules(),
        validation=options.validation,
        drop_leaks=options.drop_leaks,
    )
    record = planned.record
    looks = looks_of(record)
    first = planned_trials(record)
    recipes = {trial.rung: trial.recipe for trial in first}
    seconds = estimate_seconds(recipes, planned.splits, record.data, compute, Watch())
    most = len(record.rungs) * looks[-1].seeds
    level = level_of(record)
    console.print(
        f"{record.plan.capitalize()} of {count(len(record.rungs), 'rung')} on {images.name}, "
        f"{count(len(record.contrasts), 'comparison')}, {find_metric(record.metric).label}, α = {record.alpha:g}, "
        f"smallest effect of interest {amount(scale, record.smallest_effect)}.",
        markup=False,
    )
    width = max(len(rung.name) + 2 for rung in record.rungs)
    for rung in record.rungs:
        signed = [*(f"+ {name}" for name in rung.adds), *(f"− {name}" for name in rung.lacks)]
        console.print(f"  {rung.name:<{width}}{' '.join(signed)}".rstrip(), style="dim", markup=False)
    for note in record.notes:
        console.print(note, markup=False)
    each = sum(seconds.values())
    if len(looks) == 1:
        console.print(
            f"{count(len(first), 'trial')} ({count(looks[0].seeds, 'seed')} a rung), about "
            f"{duration(each * looks[0].seeds)} by a short measurement."
        )
    else:
        console.print(
            f"Looks at {listing([str(look.seeds) for look in looks])} seeds: {len(first)} to {most} trials, about "
            f"{duration(each * looks[0].seeds)} to {duration(each * looks[-1].seeds)} by a short measurement."
        )
    detectable = {look.seeds: detectable_difference(spread, look.seeds, level * look.share) for look in looks}
    for seeds, smallest in detectable.items():
        console.print(_finds(scale, seeds, smallest, len(looks) > 1), markup=False)
    console.print(
        f"That is with a standard deviation of the paired differences of {amount(scale, spread)}, {source}, adjusted "
        f"for {count(judged_together(record), 'comparison')}, and a chance of {100 * POWER:.0f} %. Nothing was run.",
        markup=False,
    )
    if options.as_json:
        document: dict[str, Any] = {
            "study": record.model_dump(mode="json"),
            "trials": {"fewest": len(first), "most": most},
            "seconds_a_trial": seconds,
            "sd": spread,
            "detectable": detectable,
        }
        print(json.dumps(document, ensure_ascii=False, indent=2))


def _finds(scale: Scale, seeds: int, smallest: float | None, looking: bool) -> str:
    at = f"At the look at {count(seeds, 'seed')}" if looking else f"With {count(seeds, 'seed')}"
    if smallest is None:
        return f"{at}, no difference can be found: one seed shows no spread."
    return f"{at}, the smallest difference that it would probably find is {size(scale, smallest)}."


def _spread(sd: float | None, pilot: Path | None, metric: str, scale: Scale) -> tuple[float, str]:
    """Return the standard deviation of paired differences, and where it comes from."""
    if sd is not None and pilot is not None:
        raise StudyError("--sd and --pilot both give the standard deviation; give one of them")
    if sd is not None:
        if not 0 < sd < float("inf"):
            raise StudyError(f"--sd is {sd:g}; it must be above 0, in {scale.step}")
        return sd / 100 if scale.share else sd, "as stated"
    if pilot is None:
        return _USUAL_SD[scale.share], "which is only a usual one: state yours with --sd, or --pilot FOLDER"
    study = load_study(pilot)
    if study.record.metric != metric:
        raise StudyError(f"--pilot {pilot} was judged by {study.record.metric}, not by {metric}; give --sd instead")
    spreads = [effect.sd for effect in weigh_effects(study) if effect.sd and not effect.is_interaction]
    if not spreads:
        raise StudyError(f"--pilot {pilot} has no comparison with two seeds; give --sd, or a study with two seeds")
    return median(spreads), f"the median of {count(len(spreads), 'comparison')} in {pilot}"
