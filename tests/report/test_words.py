from __future__ import annotations

import pytest

from stepladder.report.words import describe, describe_curves, describe_ladder

#: Each rung's accuracies are set by hand, so that every sentence can be worked out on paper.
PLAIN = (("low", (), 0.60, 0.9, 3.0), ("high", ("dropout",), 0.70, 0.9, 3.0), ("same", ("ema",), 0.70, 0.9, 3.0))


def with_scores(study, scores, validation=None):
    """Return the study with test accuracies (and validation accuracies) by rung, a value a seed."""
    trials = []
    for trial in study.trials:
        value = scores[trial.rung][trial.seed]
        update = {"test_accuracy": value}
        if study.record.validation:
            update["val_accuracy"] = (validation or scores)[trial.rung][trial.seed]
        if trial.result.status == "finished":
            trial = type(trial)(
                trial.rung, trial.seed, trial.folder, trial.result.model_copy(update=update), trial.history
            )
        trials.append(trial)
    return type(study)(study.folder, study.record, tuple(trials))


SCORES = {"low": (0.60, 0.61, 0.62), "high": (0.70, 0.71, 0.72), "same": (0.71, 0.70, 0.72)}


def test_several_seeds(make_study):
    study = with_scores(
        make_study(rungs=3, seeds=3, ladder=PLAIN),
        SCORES,
        validation={"low": (0.5,) * 3, "high": (0.69, 0.7, 0.71), "same": (0.68, 0.68, 0.68)},
    )
    assert describe(study) == [
        "The highest mean test accuracy is 71.00 ± 1.00 % (sd, n = 3), on high and same; the first rung, low, has "
        "61.00 ± 1.00 % (sd, n = 3).",
        "Against the rung below, the 95 % t-interval excludes zero for high (+10.00 points, [+10.00, +10.00]).",
        # Differences +1, −1 and 0 points: mean 0, s = 1, t(0.975, 2) = 4.303, 4.303 / √3 = 2.48.
        "Undecided, as the interval includes zero: same (0.00 points, [−2.48, +2.48]).",
        "The intervals, each of 3 pairs, are unadjusted for 2 comparisons, so this is no verdict yet.",
        "To pick one now, take high: it has the highest mean validation accuracy (70.00 %, n = 3), "
        "2.00 points above same.",
    ]


def test_the_choice_follows_validation_even_where_test_says_otherwise(make_study):
    study = with_scores(
        make_study(rungs=2, seeds=2, ladder=PLAIN),
        {"low": (0.6, 0.61), "high": (0.7, 0.72)},
        validation={"low": (0.7, 0.7), "high": (0.6, 0.6)},
    )
    assert describe(study)[-1] == (
        "To pick one now, take low: it has the highest mean validation accuracy (70.00 %, n = 2), "
        "10.00 points above high."
    )


def test_only_undecided(make_study):
    study = with_scores(make_study(rungs=2, seeds=2, ladder=PLAIN), {"low": (0.60, 0.61), "high": (0.61, 0.60)})
    said = describe(study)
    assert said[1] == (
        "Against the rung below, undecided, as the interval includes zero: high (0.00 points, [−12.71, +12.71])."
    )
    assert said[2] == "The interval of 2 pairs is unadjusted, so this is no verdict yet."
    assert said[3] == "By validation accuracy, which may choose, low and high share the first place at 60.50 %."
    assert not any("excludes" in sentence for sentence in said)


def test_one_seed(make_study):
    study = with_scores(make_study(rungs=3, seeds=1, ladder=PLAIN), SCORES)
    assert describe(study) == [
        "The highest test accuracy is 71.00 % (n = 1), on same; the first rung, low, has 60.00 % (n = 1).",
        "No verdict is possible: one seed shows no spread; run --seeds 3.",
        "To pick one now, take same: it has the highest validation accuracy (71.00 %, n = 1), 1.00 points above high; "
        "with one seed this order may be luck.",
    ]


def test_without_validation_nothing_is_recommended(make_study):
    said = describe(make_study(seeds=3, validation=0))
    assert said[0] == "Report's own protocol: no validation images; the test curve was watched."
    assert said[-1] == (
        "No rung is recommended: the test images may not choose one; run with --validation 0.1 to choose."
    )
    assert not any("take" in sentence for sentence in said)


def test_failed_trials_come_first(make_study):
    study = make_study(rungs=3, seeds=3, failed=[("augment", 1)])
    said = describe(study)
    assert said[0] == (
        "1 of 9 trials failed (augment, seed 1, after 7 epochs). The means are over the seeds that finished, which may "
        "flatter a rung that fails."
    )
    assert "n = 2" in said[2]
    assert said[3] == "The intervals are unadjusted for 2 comparisons, so this is no verdict yet."


def test_many_failed_trials_are_counted(make_study):
    study = make_study(rungs=3, seeds=5, failed=[("augment", seed) for seed in range(5)])
    said = describe(study)
    assert said[0].startswith("5 of 15 trials failed (augment, seed 0, after 7 epochs; ")
    assert "seed 2, after 7 epochs; and 2 more)." in said[0]
    assert "No interval for augment: fewer than two seeds finished there and on the rung below." in said
    assert any(sentence.startswith("The interval of 5 pairs is unadjusted for 2 comparisons") for sentence in said)


def test_unfinished(make_study):
    said = describe(make_study(seeds=3, missing=[("batchnorm", 2)]))
    assert said[0] == "The study is unfinished: 1 of 18 trials has not ended, so every figure may still change."


def test_unfinished_without_a_pair(make_study):
    missing = [(name, seed) for name in ("baseline", "standardize") for seed in (1, 2)]
    said = describe(make_study(rungs=2, seeds=3, missing=missing))
    assert "No verdict is possible: no two neighboring rungs share two finished seeds." in said


def test_nothing_finished(make_study):
    study = make_study(rungs=1, seeds=1, failed=[("baseline", 0)])
    assert describe(study)[1:] == ["No trial has finished, so there is nothing to compare."]
    assert describe_ladder(study).endswith("baseline without a finished trial.")
    assert describe_curves(study).endswith("baseline has no finished trial.")


@pytest.mark.parametrize("seeds", [1, 2, 5])
@pytest.mark.parametrize("validation", [0, 0.1])
@pytest.mark.parametrize("failed", [(), [("dropout", 0)]])
def test_no_sentence_claims_what_only_a_verdict_may(make_study, seeds, validation, failed):
    said = " ".join(describe(make_study(seeds=seeds, validation=validation, failed=failed, epochs=2)))
    for claim in ("best", "helped", "hurt", "better", "worse", "significant", "improve", "proves"):
        assert claim not in said.lower()
    assert "no verdict" in said.lower()
