"""Do the verdicts hold? Thousands of made-up studies whose truth is known, judged by the code that judges real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from functools import cache
from itertools import product
from typing import Annotated

import numpy as np
from cyclopts import Parameter
from scipy import special

from stepladder.cli.console import AsJson, make_console
from stepladder.errors import StudyError
from stepladder.studies.design.rules import Look, final_share
from stepladder.studies.judging.boundaries import nominal_levels
from stepladder.studies.judging.test_set import crossed_interval
from stepladder.studies.judging.verdicts import (
    MOST_SEEDS_SOUGHT,
    POWER,
    VERDICTS,
    chances_to_decide,
    detectable_difference,
    rounding_sd,
    settle,
    weigh,
)

#: Seeds that a study is begun with.
SEEDS = (2, 3, 5, 12)
#: Share of a seed's luck that all rungs have in common.
CORRELATIONS = (0.0, 0.8)
#: As in the reference study: six rungs, each against the one below it.
COMPARISONS = 5
ALPHA = 0.05
#: Whoever adds seeds until all is decided stops here.
MOST = 20
#: The power that is promised: one point where a rung's results spread by 0.3, at five seeds and extended to ten.
EFFECT, SD, AT_FIVE, AT_TEN = 1.0, 0.3, 0.63, 0.95
#: How large effects are beside the spread of a difference, where the forecasts of seeds are held to what comes: nobody
#: knows beforehand, so small ones and large ones are as common.
SIZES = (0.3, 0.5, 1.0, 2.0, 4.0)

_HELPED, _HURT, _, _UNDECIDED = range(len(VERDICTS))
_LEVEL = ALPHA / COMPARISONS


@dataclass(frozen=True)
class Noise:
    """How the results of rungs that do not differ come about.

    Attributes:
        draw: gives results (studies, rungs, seeds) by a generator, their number, and the share that rungs have in
            common.
        floor: smallest standard deviation of a difference that is believed.
        promised: whether the error rates are to hold.
    """

    name: str
    draw: Callable[[np.random.Generator, int, float], np.ndarray]
    floor: float = 0.0
    promised: bool = True


def _mixed(luck: Callable[[np.random.Generator, tuple[int, ...]], np.ndarray]) -> Callable[..., np.ndarray]:
    def draw(random: np.random.Generator, studies: int, shared: float) -> np.ndarray:
        alike, own = luck(random, (studies, 1, MOST)), luck(random, (studies, COMPARISONS + 1, MOST))
        mixed: np.ndarray = np.sqrt(shared) * alike + np.sqrt(1 - shared) * own
        return mixed

    return draw


def _binomial(images: int, accuracy: float) -> Noise:
    def draw(random: np.random.Generator, studies: int, shared: float) -> np.ndarray:
        alike = random.binomial(round(shared * images), accuracy, (studies, 1, MOST))
        own = random.binomial(images - round(shared * images), accuracy, (studies, COMPARISONS + 1, MOST))
        shares: np.ndarray = (alike + own) / images
        return shares

    return Noise(f"{images:,} images at {100 * accuracy:g} %", draw, rounding_sd(images))


def _normal(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return random.standard_normal(shape)


def _one_noisier(random: np.random.Generator, studies: int, shared: float) -> np.ndarray:
    results = _mixed(_normal)(random, studies, shared)
    results[:, 2] *= 5
    return results


def _diverging(random: np.random.Generator, studies: int, shared: float) -> np.ndarray:
    """One trial in twenty fails and counts as guessing, 80 standard deviations below."""
    results = _mixed(_normal)(random, studies, shared)
    results[random.random(results.shape) < 0.05] = -80
    return results


def _lopsided(random: np.random.Generator, studies: int, shared: float) -> np.ndarray:
    """Exponential luck on every other rung, so that the differences themselves are skewed."""
    results = _mixed(_normal)(random, studies, shared)
    own = random.exponential(size=(studies, COMPARISONS + 1, MOST)) - 1
    results[:, ::2] = own[:, ::2]
    return results


NOISES = (
    Noise("normal", _mixed(_normal)),
    Noise("t3", _mixed(lambda random, shape: random.standard_t(3, shape))),
    _binomial(360, 0.8),
    _binomial(360, 0.995),
    _binomial(10_000, 0.8),
    _binomial(10_000, 0.995),
    Noise("one rung five times noisier", _one_noisier),
    Noise("trials that diverge", _diverging),
    Noise("every other rung skewed", _lopsided, promised=False),
)


_PROMISED = {noise.name: noise.promised for noise in NOISES}


@dataclass(frozen=True)
class SimulatedRates:
    """How often it went how, in one setting; every rate is a share of the simulated studies but ``coverage``.

    Attributes:
        noise: a name of :data:`NOISES`.
        correlation: of two rungs over seeds.
        n: seeds a rung at first.
        coverage: share of unadjusted 95 % intervals that hold the true difference, of all comparisons.
        once, estimate, on: any "helped" or "hurt" where no rung differs: at one look with all of α; where the first
            look is followed by one at the smallest of the numbers of seeds that would decide; where seeds are added
            until all is decided or there are 20.
        equivalent: any "equivalent" where each rung differs from the next by the smallest effect of interest, with
            seeds added until there are 20.
        power: share of true differences as large as ``stepladder plan`` calls detectable that the first look finds.
    """

    noise: str
    correlation: float
    n: int
    coverage: float
    once: float
    estimate: float
    on: float
    equivalent: float
    power: float

    def broken(self, margin: float) -> list[str]:
        """Return which promises this setting breaks, in words.

        Args:
            margin: by which a rate of 5 % may come out above, as the simulation is finite.
        """
        found = []
        normal = self.noise == "normal"
        if normal and not 0.94 <= self.coverage <= 0.96:
            found.append(f"coverage {self.coverage:.3f}")
        if normal and abs(self.power - POWER) > 0.03:
            found.append(f"power {self.power:.3f}")
        rates = {
            "false helped or hurt at one look": self.once,
            "false helped or hurt after extending to the estimate": self.estimate,
            "false helped or hurt after adding seeds on and on": self.on,
            "false equivalent": self.equivalent,
        }
        if _PROMISED[self.noise]:
            found += [f"{name} {rate:.4f}" for name, rate in rates.items() if rate > ALPHA + margin]
        return found


def simulate_verdicts(studies: int = 20_000, seed: int = 0) -> Iterator[SimulatedRates]:
    """Simulate ``studies`` studies of each setting, one setting after another."""
    for number, (noise, correlation, n) in enumerate(product(NOISES, CORRELATIONS, SEEDS)):
        yield _simulate_setting(noise, correlation, n, studies, np.random.default_rng([seed, number]))


def _looks(n: int, most: int) -> tuple[Look, ...]:
    return tuple(Look(seeds, level / _LEVEL) for seeds, level in nominal_levels(n, most, _LEVEL).items())


def _simulate_setting(
    noise: Noise, correlation: float, n: int, studies: int, random: np.random.Generator
) -> SimulatedRates:
    differences = np.diff(noise.draw(random, studies, correlation), axis=1)
    looks, floor = _looks(n, MOST), noise.floor
    alone = weigh(differences[..., :n], ALPHA, floor)
    # So large beside the noise that an interval has room to lie within it, as it must to be wrong.
    smallest = 1000.0
    at_the_edge = differences + smallest * np.array([1, -1, 1, -1, 1])[:COMPARISONS, None]
    detectable = detectable_difference((2 * (1 - correlation)) ** 0.5, n, _LEVEL * looks[0].share)
    assert detectable is not None
    found, _ = settle(differences + detectable, looks[:1], _LEVEL, 0.0)
    return SimulatedRates(
        noise=noise.name,
        correlation=correlation,
        n=n,
        coverage=float(((alone.low <= 0) & (alone.high >= 0)).mean()),
        once=_any_effect(differences, (Look(n, final_share(n)),), floor),
        estimate=_extended_once(differences, looks, floor),
        on=_any_effect(differences, looks, floor),
        equivalent=_any_equivalent(at_the_edge, looks, smallest, floor),
        power=float((found == _HELPED).mean()),
    )


def _any_effect(differences: np.ndarray, looks: tuple[Look, ...], floor: float) -> float:
    verdicts, _ = settle(differences, looks, _LEVEL, 0.0, floor)
    return float(((verdicts == _HELPED) | (verdicts == _HURT)).any(axis=1).mean())


def _extended_once(differences: np.ndarray, looks: tuple[Look, ...], floor: float) -> float:
    """The share of studies with a false effect where seeds are added once, to the smallest number that is named."""
    first = looks[0]
    verdicts, _ = settle(differences, looks[:1], _LEVEL, 0.0, floor)
    wrong = (verdicts != _UNDECIDED).any(axis=1)
    evidence = weigh(differences[..., : first.seeds], _LEVEL, floor)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.nan_to_num(np.abs(evidence.mean) / evidence.sd)
    needed = np.where(verdicts == _UNDECIDED, _seeds_named(first.seeds, ratio), MOST_SEEDS_SOUGHT)
    named = needed.min(axis=1)
    for look in looks[1:]:
        here = named == look.seeds
        if here.any():
            later, _ = settle(differences[here], (look,), _LEVEL, 0.0, floor)
            wrong[here] |= ((later == _HELPED) | (later == _HURT)).any(axis=1)
    return float(wrong.mean())


#: |mean| / sd for which it is worked out what a study names.
_RATIOS = np.geomspace(0.01, 10, 80)


def _seeds_named(n: int, ratio: np.ndarray) -> np.ndarray:
    """Return how many seeds a study names for each |mean| / sd, by a table."""
    return np.asarray(_named_table(n, _LEVEL)[np.searchsorted(_RATIOS, ratio).clip(0, len(_RATIOS) - 1)])


@cache
def _named_table(n: int, level: float) -> np.ndarray:
    looks = _looks(n, MOST_SEEDS_SOUGHT)[1:]
    named = []
    for ratio in _RATIOS:
        chances = chances_to_decide((ratio, 1.0, n), looks, level, 0.0)
        named.append(next((seeds for seeds, chance in chances.items() if chance >= POWER), MOST_SEEDS_SOUGHT))
    return np.array(named)


def _any_equivalent(differences: np.ndarray, looks: tuple[Look, ...], smallest: float, floor: float) -> float:
    # "helped" and "hurt" are right here and would keep an equivalence from being seen, so they are not asked for.
    verdicts = np.stack(
        [
            (np.abs(np.stack([evidence.low, evidence.high])) <= smallest).all(axis=0)
            for look in looks
            for evidence in [weigh(differences[..., : look.seeds], _LEVEL * look.share, floor)]
        ]
    )
    return float(verdicts.any(axis=(0, 2)).mean())


@dataclass(frozen=True)
class Promises:
    """What is promised beside the error rates.

    Attributes:
        at_five, once_at_five, at_ten: share of differences of one point that are found, where a rung's results spread
            by 0.3: at the first look at five seeds, at five with all of α, and extended to ten.
        decided: by the seeds that a study begun with: the share of its undecided comparisons that are decided by the
            number of seeds for which it says 80 %; effects are normal, of all :data:`SIZES` alike.
        named: how many comparisons those are.
    """

    at_five: float
    once_at_five: float
    at_ten: float
    decided: dict[int, float]
    named: dict[int, int]

    def broken(self) -> list[str]:
        """Return which of them do not hold, in words."""
        found = []
        if self.at_five < AT_FIVE:
            found.append(f"power at five seeds {self.at_five:.3f}")
        if self.at_ten < AT_TEN:
            found.append(f"power extended to ten seeds {self.at_ten:.3f}")
        return found + [
            f"from {n} seeds, what is said to be decided with 80 % is in {share:.3f}"
            for n, share in self.decided.items()
            if not 0.7 <= share <= 0.9
        ]


def simulate_promises(studies: int = 20_000, seed: int = 0) -> Promises:
    """Simulate power and the forecasts of seeds."""
    random = np.random.default_rng([seed, 1000])
    results = SD * random.standard_normal((studies, 2, 10))
    differences = results[:, 1] - results[:, 0] + EFFECT

    def found(looks: tuple[Look, ...]) -> float:
        return float((settle(differences, looks, _LEVEL, 0.0)[0] == _HELPED).mean())

    looks = _looks(5, 10)
    decided, named = {}, {}
    for n in (3, 5, 8):
        later = _looks(n, MOST_SEEDS_SOUGHT)
        effects = np.resize(SIZES, studies) * random.standard_normal(studies)
        drawn = effects[:, None] + random.standard_normal((studies, MOST_SEEDS_SOUGHT))
        undecided = drawn[settle(drawn, later[:1], _LEVEL, 0.0)[0] == _UNDECIDED]
        evidence = weigh(undecided[:, :n], _LEVEL)
        asked = _seeds_named(n, np.abs(evidence.mean) / evidence.sd)
        known = asked < MOST_SEEDS_SOUGHT
        verdict, at = settle(undecided[known], later, _LEVEL, 0.0)
        by_then = np.array([look.seeds for look in later])[at] <= asked[known]
        decided[n], named[n] = float(((verdict != _UNDECIDED) & by_then).mean()), int(known.sum())
    return Promises(found(looks[:1]), found((Look(5, 1.0),)), found((looks[0], looks[-1])), decided, named)


@dataclass(frozen=True)
class Difficulty:
    """How test images differ: the standard deviations of what makes each answer right, its own luck having 1.

    Attributes:
        shared: of an image's difficulty for all rungs.
        own: of its difficulty for one rung alone.
        seed: of a whole seed's luck in one rung.
    """

    name: str
    shared: float
    own: float
    seed: float


#: From networks that all fail at the same images, to techniques that each help with others.
DIFFICULTIES = (
    Difficulty("images alike for all rungs", 1.5, 0.0, 0.0),
    Difficulty("some images harder for a rung", 1.5, 0.3, 0.05),
    Difficulty("each rung its own hard images", 3.0, 1.0, 0.2),
)
#: Accuracy of the rung below, and what is added to it, as fractions of 1.
ACCURACIES = ((0.7, 0.0), (0.9, 0.02), (0.98, 0.005), (0.995, 0.0))
#: Images that are wrong in the mean, at least, for coverage to be promised.
_FEWEST_WRONG = 5
#: Test images, and seeds at which coverage is promised.
IMAGES, CROSSED_SEEDS = (360, 2_000), (5, 10)


@dataclass(frozen=True)
class Coverage:
    """How often the 95 % interval on new images holds the true difference, over new images and new seeds.

    Attributes:
        difficulty: a name of :data:`DIFFICULTIES`.
        accuracy: of the rung below.
        coverage: share of intervals that hold it; ``on_these``: of those over seeds alone, which do not promise it.
    """

    difficulty: str
    images: int
    accuracy: float
    seeds: int
    coverage: float
    on_these: float

    @property
    def promised(self) -> bool:
        """Whether it is to hold: of two images that are wrong no interval tells much, and this one is too wide."""
        return self.images * (1 - self.accuracy) >= _FEWEST_WRONG

    def broken(self, margin: float) -> list[str]:
        """Return whether it is less or more than promised, by more than ``margin``, in words."""
        held = not self.promised or 0.93 - margin <= self.coverage <= 0.97 + margin
        return [] if held else [f"coverage on new images {self.coverage:.3f}"]


def simulate_new_images(studies: int = 20_000, seed: int = 0) -> Iterator[Coverage]:
    """Simulate test sets of images that differ, one setting after another; where they are many, fewer of them.

    An answer is right where the rung's strength, the image's difficulty, that for this rung, the seed's luck and the
    answer's own luck add up to more than zero, all of them normal.
    """
    for number, (images, (accuracy, added), difficulty, seeds) in enumerate(
        product(IMAGES, ACCURACIES, DIFFICULTIES, CROSSED_SEEDS)
    ):
        random = np.random.default_rng([seed, 2000 + number])
        spread = float(np.sqrt(1 + difficulty.shared**2 + difficulty.own**2 + difficulty.seed**2))
        strengths = [spread * float(special.ndtri(share)) for share in (accuracy, accuracy + added)]
        number_of, held, on_these = max(1, studies * IMAGES[0] // images), 0, 0
        for size in _batches(number_of, seeds * images):
            values = np.zeros((size, seeds, images), dtype=np.float32)
            shared = difficulty.shared * random.standard_normal((size, 1, images), dtype=np.float32)
            for sign, strength in zip((-1, 1), strengths, strict=True):
                latent = random.standard_normal((size, seeds, images), dtype=np.float32) + shared + strength
                latent += difficulty.own * random.standard_normal((size, 1, images), dtype=np.float32)
                latent += difficulty.seed * random.standard_normal((size, seeds, 1), dtype=np.float32)
                values += sign * (latent > 0)
            low, high = crossed_interval(values.astype(np.float64), ALPHA)
            held += int(((low <= added) & (added <= high)).sum())
            alone = weigh(values.mean(axis=2, dtype=np.float64), ALPHA, rounding_sd(images))
            on_these += int(((alone.low <= added) & (added <= alone.high)).sum())
        yield Coverage(difficulty.name, images, accuracy, seeds, held / number_of, on_these / number_of)


def _batches(whole: int, numbers: int) -> Iterator[int]:
    """Split studies so that one batch has some ten million numbers."""
    size = max(1, 10_000_000 // numbers)
    for start in range(0, whole, size):
        yield min(size, whole - start)


_HEADINGS = {
    "noise": "noise",
    "correlation": "correlation",
    "n": "n",
    "coverage": "coverage",
    "once": "one look",
    "estimate": "to the estimate",
    "on": "on and on",
    "equivalent": "equivalent",
    "power": "power",
}


def simulate(
    *,
    studies: Annotated[int, Parameter(help="Simulated studies a setting.")] = 20_000,
    seed: Annotated[int, Parameter(help="Of the simulation's own random numbers.")] = 0,
    as_json: AsJson = False,
) -> int:
    """Judge thousands of made-up studies whose truth is known, and hold the verdicts to their error rates."""
    if studies < 1:
        raise StudyError(f"`studies` is {studies}; it must be at least 1, and 20,000 tell 5 % from 5.5 %")
    console = make_console(as_json)
    broken, settings = [], []
    # Twice the standard error of a rate of 5 %: 0.3 points of 20,000 studies.
    margin = 2 * float(np.sqrt(ALPHA * (1 - ALPHA) / studies))
    # GitHub's Markdown, for docs/statistics.md; wide enough to be read as it is.
    console.print(f"| {' | '.join(_HEADINGS.values())} |\n| --- |{' ---: |' * (len(_HEADINGS) - 1)}", soft_wrap=True)
    for rates in simulate_verdicts(studies, seed):
        settings.append(rates)
        console.print(f"| {' | '.join(_cells(rates))} |", soft_wrap=True)
        broken += [
            f"{rates.noise}, correlation {rates.correlation:g}, n = {rates.n}: {one}" for one in rates.broken(margin)
        ]
    console.print("\n| images differ | images | accuracy | n | on new images | over seeds alone |", soft_wrap=True)
    console.print("| --- | ---: | ---: | ---: | ---: | ---: |", soft_wrap=True)
    coverages = []
    for one in simulate_new_images(studies, seed):
        coverages.append(one)
        shares = f"{100 * one.accuracy:g} | {one.seeds} | {100 * one.coverage:.1f} | {100 * one.on_these:.1f}"
        console.print(f"| {one.difficulty} | {one.images:,} | {shares} |", soft_wrap=True)
        # Twice the standard error of a coverage of 95 %.
        slack = margin * float(np.sqrt(one.images / IMAGES[0]))
        where = f"{one.difficulty}, {one.images:,} images at {100 * one.accuracy:g} %, n = {one.seeds}"
        broken += [f"{where}: {what}" for what in one.broken(slack)]
    promises = simulate_promises(studies, seed)
    broken += promises.broken()
    console.print(
        f"\nPercent of {studies:,} studies a setting, each of {COMPARISONS} comparisons on a ladder.\n"
        f"One point where a rung's results spread by {SD:g}: found in {100 * promises.at_five:.1f} % at five seeds "
        f"({100 * promises.once_at_five:.1f} % with all of α) and in {100 * promises.at_ten:.1f} % extended to ten.",
        markup=False,
    )
    for n, share in promises.decided.items():
        console.print(
            f"From {n} seeds, {promises.named[n]:,} comparisons were said to be decided with 80 %; {100 * share:.1f} % "
            "were.",
            markup=False,
        )
    console.print("\n".join(f"Broken: {one}" for one in broken) or "Every promise holds.", markup=False)
    if as_json:
        document = {"settings": [asdict(rates) for rates in settings], "promises": asdict(promises)}
        document["new_images"] = [asdict(one) for one in coverages]
        print(json.dumps(document, indent=2))
    return 1 if broken else 0


def _cells(rates: SimulatedRates) -> list[str]:
    known = [getattr(rates, field.name) for field in fields(rates)]
    return [str(known[0]), f"{known[1]:g}", str(known[2]), *(f"{100 * value:.1f}" for value in known[3:])]
