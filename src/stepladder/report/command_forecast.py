"""What a study of a user's own command would run and could find, in words."""

from __future__ import annotations

from stepladder.report.units import Scale, amount, count, duration, listing, size
from stepladder.studies.running.timing import share_out
from stepladder.studies.scores.commands import READ_TEST
from stepladder.studies.scores.forecasting import CommandForecast


def describe_command_forecast(forecast: CommandForecast) -> list[str]:
    """Return the plan, every command, the runs, the time, and what could be found, a line an item."""
    record, scale = forecast.record, Scale(forecast.metric.unit)
    higher = "higher" if forecast.metric.higher_is_better else "lower"
    lines = [
        f"{record.plan.capitalize()} of {count(len(record.rungs), 'rung')}, "
        f"{count(forecast.comparisons, 'comparison')}, {record.metric} ({higher} is better), α = {record.alpha:g}, "
        f"smallest effect of interest {amount(scale, record.smallest_effect)}.",
        f"Each is run once a seed, with seed {record.seeds[0]} as:",
    ]
    width = max(len(name) + 2 for name, _ in forecast.lines)
    lines += [f"  {name:<{width}}{line}" for name, line in forecast.lines]
    lines += record.notes
    own = record.scores
    if own is not None and own.reads_test:
        lines.append(f"Once all training has ended, each is called again with {READ_TEST}.")
    seeds = [look.seeds for look in forecast.looks]
    if len(seeds) == 1:
        lines.append(f"{count(forecast.fewest, 'run')} ({count(seeds[0], 'seed')} a rung).{_time(forecast)}")
    else:
        lines.append(
            f"Looks at {listing([str(each) for each in seeds])} seeds: {forecast.fewest} to {forecast.most} runs."
            f"{_time(forecast)}"
        )
    for number, smallest in forecast.detectable.items():
        at = f"At the look at {count(number, 'seed')}" if len(seeds) > 1 else f"With {count(number, 'seed')}"
        if smallest is None:
            lines.append(f"{at}, no difference can be found: one seed shows no spread.")
        else:
            lines.append(f"{at}, the smallest difference that it would probably find is {size(scale, smallest)}.")
    return [*lines, _assumed(forecast)]


def _time(forecast: CommandForecast) -> str:
    if forecast.seconds is None:
        return " How long that takes nobody knows before a run has ended."
    fewest, most = (
        duration(share_out([forecast.seconds] * runs, forecast.workers)) for runs in (forecast.fewest, forecast.most)
    )
    both = fewest if forecast.fewest == forecast.most else f"{fewest} to {most}"
    at_a_time = f", {forecast.workers} at a time" if forecast.workers > 1 else ""
    return f" By the runs of the pilot, that takes about {both}{at_a_time}."


def _assumed(forecast: CommandForecast) -> str:
    spread = forecast.spread
    if spread is None:
        return (
            "What difference it could find depends on how much the seeds differ: state the standard deviation of the "
            "paired differences with `sd`, or name a study that shows it with `pilot`. Nothing was run."
        )
    source = "as stated"
    if spread.pilot is not None:
        source = f"the median of {count(spread.comparisons, 'comparison')} in {spread.pilot}"
    return (
        f"This takes a standard deviation of the paired differences of "
        f"{amount(Scale(forecast.metric.unit), spread.sd)}, {source}; an adjustment for "
        f"{count(forecast.comparisons, 'comparison')}; and a chance of {100 * forecast.power:.0f} %. Nothing was run."
    )
