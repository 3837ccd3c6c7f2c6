"""Averages over the last epochs: what each candidate scores, and how its spreads are held against the last epoch's."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from benchmarks.noise import (
    Candidate,
    Trial,
    _sd_bounds,
    hold_out,
    judge,
    make_candidates,
    mean_weights,
    renew_statistics,
    score_trial,
)
from stepladder.datasets import load_image_set, make_splits
from stepladder.errors import DataError, RecipeError
from stepladder.network.layers import BatchNorm2d
from stepladder.recipe import load_recipe
from stepladder.studies.design.rungs import ladder
from stepladder.training.assembly import TrainingData
from stepladder.training.device import choose_compute
from stepladder.training.loop import TrainingCallbacks, train_network

CPU = choose_compute("cpu", "float32", threads=1)


def test_candidates_are_settled_by_the_epochs_alone():
    names = [candidate.name for candidate in make_candidates(25)]
    assert names[:4] == ["last epoch", "accuracy, 3 epochs", "accuracy, 5 epochs", "accuracy, 6 epochs"]
    assert len(names) == 10
    assert [candidate.epochs for candidate in make_candidates(4, [2])] == [1, 2, 2, 2]
    assert make_candidates(1) == (Candidate("last", 1),)
    with pytest.raises(RecipeError, match="`last` is 5; it must be 2 to 4"):
        make_candidates(4, [5])


def test_test_images_are_never_among_those_that_score():
    images = load_image_set("digits", limit=40)
    splits = hold_out(images, 0.5)
    test = make_splits(images).test
    assert splits.test.fingerprint == test.fingerprint
    assert abs(len(splits.train) - len(splits.validation)) <= 1
    assert len(splits.train) + len(splits.validation) + len(test) == 400
    known = {image.tobytes() for image in test.images}
    assert not known & {image.tobytes() for image in splits.validation.images}
    with pytest.raises(DataError, match=r"`validation` is 0; .* take 0.4 of them"):
        hold_out(images, 0)


@pytest.mark.long
def test_each_candidate_scores_what_it_says():
    """Worked out once more from weights that the loop left at each epoch's end; batch norm and dropout are on."""
    recipe = load_recipe("small").model_copy(update={"epochs": 3})
    splits = hold_out(load_image_set("digits", limit=60), 0.5)
    images = TrainingData(splits.train, splits.validation, 10)
    rung, seen = ladder(recipe)[-1], []
    trial = score_trial(rung, images, 1, CPU, make_candidates(3, [2]), lambda: seen.append(1))
    assert len(seen) == 4

    kept, states = [], []
    told = TrainingCallbacks(
        on_start=kept.append, on_epoch=lambda _: states.append({k: v.clone() for k, v in module().items()})
    )

    def module():
        return kept[0].evaluated.state_dict()

    trained = train_network(rung.recipe, images, 1, CPU, told)
    (assembly,) = kept
    pixels = torch.from_numpy(splits.validation.images.copy()).permute(0, 3, 1, 2).float() / 255
    labels = torch.from_numpy(splits.validation.labels)

    def outputs(state):
        assembly.module.load_state_dict(state)
        inputs = pixels
        for technique in assembly.techniques:
            inputs = technique.prepare(inputs)
        with torch.no_grad():
            return assembly.module.eval()(inputs).softmax(1)

    def right(found):
        return float((found.argmax(1) == labels).float().mean())

    last, before = outputs(states[3]), outputs(states[2])
    assert trial.accuracies["last epoch"] == trained.history[-1].val_accuracy == pytest.approx(right(last))
    assert trial.accuracies["accuracy, 2 epochs"] == pytest.approx((right(last) + right(before)) / 2)
    assert trial.accuracies["outputs, 2 epochs"] == pytest.approx(right(last + before))
    mean = mean_weights([states[2], states[3]])
    assembly.module.load_state_dict(mean)
    renew_statistics(assembly.module, assembly.techniques, assembly.sample.batches, CPU)
    renewed = {name: value.clone() for name, value in assembly.module.state_dict().items()}
    assert trial.accuracies["weights, 2 epochs"] == pytest.approx(right(outputs(renewed)))
    assert trial.scoring_seconds["accuracy, 2 epochs"] > trial.scoring_seconds["last epoch"] > 0


def test_weights_are_averaged_and_counts_are_not():
    states = [
        {"w": torch.tensor([1.0, 2.0]), "n": torch.tensor(3)},
        {"w": torch.tensor([3.0, 6.0]), "n": torch.tensor(4)},
    ]
    mean = mean_weights(states)
    assert mean["w"].tolist() == [2.0, 4.0]
    assert mean["n"].item() == 4


def test_statistics_are_those_of_the_images_and_frozen_ones_stay():
    torch.manual_seed(0)
    first, frozen = BatchNorm2d(1), BatchNorm2d(1)
    frozen.held = True
    module = nn.Sequential(nn.Dropout(0.5), first, frozen)
    batches = [torch.randn(8, 1, 4, 4) * 3 + 1, torch.randn(8, 1, 4, 4), torch.randn(1, 1, 4, 4)]
    renew_statistics(module, (), batches, CPU)
    means, variances = [batch.mean().item() for batch in batches[:2]], [batch.var().item() for batch in batches[:2]]
    assert first.running_mean.item() == pytest.approx(np.mean(means), rel=1e-5), "without dropout"
    assert first.running_var.item() == pytest.approx(np.mean(variances), rel=1e-5)
    assert (frozen.running_mean.item(), frozen.running_var.item()) == (0, 1)
    assert (first.momentum, module.training) == (0.1, False)


def made_up(shrink, lift, seeds=400):
    """Rungs whose differences spread by 1 and 2 points; one candidate shrinks both and lifts the upper rung."""
    rng = np.random.default_rng(0)
    noise = np.cumsum([np.zeros(seeds), rng.normal(0, 0.01, seeds), rng.normal(0, 0.02, seeds)], axis=0)
    trials = []
    for rung in range(3):
        for seed in range(seeds):
            value = 0.5 + noise[rung, seed]
            averaged = 0.5 + shrink * noise[rung, seed] + lift * (rung == 2)
            scores = {"last epoch": value, "accuracy, 3 epochs": averaged}
            trials.append(Trial(str(rung), seed, scores, {"last epoch": 1.0, "accuracy, 3 epochs": 3.0}, 20.0))
    return trials


def test_a_shrunk_spread_is_found_with_its_interval_and_a_lifted_rung_with_its_change():
    candidates = (Candidate("last", 1), Candidate("accuracy", 3))
    last, averaged = judge(made_up(0.7, 0.003), ("0", "1", "2"), candidates)
    assert (last.ratio, last.ratio_interval, last.more_time) == (1, (1, 1), 0)
    assert averaged.ratio == pytest.approx(0.7)
    assert averaged.ratio_interval == pytest.approx((0.7, 0.7))
    assert averaged.more_time == pytest.approx(0.1)
    lower, upper = averaged.spreads
    assert (lower.rung, upper.rung) == ("1", "2")
    assert lower.sd == pytest.approx(0.007, rel=0.1)
    assert upper.change - lower.change == pytest.approx(0.003, abs=0.0015)
    assert [0.7 * spread.sd for spread in last.spreads] == pytest.approx([lower.sd, upper.sd])


def test_the_interval_of_a_spread_covers_it_in_95_of_100_samples():
    low, high = _sd_bounds(5)
    sds = np.random.default_rng(0).normal(0, 1, (20_000, 5)).std(axis=1, ddof=1)
    assert ((low * sds < 1) & (high * sds > 1)).mean() == pytest.approx(0.95, abs=0.005)


def test_an_interval_over_seeds_covers_a_ratio_that_differs_by_seed():
    trials = made_up(1.0, 0.0, seeds=30)
    rng = np.random.default_rng(1)
    for trial in trials:
        trial.accuracies["accuracy, 3 epochs"] = 0.5 + rng.normal(0, 0.01)
    _, averaged = judge(trials, ("0", "1", "2"), (Candidate("last", 1), Candidate("accuracy", 3)))
    low, high = averaged.ratio_interval
    assert low < averaged.ratio < high
    assert 0.2 < high - low < 1.5


def test_comparisons_that_never_differ_have_no_ratio():
    trials = made_up(0.0, 0.0, seeds=3)
    for trial in trials:
        trial.accuracies["last epoch"] = 0.5
    last, averaged = judge(trials, ("0", "1", "2"), (Candidate("last", 1), Candidate("accuracy", 3)))
    assert (last.ratio, last.ratio_interval) == (None, None)
    assert averaged.spreads[0].change_interval is None


@pytest.mark.long
def test_the_command_prints_every_candidate_and_reads_no_test(measure):
    few = ("--rung", "standardize", "--epochs", "2", "--last", "2", "--limit", "40", "--seeds", "2")
    outcome = measure("noise", "digits", *few, "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    assert [one["candidate"] for one in document["judged"]] == [candidate.name for candidate in make_candidates(2, [2])]
    assert [spread["rung"] for spread in document["judged"][0]["spreads"]] == ["standardize"]
    assert [(trial["rung"], trial["seed"]) for trial in document["trials"]] == [
        *(("baseline", 0), ("standardize", 0), ("baseline", 1), ("standardize", 1))
    ]
    said = " ".join(outcome.err.split())
    assert "standardize against baseline; 2 seeds from 0 on" in said
    assert "Test was not read." in said


def test_what_is_refused(measure):
    outcome = measure("noise", "--seeds", "1")
    assert (outcome.code, outcome.err) == (2, "Error: --seeds is 1; a spread takes at least 2\n")
    outcome = measure("noise", "--rung", "baseline")
    assert outcome.code == 2
    assert outcome.err == "Error: the ladder has one rung, and nothing to compare it with; choose a higher --rung\n"
