import pytest

from stepladder.errors import StudyError
from stepladder.studies.design.rules import (
    Protocol,
    Rules,
    Seeds,
    check_seeds,
    first_share,
    look_sizes,
    looks_for,
    most_seeds,
    next_size,
)


@pytest.mark.parametrize(
    ("rules", "words"),
    [
        (Rules(max_seeds=1), "`max_seeds` is 1; it must be 2 to 1000"),
        (Rules(max_seeds=1001), "`max_seeds` is 1001; it must be 2 to 1000"),
        (Rules(alpha=0.0), "`alpha` is 0; it must be above 0"),
        (Rules(alpha=0.6), r"`alpha` is 0\.6; it must be above 0 and at most 0\.5"),
        (Rules(smallest_effect=-1.0), "`smallest_effect` is -1.0; it must be 0 or more"),
        (Rules(max_trials=0), "`max_trials` is 0"),
        (Rules(select="best"), "unknown selection 'best'; did you mean 'best-val'"),
        (Rules(select="best-val", validation=0), "`select=best-val` chooses by validation images"),
        (Protocol(select="best-val", validation=0), "`select=best-val` chooses by validation images"),
        (Rules(metric="ece_calibrated", validation=0), "`metric=ece_calibrated` fits a temperature on validation"),
        (Rules(metric="aoc"), "unknown metric 'aoc'"),
        (Protocol(metric="recall"), "`metric=recall` is of one class"),
        (Protocol(costs={"a": {"b": 1.0}}), "`costs` is used by `metric=cost` alone"),
    ],
)
def test_what_cannot_be_is_refused(rules: Protocol, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        rules.check()


@pytest.mark.parametrize(
    ("seeds", "auto", "words"),
    [
        (0, False, "`seeds` is 0; it must be 1 to 1000$"),
        (1001, True, "`seeds` is 1001; it must be 1 to 1000 or auto"),
        (True, True, "`seeds` is True"),
        ("auto", False, "`seeds` is auto; it must be 1 to 1000$"),
    ],
)
def test_a_number_of_seeds_that_cannot_be_is_refused(seeds: Seeds, auto: bool, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        check_seeds(seeds, auto=auto)


def test_what_is_usual_is_in_range() -> None:
    Rules().check()
    Protocol(select="best-val").check()
    for seeds in (1, 1000, "auto"):
        check_seeds(seeds, auto=True)


def test_the_smallest_effect_is_the_metrics_own_where_none_is_named() -> None:
    assert Rules().effect_of_interest == 0.005  # half a point of accuracy
    assert Rules(metric="nll").effect_of_interest == 0.01
    assert Rules(smallest_effect=0.0).effect_of_interest == 0


def test_a_last_look_for_a_number_of_seeds_is_refused() -> None:
    Rules(max_seeds=7).check_use("auto")
    Rules().check_use(5)
    with pytest.raises(StudyError, match="`max_seeds` ends `seeds=auto`, and `seeds` is 5; leave one of the two out"):
        Rules(max_seeds=7).check_use(5)


def test_the_values_that_a_study_has_where_nobody_names_any() -> None:
    rules = Rules()
    assert (rules.validation, rules.drop_leaks, rules.select) == (0.1, False, "last")
    assert (rules.metric, rules.alpha, rules.last_look, rules.max_trials) == ("accuracy", 0.05, 10, None)
    assert (rules.final, rules.spending) == (False, "open")
    assert [(look.seeds, look.share) for look in looks_for("auto", rules)] == [(3, 0.5)]
    assert [(look.seeds, look.share) for look in looks_for(5, rules)] == [(5, 0.78)]
    assert [look.seeds for look in looks_for("auto", Rules(max_seeds=2))] == [2], "no more than may be had"
    assert (most_seeds("auto", rules), most_seeds(7, rules)) == (10, 7)


@pytest.mark.parametrize(
    ("first", "sizes"),
    [(1, [2, 3, 5, 7, 10, 14, 20]), (2, [2, 3, 5, 7, 10, 14, 20]), (3, [3, 5, 7, 10, 14, 20]), (6, [6, 9, 13, 19])],
)
def test_looks_follow_from_the_first(first: int, sizes: list[int]) -> None:
    assert look_sizes(first, 20) == sizes
    for seeds in range(1, 21):
        expected = next((size for size in sizes if size >= seeds), None)
        assert expected is None or next_size(first, seeds) == expected


def test_a_study_may_look_once_with_all_of_alpha() -> None:
    rules = Rules(final=True)
    assert rules.spending == rules.to_record().spending == "declared"
    assert [(look.seeds, look.share) for look in looks_for(3, rules)] == [(3, 1)]


def test_few_seeds_spend_little_at_their_first_look() -> None:
    shares = [first_share(seeds) for seeds in (1, 2, 3, 4, 5, 50)]
    assert shares == sorted(shares)
    assert shares[0] == shares[1] == 0.2
    assert shares[-2] == shares[-1] == 0.78
