"""The sentences of made-up sweeps, case by case; each claims what its figures hold and no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from stepladder.report.sections.sweep_meaning import describe_sweep
from stepladder.studies.design.sweeps import SearchRecord
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.judging.points import make_sweep_findings

MakeSweep = Callable[..., SavedStudy]
RATES = "optimizer.lr=0.01,0.03,0.1,0.3"
BATCHES = "batch_size=32,128,512"


def says(study: SavedStudy) -> str:
    sentences = describe_sweep(make_sweep_findings(study))
    assert sentences[-1].startswith("Test was not read: a sweep chooses by validation images alone.")
    return "\n".join(sentences)


def test_the_best_lies_inside_and_is_told_from_all(made_up_sweep: MakeSweep) -> None:
    text = says(made_up_sweep([RATES], [[0.80, 0.81], [0.85, 0.86], [0.95, 0.96], [0.90, 0.91]]))
    assert "Every point learned: no loss diverged, and every seed ended better than guessing." in text
    assert "optimizer.lr=0.1 has the highest mean validation accuracy: 95.50 ± 0.71 % (sd, n = 2)." in text
    assert "It beats all 3 other points that learned: a difference of more than " in text
    assert "lie beyond" not in text
    assert "The highest of several means is a little too high by chance." in text
    assert "cannot" not in text


def test_rivals_are_counted_and_named_from_the_top(made_up_sweep: MakeSweep) -> None:
    text = says(made_up_sweep([RATES], [[0.60, 0.61, 0.6], [0.94, 0.95, 0.95], [0.95, 0.96, 0.95], [0.93, 0.96, 0.95]]))
    assert (
        "2 of the 3 other points that learned cannot be told apart from it: optimizer.lr=0.03; optimizer.lr=0.3. "
        in text
    )
    none = says(made_up_sweep(["optimizer.lr=0.1,0.2,0.3"], [[0.9, 0.8], [0.85, 0.91], [0.8, 0.89]]))
    assert (
        "None of the 2 other points that learned can be told apart from it: optimizer.lr=0.1; optimizer.lr=0.3. "
        in none
    )
    other = says(made_up_sweep(["optimizer.lr=0.1,0.2"], [[0.9, 0.8], [0.85, 0.9]]))
    assert "The other point that learned cannot be told apart from it: optimizer.lr=0.1. Only a difference of " in other


def test_with_one_seed_nothing_is_told(made_up_sweep: MakeSweep) -> None:
    text = says(made_up_sweep([RATES], [[0.80], [0.85], [0.95], [0.99]]))
    assert "optimizer.lr=0.3 has the highest validation accuracy: 99.00 % (n = 1)." in text
    assert "With one seed no two points can be told apart. Use 3 seeds or more." in text
    assert "Try optimizer.lr=0.01,0.03,0.1,0.3,0.9.\nWith one seed, its place may be chance." in text
    assert "±" not in text


def test_a_trial_that_was_stopped_says_nothing_of_its_point(made_up_sweep: MakeSweep) -> None:
    sweep = made_up_sweep(["optimizer.lr=0.1,0.3"], [[0.9, None], [0.8, 0.81]])
    late = {"failure": "it took longer than the 4 seconds of `trial_timeout`"}
    trials = tuple(
        replace(one, result=one.result.model_copy(update=late)) if one.result.status == "failed" else one
        for one in sweep.trials
    )
    sweep = replace(sweep, trials=trials)
    found = make_sweep_findings(sweep)
    slow = found.points[0]
    assert (slow.scores, slow.n, slow.ended, slow.stopped, slow.diverged) == ({0: 0.9}, 1, 2, (1,), 0)
    assert found.best is not None
    assert found.best.point.values == (0.3,), "half a point is no rival, and no loser"
    assert (found.best.ties, found.best.beaten) == ((), ())
    text = says(sweep)
    assert "Stopped early, which says nothing about accuracy: optimizer.lr=0.1 (1 of 2 seeds). The first was" in text
    assert "guessing" not in text


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (
            [[0.9, 0.9], [0.91, 0.9], [None, None], [None, 0.1]],
            [
                "Diverged (the loss was not finite): optimizer.lr=0.1; optimizer.lr=0.3 (1 of 2 seeds).",
                "Ended no better than guessing (11.90 % or less on 1,000 validation images): optimizer.lr=0.3 (1 of 2 "
                "seeds).",
                "The other point that learned cannot be told apart",
            ],
        ),
        (
            [[0.1, 0.1], [0.91, 0.9], [0.9, 0.9], [None, 0.5]],
            [
                "Diverged (the loss was not finite): optimizer.lr=0.3 (1 of 2 seeds).",
                "Ended no better than guessing (11.90 % or less on 1,000 validation images): optimizer.lr=0.01.",
            ],
        ),
        (
            [[None, None]] * 4,
            [
                "Nothing was learned: every trial diverged or ended no better than guessing (11.90 % or less on 1,000 "
                "validation images).\nTry a third of the learning rate, or a warm-up: every loss diverged.\nDiverged",
            ],
        ),
        (
            [[None, None], [0.91, None], [0.1, 0.1], [0.1, 0.1]],
            ["There is no best point: in every point some seed did not finish, or ended no better than "],
        ),
    ],
)
def test_what_diverged_is_named_and_never_the_best(
    made_up_sweep: MakeSweep, scores: list[list[float | None]], words: list[str]
) -> None:
    text = says(made_up_sweep([RATES], scores))
    assert "Every point learned" not in text
    for sentence in words:
        assert sentence in text


def test_a_rate_at_which_nothing_learned_is_named_once(made_up_sweep: MakeSweep) -> None:
    good, chance = [0.9, 0.91], [0.1, 0.1]
    rates = ["optimizer.lr=0.1,1,3", "batch_size=32,128"]
    text = says(made_up_sweep(rates, [good, good, chance, [None, 0.1], [None, None], [None, None]]))
    assert (
        "Nothing learned at optimizer.lr=1 and 3, whatever the batch_size: 5 of 8 trials diverged (the loss was not "
        "finite), the others ended no better than guessing (11.90 % or less on 1,000 validation images)." in text
    )
    text = says(made_up_sweep(rates, [good, chance, chance, chance, good, good]))
    assert "Nothing learned at optimizer.lr=1, whatever the batch_size: every trial ended no better" in text
    assert "validation images): optimizer.lr=0.1, batch_size=128." in text


def test_the_best_at_an_edge(made_up_sweep: MakeSweep) -> None:
    rising = [[0.80, 0.81], [0.85, 0.86], [0.90, 0.91], [0.95, 0.96]]
    assert (
        "The best is at the largest optimizer.lr of the grid, so a better one may lie beyond. Try "
        "optimizer.lr=0.01,0.03,0.1,0.3,0.9." in says(made_up_sweep([RATES], rising))
    )
    assert "smallest optimizer.lr of the grid, so a better one may lie beyond. Try optimizer.lr=0.0033,0.01," in says(
        made_up_sweep([RATES], rising[::-1])
    )
    # A probability of 0 is an end, and one of 1 is none: half a step.
    dropout = "dropout.p=0,0.25,0.5,0.75"
    assert "lie beyond" not in says(made_up_sweep([dropout], rising[::-1]))
    assert "Try dropout.p=0,0.25,0.5,0.75,0.88." in says(made_up_sweep([dropout], rising))
    # Batches of 1,620 would be more than there are training images.
    assert "lie beyond" not in says(made_up_sweep(["batch_size=20,180,540,900"], rising))
    assert "Try batch_size=2,8,32,128." in says(
        made_up_sweep(["batch_size=8,32,128"], [[0.95, 0.96], [0.8, 0.8], [0.7, 0.7]])
    )
    # Names have no edge.
    assert "lie beyond" not in says(made_up_sweep(["optimizer.name=sgd,adam"], rising[:2]))


def test_several_share_the_first_place(made_up_sweep: MakeSweep) -> None:
    text = says(made_up_sweep([RATES], [[0.8, 0.8], [0.9, 0.9], [0.9, 0.9], [0.7, 0.7]]))
    assert (
        "2 points share the highest mean validation accuracy, 90.00 % (n = 2): optimizer.lr=0.03 (± 0.00); "
        "optimizer.lr=0.1 (± 0.00)." in text
    )
    assert "lie beyond" not in text


def grid(*rows: list[float]) -> list[list[float | None]]:
    """Two seeds a point, 0.2 points apart; rows are rates."""
    return [[value, value + 0.002] for row in rows for value in row]


def test_the_best_rate_rises_with_the_batch_and_is_told(made_up_sweep: MakeSweep) -> None:
    scores = grid([0.90, 0.80, 0.60], [0.85, 0.88, 0.70], [0.70, 0.80, 0.85])
    text = says(made_up_sweep(["optimizer.lr=0.03,0.1,0.3", BATCHES], scores))
    assert (
        "The best optimizer.lr rises with batch_size: 0.03 at 32, 0.1 at 128 and 0.3 at 512. At 32 and at 512, the "
        "rates 0.03 and 0.3 can be told apart." in text
    )


def test_the_best_rate_seems_to_rise(made_up_sweep: MakeSweep) -> None:
    scores = [[0.90, 0.86], [0.80, 0.84], [0.88, 0.87], [0.83, 0.82], [0.86, 0.89], [0.84, 0.82]]
    text = says(made_up_sweep(["optimizer.lr=0.03,0.1,0.3", "batch_size=32,128"], scores))
    assert (
        "By batch_size, the best optimizer.lr is 0.03 at 32 and 0.3 at 128. It seems to rise, but that may be" in text
    )
    one_seed = says(made_up_sweep(["optimizer.lr=0.1,0.3", "batch_size=32,128"], [[0.9], [0.8], [0.1], [0.9]]))
    assert "may be chance: at 32 or at 128, the rates 0.1 and 0.3 cannot be told apart." in one_seed


def test_the_best_rate_falls_stays_or_wanders(made_up_sweep: MakeSweep) -> None:
    rates = "optimizer.lr=0.03,0.1,0.3"
    falls = says(made_up_sweep([rates, BATCHES], grid([0.6, 0.8, 0.9], [0.7, 0.88, 0.85], [0.85, 0.8, 0.7])))
    assert "The best optimizer.lr falls with batch_size: 0.3 at 32, 0.1 at 128 and 0.03 at 512" in falls
    stays = says(made_up_sweep([rates, BATCHES], grid([0.6, 0.6, 0.6], [0.9, 0.9, 0.9], [0.8, 0.8, 0.8])))
    assert "optimizer.lr=0.1 has the highest mean at every batch_size tried." in stays
    wanders = says(made_up_sweep([rates, BATCHES], grid([0.6, 0.9, 0.6], [0.9, 0.8, 0.9], [0.8, 0.8, 0.8])))
    assert (
        "By batch_size, the best optimizer.lr is 0.1 at 32, 0.03 at 128 and 0.1 at 512: it has no clear direction."
        in wanders
    )


def test_a_batch_size_at_which_nothing_learned_is_said(made_up_sweep: MakeSweep) -> None:
    scores = grid([0.9, 0.6, 0.1], [0.8, 0.9, 0.1])
    text = says(made_up_sweep(["optimizer.lr=0.1,0.3", BATCHES], scores))
    assert "0.1 at 32 and 0.3 at 128 (at 512 no point learned with all its seeds). At 32 and at 128, the rates" in text


def test_one_key_says_nothing_of_how_rates_move(made_up_sweep: MakeSweep) -> None:
    text = says(made_up_sweep(["dropout.p=0,0.5", BATCHES], grid([0.9, 0.8, 0.7], [0.8, 0.7, 0.6])))
    assert "best optimizer.lr" not in text


def test_unfinished_and_edited_come_first(made_up_sweep: MakeSweep) -> None:
    study = made_up_sweep([RATES], [[0.8, 0.81], [0.9, 0.91], [0.95], []])
    sentences = describe_sweep(make_sweep_findings(replace(study, edited="study.json was edited")))
    assert sentences[0] == "Do not trust these figures: study.json was edited."
    assert sentences[1].startswith("The sweep is unfinished: 3 of 8 trials have not ended")
    # A point without all its seeds is not the best.
    assert "optimizer.lr=0.03 has the highest" in "\n".join(sentences)
    nothing = replace(study, trials=())
    assert describe_sweep(make_sweep_findings(nothing))[-1] == "No trial has ended, so there is nothing to compare."


def test_a_search(made_up_sweep: MakeSweep) -> None:
    search = SearchRecord(tool="optuna", points=6, seed=0, tried=4, pruned=("point 0",))
    scores = [[0.5], [0.9, 0.91], [0.92, 0.91], [0.8, 0.8]]
    text = says(made_up_sweep(["optimizer.lr=0.001..0.3"], scores, search=search))
    assert "The search is unfinished: 4 of 6 points were tried" in text
    assert "1 of 4 points was given up before its last seed, with a mean validation accuracy below the median" in text
    assert "The other point" not in text
    assert "By optimizer.lr" not in text
    done = replace_search(search, tried=6)
    at_edge = made_up_sweep(["dropout.p=0.1..0.5"], [[0.5]] + [[0.8, 0.81]] * 30 + [[0.95, 0.951]], search=done)
    assert (
        "The best is near the largest dropout.p of the range, so a better one may lie beyond. Try dropout.p=0.1..0.7."
        in says(at_edge)
    )
    assert "unfinished" not in says(at_edge)


def replace_search(search: SearchRecord, **changes: int) -> SearchRecord:
    return search.model_copy(update=changes)
