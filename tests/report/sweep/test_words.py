"""The sentences of made-up sweeps, case by case; each claims what its figures hold and no more."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from stepladder.report.sweep.words import describe_sweep
from stepladder.study.design.sweep_records import SearchRecord
from stepladder.study.files.records import SavedStudy

MakeSweep = Callable[..., SavedStudy]
RATES = "optimizer.lr=0.01,0.03,0.1,0.3"
BATCHES = "batch_size=32,128,512"


def says(study: SavedStudy) -> str:
    sentences = describe_sweep(study)
    assert sentences[-1].startswith("Test was not read: a sweep chooses by validation images alone")
    return "\n".join(sentences)


def test_the_best_lies_inside_and_is_told_from_all(made_up_sweep: MakeSweep) -> None:
    text = says(made_up_sweep([RATES], [[0.80, 0.81], [0.85, 0.86], [0.95, 0.96], [0.90, 0.91]]))
    assert "No point diverged: every loss stayed finite, and every seed ended better than guessing." in text
    assert "The highest mean validation accuracy is 95.50 ± 0.71 % (sd, n = 2), at optimizer.lr=0.1." in text
    assert "It can be told from all 3 other points that learned: less than " in text
    assert "edge" not in text
    assert "extend" not in text
    assert "chance." in text  # the highest of several
    assert "cannot" not in text


def test_rivals_are_counted_and_named_from_the_top(made_up_sweep: MakeSweep) -> None:
    text = says(made_up_sweep([RATES], [[0.60, 0.61, 0.6], [0.94, 0.95, 0.95], [0.95, 0.96, 0.95], [0.93, 0.96, 0.95]]))
    assert "2 of the 3 other points that learned cannot be told from it, as less than " in text
    assert (
        text.index("optimizer.lr=0.03;") < text.index("optimizer.lr=0.3.")
        or "optimizer.lr=0.3; optimizer.lr=0.03." in text
    )
    none = says(made_up_sweep(["optimizer.lr=0.1,0.2,0.3"], [[0.9, 0.8], [0.85, 0.91], [0.8, 0.9]]))
    assert "None of the 2 other points that learned can be told from it, as less than " in none
    other = says(made_up_sweep(["optimizer.lr=0.1,0.2"], [[0.9, 0.8], [0.85, 0.9]]))
    assert "The other point that learned cannot be told from it" in other


def test_with_one_seed_nothing_is_told(made_up_sweep: MakeSweep) -> None:
    text = says(made_up_sweep([RATES], [[0.80], [0.85], [0.95], [0.99]]))
    assert "The highest validation accuracy is 99.00 % (n = 1), at optimizer.lr=0.3." in text
    assert "With one seed there is no spread, so that no point can be told from another; add --seeds 3." in text
    assert (
        "extend to 0.9 (--over optimizer.lr=0.01,0.03,0.1,0.3,0.9), and with one seed its place may be chance." in text
    )
    assert "±" not in text


@pytest.mark.parametrize(
    ("scores", "words"),
    [
        (
            [[0.9, 0.9], [0.91, 0.9], [None, None], [None, 0.1]],
            [
                "Diverged, the loss being no longer finite: optimizer.lr=0.1; optimizer.lr=0.3 (1 of 2 seeds).",
                "Ended no better than guessing (11.90 % or less on 1,000 validation images): optimizer.lr=0.3 (1 of 2 "
                "seeds).",
                "The other point that learned cannot be told",
            ],
        ),
        (
            [[0.1, 0.1], [0.91, 0.9], [0.9, 0.9], [None, 0.5]],
            [
                "Diverged, the loss being no longer finite: optimizer.lr=0.3 (1 of 2 seeds).",
                "Ended no better than guessing (11.90 % or less on 1,000 validation images): optimizer.lr=0.01.",
            ],
        ),
        (
            [[None, None]] * 4,
            ["There is no best point: in any of them some seed failed or ended no better than guessing."],
        ),
    ],
)
def test_what_diverged_is_named_and_never_the_best(
    made_up_sweep: MakeSweep, scores: list[list[float | None]], words: list[str]
) -> None:
    text = says(made_up_sweep([RATES], scores))
    assert "No point diverged" not in text
    for sentence in words:
        assert sentence in text


def test_a_rate_at_which_nothing_learned_is_named_once(made_up_sweep: MakeSweep) -> None:
    good, chance = [0.9, 0.91], [0.1, 0.1]
    rates = ["optimizer.lr=0.1,1,3", "batch_size=32,128"]
    text = says(made_up_sweep(rates, [good, good, chance, [None, 0.1], [None, None], [None, None]]))
    assert (
        "Nothing learned at optimizer.lr=1 and 3, whatever the batch_size: 5 of 8 trials diverged, the loss being no "
        "longer finite, the others ended no better than guessing (11.90 % or less on 1,000 validation images)." in text
    )
    text = says(made_up_sweep(rates, [good, chance, chance, chance, good, good]))
    assert "Nothing learned at optimizer.lr=1, whatever the batch_size: every trial ended no better" in text
    assert "validation images): optimizer.lr=0.1, batch_size=128." in text


def test_the_best_at_an_edge(made_up_sweep: MakeSweep) -> None:
    rising = [[0.80, 0.81], [0.85, 0.86], [0.90, 0.91], [0.95, 0.96]]
    assert (
        "That is the largest optimizer.lr of the grid, so the best may lie beyond it: extend to 0.9 "
        "(--over optimizer.lr=0.01,0.03,0.1,0.3,0.9)." in says(made_up_sweep([RATES], rising))
    )
    assert "smallest optimizer.lr of the grid, so the best may lie beyond it: extend to 0.0033 " in says(
        made_up_sweep([RATES], rising[::-1])
    )
    # A probability of 0 is an end, and one of 1 is none: half a step.
    dropout = "dropout.p=0,0.25,0.5,0.75"
    assert "extend" not in says(made_up_sweep([dropout], rising[::-1]))
    assert "extend to 0.88 (--over dropout.p=0,0.25,0.5,0.75,0.88)" in says(made_up_sweep([dropout], rising))
    # Batches of 1,620 would be more than there are training images.
    assert "extend" not in says(made_up_sweep(["batch_size=20,180,540,900"], rising))
    assert "extend to 2 (--over batch_size=2,8,32,128)" in says(
        made_up_sweep(["batch_size=8,32,128"], [[0.95, 0.96], [0.8, 0.8], [0.7, 0.7]])
    )
    # Names have no edge.
    assert "extend" not in says(made_up_sweep(["optimizer.name=sgd,adam"], rising[:2]))


def test_several_share_the_first_place(made_up_sweep: MakeSweep) -> None:
    text = says(made_up_sweep([RATES], [[0.8, 0.8], [0.9, 0.9], [0.9, 0.9], [0.7, 0.7]]))
    assert (
        "2 points share the highest mean validation accuracy, 90.00 % (n = 2): optimizer.lr=0.03 (± 0.00); "
        "optimizer.lr=0.1 (± 0.00)." in text
    )
    assert "extend" not in text


def grid(*rows: list[float]) -> list[list[float | None]]:
    """Two seeds a point, 0.2 points apart; rows are rates."""
    return [[value, value + 0.002] for row in rows for value in row]


def test_the_best_rate_rises_with_the_batch_and_is_told(made_up_sweep: MakeSweep) -> None:
    scores = grid([0.90, 0.80, 0.60], [0.85, 0.88, 0.70], [0.70, 0.80, 0.85])
    text = says(made_up_sweep(["optimizer.lr=0.03,0.1,0.3", BATCHES], scores))
    assert (
        "The best optimizer.lr rises with batch_size: 0.03 at 32, 0.1 at 128 and 0.3 at 512; at 32 and at 512 each can "
        "be told from the other's." in text
    )


def test_the_best_rate_seems_to_rise(made_up_sweep: MakeSweep) -> None:
    scores = [[0.90, 0.86], [0.80, 0.84], [0.88, 0.87], [0.83, 0.82], [0.86, 0.89], [0.84, 0.82]]
    text = says(made_up_sweep(["optimizer.lr=0.03,0.1,0.3", "batch_size=32,128"], scores))
    assert (
        "The best optimizer.lr by batch_size is 0.03 at 32 and 0.3 at 128; that it rises with batch_size may be" in text
    )
    one_seed = says(made_up_sweep(["optimizer.lr=0.1,0.3", "batch_size=32,128"], [[0.9], [0.8], [0.1], [0.9]]))
    assert "may be chance, as at 32 or 128 the two rates cannot be told apart." in one_seed


def test_the_best_rate_falls_stays_or_wanders(made_up_sweep: MakeSweep) -> None:
    rates = "optimizer.lr=0.03,0.1,0.3"
    falls = says(made_up_sweep([rates, BATCHES], grid([0.6, 0.8, 0.9], [0.7, 0.88, 0.85], [0.85, 0.8, 0.7])))
    assert "The best optimizer.lr falls as batch_size grows: 0.3 at 32, 0.1 at 128 and 0.03 at 512" in falls
    stays = says(made_up_sweep([rates, BATCHES], grid([0.6, 0.6, 0.6], [0.9, 0.9, 0.9], [0.8, 0.8, 0.8])))
    assert "The highest mean is at optimizer.lr=0.1 whatever the batch_size, at every value tried." in stays
    wanders = says(made_up_sweep([rates, BATCHES], grid([0.6, 0.9, 0.6], [0.9, 0.8, 0.9], [0.8, 0.8, 0.8])))
    assert (
        "By batch_size, the highest mean is at optimizer.lr 0.1 at 32, 0.03 at 128 and 0.1 at 512: in no one direction."
        in wanders
    )


def test_a_batch_size_at_which_nothing_learned_is_said(made_up_sweep: MakeSweep) -> None:
    scores = grid([0.9, 0.6, 0.1], [0.8, 0.9, 0.1])
    text = says(made_up_sweep(["optimizer.lr=0.1,0.3", BATCHES], scores))
    assert "0.1 at 32 and 0.3 at 128 (none learned with all seeds at 512); at 32 and at 128 each can be told" in text


def test_one_key_says_nothing_of_how_rates_move(made_up_sweep: MakeSweep) -> None:
    text = says(made_up_sweep(["dropout.p=0,0.5", BATCHES], grid([0.9, 0.8, 0.7], [0.8, 0.7, 0.6])))
    assert "best optimizer.lr" not in text


def test_unfinished_and_edited_come_first(made_up_sweep: MakeSweep) -> None:
    study = made_up_sweep([RATES], [[0.8, 0.81], [0.9, 0.91], [0.95], []])
    sentences = describe_sweep(replace(study, edited="study.json was edited"))
    assert sentences[0] == "Do not trust these figures: study.json was edited."
    assert sentences[1].startswith("The sweep is unfinished: 3 of 8 trials have not ended")
    # A point without all its seeds is not the best.
    assert "at optimizer.lr=0.03." in "\n".join(sentences)
    nothing = replace(study, trials=())
    assert describe_sweep(nothing)[-1] == "No trial has ended, so there is nothing to compare."


def test_a_search(made_up_sweep: MakeSweep) -> None:
    search = SearchRecord(tool="optuna", points=6, seed=0, tried=4, pruned=("point 0",))
    scores = [[0.5], [0.9, 0.91], [0.92, 0.91], [0.8, 0.8]]
    text = says(made_up_sweep(["optimizer.lr=0.001..0.3"], scores, search=search))
    assert "The search is unfinished: 4 of 6 points were tried" in text
    assert "1 of 4 points was given up before the last seed, the mean validation accuracy so far being below" in text
    assert "The other point" not in text
    assert "optimizer.lr by" not in text
    done = replace_search(search, tried=6)
    at_edge = made_up_sweep(["dropout.p=0.1..0.5"], [[0.5]] + [[0.8, 0.81]] * 30 + [[0.95, 0.951]], search=done)
    assert (
        "That is near the largest dropout.p of the range, so the best may lie beyond it: extend to 0.7 "
        "(--over dropout.p=0.1..0.7)." in says(at_edge)
    )
    assert "unfinished" not in says(at_edge)


def replace_search(search: SearchRecord, **changes: int) -> SearchRecord:
    return search.model_copy(update=changes)
