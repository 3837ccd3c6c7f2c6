import pytest

from stepladder.studies.design.rules import declare_looks, single_look


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
