import pytest

from stepladder.errors import StudyError
from stepladder.studies.design.rules import (
    Protocol,
    Rules,
    Seeds,
    check_seeds,
    declare_looks,
    looks_for,
    single_look,
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
        (Rules(metric="auc"), "unknown metric 'auc'"),
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


def test_the_values_that_a_study_has_where_nobody_names_any() -> None:
    rules = Rules()
    assert (rules.validation, rules.drop_leaks, rules.select) == (0.1, False, "last")
    assert (rules.metric, rules.alpha, rules.max_seeds, rules.max_trials) == ("accuracy", 0.05, 10, None)
    assert [look.seeds for look in looks_for("auto", rules)] == [3, 5, 8, 10]
    assert looks_for(4, rules) == single_look(4)


@pytest.mark.parametrize(("most", "sizes"), [(1, [1]), (2, [2]), (3, [3]), (4, [3, 4]), (10, [3, 5, 8, 10])])
def test_looks_start_at_three_seeds_and_end_at_the_most(most: int, sizes: list[int]) -> None:
    assert [look.seeds for look in declare_looks(most)] == sizes


@pytest.mark.parametrize("most", range(1, 60))
def test_the_looks_spend_the_error_once_and_by_seeds(most: int) -> None:
    looks = declare_looks(most)
    assert sum(look.share for look in looks) == pytest.approx(1)
    spent = 0.0
    for look in looks:
        spent += look.share
        assert spent == pytest.approx(look.seeds / most)


def test_a_fixed_number_of_seeds_is_one_look() -> None:
    assert [(look.seeds, look.share) for look in single_look(3)] == [(3, 1)]
