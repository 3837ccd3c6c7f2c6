"""What to try next: one thing for the study, and one for each rung that does not speak against it.

The curves of a rung say what may be tried, the likeliest cure first. From that the study takes one thing, for the rung
that matters: the recommended one, else the highest on validation. No other rung is then given an advice that is opposed
to one given before: a rung whose every cure is opposed has none. And nothing is advised that this study has answered:
no kind of technique that its rungs have tried, whatever the verdict, and no higher learning rate where one of them
diverges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import assert_never

from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.choice import techniques_of
from stepladder.studies.judging.diagnosis import Diagnosis, State, Step
from stepladder.studies.judging.learning import Learning
from stepladder.techniques.cards import catalogue_cards

#: What no two rungs of one study are advised.
OPPOSED: tuple[frozenset[Step], ...] = (
    frozenset({Step.LOWER_RATE, Step.HIGHER_RATE}),
    frozenset({Step.LARGER_NETWORK, Step.AUGMENTATION}),
    frozenset({Step.LARGER_NETWORK, Step.REGULARIZATION}),
)


@dataclass(frozen=True)
class Advice:
    """What to try next.

    Attributes:
        diagnosis: of each rung, its advice filled in.
        study: one sentence; None where there is nothing to try, or where nothing was learned at all, of which the
            report's first lines say what to try.
    """

    diagnosis: tuple[Diagnosis, ...]
    study: str | None


def advise(
    study: SavedStudy, diagnosis: Sequence[Diagnosis], learning: Learning, matters: Sequence[str | None]
) -> Advice:
    """Return what to try next.

    Args:
        diagnosis: of ``judging.diagnosis``, in plan order.
        learning: what is said of rungs that learned nothing.
        matters: rungs in the order in which they matter; of those that have no trial, or are None, the next counts.
    """
    if not diagnosis:
        return Advice((), None)
    known = {one.rung: one for one in diagnosis}
    first = known[next((rung for rung in matters if rung in known), diagnosis[-1].rung)]
    if learning.study is not None:
        said = learning.study.experiment
        return Advice(tuple(_mended(one, said) for one in diagnosis), None)
    if first.state is State.NOTHING_LEARNED:  # as long as it did not learn, nothing else matters
        said = learning.rungs[first.rung].experiment
        advised = tuple(_mended(one, said if one is first else None) for one in diagnosis)
        return Advice(advised, f"{first.rung} learned nothing: {said}.")
    steps = choose_steps([first, *(one for one in diagnosis if one is not first)], _answered(study, diagnosis, first))
    advised = tuple(replace(one, advice=_words(steps.get(one.rung), first.rung)) for one in diagnosis)
    order = _words(steps.get(first.rung), first.rung)
    return Advice(advised, None if order is None else f"Next, {order}: {first.rung} {_clause(first.state)}.")


def choose_steps(diagnosis: Sequence[Diagnosis], answered: frozenset[Step]) -> Mapping[str, Step]:
    """Return the step of each rung that has one, no two of them opposed.

    Args:
        diagnosis: in the order in which they choose.
        answered: what no rung is advised.
    """
    steps: dict[str, Step] = {}
    for one in diagnosis:
        opposed = {step for pair in OPPOSED for taken in steps.values() if taken in pair for step in pair - {taken}}
        step = next((step for step in one.steps if step not in answered | opposed), None)
        if step is not None:
            steps[one.rung] = step
    return steps


def _mended(one: Diagnosis, otherwise: str | None) -> Diagnosis:
    return replace(one, advice=_words(Step.MEND, one.rung) if one.state is State.FAILED else otherwise)


def _answered(study: SavedStudy, diagnosis: Sequence[Diagnosis], first: Diagnosis) -> frozenset[Step]:
    """Return what this study has tried, or shown to be wrong; ``first`` is the rung that matters.

    A technique that is not the catalogue's counts as every kind, since nobody knows which it is.
    """
    cards = {card.name: card for card in catalogue_cards()}
    tried: set[Step] = set()
    for name in {name for rung in study.record.rungs for name in techniques_of(rung)}:
        card = cards.get(name)
        if card is None or card.group == "augmentation":
            tried.add(Step.AUGMENTATION)
        if card is None or card.regularizes:
            tried.add(Step.REGULARIZATION)
    if any(one.state is State.DIVERGING for one in diagnosis):
        tried.add(Step.HIGHER_RATE)
    if first.state in (State.FAILED, State.DIVERGING):
        tried.add(Step.OTHER_RUNG)
    return frozenset(tried)


def _words(step: Step | None, first: str) -> str | None:
    """Return a step as an order; ``first`` is the rung that matters."""
    match step:
        case None:
            return None
        case Step.MEND:
            return "mend what the failure names, and run its trials again"
        case Step.OTHER_RUNG:
            return f"take {first}, which learned"
        case Step.LOWER_RATE:
            return "try a third of the learning rate"
        case Step.HIGHER_RATE:
            return "try three times the learning rate"
        case Step.MORE_EPOCHS:
            return "train for more epochs"
        case Step.AUGMENTATION:
            return "try augmentation"
        case Step.REGULARIZATION:
            return "try weight decay or dropout"
        case Step.LARGER_NETWORK:
            return "try a larger network"
        case Step.MORE_IMAGES:
            return "add training images"
        case Step.MORE_SEEDS:
            return "add seeds"
        case Step.MORE_WATCHED:
            return "hold out more images"
        case _:
            assert_never(step)


def _clause(state: State) -> str:
    """Return a state as what is said of a rung."""
    match state:
        case State.FAILED:
            return "failed"
        case State.DIVERGING:
            return "diverges"
        case State.NOTHING_LEARNED:
            return "learned nothing"
        case State.MEMORIZING:
            return "memorizes its training images"
        case State.IMPROVING:
            return "is still improving"
        case State.UNDER_FITTING:
            return "under-fits"
        case State.LIMITED:
            return "is limited by its data"
        case State.NOISY:
            return "is noisy"
        case State.UNCLEAR:
            return "cannot be judged yet"
        case State.GOOD:
            return "is good"
        case _:
            assert_never(state)
