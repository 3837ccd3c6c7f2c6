"""The tables of what is judged: every contrast with its verdict, its differences seed by seed, and pairs of models."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from stepladder.report.tables import scale_of
from stepladder.report.text_table import TextTable
from stepladder.report.units import UNDEFINED, Scale, amount, correlation, count, interval, p_value, size
from stepladder.study.files.records import SavedStudy
from stepladder.study.judging.statistics import Effect, judged_together, weigh_effects
from stepladder.study.judging.test_set import compare_models, correct_by_seed, difference_interval
from stepladder.study.judging.verdicts import MOST_SEEDS_SOUGHT, POWER

#: What each design asks of a technique, in the words of the tables.
QUESTIONS = {
    "ladder": "on the ladder",
    "leave-one-out": "left out of all",
    "add-one": "alone on the base",
    "shapley": "share of the gain",
    "interaction": "together",
}


def effect_table(study: SavedStudy) -> TextTable:
    """Return every contrast of the plan with its interval and verdict; a column that no row fills is left out."""
    scale, effects = scale_of(study), weigh_effects(study)
    pairs = any(effect.rung for effect in effects) and study.record.metric == "accuracy"
    rows = []
    for effect in effects:
        against = f"{effect.rung} − {effect.below}" if effect.rung else QUESTIONS[effect.design]
        line = [effect.name, QUESTIONS[effect.design], against, verdict_word(effect)]
        line += [scale.difference(effect.mean), scale.interval(effect.interval), p_value(effect.p_value)]
        line += [
            str(effect.n),
            correlation(effect.correlation),
        ]
        line += [_detectable(scale, effect.detectable)]
        line += [seeds_word(effect)]
        line += [interval(_over_images(study, effect))] if pairs else []
        rows.append(tuple(line))
    header = [
        "technique",
        "how",
        "difference of",
        "verdict",
        f"mean, {scale.step}",
        "interval",
        "p",
        "n",
        "correlation",
    ]
    header += [f"detectable, {scale.step}", "seeds to decide"]
    header += ["other test images"] if pairs else []
    return TextTable(caption=_caption(study, pairs), header=tuple(header), rows=tuple(rows), text_columns=4)


def difference_table(study: SavedStudy) -> TextTable:
    """Return every paired difference, a column a seed."""
    scale, seeds = scale_of(study), study.record.seeds
    rows = tuple(
        (
            effect.name,
            QUESTIONS[effect.design],
            *(_difference(study, effect, seed) for seed in seeds),
            scale.difference(effect.mean),
        )
        for effect in weigh_effects(study)
    )
    return TextTable(
        caption=(
            f"Difference between trials of the same seed, in {scale.step}; plus is better. {UNDEFINED} marks a seed of "
            "which a trial has not ended or test was not read; (f) one in which a trial failed and counts as guessing."
        ),
        header=("technique", "how", *(f"seed {seed}" for seed in seeds), f"mean, {scale.step}"),
        rows=rows,
        text_columns=2,
    )


def model_table(study: SavedStudy) -> TextTable | None:
    """Return McNemar's test of every two models that the plan compares; None where no predictions were saved."""
    rows = tuple(
        (pair.rung, pair.below, str(pair.seed), str(pair.only_first), str(pair.only_second), p_value(pair.p_value))
        for pair in compare_models(study)
    )
    if not rows:
        return None
    return TextTable(
        caption=(
            "Images that only the one of two models classifies rightly, and McNemar's exact test that both do equally "
            "well on images like these. It is about these two models, each of one seed, and says nothing of other "
            "seeds: a technique is judged by the verdicts alone. The p-values are not adjusted."
        ),
        header=("rung", "against", "seed", "only the first", "only the second", "p"),
        rows=rows,
        text_columns=2,
    )


def terminal_effects(study: SavedStudy) -> Table:
    """Return the verdicts for a terminal of 80 columns."""
    scale, effects = scale_of(study), weigh_effects(study)
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1), collapse_padding=True, pad_edge=False, show_edge=False)
    several = len({effect.design for effect in effects}) > 1
    for head in ("technique", *(["how"] if several else [])):
        table.add_column(head, overflow="fold")
    table.add_column(f"mean\n{scale.step}", justify="right", no_wrap=True)
    table.add_column("adjusted\ninterval", justify="right", no_wrap=True)
    table.add_column("verdict", no_wrap=True)
    for effect in effects:
        words = [effect.name, *([QUESTIONS[effect.design]] if several else [])]
        cells = [*words, scale.difference(effect.mean), scale.interval(effect.interval), verdict_word(effect)]
        table.add_row(*(Text(cell) for cell in cells))
    return table


def verdict_word(effect: Effect) -> str:
    """Return the verdict in a word; an interaction neither helps nor hurts by itself."""
    if effect.verdict is None:
        return "no verdict"
    if effect.is_interaction:
        words = {"helped": "add to each other", "hurt": "in each other's way", "equivalent": "independent"}
        return words.get(effect.verdict, effect.verdict)
    return effect.verdict


def seeds_word(effect: Effect) -> str:
    """Return how many seeds would probably decide an undecided contrast."""
    if effect.verdict != "undecided":
        return UNDEFINED
    if effect.seeds_needed is None:
        return f"> {MOST_SEEDS_SOUGHT:,}" if effect.look == 1 else UNDEFINED
    return f"about {effect.seeds_needed}"


def _detectable(scale: Scale, difference: float | None) -> str:
    return UNDEFINED if difference is None else size(scale, difference).removesuffix(f" {scale.step}")


def _difference(study: SavedStudy, effect: Effect, seed: int) -> str:
    text = scale_of(study).difference(effect.differences.get(seed))
    return f"{text} (f)" if seed in effect.failed else text


def _over_images(study: SavedStudy, effect: Effect) -> tuple[float, float] | None:
    if effect.rung is None or effect.below is None:
        return None
    return difference_interval(correct_by_seed(study, effect.rung), correct_by_seed(study, effect.below))


def _caption(study: SavedStudy, pairs: bool) -> str:
    record = study.record
    together, interactions = judged_together(record), judged_together(record, interaction=True)
    share = f"{100 * (1 - record.alpha):g} %"
    looks = f" at any of {len(record.looks)} looks" if len(record.looks) > 1 else ""
    apart = f"; the {interactions} interactions are adjusted among themselves" if interactions else ""
    text = (
        f"Mean of the paired differences, plus is better, and its t-interval, adjusted (Bonferroni) so that all "
        f"{count(together, 'interval')} hold together{looks} with a probability of {share}{apart}; p is adjusted "
        f"alike. Helped or hurt: the interval excludes zero. Equivalent: it lies within ± "
        f"{amount(scale_of(study), record.smallest_effect)}, the smallest effect of interest. Correlation: of the two "
        f"rungs over seeds. Detectable: the smallest true difference that as many seeds with this spread find with a "
        f"chance of {100 * POWER:.0f} %. Seeds to decide: in all, were the figures so far the truth."
    )
    if pairs:
        text += (
            " Other test images: the 95 % bootstrap interval of the mean difference over images, for these same "
            "models; the verdicts do not use it."
        )
    return text
