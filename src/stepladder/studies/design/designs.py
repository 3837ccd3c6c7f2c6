"""The designs of a study: which recipes are trained, and which of them are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise

from stepladder.errors import StudyError, unknown
from stepladder.recipe import Recipe
from stepladder.studies.design.factorial import factorial_cells, interaction_weights, shapley_weights
from stepladder.studies.design.rungs import BASE_RUNG, Rung, base_techniques, group_techniques, ladder
from stepladder.studies.design.sweeps import SweepRecord

#: The rung with every technique, where no ladder gives it another name.
FULL_RUNG = "all"

#: Names of what a plan switches on and off.
Factors = tuple[str, ...]


class ContrastKind(StrEnum):
    """What a contrast asks of a technique.

    Whatever words, colors and families depend on it are total functions over it (``match`` with ``assert_never``), so
    that mypy names every place which a new kind still lacks.
    """

    LADDER = "ladder"  # added to all below it
    LEAVE_ONE_OUT = "leave-one-out"  # taken from all
    ADD_ONE = "add-one"  # alone on the baseline
    SHAPLEY = "shapley"  # its share of the gain of all
    INTERACTION = "interaction"  # two of them together


@dataclass(frozen=True)
class Contrast:
    """One question to the trials: a weighted sum of the rungs' results, seed by seed.

    Attributes:
        name: what is asked about, a technique's rung; two of them for an interaction.
        design: how it is asked.
        weights: by rung; a comparison of two rungs is 1 and -1.
    """

    name: str
    design: ContrastKind
    weights: dict[str, float]


@dataclass(frozen=True)
class Design:
    """What is trained and judged.

    Attributes:
        name: what ``study.json`` calls the plan.
        rungs: to train.
        contrasts: to judge.
        notes: sentences on what the design cannot tell apart.
        sweep: of a sweep, whose rungs are its points; it chooses by validation alone and reads no test.
    """

    name: str
    rungs: tuple[Rung, ...]
    contrasts: tuple[Contrast, ...] = ()
    notes: tuple[str, ...] = ()
    sweep: SweepRecord | None = None


@dataclass(frozen=True)
class Subset:
    """One rung as what it has of named factors, whatever a factor is: techniques of a recipe, arguments of a command.

    Attributes:
        on: the factors that it has, in their order.
        adds: what is said of it, as :class:`~stepladder.studies.design.rungs.Rung` has it; the name of the base stands
            for what all rungs have.
        lacks: the factors that it leaves out of all of them.
    """

    name: str
    on: tuple[str, ...]
    adds: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arrangement:
    """A plan as set algebra: which subsets of some factors are run, and which are compared.

    Attributes:
        notes: sentences on what it cannot tell apart.
    """

    subsets: tuple[Subset, ...]
    contrasts: tuple[Contrast, ...]
    notes: tuple[str, ...] = ()


def _ladder(factors: Factors, base: str, most: int | None = None) -> Arrangement:  # noqa: ARG001
    rungs = [Subset(base, (), (base,))]
    rungs += [Subset(name, factors[: place + 1], (name,)) for place, name in enumerate(factors)]
    contrasts = tuple(_against(rung.name, ContrastKind.LADDER, rung, below) for below, rung in pairwise(rungs))
    return Arrangement(tuple(rungs), contrasts)


def compare_with_below(rungs: tuple[Rung, ...], seeds: int = 1, max_trials: int | None = None) -> Design:
    """Return the design of rungs that a user wrote: each is compared with the one before it.

    Args:
        seeds, max_trials: see :func:`make_design`.

    Raises:
        StudyError: there is only one, or ``max_trials`` are too few.
    """
    if len(rungs) < 2:
        raise StudyError(f"the study has one rung, {rungs[0].name}, and nothing to compare it with; add another rung")
    contrasts = tuple(_against(rung.name, ContrastKind.LADDER, rung, below) for below, rung in pairwise(rungs))
    return _within(Design("ladder", rungs, contrasts), seeds, max_trials)


def design_of_rungs(plan: str, rungs: tuple[Rung, ...], seeds: int = 1, max_trials: int | None = None) -> Design:
    """Return the design called ``plan`` of rungs that a user wrote: the first is the base, each other a factor.

    Args:
        plan: a name in :data:`PLANS`; ``ladder`` compares each rung with the one before, whatever differs.
        seeds, max_trials: see :func:`make_design`.

    Raises:
        StudyError: there is no such plan, ``max_trials`` are too few, or a rung does more than add techniques to the
            one before it, so that it cannot be taken away or stand alone.
    """
    if plan not in PLANS:
        raise StudyError(unknown("plan", plan, PLANS))
    if plan == "ladder" or len(rungs) < 2:
        return compare_with_below(rungs, seeds, max_trials)
    settings = [setting.model_copy(update={"rung": BASE_RUNG}) for setting in rungs[0].recipe.techniques]
    for below, rung in pairwise(rungs):
        before, there = below.recipe.techniques, rung.recipe.techniques
        added = there[len(before) :]
        same = rung.recipe.with_techniques(before).fingerprint == below.recipe.fingerprint
        if not (same and there[: len(before)] == before and added):
            raise StudyError(
                f"`plan={plan}` takes each rung for a factor, and {rung.name} does not add techniques to "
                f"{below.name}, the rung below; write it as +{rung.name}:TECHNIQUE, or leave `plan` out to compare "
                "each rung with the one below"
            )
        if rung.name == BASE_RUNG:
            raise StudyError(
                f"`plan={plan}` takes each rung for a factor, and {BASE_RUNG} names what all have; rename it"
            )
        settings += [setting.model_copy(update={"rung": rung.name}) for setting in added]
    design = make_design(plan, rungs[-1].recipe.with_techniques(settings), seeds, max_trials)
    return design if rungs[0].name == BASE_RUNG else _with_base_called(design, rungs[0].name)


def _with_base_called(design: Design, name: str) -> Design:
    """Return the design with the user's name for its lowest rung."""

    def called(rung: str) -> str:
        return name if rung == BASE_RUNG else rung

    return replace(
        design,
        rungs=tuple(replace(rung, name=called(rung.name)) for rung in design.rungs),
        contrasts=tuple(
            replace(each, weights={called(rung): weight for rung, weight in each.weights.items()})
            for each in design.contrasts
        ),
    )


def _within(design: Design, seeds: int, max_trials: int | None) -> Design:
    """Return the design, unless it takes more trials than are allowed."""
    _refuse_more(design.name, len(design.rungs), seeds, max_trials)
    return design


def _refuse_more(plan: str, rungs: int, seeds: int, max_trials: int | None) -> None:
    needed = rungs * seeds
    if max_trials is not None and needed > max_trials:
        raise StudyError(
            f"`max_trials` is {max_trials} and the {plan} needs {needed} ({rungs} rungs × {seeds} "
            "seeds); raise it, or take fewer seeds"
        )


def _leave_one_out(factors: Factors, base: str, most: int | None) -> Arrangement:  # noqa: ARG001
    full = Subset(FULL_RUNG, factors, (base, *factors))
    without = [_without(factors, name) for name in factors]
    contrasts = [
        _against(name, ContrastKind.LEAVE_ONE_OUT, full, rung) for name, rung in zip(factors, without, strict=True)
    ]
    return Arrangement((full, *without), tuple(contrasts))


def _add_one(factors: Factors, base: str, most: int | None) -> Arrangement:  # noqa: ARG001
    lowest = Subset(base, (), (base,))
    alone = [Subset(name, (name,), (name,)) for name in factors]
    return Arrangement(
        (lowest, *alone), tuple(_against(rung.name, ContrastKind.ADD_ONE, rung, lowest) for rung in alone)
    )


def _ladder_and_leave_one_out(factors: Factors, base: str, most: int | None) -> Arrangement:  # noqa: ARG001
    """Both, sharing the trials: the top rung, and the one below it, which leaves out the last factor."""
    climbing = _ladder(factors, base)
    full = climbing.subsets[-1]
    without = [_without(factors, name) for name in factors[:-1]]
    contrasts = [
        _against(name, ContrastKind.LEAVE_ONE_OUT, full, rung) for name, rung in zip(factors, without, strict=False)
    ]
    return Arrangement((*climbing.subsets, *without), (*climbing.contrasts, *contrasts))


def _without(factors: Factors, name: str) -> Subset:
    return Subset(f"without {name}", tuple(other for other in factors if other != name), lacks=(name,))


def _against(name: str, design: ContrastKind, rung: Subset | Rung, below: Subset | Rung) -> Contrast:
    return Contrast(name, design, {rung.name: 1.0, below.name: -1.0})


def _factorial(factors: Factors, base: str, most: int | None) -> Arrangement:
    cells, resolution = factorial_cells(len(factors), most)
    chosen = [tuple(name for on, name in zip(cell, factors, strict=True) if on) for cell in cells]
    subsets = tuple(Subset("+".join(on) or base, on, (base, *on)) for on in chosen)
    names = [subset.name for subset in subsets]
    contrasts = [
        Contrast(factor, ContrastKind.SHAPLEY, dict(zip(names, shapley_weights(cells, position), strict=True)))
        for position, factor in enumerate(factors)
    ]
    notes: list[str] = []
    if resolution is not None:
        notes.append(
            f"A balanced fraction of {len(cells)} of {2 ** len(factors)} subsets, of resolution {resolution}: "
            + _RESOLUTIONS[min(resolution, 5)]
        )
    if resolution is None or resolution >= 5:
        contrasts += [
            Contrast(
                f"{factors[one]} × {factors[other]}",
                ContrastKind.INTERACTION,
                dict(zip(names, interaction_weights(cells, one, other), strict=True)),
            )
            for one in range(len(factors))
            for other in range(one + 1, len(factors))
        ]
    return Arrangement(subsets, tuple(contrasts), tuple(notes))


_RESOLUTIONS = {
    3: "a technique's effect cannot be told from the interactions of two others, and no interaction is estimated.",
    4: "effects are clear of interactions of two, but those cannot be told from one another and are not estimated.",
    5: "effects and interactions of two are clear of one another, provided that three techniques do not interact.",
}


@dataclass(frozen=True)
class Plan:
    """A design that users ask for by name.

    Attributes:
        words: what it does, in the words of the command line's help.
        arrange: returns the subsets of some factors, given what the lowest is called, in at most so many rungs where
            the plan can be thinned out.
    """

    words: str
    arrange: Callable[[Factors, str, int | None], Arrangement]


#: Every plan by name.
PLANS: dict[str, Plan] = {
    "ladder": Plan("each rung adds to all below it", _ladder),
    "leave-one-out": Plan("each technique is taken from all", _leave_one_out),
    "add-one": Plan("each technique alone", _add_one),
    "ladder+leave-one-out": Plan("both, recommended", _ladder_and_leave_one_out),
    "factorial": Plan("all subsets", _factorial),
}


def make_design(plan: str, recipe: Recipe, seeds: int = 1, max_trials: int | None = None) -> Design:
    """Return the design called ``plan``.

    Args:
        seeds: trials a rung.
        max_trials: the most that it may take; a factorial is thinned out to a balanced fraction.

    Raises:
        StudyError: there is no such design, the recipe has nothing to compare, or ``max_trials`` are too few.
    """
    if plan not in PLANS:
        raise StudyError(unknown("plan", plan, PLANS))
    if not group_techniques(recipe):
        raise StudyError(f"recipe '{recipe.name}' lists no technique, so there is nothing to compare; add one")
    ladder(recipe)  # refuses rungs whose names or techniques do not fit together
    base, groups = base_techniques(recipe), group_techniques(recipe)
    arranged = arrange(plan, tuple(groups), BASE_RUNG, seeds, max_trials)
    named = {BASE_RUNG: base, **groups}

    def techniques(factors: Factors) -> tuple[str, ...]:
        return tuple(setting.name for factor in factors for setting in named[factor])

    rungs = [
        Rung(
            subset.name,
            techniques(subset.adds),
            recipe.with_techniques((*base, *(setting for factor in subset.on for setting in groups[factor]))),
            techniques(subset.lacks),
        )
        for subset in arranged.subsets
    ]
    return Design(plan, tuple(rungs), arranged.contrasts, arranged.notes)


def arrange(plan: str, factors: Factors, base: str, seeds: int = 1, max_trials: int | None = None) -> Arrangement:
    """Return the plan called ``plan`` of some factors.

    Args:
        base: what the rung without any of them is called.
        seeds, max_trials: see :func:`make_design`.

    Raises:
        StudyError: there is no such plan, or ``max_trials`` are too few.
    """
    if plan not in PLANS:
        raise StudyError(unknown("plan", plan, PLANS))
    arranged = PLANS[plan].arrange(factors, base, None if max_trials is None else max_trials // seeds)
    _refuse_more(plan, len(arranged.subsets), seeds, max_trials)
    return arranged
