"""One advice a study, at most one a rung, and no two of them opposed, whatever the curves."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stepladder.studies.files.records import RungRecord, SavedStudy
from stepladder.studies.judging.advice import OPPOSED, Advice, advise, choose_steps
from stepladder.studies.judging.diagnosis import Diagnosis, State, Step
from stepladder.studies.judging.learning import Learning, NothingLearned

MadeUp = Callable[..., SavedStudy]
NOTHING = NothingLearned(
    trials=1,
    split="test",
    images=100,
    largest="0",
    share=0.1,
    accuracy=0.1,
    interval=(0.05, 0.18),
    chance=0.1,
    p_value=0.5,
    label_entropy=3.3,
    advice=("Train longer, 20 epochs or more.", "Weight the classes."),
)
#: What the rules of ``judging.diagnosis`` can give, by state.
STEPS: dict[State, tuple[tuple[Step, ...], ...]] = {
    State.FAILED: ((Step.MEND,),),
    State.DIVERGING: ((Step.LOWER_RATE,),),
    State.NOTHING_LEARNED: ((Step.OTHER_RUNG,),),
    State.MEMORIZING: ((Step.AUGMENTATION, Step.REGULARIZATION, Step.MORE_IMAGES),),
    State.IMPROVING: ((Step.HIGHER_RATE, Step.MORE_EPOCHS), (Step.MORE_EPOCHS,)),
    State.UNDER_FITTING: (
        (Step.LOWER_RATE, Step.MORE_EPOCHS, Step.LARGER_NETWORK),
        (Step.HIGHER_RATE, Step.LARGER_NETWORK),
        (Step.LARGER_NETWORK,),
    ),
    State.LIMITED: ((Step.MORE_IMAGES,),),
    State.NOISY: ((Step.LOWER_RATE, Step.MORE_SEEDS), (Step.MORE_SEEDS,)),
    State.UNCLEAR: ((Step.MORE_WATCHED,), (Step.MORE_SEEDS,)),
    State.GOOD: ((),),
}
#: Words that no study says both of.
CONTRARY = (
    ("a third of the learning rate", "three times the learning rate"),
    ("more epochs", "fewer epochs"),
    ("augmentation", "a larger network"),
    ("weight decay", "a larger network"),
)


@pytest.fixture
def planned(made_up: MadeUp) -> Callable[..., SavedStudy]:
    """A study of rungs with these techniques."""

    def make(*rungs: Sequence[str]) -> SavedStudy:
        study = made_up({f"r{place}": [0.5] for place in range(len(rungs))})
        records = tuple(
            RungRecord(name=f"r{place}", adds=(), recipe={"techniques": [{"name": one} for one in techniques]})
            for place, techniques in enumerate(rungs)
        )
        return replace(study, record=study.record.model_copy(update={"rungs": records}))

    return make


def state(place: int, which: State, case: int = 0) -> Diagnosis:
    return Diagnosis(f"r{place}", which, "figures", STEPS[which][case])


def given_advice(study: SavedStudy, *found: Diagnosis, matters: Sequence[str | None] = ("r0",)) -> Advice:
    learning = Learning({one.rung: NOTHING for one in found if one.state is State.NOTHING_LEARNED})
    return advise(study, found, learning, matters)


def advices(advice: Advice) -> list[str | None]:
    return [one.advice for one in advice.diagnosis]


def test_the_rung_that_matters_has_the_study_s_advice(planned: MadeUp) -> None:
    study = planned((), ())
    found = (state(0, State.MEMORIZING), state(1, State.IMPROVING, 1))
    assert given_advice(study, *found, matters=(None, "r1")).study == (
        "Next, train for more epochs: r1 is still improving."
    )
    first = given_advice(study, *found, matters=(None, "gone", "r0"))
    assert first.study == "Next, try augmentation: r0 memorizes its training images."
    assert advices(first) == ["try augmentation", "train for more epochs"]
    # None that matters has ended: the highest that has.
    assert given_advice(study, *found, matters=(None,)).study == "Next, train for more epochs: r1 is still improving."
    assert given_advice(study, state(0, State.GOOD), found[1]).study is None
    assert given_advice(study) == Advice((), None)


@pytest.mark.parametrize(
    ("techniques", "said"),
    [
        ((), "try augmentation"),
        # On already, or judged in another rung, whatever the verdict: the study has answered it.
        (("random_crop",), "try weight decay or dropout"),
        (("dropout",), "try augmentation"),
        (("random_crop", "weight_decay"), "add training images"),
        (("standardize",), "try augmentation"),
        # Nobody knows which kind one's own is.
        (("blur",), "add training images"),
    ],
)
@pytest.mark.parametrize("where", [0, 1])
def test_no_kind_of_technique_is_advised_that_the_study_has_tried(
    planned: MadeUp, techniques: tuple[str, ...], said: str, where: int
) -> None:
    rungs = [(), ()]
    rungs[where] = techniques
    advice = given_advice(planned(*rungs), state(0, State.MEMORIZING), state(1, State.GOOD))
    assert advices(advice) == [said, None]


def test_learning_rates_go_one_way(planned: MadeUp) -> None:
    study = planned((), ())
    slow, noisy = state(0, State.IMPROVING, 0), state(1, State.NOISY, 0)
    assert advices(given_advice(study, slow, noisy)) == ["try three times the learning rate", "add seeds"]
    assert advices(given_advice(study, slow, noisy, matters=("r1",))) == [
        "train for more epochs",
        "try a third of the learning rate",
    ]
    # Where one rung diverges, no other is told to go faster, not even the one that matters.
    diverging = given_advice(study, slow, state(1, State.DIVERGING))
    assert advices(diverging) == ["train for more epochs", "try a third of the learning rate"]


def test_a_rung_whose_every_cure_is_opposed_has_none(planned: MadeUp) -> None:
    level, memorizing = state(0, State.UNDER_FITTING, 2), state(1, State.MEMORIZING)
    study = planned((), ())
    assert advices(given_advice(study, level, memorizing)) == ["try a larger network", "add training images"]
    assert advices(given_advice(study, level, memorizing, matters=("r1",))) == [None, "try augmentation"]


def test_a_rung_that_learned_nothing(planned: MadeUp) -> None:
    study = planned((), ())
    nothing, good, failed = state(0, State.NOTHING_LEARNED), state(1, State.GOOD), state(1, State.FAILED)
    assert advices(given_advice(study, nothing, good, matters=("r1",))) == ["take r1, which learned", None]
    assert advices(given_advice(study, nothing, failed, matters=("r1",))) == [
        None,
        "mend what the failure names, and run its trials again",
    ]
    # The one that matters: nothing else counts before it learns.
    first = given_advice(study, nothing, state(1, State.MEMORIZING))
    assert advices(first) == ["train longer, 20 epochs or more; weight the classes", None]
    assert first.study == "r0 learned nothing: train longer, 20 epochs or more; weight the classes."
    # None learned: all have the study's advice, which the report's first lines give.
    whole = advise(study, (nothing, state(1, State.DIVERGING)), Learning({"r0": NOTHING}, NOTHING), ("r0",))
    assert advices(whole) == ["train longer, 20 epochs or more; weight the classes"] * 2
    assert whole.study is None


RUNGS = st.lists(
    st.sampled_from([(which, case) for which, cases in STEPS.items() for case in range(len(cases))]),
    min_size=1,
    max_size=7,
)
TECHNIQUES = st.lists(st.sampled_from(["standardize", "random_crop", "dropout", "mixup", "weight_decay"]), max_size=2)


@pytest.mark.long
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RUNGS, st.data())
def test_no_study_gives_contradictory_advice(
    planned: MadeUp, rungs: list[tuple[State, int]], data: st.DataObject
) -> None:
    study = planned(*[data.draw(TECHNIQUES) for _ in rungs])
    found = [state(place, *each) for place, each in enumerate(rungs)]
    matters = f"r{data.draw(st.integers(0, len(rungs) - 1))}"
    advice = given_advice(study, *found, matters=(matters,))
    assert [replace(one, advice=None) for one in advice.diagnosis] == found
    said = " / ".join([*(one.advice or "" for one in advice.diagnosis), advice.study or ""])
    for one, other in CONTRARY:
        assert not (one in said and other in said), said
    first = next(one for one in advice.diagnosis if one.rung == matters)
    assert (advice.study is None) == (first.advice is None)
    if first.advice is not None:
        assert first.advice in str(advice.study)
    assert str(advice.study).count(".") <= 2
    # A good rung has nothing to mend.
    assert all(one.advice is None for one in advice.diagnosis if one.state is State.GOOD)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.permutations(list(Step)).map(lambda steps: tuple(steps[:4])), max_size=8))
def test_whatever_the_curves_offer_no_two_steps_are_opposed(offers: list[tuple[Step, ...]]) -> None:
    found = [Diagnosis(f"r{place}", State.NOISY, "", steps) for place, steps in enumerate(offers)]
    steps = choose_steps(found, frozenset({Step.MORE_SEEDS}))
    for one, other in itertools.combinations(set(steps.values()), 2):
        assert frozenset({one, other}) not in OPPOSED
    assert Step.MORE_SEEDS not in steps.values()
    assert all(steps[one.rung] in one.steps for one in found if one.rung in steps)
    if offers:
        assert steps.get("r0") == next((step for step in offers[0] if step is not Step.MORE_SEEDS), None)
