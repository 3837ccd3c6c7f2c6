from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from stepladder.report.marks import SYMBOLS
from stepladder.report.sections import meaning
from stepladder.report.sections.meaning import describe_answer, describe_results, verdict_marks
from stepladder.report.units import time_range
from stepladder.studies.files.records import AddedSeeds, ContrastRecord, LookRecord
from stepladder.studies.findings import Uneven, make_findings
from stepladder.studies.judging.choice import Choice, ChoiceReason
from stepladder.training.metrics import find_metric

#: Each rung's accuracies are set by hand, so that every sentence can be worked out on paper.
PLAIN = (("low", (), 0.60, 0.9, 3.0), ("high", ("dropout",), 0.70, 0.9, 3.0), ("same", ("ema",), 0.70, 0.9, 3.0))


def describe(study):
    return meaning.describe(make_findings(study))


def with_scores(study, scores, validation=None):
    """Return the study with test accuracies (and validation accuracies) by rung, a value a seed."""
    trials = []
    for trial in study.trials:
        value = scores[trial.rung][trial.seed]
        update = {"test_accuracy": value}
        if study.record.validation:
            update["val_accuracy"] = (validation or scores)[trial.rung][trial.seed]
        if trial.result.status == "finished":
            trial = replace(trial, result=trial.result.model_copy(update=update))
        trials.append(trial)
    return replace(study, trials=tuple(trials))


def with_record(study, **changes):
    return replace(study, record=study.record.model_copy(update=changes))


SCORES = {"low": (0.60, 0.61, 0.62), "high": (0.70, 0.712, 0.719), "same": (0.71, 0.70, 0.722)}


def test_several_seeds(make_study):
    study = with_scores(
        make_study(rungs=3, seeds=3, ladder=PLAIN),
        SCORES,
        validation={"low": (0.5,) * 3, "high": (0.69, 0.7, 0.71), "same": (0.68, 0.68, 0.68)},
    )
    assert describe(study) == [
        # Differences +10.0, +10.2 and +9.9 points: mean 10.03, s = 0.153; t(0.9875, 2) = 6.205, 6.205 s / √3 = 0.55.
        # The other one has +1.0, −1.2 and +0.3 points: s = 1.12, 6.205 s / √3 = 4.03.
        "high helps by about 10.0 points; nothing can be told yet of same.",
        "Undecided: same (no look is left).",
        "Each interval is of 3 seeds. Both intervals are right at once with a probability of 95 %.",
        "With 80 % probability this study detects a difference of 0.706 points in its least noisy comparison and 5.2 "
        "points in its noisiest.",
        "The recipe to use now is high: it has the highest mean validation accuracy (70.00 %, n = 3), and no simpler "
        "one lies within noise of it.",
        "Next, try augmentation: high memorizes its training images.",
        "The highest mean test accuracy is 71.07 ± 1.10 % (sd, n = 3), on same. The first rung, low, has "
        "61.00 ± 1.00 % (sd, n = 3). This describes the test images and is no verdict.",
    ]


def test_every_verdict_has_its_sentence(make_study):
    ladder = (*PLAIN, ("worse", ("mixup",), 0.6, 0.9, 3.0), ("open", ("cutmix",), 0.6, 0.9, 3.0))
    study = with_scores(
        make_study(rungs=5, seeds=3, ladder=ladder),
        {
            "low": (0.600, 0.601, 0.602),
            "high": (0.700, 0.701, 0.7021),
            "same": (0.7001, 0.701, 0.7020),
            "worse": (0.6501, 0.651, 0.6523),
            "open": (0.69, 0.64, 0.65),
        },
    )
    said = describe(study)
    assert said[:2] == [
        "high helps by about 10.0 points; worse hurts by about 5.0 points; same makes less than 0.5 points of "
        "difference; nothing can be told yet of open.",
        "Undecided: open (no look is left).",
    ]
    assert not any(word in " ".join(said).lower() for word in CLAIMS)


#: Words that claim more than an interval does.
CLAIMS = ("best", "significant", "proves", "clearly", "always", "better", "worse than", "improve")


@pytest.mark.long
@pytest.mark.parametrize("seeds", [1, 2, 3, 5])
@pytest.mark.parametrize("validation", [0, 0.1])
@pytest.mark.parametrize("failed", [(), [("dropout", 0)]])
def test_no_sentence_claims_more_than_its_interval(make_study, seeds, validation, failed):
    study = make_study(seeds=seeds, validation=validation, failed=failed, epochs=2)
    # What validation chooses is said of validation, by its own rule.
    said = [sentence for sentence in describe(study) if not sentence.startswith("The recipe to use now")]
    text = " ".join(said).lower()
    assert not any(word in text for word in CLAIMS)
    (answer,) = describe_answer(make_findings(study))
    parts = answer.rstrip(".").split("; ")
    lists = {
        "helped": [part for part in parts if " helps by " in part],
        "hurt": [part for part in parts if " hurts by " in part],
        "undecided": [part for part in parts if "can be told yet" in part],
    }
    for effect in make_findings(study).effects:
        named = {
            verdict: any(re.search(rf"\b{effect.name}\b", one) for one in found) for verdict, found in lists.items()
        }
        low, high = effect.interval or (-1, 1)
        assert named["helped"] == (low > 0)
        assert named["hurt"] == (high < 0)
        if named["undecided"]:
            assert low <= 0 <= high
    if seeds == 1:
        assert "no verdict is possible" in text


def test_an_effect_of_no_interest_says_so(make_study):
    study = with_scores(
        make_study(rungs=2, seeds=3, ladder=PLAIN), {"low": (0.6, 0.61, 0.62), "high": (0.6021, 0.612, 0.6219)}
    )
    assert "What high changed is real, and less than the 0.5 points of interest." in describe(study)


def test_the_answer_says_what_the_next_look_takes(make_study):
    study = make_study(rungs=3, seeds=3, ladder=PLAIN, spending="open", looks=(LookRecord(seeds=3, share=0.5),))
    (answer,) = describe_answer(make_findings(with_scores(study, SCORES)))
    # Two more seeds of three rungs are six trials, as long as the others, and as many at a time.
    costs = make_findings(study).facts.costs
    seconds = 6 * costs.seconds / len(study.trials) / costs.at_a_time
    assert answer == (
        "high helps by about 10.0 points; nothing can be told yet of same (2 more seeds, "
        f"{time_range(0.8 * seconds, 1.25 * seconds)}, which would probably not be enough)."
    )


def test_several_that_help_are_named_with_their_sizes_the_largest_first(make_study):
    ladder = (*PLAIN, ("more", ("mixup",), 0.7, 0.9, 3.0))
    study = with_scores(
        make_study(rungs=4, seeds=3, ladder=ladder),
        {
            "low": (0.60, 0.601, 0.602),
            "high": (0.65, 0.6512, 0.6521),
            "same": (0.8, 0.8012, 0.8021),
            "more": (0.8, 0.8012, 0.8021),
        },
    )
    (answer,) = describe_answer(make_findings(study))
    assert answer.startswith("same helps by about 15.0 points and high by about 5.0; ")


def test_a_rung_with_the_same_bits_has_no_effect_at_all(make_study):
    study = with_scores(make_study(rungs=3, seeds=3, ladder=PLAIN), {**SCORES, "same": SCORES["high"]})
    twin = {trial.seed: trial for trial in study.of_rung("high")}
    trials = tuple(
        replace(trial, history=twin[trial.seed].history, result=twin[trial.seed].result)
        if trial.rung == "same"
        else trial
        for trial in study.trials
    )
    findings = make_findings(replace(study, trials=trials))
    (answer,) = describe_answer(findings)
    assert answer == "high helps by about 10.0 points; same has no effect at all: the same bits."
    assert [mark.word for mark in verdict_marks(findings)] == ["helped", "same bits"]


def test_impossible_ends_are_not_written(make_study):
    study = with_scores(make_study(rungs=2, seeds=2, ladder=PLAIN), {"low": (0.2, 0.9), "high": (0.9, 0.3)})
    (mark,) = verdict_marks(make_findings(study))
    assert mark.figures == "+5.00 points, anything"


def test_looks_without_an_end_say_how_many_seeds_would_decide(make_study):
    study = make_study(rungs=3, seeds=3, ladder=PLAIN, spending="open", looks=(LookRecord(seeds=3, share=0.5),))
    said = describe(with_scores(study, SCORES))
    assert re.fullmatch(r"Undecided: same \((\d+ to )?(more than )?\d+ seeds would decide it\)\.", said[1])
    assert said[2].endswith(
        "Both intervals are right at once, however often seeds are added, with a probability of 95 %."
    )


def test_beyond_what_is_looked_for_nothing_is_forecast(make_study):
    study = make_study(rungs=2, seeds=45, ladder=PLAIN, spending="open", looks=(LookRecord(seeds=45, share=0.78),))
    swinging = tuple(0.6 + 0.1 * (seed % 2) for seed in range(45))
    still = (0.65,) * 45
    said = describe(with_scores(study, {"low": still, "high": swinging}))
    assert any("more than 45 seeds would decide it" in sentence for sentence in said)


def test_only_undecided(make_study):
    study = with_scores(make_study(rungs=2, seeds=2, ladder=PLAIN), {"low": (0.60, 0.61), "high": (0.61, 0.60)})
    said = describe(study)
    assert said[:3] == [
        "Nothing can be told yet of high.",
        "Undecided: high (no look is left).",
        "The interval, of 2 seeds, is right with a probability of 95 %.",
    ]
    assert said[3].startswith("With 80 % probability this study detects a difference of ")
    assert said[3].endswith(" points.")
    assert (
        "The recipe to use now is low: it has the highest mean validation accuracy (60.50 %, n = 2), and is the "
        "simplest." in said
    )


def test_the_choice_follows_validation_even_where_test_says_otherwise(make_study):
    study = with_scores(
        make_study(rungs=2, seeds=2, ladder=PLAIN),
        {"low": (0.6, 0.61), "high": (0.7, 0.72)},
        validation={"low": (0.7, 0.7), "high": (0.6, 0.6)},
    )
    assert (
        "The recipe to use now is low: it has the highest mean validation accuracy (70.00 %, n = 2), and is the "
        "simplest." in describe(study)
    )


HURT: dict[str, Any] = {"refused": "schedule", "hurt": ("augment", "schedule"), "best": "dropout"}
WITH_BEST: dict[str, Any] = {"validation": 0.97, "seeds": 3, "best": "dropout", "best_validation": 0.972}


@pytest.mark.parametrize(
    ("choice", "said"),
    [
        (
            Choice(ChoiceReason.SIMPLEST, "schedule", **WITH_BEST),
            "The recipe to use now is schedule: of the rungs whose mean validation accuracy lies within noise of the "
            "best (97.20 %, dropout), it is the simplest.",
        ),
        (
            Choice(ChoiceReason.SIMPLEST, "schedule", **{**WITH_BEST, "seeds": 1}, without_failed=True),
            "The recipe to use now is schedule: of the rungs without a failed trial whose validation accuracy lies "
            "within noise of the best (97.20 %, dropout), it is the simplest; with one seed this may be luck.",
        ),
        (
            Choice(ChoiceReason.LOWEST, "baseline", **WITH_BEST),
            "The recipe to use now is baseline, the simplest: no rung is above it by more than noise in mean "
            "validation accuracy (highest: 97.20 %, dropout).",
        ),
        (
            Choice(ChoiceReason.BEST, "dropout", **WITH_BEST, without_failed=True),
            "The recipe to use now is dropout: it has the highest mean validation accuracy of the rungs without a "
            "failed trial (97.00 %, n = 3), and no simpler one lies within noise of it.",
        ),
        (
            Choice(ChoiceReason.CONTRADICTED, **HURT),
            "No recipe is recommended: validation chooses schedule, and on test augment and schedule hurt. More "
            "validation images would tell which is right.",
        ),
        (
            Choice(ChoiceReason.NOTHING_LEARNED, refused="baseline"),
            "No recipe is recommended: validation chooses baseline, which did not learn anything.",
        ),
    ],
)
def test_the_recipe_to_use_now_stands_with_its_reason(make_study, choice, said):
    assert said in describe_results(replace(make_findings(make_study(rungs=2)), choice=choice))


def test_one_seed(make_study):
    study = with_scores(make_study(rungs=3, seeds=1, ladder=PLAIN), SCORES)
    assert describe(study) == [
        "No verdict is possible: one seed shows no spread. Run it with 5 seeds.",
        "The recipe to use now is same: it has the highest validation accuracy (71.00 %, n = 1), and no simpler one "
        "lies within noise of it; with one seed this may be luck.",
        "Next, try augmentation: same memorizes its training images.",
        "The highest test accuracy is 71.00 % (n = 1), on same. The first rung, low, has 60.00 % (n = 1). This "
        "describes the test images and is no verdict.",
    ]


def test_without_validation_nothing_is_recommended(make_study):
    said = describe(make_study(seeds=3, validation=0))
    assert said[0] == "No validation images, so the test curve was watched."
    assert (
        "No recipe is recommended: test images must not choose one, and none were held out for validation. Hold out a "
        "tenth of the training images to get a recommendation." in said
    )
    assert not any("recipe to use" in sentence for sentence in said)


def test_failed_trials_come_first_and_count_against_their_rung(make_study):
    study = make_study(rungs=3, seeds=3, failed=[("augment", 1)])
    said = describe(study)
    assert said[0] == (
        "1 of 9 trials diverged (augment, seed 1, after 7 epochs). In every difference a seed that diverged counts as "
        "a result of 10.00 %. The mean of a rung is over the seeds that finished."
    )
    assert "nothing can be told yet of augment" in said[1]


def test_many_failed_trials_are_counted(make_study):
    study = make_study(rungs=3, seeds=5, failed=[("augment", seed) for seed in range(5)])
    said = describe(study)
    assert said[0].startswith("5 of 15 trials diverged (augment, seed 0, after 7 epochs; ")
    assert "seed 2, after 7 epochs; and 2 more)." in said[0]
    assert "augment hurts by about 64.6 points" in said[1]


def stop(study, reason, *which):
    """The study with trials that were ended for a reason of this program's own words."""
    nothing = {"status": "failed", "failure": reason, "test_accuracy": None, "val_accuracy": None}
    trials = tuple(
        replace(trial, result=trial.result.model_copy(update=nothing)) if (trial.rung, trial.seed) in which else trial
        for trial in study.trials
    )
    return replace(study, trials=trials)


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("it took longer than the 4 seconds of `trial_timeout`", "were ended by `trial_timeout`"),
        ("out of memory in epoch 2; the batch size was not changed", "were ended for want of memory"),
        ("the process that ran it ended 3 times (signal SIGKILL); memory may be short", "were ended by the machine"),
        ("blur.augment raised ValueError: not finite (blur.py, line 3) in epoch 1", "were ended by an exception"),
    ],
)
def test_trials_that_were_stopped_say_nothing_about_accuracy(make_study, reason, words):
    look = {"spending": "open", "looks": (LookRecord(seeds=5, share=0.78),)}
    study = stop(make_study(rungs=3, seeds=5, **look), reason, ("augment", 1), ("augment", 3))
    said = describe(study)
    assert said[0] == (
        f"2 of 5 seeds of augment {words}. This says nothing about accuracy, so these seeds are left out of every "
        "comparison; `retry_failed=True` runs them again."
    )
    assert said[1].startswith("standardize helps by about 6.7 points; nothing can be told yet of augment")
    assert "Undecided: augment (3 of 5 seeds ended in all of its rungs)." in said
    assert not any("hurt" in sentence or "guess" in sentence for sentence in said)


def test_one_that_diverged_beside_one_that_was_stopped(make_study):
    study = make_study(rungs=3, seeds=3, failed=[("augment", 0)])
    said = describe(stop(study, "it took longer than the 4 seconds of `trial_timeout`", ("standardize", 2)))
    assert said[0].startswith("1 of 9 trials diverged (augment, seed 0, after 7 epochs). In every difference")
    assert said[1].startswith("1 of 3 seeds of standardize was ended by `trial_timeout`. This says nothing")


def test_uneven_classes_are_said_first_with_the_metric_that_sees_them(make_study):
    uneven = Uneven(1484, "cat", 900, "lynx", 44)
    made = replace(make_findings(make_study(rungs=3, seeds=3)), uneven=uneven)
    (said,) = meaning.describe_limits(made)
    assert said == (
        "The classes are uneven: of 1,484 images, 44 are of lynx and 900 of cat. Test accuracy hardly sees the small "
        "ones; macro F1 counts every class alike (`metric=macro_f1`)."
    )
    (said,) = meaning.describe_limits(replace(made, metric=find_metric("macro_f1")))
    assert said.endswith("Macro F1, which this study is judged by, counts every class alike.")


def test_unfinished_says_that_test_waits(make_study):
    said = describe(make_study(seeds=3, missing=[("batchnorm", 2)]))
    assert said[0] == "The study is unfinished: 1 of 18 trials has not ended, so every figure may still change."
    assert said[1] == "No verdict yet: test has not been read. It is read once, when every planned trial has ended."
    assert not any("test accuracy" in sentence for sentence in said)


def test_nothing_finished(make_study):
    study = make_study(rungs=1, seeds=1, failed=[("baseline", 0)])
    assert describe(study)[1:] == ["No trial has finished, so there is nothing to compare."]


def test_a_plan_that_was_edited_is_the_first_thing_said(make_study):
    study = replace(make_study(seeds=3), edited="study.json was edited: its plan no longer has the hash of before")
    assert describe(study)[0] == (
        "Do not trust these verdicts: study.json was edited: its plan no longer has the hash of before."
    )


def test_added_seeds_are_marked(make_study):
    study = make_study(seeds=4)
    early = with_record(study, added=(AddedSeeds(seeds=(3,), time="", after_reading=False),))
    assert describe(early)[0] == "Seed 3 was added to the plan before test was read."
    late = with_record(study, added=(AddedSeeds(seeds=(2, 3), time="", after_reading=True),))
    assert describe(late)[0].startswith("Seeds 2 and 3 were added after test had been read. Test was therefore read ")


def test_a_second_reading_of_the_same_trials_is_said(make_study, a_reading):
    study = make_study(seeds=3)
    again = replace(study, readings=(*study.readings, a_reading(study.record, "again", "later")))
    assert "Test was read again for trials that had been read before; only one reading was planned." in describe(again)


def test_declared_looks_are_waited_for(make_study):
    study = with_scores(make_study(rungs=2, seeds=3, ladder=PLAIN), {"low": (0.6, 0.61, 0.6), "high": (0.61, 0.6, 0.6)})
    looks = (LookRecord(seeds=3, share=0.6), LookRecord(seeds=5, share=0.4))
    said = describe(with_record(study, looks=looks))
    assert said[1] == "Undecided: high (another look is planned)."
    said = describe(with_record(study, looks=(LookRecord(seeds=2, share=0.4), LookRecord(seeds=3, share=0.6))))
    assert said[1] == "Undecided: high (no look is left)."


def contrast(name, design, rung, below):
    return ContrastRecord(name=name, design=design, weights={rung: 1.0, below: -1.0})


def test_order_matters_only_where_the_intervals_do_not_overlap(make_study):
    contrasts = (
        contrast("high", "ladder", "high", "low"),
        contrast("same", "ladder", "same", "high"),
        contrast("high", "leave-one-out", "same", "without high"),
        contrast("same", "leave-one-out", "same", "high"),
    )
    ladder = (*PLAIN, ("without high", ("ema",), 0.7, 0.9, 3.0))
    study = make_study(rungs=4, seeds=3, ladder=ladder, contrasts=contrasts)
    scores = {"low": (0.6, 0.61, 0.62), "high": (0.7, 0.711, 0.7205), "same": (0.7, 0.711, 0.72)}
    said = describe(with_scores(study, {**scores, "without high": (0.699, 0.711, 0.7201)}))
    assert said[0].startswith("On the ladder, high helps by about 10.0 points; same makes less than 0.5 points of ")
    assert said[1].startswith("On top of all others, high and same make less than 0.5 points of difference")
    assert "Order matters for high: the intervals on the ladder and on top of all others do not overlap." in said
    assert (
        "For same the intervals on the ladder and on top of all others overlap, so the study does not show that order "
        "matters." in said
    )
    said = describe(with_scores(study, {**scores, "without high": (0.5, 0.61, 0.62)}))
    assert not any("Order matters" in one for one in said)


def factorial_contrasts():
    cells = {"low": (0, 0), "high": (1, 0), "same": (0, 1), "both": (1, 1)}
    a = {name: (0.5 if on else -0.5) for name, (on, _) in cells.items()}
    b = {name: (0.5 if on else -0.5) for name, (_, on) in cells.items()}
    both = {name: (1.0 if one == other else -1.0) for name, (one, other) in cells.items()}
    return (
        ContrastRecord(name="a", design="shapley", weights=a),
        ContrastRecord(name="b", design="shapley", weights=b),
        ContrastRecord(name="a × b", design="interaction", weights=both),
    )


def test_a_factorial_shares_the_gain_out_and_tells_interactions(make_study):
    ladder = (*PLAIN, ("both", ("dropout", "ema"), 0.7, 0.9, 3.0))
    study = make_study(rungs=4, seeds=3, ladder=ladder, contrasts=factorial_contrasts())
    study = with_scores(
        study,
        {"low": (0.6, 0.61, 0.62), "high": (0.7, 0.711, 0.72), "same": (0.7, 0.71, 0.721), "both": (0.72, 0.731, 0.74)},
    )
    said = describe(study)
    assert said[0].startswith("a helps by about 6.0 points and b by about 6.0")
    assert (
        "The shares (Shapley values) add up to +12.03 points, the difference between all techniques and none." in said
    )
    assert "Weaker together: a × b." in said
    # Each family by its name: two techniques, and one interaction by itself.
    assert (
        "Each interval is of 3 seeds. Both intervals of techniques are right at once with a probability of 95 %, and "
        "so is that of the interaction." in said
    )
    (sensitivity,) = (one for one in said if "detects a difference" in one)
    assert "; of two techniques together, " in sensitivity
    fraction = with_record(study, notes=("A balanced fraction.",))
    assert (
        "The shares (Shapley values) add up to +12.03 points, an estimate from a fraction of the subsets."
        in describe(fraction)
    )


def test_every_verdict_has_a_sign_of_its_own():
    assert len(set(SYMBOLS.values())) == len(SYMBOLS) == 5


def test_marks_follow_the_plan_and_carry_the_interval(make_study):
    marks = verdict_marks(make_findings(make_study(seeds=5)))
    assert [mark.name for mark in marks] == ["standardize", "augment", "schedule", "dropout", "batchnorm"]
    assert (marks[0].kind, marks[0].symbol, marks[0].word) == ("helped", "▲", "helped")
    assert marks[0].figures.startswith("+6.")
    assert "[" in marks[0].figures


def test_marks_are_drawn_to_one_scale(make_study):
    marks = verdict_marks(make_findings(make_study(seeds=5)))
    strips = [mark.strip for mark in marks]
    assert len({strip.zero for strip in strips}) == 1
    for mark, strip in zip(marks, strips, strict=True):
        start, length = strip.these
        assert 0 <= start <= strip.mean <= start + length <= 100.01
        assert (start > strip.zero) == (mark.kind == "helped")
        assert (start + length < strip.zero) == (mark.kind == "hurt")


def test_nothing_is_marked_before_test_is_read_or_of_one_seed(make_study):
    assert verdict_marks(make_findings(make_study(seeds=1))) == []
    assert verdict_marks(make_findings(make_study(read=False))) == []
