"""What the trials of a study say: a mean and a spread a rung, and each contrast with its interval and its verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev, variance  # exact: no rounding where all seeds agree

import numpy as np

from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.design.rules import FEWEST_JUDGED, Look, final_share
from stepladder.studies.files.images import read_labels
from stepladder.studies.files.predictions import read_predictions
from stepladder.studies.files.records import ContrastRecord, SavedStudy, StudyRecord
from stepladder.studies.judging.boundaries import nominal_levels
from stepladder.studies.judging.distributions import correlation, t_quantile
from stepladder.studies.judging.verdicts import (
    MOST_SEEDS_SOUGHT,
    POWER,
    VERDICTS,
    Verdict,
    chances_to_decide,
    detectable_difference,
    judge,
    rounding_sd,
    settle,
    weigh,
    weigh_unpaired,
)
from stepladder.training.metrics import USUAL_METRICS, Metric

#: Confidence of the intervals that are shown of a single rung.
CONFIDENCE = 0.95


@dataclass(frozen=True)
class RungSummary:
    """Results of one rung: those of the plan's metric in its unit, accuracies as fractions of 1.

    Attributes:
        scores: by seed, finished trials only, once test has been read.
        failed: seeds whose trial failed.
        stopped: those of ``failed`` that a limit, the machine or an exception ended, which contrasts leave out; the
            others diverged, and contrasts count them as ``metrics.Metric.diverged``.
        mean: over the finished seeds; None without any.
        sd: sample standard deviation (n - 1) over the finished seeds; None below two.
        interval: 95 % t-interval of the mean, for this rung alone, cut to what is possible; None below two seeds.
        planned, ended: trials that there should be by now, and those that have ended, failed ones among them.
        train: mean accuracy on plain training images in evaluation mode, over the finished seeds.
        validation: mean on the validation images by the plan's metric, likewise.
        val_accuracy: mean accuracy on them.
        seconds: mean wall time of a finished trial.
        metrics: mean over the finished seeds of every usual metric on test, and of the plan's, by its name; without
            those not read.
        temperature: mean of those fitted on validation; None where none was.
    """

    rung: str
    adds: tuple[str, ...]
    lacks: tuple[str, ...]
    scores: dict[int, float]
    failed: tuple[int, ...]
    mean: float | None
    sd: float | None
    interval: tuple[float, float] | None = None
    planned: int = 0
    ended: int = 0
    train: float | None = None
    validation: float | None = None
    val_accuracy: float | None = None
    seconds: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    temperature: float | None = None
    stopped: tuple[int, ...] = ()

    @property
    def n(self) -> int:
        """Finished seeds whose test images were read."""
        return len(self.scores)

    @property
    def missing(self) -> int:
        """Trials that have not ended."""
        return self.planned - self.ended

    def __repr__(self) -> str:
        mean = "no result" if self.mean is None else f"{self.mean:.4g} (sd {self.sd or 0:.2g}, n = {self.n})"
        return f"<RungSummary {self.rung}: {mean}>"


@dataclass(frozen=True)
class Effect:
    """One contrast of the plan, paired by seed; differences are in the metric's unit, plus is better.

    Attributes:
        name: what is asked about; ``design`` how (see ``designs.Contrast``).
        rung, below: the two rungs of a comparison; None where the contrast has more.
        differences: by seed, wherever every rung has ended.
        failed: seeds in which a rung diverged and counts as guessing.
        stopped: seeds without a difference, since a trial was ended by a limit, the machine or an exception.
        n: pairs that the verdict rests on: all, or those of the look that decided.
        mean, sd: of those differences; None below one and two.
        interval: two-sided t-interval of the mean at ``level``, cut to what is possible; None below two pairs.
        level: error of this one interval: what the look may spend of α over the contrasts judged together.
        p_value: adjusted alike, so that it is at most α where the interval excludes zero.
        verdict: None where none is possible: fewer than two pairs, or a rung that diverged in every seed on both sides;
            undecided where trials were stopped and too few seeds are left for a look.
        look: number of the look that the verdict is of, from 1.
        correlation: Pearson's, of the two rungs over seeds; None where it is not defined or below three pairs.
        detectable: smallest true difference that as many seeds with this spread find with a chance of 0.8.
        most: the largest difference that there can be, either way: of two shares 1; None for nats, which have no end.
        identical: whether both rungs ended with the same figures to the last bit, in every epoch and seed.
        decided_by: of an undecided contrast to which seeds can be added: the chance that it is decided by each later
            look, by its number of seeds; see ``verdicts.chances_to_decide``.
        paired: whether differences are of the same seed; else the two means are compared (Welch), ``differences`` is
            empty, ``n`` is of the rung with fewer seeds, and ``sd`` is what as many pairs would have.
    """

    name: str
    design: ContrastKind
    rung: str | None
    below: str | None
    differences: dict[int, float]
    failed: tuple[int, ...]
    n: int
    mean: float | None
    sd: float | None
    interval: tuple[float, float] | None
    level: float
    p_value: float | None
    verdict: Verdict | None
    look: int
    correlation: float | None
    detectable: float | None
    most: float | None = None
    identical: bool = False
    decided_by: dict[int, float] = field(default_factory=dict)
    stopped: tuple[int, ...] = ()
    paired: bool = True

    @property
    def seeds_needed(self) -> int | None:
        """The fewest seeds in all that probably decide it, with a chance of 0.8; None for more than are looked for."""
        return next((seeds for seeds, chance in self.decided_by.items() if chance >= POWER), None)

    def chance_by(self, seeds: int) -> float:
        """Return the chance that the last look at no more than so many seeds has decided it."""
        return max((chance for look, chance in self.decided_by.items() if look <= seeds), default=0.0)

    @property
    def is_interaction(self) -> bool:
        """Whether it is about two techniques together, which is judged apart from the techniques themselves."""
        return self.design is ContrastKind.INTERACTION

    def __repr__(self) -> str:
        size = "no difference yet" if self.mean is None else f"{self.mean:+.4g}"
        bounds = "" if self.interval is None else f" [{self.interval[0]:+.4g}, {self.interval[1]:+.4g}]"
        return f"<Effect {self.name} ({self.design}): {size}{bounds}, {self.verdict or 'no verdict'}, n = {self.n}>"


def summarize_rungs(study: SavedStudy) -> tuple[RungSummary, ...]:
    """Summarize every rung of the plan, in its order."""
    metric = study.record.measured_by
    measured = {each.name: each for each in (*USUAL_METRICS, metric)}
    summaries = []
    for rung in study.record.rungs:
        trials = study.of_rung(rung.name)
        scores = {
            trial.seed: value
            for trial in trials
            if trial.result.status == "finished" and (value := metric.on_test(trial.result)) is not None
        }
        values = list(scores.values())
        finished = [trial.result for trial in trials if trial.result.status == "finished"]
        read = [result for result in finished if result.was_read]
        means = {name: _mean(map(each.on_test, read)) for name, each in measured.items()}
        summaries.append(
            RungSummary(
                rung=rung.name,
                adds=rung.adds,
                lacks=rung.lacks,
                scores=scores,
                failed=tuple(trial.seed for trial in trials if trial.result.status == "failed"),
                mean=math.fsum(values) / len(values) if values else None,
                sd=stdev(values) if len(values) > 1 else None,
                interval=cut_interval(
                    paired_interval(values, overlap=overlap_of(study.record)), metric.most, metric.least
                ),
                planned=len(study.record.seeds_of(rung.name)),
                ended=len(trials),
                train=_mean(result.train_accuracy for result in finished),
                validation=_mean(map(metric.on_validation, finished)),
                val_accuracy=_mean(result.val_accuracy for result in finished),
                seconds=_mean(result.seconds for result in finished),
                metrics={name: mean for name, mean in means.items() if mean is not None},
                temperature=_mean(result.temperature for result in read),
                stopped=tuple(trial.seed for trial in trials if trial.result.stopped),
            )
        )
    return tuple(summaries)


def _mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def weigh_effects(study: SavedStudy, summaries: Sequence[RungSummary]) -> tuple[Effect, ...]:
    """Weigh every contrast of the plan, in its order.

    Args:
        summaries: of :func:`summarize_rungs`.
    """
    record = study.record
    metric = record.measured_by
    guess = guess_of(study, metric)
    rungs = {}
    for summary in summaries:
        # A seed that diverged counts against its rung. Before test is read there is nothing to compare it with. One
        # that was stopped counts for nothing: whether it is depends on the rung, not on what it would have reached.
        diverged = {} if study.unread else dict.fromkeys(set(summary.failed) - set(summary.stopped), guess)
        stopped = set() if study.unread else set(summary.stopped)
        rungs[summary.rung] = _Seeds({**summary.scores, **diverged}, set(diverged), stopped)
    if record.scores is not None:
        steps = steps_of(record, [value for each in summaries for value in each.scores.values()])
        return tuple(
            _weigh_means(contrast, study, metric, rungs, steps)
            if _is_unpaired(contrast, record, rungs)
            else _weigh(contrast, study, metric, rungs, steps)
            for contrast in record.contrasts
        )
    # Of accuracy a step is one of all images; other shares may have coarser ones.
    images = record.data.counts["test"] if metric.name == "accuracy" else metric.images(class_counts(study))
    return tuple(_weigh(contrast, study, metric, rungs, images) for contrast in record.contrasts)


def steps_of(record: StudyRecord, scores: Sequence[float]) -> float:
    """Return into how many steps a score of 1 is divided: by its test images, or by the last digit that is written.

    Where neither is known, shares of so many images tell it themselves.
    """
    assert record.scores is not None
    images, resolution = record.data.counts.get("test", 0), record.scores.resolution
    if not images and resolution == 0 and record.scores.share:
        images = find_steps(scores) or 0
    return min(images or math.inf, 1 / resolution if resolution > 0 else math.inf)


#: Images that shares are tried for, and how far they may be off: more than a float32 is, and less than chance would be.
_MOST_STEPS, _OFF = 20_000, 1e-7


def find_steps(shares: Sequence[float]) -> int | None:
    """Return the fewest images of which all shares are whole parts; None where there is no such number.

    Fewer than three different shares tell nothing.

    >>> find_steps([331 / 360, 340 / 360, 337 / 360]), find_steps([0.1234567, 0.7654321, 0.5555551])
    (360, None)
    """
    different = np.array(sorted(set(shares)))
    if len(different) < 3:
        return None
    steps = np.arange(2, _MOST_STEPS + 1)
    for share in different:  # each leaves fewer to try
        steps = steps[np.abs(share - np.round(share * steps) / steps) < _OFF]
        if not len(steps):
            return None
    return int(steps[0])


def _is_unpaired(contrast: ContrastRecord, record: StudyRecord, rungs: dict[str, _Seeds]) -> bool:
    """Whether two rungs share no two seeds, and have two each, so that their means can be compared."""
    assert record.scores is not None
    asked = [set(rungs[name].scores) for name in contrast.weights]
    # A factorial weighs more than two rungs, which only seeds that all of them share can do.
    if list(contrast.weights.values()) != [1.0, -1.0] or min(map(len, asked)) < FEWEST_JUDGED:
        return False
    return not record.scores.paired or len(asked[0] & asked[1]) < FEWEST_JUDGED


def guess_of(study: SavedStudy, metric: Metric) -> float:
    """Return what a trial that diverged counts as: what naming the largest class of the test images always has.

    Where a study keeps no labels, as those of Stepladder 0.1, its classes are taken for even; and where no trial of it
    diverged, so that it counts nowhere.
    """
    if study.record.scores is not None:
        return metric.diverged([])
    classes = len(study.record.data.class_names)
    diverged = any(trial.result.diverged for trial in study.trials)
    counts = class_counts(study) if diverged else [1] * classes
    return metric.diverged([count / sum(counts) for count in counts])


def class_counts(study: SavedStudy) -> list[int]:
    """Return how many test images each class has; where the study keeps no labels, as many each."""
    classes, images = len(study.record.data.class_names), study.record.data.counts["test"]
    labels = read_labels(study.folder, study.record.data).get("test")
    if labels is None:
        read = (read_predictions(trial.folder) for trial in study.trials)
        labels = next((found[1] for found in read if found is not None), None)
    if labels is None or not len(labels):
        return [max(1, images // classes)] * classes
    counts: list[int] = np.bincount(labels, minlength=classes).tolist()
    return counts


@dataclass(frozen=True)
class _Seeds:
    """A rung's scores by seed, diverged ones as guessing, and the seeds that diverged or were stopped."""

    scores: dict[int, float]
    diverged: set[int]
    stopped: set[int]


def judged_together(record: StudyRecord, interaction: bool = False) -> int:
    """Return how many contrasts share the error rate: all but the interactions, or those among themselves."""
    listed = sum((contrast.design is ContrastKind.INTERACTION) == interaction for contrast in record.contrasts)
    if record.scores is not None and record.scores.tried is not None and not interaction:
        return max(listed, record.scores.tried)
    return listed


def level_of(record: StudyRecord, interaction: bool = False) -> float:
    """Return the error of one contrast over all looks: α over the contrasts judged together."""
    return record.alpha / max(judged_together(record, interaction), 1)


def looks_of(record: StudyRecord, level: float, most: int | None = None) -> tuple[Look, ...]:
    """Return the looks of a study, with the share of ``level`` that each has.

    Args:
        level: error of one comparison over all looks.
        most: seeds up to which there may be looks, where these are open; those so far by default.
    """
    if record.spending == "declared":
        return tuple(Look(look.seeds, look.share) for look in record.looks)
    first = record.looks[0].seeds
    levels = nominal_levels(first, max(most or len(record.seeds), first, FEWEST_JUDGED), level)
    return tuple(Look(seeds, each / level) for seeds, each in levels.items())


def overlap_of(record: StudyRecord) -> float:
    """Return test images over training images where each seed draws its own, see ``verdicts.weigh``; else 0."""
    return record.data.counts["test"] / record.data.counts["train"] if record.resplit else 0.0


def paired_interval(
    differences: Sequence[float], level: float = 1 - CONFIDENCE, overlap: float = 0.0
) -> tuple[float, float] | None:
    """Two-sided t-interval of the mean of paired differences, not adjusted for anything; None below two."""
    if len(differences) < 2:
        return None
    evidence = weigh(np.array(differences), level, overlap=overlap)
    return float(evidence.low), float(evidence.high)


def cut_interval(
    interval: tuple[float, float] | None, most: float | None, least: float | None = None
) -> tuple[float, float] | None:
    """Return an interval without what is impossible: two seeds know so little that theirs can go beyond all points.

    Args:
        most: the largest possible value; None where there is none, as of a loss.
        least: the smallest; ``-most`` where it is left out, as of a difference.
    """
    if interval is None or most is None:
        return interval
    return max(interval[0], -most if least is None else least), min(interval[1], most)


def welch_interval(first: Sequence[float], second: Sequence[float]) -> tuple[float, float] | None:
    """Return Welch's 95 % interval of the difference of two means; None with fewer than two values of either.

    Welch, Biometrika 1947. None also where neither's values differ: then nothing is known of their spread.
    Not by scipy's ``ttest_ind``, which warns where the values of one do not differ.
    """
    if min(len(first), len(second)) < 2:
        return None
    parts = [variance(values) / len(values) for values in (first, second)]
    error = sum(parts)
    if error == 0:
        return None
    freedom = error**2 / (parts[0] ** 2 / (len(first) - 1) + parts[1] ** 2 / (len(second) - 1))
    reach = float(t_quantile((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(error)
    middle = fmean(first) - fmean(second)
    return middle - reach, middle + reach


def _weigh(
    contrast: ContrastRecord,
    study: SavedStudy,
    metric: Metric,
    rungs: dict[str, _Seeds],
    images: float,
) -> Effect:
    record = study.record
    asked = [rungs[name] for name in contrast.weights]
    seeds = [seed for seed in record.seeds if all(seed in each.scores for each in asked)]
    differences = {
        seed: metric.sign * math.fsum(weight * rungs[name].scores[seed] for name, weight in contrast.weights.items())
        for seed in seeds
    }
    diverged = tuple(seed for seed in seeds if any(seed in each.diverged for each in asked))
    stopped = tuple(seed for seed in record.seeds if any(seed in each.stopped for each in asked))
    # Where all rungs diverged, the difference of nothing is no evidence that there is none.
    empty = [seed for seed in seeds if all(seed in each.diverged for each in asked)]
    weights = list(contrast.weights.values())
    pair = tuple(contrast.weights) if weights == [1.0, -1.0] else (None, None)
    # Rounding to whole images is a property of shares; a mean over more rungs rounds less.
    floor = rounding_sd(images, weights) if metric.share or record.scores is not None else 0.0
    family_level = level_of(record, contrast.design is ContrastKind.INTERACTION)
    values = np.array([differences[seed] for seed in seeds])
    looks = looks_of(record, family_level)
    listed = record.spending == "open" or len(looks) > 1
    if not listed:
        # Seeds that were added are not left out; the report says what they cost. Two that are left of more may fail
        # together as two that were planned may.
        share = min(looks[0].share, final_share(len(values))) if stopped else looks[0].share
        looks = (Look(len(values), share),)
    overlap = overlap_of(record)
    code, at = settle(values, looks, family_level, record.smallest_effect, floor, overlap)
    look = looks[int(at)]
    level = family_level * look.share
    used = values[: look.seeds]
    if listed and len(used) < look.seeds:
        level = family_level  # an unfinished first look has no verdict yet
    evidence = weigh(used, level, floor, overlap) if len(used) >= 2 else None
    reached = len(used) >= 2 and len(used) == look.seeds
    verdict: Verdict | None = VERDICTS[int(code)] if reached and len(empty) < len(seeds) else None
    if verdict == "equivalent" and empty:
        verdict = "undecided"
    alike = pair[0] and pair[1] and verdict and not diverged and not any(values)
    identical = bool(alike) and _are_identical(study, pair, seeds)
    if identical:
        verdict = "equivalent"  # whatever rounding would allow
    short = bool(stopped) and not reached
    if short and len(record.seeds) >= FEWEST_JUDGED:
        verdict = "undecided"  # the report says what is missing
    shown = None if short else evidence  # no look pays for an interval of fewer seeds than it has
    sd = float(evidence.sd) if evidence else None
    mean = math.fsum(used) / len(used) if len(used) else None
    chances: dict[int, float] = {}
    if verdict == "undecided" and record.spending == "open" and mean is not None and sd is not None:
        later = [look for look in looks_of(record, family_level, MOST_SEEDS_SOUGHT) if look.seeds > len(used)]
        chances = chances_to_decide((mean, sd, len(used)), later, family_level, record.smallest_effect, overlap)
    positive = math.fsum(weight for weight in weights if weight > 0)
    most = None if metric.reach is None else metric.reach * positive
    return Effect(
        name=contrast.name,
        design=contrast.design,
        rung=pair[0],
        below=pair[1],
        differences=differences,
        failed=diverged,
        n=len(used),
        mean=mean,
        sd=sd,
        interval=cut_interval((float(shown.low), float(shown.high)), most) if shown else None,
        level=level,
        p_value=min(1.0, float(shown.p_value) * record.alpha / level) if shown else None,
        verdict=verdict,
        look=int(at) + 1,
        correlation=_correlation(rungs[pair[0]].scores, rungs[pair[1]].scores, seeds) if pair[0] and pair[1] else None,
        detectable=detectable_difference(sd, len(used), level, overlap) if sd is not None else None,
        most=most,
        identical=identical,
        decided_by=chances,
        stopped=stopped,
    )


def _weigh_means(
    contrast: ContrastRecord, study: SavedStudy, metric: Metric, rungs: dict[str, _Seeds], images: float
) -> Effect:
    """Weigh a comparison of two rungs whose seeds have nothing in common: by Welch's t-test, at the same looks."""
    record = study.record
    rung, below = contrast.weights
    first, second = (np.array(list(rungs[name].scores.values())) for name in (rung, below))
    floor = rounding_sd(images)
    fewest = min(len(first), len(second))
    family_level = level_of(record)
    looks = looks_of(record, family_level)
    if record.spending != "open" and len(looks) == 1:
        looks = (Look(fewest, final_share(fewest)),)
    reached = [look for look in looks if look.seeds <= fewest]
    level, at, code = family_level, 0, VERDICTS.index("undecided")
    evidence = weigh_unpaired(first, second, level, floor)
    for look in reached:
        at += 1
        # Of the larger rung, all seeds count once the smaller has no more; before, as many as there were then.
        sizes = (len(first), len(second)) if look.seeds == fewest else (look.seeds, look.seeds)
        level = family_level * look.share
        evidence = weigh_unpaired(first[: sizes[0]], second[: sizes[1]], level, floor)
        low, high = (evidence.low, evidence.high) if metric.higher_is_better else (-evidence.high, -evidence.low)
        code = int(judge(low, high, record.smallest_effect))
        if VERDICTS[code] != "undecided":
            break
    bounds = sorted(metric.sign * float(end) for end in (evidence.low, evidence.high))
    n = reached[at - 1].seeds if reached else fewest
    return Effect(
        name=contrast.name,
        design=contrast.design,
        rung=rung,
        below=below,
        differences={},
        failed=tuple(sorted(rungs[rung].diverged | rungs[below].diverged)),
        n=n,
        mean=metric.sign * float(evidence.mean),
        sd=float(evidence.sd),
        interval=cut_interval((bounds[0], bounds[1]), metric.reach) if reached else None,
        level=level,
        p_value=min(1.0, float(evidence.p_value) * record.alpha / level) if reached else None,
        verdict=VERDICTS[code] if reached else None,
        look=max(at, 1),
        correlation=None,
        detectable=detectable_difference(float(evidence.sd), n, level),
        most=metric.reach,
        stopped=tuple(sorted(rungs[rung].stopped | rungs[below].stopped)),
        paired=False,
    )


def _are_identical(study: SavedStudy, pair: Sequence[str | None], seeds: Sequence[int]) -> bool:
    """Whether two rungs had the same losses in every epoch, and on test, to the last bit."""
    told = []
    for rung in pair:
        trials = {trial.seed: trial for trial in study.of_rung(str(rung))}
        told.append(
            [
                (trials[seed].result.test_loss, [(epoch.train_loss, epoch.val_loss) for epoch in trials[seed].history])
                for seed in seeds
            ]
        )
    return told[0] == told[1] and all(loss is not None and epochs for loss, epochs in told[0])


def _correlation(one: dict[int, float], other: dict[int, float], seeds: list[int]) -> float | None:
    first, second = [one[seed] for seed in seeds], [other[seed] for seed in seeds]
    if len(seeds) < 3 or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return correlation(first, second)
