"""The recipe to use now: the simplest within noise of the best, on validation alone."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stepladder.studies.design.designs import ContrastKind
from stepladder.studies.files.predictions import write_predictions
from stepladder.studies.files.records import ContrastRecord, RungRecord, SavedStudy
from stepladder.studies.judging.choice import Choice, ChoiceReason, choose_recipe, rank, rank_on_validation
from stepladder.studies.judging.distributions import share_error
from stepladder.studies.judging.learning import Learning, NothingLearned
from stepladder.studies.judging.statistics import Effect

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
)


@pytest.fixture
def validated(made_up: MadeUp) -> MadeUp:
    """A study with these validation accuracies, of rungs that add a technique each to those below."""

    def make(scores: dict[str, list[float]], images: int = 1000, techniques: Any = None, **more: Any) -> SavedStudy:
        study = made_up({name: [0.5] * len(values) for name, values in scores.items()}, **more)
        names = list(scores)
        have = techniques or {name: names[1 : place + 1] for place, name in enumerate(names)}
        rungs = tuple(
            RungRecord(
                name=name,
                adds=(),
                recipe={"name": "tiny", "techniques": [{"name": one, "rung": one} for one in have[name]]},
            )
            for name in names
        )
        counts = {"train": 9000, "validation": images, "test": 10_000}
        data = study.record.data.model_copy(update={"counts": counts})
        record = study.record.model_copy(update={"rungs": rungs, "data": data})
        trials = tuple(
            replace(trial, result=trial.result.model_copy(update={"val_accuracy": scores[trial.rung][trial.seed]}))
            for trial in study.trials
        )
        return replace(study, record=record, trials=trials)

    return make


def effect(
    name: str, verdict: str, rung: str | None = None, below: str | None = None, design: str = "ladder"
) -> Effect:
    return Effect(
        name=name,
        design=ContrastKind(design),
        rung=rung,
        below=below,
        differences={},
        failed=(),
        n=0,
        mean=None,
        sd=None,
        interval=None,
        level=0.05,
        p_value=None,
        verdict=verdict,  # type: ignore[arg-type]
        look=1,
        correlation=None,
        detectable=None,
    )


def choose(study: SavedStudy, effects: Sequence[Effect] = (), learning: Learning | None = None) -> Choice:
    return choose_recipe(study, effects, learning or Learning({}))


def test_half_a_validation_image_recommends_nothing_more(validated: MadeUp) -> None:
    # 72 images; batchnorm is ahead by half of one.
    accuracy = 70 / 72
    study = validated(
        {"baseline": [0.8] * 2, "schedule": [accuracy] * 2, "batchnorm": [accuracy, accuracy + 1 / 72]}, images=72
    )
    choice = choose(study)
    assert (choice.reason, choice.rung, choice.best) == (ChoiceReason.SIMPLEST, "schedule", "batchnorm")
    assert choice.behind == pytest.approx(0.5 / 72)
    # The error of the images, which seeds do not see, and that over the two seeds: half an image.
    assert choice.noise == pytest.approx(math.hypot(share_error(70.5 / 72, 72), 0.5 / 72))
    assert choice.validation == pytest.approx(accuracy)
    assert choice.seeds == 2


@pytest.mark.parametrize(("images", "rung"), [(50, "a"), (100, "a"), (1000, "b"), (10_000, "b")])
def test_three_points_are_noise_on_few_images_and_none_on_many(validated: MadeUp, images: int, rung: str) -> None:
    # The error of 90 % is 4.2 points on 50 images, 3.0 on 100, 0.95 on 1,000.
    choice = choose(validated({"a": [0.87] * 3, "b": [0.9] * 3}, images=images))
    assert choice.rung == rung
    assert choice.reason is (ChoiceReason.LOWEST if rung == "a" else ChoiceReason.BEST)


@pytest.mark.parametrize(("spread", "rung"), [(0.02, "b"), (0.06, "a")])
def test_seeds_that_disagree_are_noise_however_many_images(validated: MadeUp, spread: float, rung: str) -> None:
    # The mean difference is 3 points; its error is spread / √3.
    study = validated({"a": [0.87 - spread, 0.87, 0.87 + spread], "b": [0.9] * 3}, images=1_000_000)
    assert choose(study).rung == rung


def test_what_seeds_share_is_no_noise(validated: MadeUp) -> None:
    # Both differ by 10 points over seeds; their difference is 3 in each.
    study = validated({"a": [0.77, 0.87, 0.97], "b": [0.8, 0.9, 1.0]}, images=1_000_000)
    assert choose(study).rung == "b"


def test_the_fewest_techniques_are_the_simplest_whatever_the_order(validated: MadeUp) -> None:
    same = {"all": [0.9], "without x": [0.9], "without y": [0.9], "base": [0.5]}
    have = {"all": ["x", "y"], "without x": ["y"], "without y": ["x"], "base": []}
    choice = choose(validated(same, techniques=have))
    assert (choice.reason, choice.rung, choice.best) == (ChoiceReason.BEST, "without x", "without x")


def test_the_lowest_rung_is_chosen_where_nothing_is_above_it(validated: MadeUp) -> None:
    highest = choose(validated({"a": [0.9], "b": [0.8]}))
    assert (highest.reason, highest.rung, highest.best) == (ChoiceReason.LOWEST, "a", "a")
    noise = choose(validated({"a": [0.9], "b": [0.905]}))
    assert (noise.reason, noise.rung, noise.best, noise.seeds) == (ChoiceReason.LOWEST, "a", "b", 1)


def test_a_technique_that_hurt_on_test_is_not_recommended_and_nothing_is_in_its_place(validated: MadeUp) -> None:
    scores = {"a": [0.8], "b": [0.9], "c": [0.905]}
    hurt = effect("b", "hurt", "b", "a")
    choice = choose(validated(scores), [hurt])
    assert (choice.reason, choice.rung, choice.refused, choice.hurt) == (ChoiceReason.CONTRADICTED, None, "b", ("b",))
    assert choice.best == "c"
    # What hurt above the chosen rung, or only together, is no contradiction.
    assert choose(validated(scores), [effect("c", "hurt", "c", "b")]).rung == "b"
    assert choose(validated(scores), [effect("b", "hurt", design="interaction")]).rung == "b"
    # Nor where the simpler rung is chosen anyway.
    assert choose(validated({"a": [0.9], "b": [0.9], "c": [0.5]}), [hurt]).rung == "a"
    # A rung further up has it too.
    above = choose(validated({"a": [0.8], "b": [0.8], "c": [0.9]}), [hurt])
    assert (above.reason, above.refused) == (ChoiceReason.CONTRADICTED, "c")
    # Of a factorial the contrast is of many rungs, and its name tells which techniques it is about.
    assert choose(validated(scores), [effect("b", "hurt", design="shapley")]).reason is ChoiceReason.CONTRADICTED
    # Where it helped on the ladder and hurt on top of all, only the rung with all is contradicted.
    both = [effect("b", "helped", "b", "a"), effect("b", "hurt", "c", "a", design="leave-one-out")]
    assert choose(validated(scores), both).rung == "b"
    on_top = choose(validated({"a": [0.8], "b": [0.8], "c": [0.9]}), both)
    assert (on_top.reason, on_top.refused) == (ChoiceReason.CONTRADICTED, "c")


def test_a_rung_that_learned_nothing_is_refused_and_not_passed_over(validated: MadeUp) -> None:
    study = validated({"a": [0.9], "b": [0.5]})
    refused = choose(study, learning=Learning({"a": NOTHING}))
    assert (refused.reason, refused.rung, refused.refused) == (ChoiceReason.NOTHING_LEARNED, None, "a")
    assert choose(study, learning=Learning({"b": NOTHING})).rung == "a"
    assert choose(study, learning=Learning({}, NOTHING)) == Choice(ChoiceReason.NOTHING_LEARNED)


def test_rungs_of_other_seeds_are_held_against_each_other_by_their_means(validated: MadeUp) -> None:
    study = validated({"a": [0.8, 0.8], "b": [0.9, 0.9]})
    apart = tuple(one for one in study.trials if (one.rung, one.seed) in (("a", 0), ("b", 1)))
    assert choose(replace(study, trials=apart)).rung == "b"
    shared = tuple(one for one in study.trials if (one.rung, one.seed) != ("a", 1))
    ranking = rank_on_validation(replace(study, trials=shared))
    assert ranking is not None
    assert ranking.behind["a"] == pytest.approx(0.1)
    assert rank_on_validation(replace(study, trials=())) is None


def with_answers(study: SavedStudy, answers: dict[str, list[np.ndarray]]) -> SavedStudy:
    """The study, with what each seed of each rung says of 200 validation images of two classes."""
    labels = np.repeat([0, 1], [150, 50])
    for trial in study.trials:
        said = np.where(answers[trial.rung][trial.seed], labels, 1 - labels)
        write_predictions(trial.folder, said, labels, 2, np.eye(2)[said] * 0.8 + 0.1, "validation")
    return study


def right(wrong: int, first: int = 0) -> np.ndarray:
    found = np.ones(200, dtype=bool)
    found[first : first + wrong] = False
    return found


def test_rungs_that_are_wrong_on_the_same_images_are_told_apart_by_few(validated: MadeUp) -> None:
    # Of 200 images 40 are wrong, or 35 of the same: a binomial error of 2.7 points says nothing of 2.5 points between.
    scores = {"a": [0.80, 0.80], "b": [0.825, 0.825]}
    study = validated(scores, images=200)
    assert choose(study).rung == "a"
    same = with_answers(study, {"a": [right(40)] * 2, "b": [right(35)] * 2})
    choice = choose(same)
    assert (choice.rung, choice.reason) == ("b", ChoiceReason.BEST)
    ranking = rank_on_validation(same)
    assert ranking is not None
    # By hand: five of 150 images of a class are drawn Poisson-like, and count one two-hundredth each.
    assert ranking.noise["a"] == pytest.approx(math.sqrt(5 * (1 - 5 / 150)) / 200, rel=0.2)
    # Wrong on others: 35 + 40 images count, and 2.5 points are noise again.
    apart = with_answers(study, {"a": [right(40)] * 2, "b": [right(35, 60)] * 2})
    assert choose(apart).rung == "a"


@pytest.mark.parametrize("lacking", ["a", "b"])
def test_where_one_rung_kept_no_predictions_noise_is_that_of_its_accuracy(validated: MadeUp, lacking: str) -> None:
    study = with_answers(
        validated({"a": [0.80, 0.80], "b": [0.825, 0.825]}, images=200),
        {"a": [right(40)] * 2, "b": [right(35)] * 2},
    )
    for trial in study.of_rung(lacking):
        (trial.folder / "validation.safetensors").unlink()
    ranking = rank_on_validation(study)
    assert ranking is not None
    assert ranking.noise["a"] == pytest.approx(share_error(0.825, 200), rel=0.1)  # a binomial of 80 or 82.5 %
    assert choose(study).rung == "a"


def test_another_metric_has_the_noise_of_its_own(validated: MadeUp) -> None:
    def study_of(metric: str) -> SavedStudy:
        study = validated({"a": [0.5], "b": [0.5]}, images=200)
        record = study.record.model_copy(update={"metric": metric})
        data = record.data.model_copy(update={"class_names": ("x", "y")})
        scores = {"a": 0.60, "b": 0.70}
        trials = tuple(
            replace(one, result=one.result.model_copy(update={"val_score": scores[one.rung]})) for one in study.trials
        )
        return replace(study, record=record.model_copy(update={"data": data}), trials=trials)

    recall = study_of("recall:y")
    # Recall of y: 20 of its 50 images are wrong, or 15 of the same.
    with_answers(recall, {"a": [right(20, 150)], "b": [right(15, 150)]})
    ranking = rank_on_validation(recall)
    assert ranking is not None
    assert ranking.noise["a"] == pytest.approx(math.sqrt(5 * (1 - 5 / 50)) / 50, rel=0.25)
    assert ranking.chosen == "b"
    assert choose(recall).best_validation == 0.70


def test_of_a_loss_the_lowest_is_the_best(validated: MadeUp) -> None:
    study = validated({"a": [0.9], "b": [0.9]})
    losses = {"a": 0.4, "b": 0.3}
    trials = tuple(
        replace(one, result=one.result.model_copy(update={"val_loss": losses[one.rung]})) for one in study.trials
    )
    study = replace(study, record=study.record.model_copy(update={"metric": "nll"}), trials=trials)
    choice = choose(study)
    assert (choice.rung, choice.validation, choice.best_validation) == ("b", 0.3, 0.3)


SCORES = st.lists(
    st.lists(st.integers(0, 100).map(lambda right: right / 100), min_size=3, max_size=3), min_size=1, max_size=6
)


@settings(max_examples=200, deadline=None)
@given(SCORES, st.randoms(use_true_random=False), st.integers(10, 100_000))
def test_whatever_the_scores_the_chosen_is_the_simplest_within_noise(
    values: list[list[float]], random: Any, images: int
) -> None:
    scores = {f"rung {place}": dict(enumerate(each)) for place, each in enumerate(values)}
    techniques = {name: random.randint(0, 5) for name in scores}
    found = rank(scores, techniques, lambda best, _: share_error(np.mean(list(scores[best].values())), images))
    assert found.means[found.best] == pytest.approx(max(found.means.values()))
    assert found.behind[found.best] == 0
    within = [name for name in scores if found.behind[name] <= found.noise[name] + 1e-9]
    assert found.chosen in within
    assert techniques[found.chosen] == min(techniques[name] for name in within)
    assert techniques[found.simplest] == min(techniques.values())
    # By hand: the paired standard error over seeds, and that of the images, which seeds do not see.
    for name in scores:
        differences = np.array([scores[found.best][seed] - scores[name][seed] for seed in range(3)])
        binomial = share_error(found.means[found.best], images)
        expected = math.hypot(differences.std(ddof=1) / math.sqrt(3), binomial)
        assert found.noise[name] == pytest.approx(0 if name == found.best else expected)


def test_a_plan_of_a_real_contrast_names_the_techniques(validated: MadeUp) -> None:
    # The rung "crops" adds two techniques; a rung with one of them alone does not have what was judged.
    contrast = ContrastRecord.model_validate({"name": "crops", "design": "ladder", "weights": {"crops": 1, "a": -1}})
    study = validated({"a": [0.8], "crops": [0.5], "one": [0.9]}, contrasts=(contrast,))
    both = [{"name": "crop", "rung": "crops"}, {"name": "flip", "rung": "crops"}]
    rungs = tuple(
        rung.model_copy(update={"recipe": {"name": "tiny", "techniques": techniques}})
        for rung, techniques in zip(study.record.rungs, ([], both, both[:1]), strict=True)
    )
    study = replace(study, record=study.record.model_copy(update={"rungs": rungs}))
    assert choose(study, [effect("crops", "hurt", "crops", "a")]).rung == "one"
