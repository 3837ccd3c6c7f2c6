"""A budget of claims: the levels by hand, and loops of a thousand proposals that do nothing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from stepladder.errors import StorageError, StudyError
from stepladder.studies.judging.verdicts import weigh
from stepladder.studies.scores.claims import Budget, lond_level, read_budget, write_budget


def test_levels_add_up_to_alpha_and_are_multiplied_by_what_was_accepted() -> None:
    levels = [lond_level(number, 0, 0.05) for number in range(1, 100_001)]
    assert levels[0] == pytest.approx(0.05 * (1 - 1 / math.log2(3)))
    assert sum(levels) == pytest.approx(0.05 * (1 - 1 / math.log2(100_002)))
    assert lond_level(7, 2, 0.05) == pytest.approx(3 * lond_level(7, 0, 0.05))
    with pytest.raises(ValueError, match="counted from 1"):
        lond_level(0, 0, 0.05)


def test_of_loops_over_a_thousand_proposals_without_effect_at_most_5_percent_accept_any() -> None:
    random, loops, proposals = np.random.default_rng(1), 400, 1000
    levels = np.array([lond_level(number, 0, 0.05) for number in range(1, proposals + 1)])
    accepted_any = helped = every = 0
    for _ in range(loops):
        differences = random.standard_normal((proposals, 5))
        evidence = weigh(differences, 0.05)
        better = evidence.mean > 0
        accepted_any += bool((better & (evidence.p_value < levels)).any())
        helped += bool((better & (evidence.p_value < 0.05)).any())
        every += 1
    # Half of the error is on the side of hurt, so 2.5 % are expected at most; of 400 loops, 20 would be 5 %.
    assert accepted_any / every <= 0.05
    assert accepted_any > 0
    assert helped / every > 0.99  # as a loop without a budget


def test_proposals_that_do_something_are_accepted_and_pay_for_later_ones() -> None:
    random = np.random.default_rng(2)
    budget = Budget(0.05)
    wrong = 0
    for number in range(300):
        real = number % 3 == 0
        differences = random.standard_normal(8) + (5.0 if real else 0.0)
        evidence = weigh(differences, 0.05)
        accepted = bool(evidence.p_value < budget.level() and evidence.mean > 0)
        wrong += accepted and not real
        budget = budget.with_claim(f"proposal {number}", accepted, {})
    assert budget.accepted > 60
    assert wrong / budget.accepted <= 0.1


def test_a_proposal_keeps_its_level_when_seeds_are_added_and_its_scores_may_not_change() -> None:
    scores = {"base": {"0": 0.5}, "new": {"0": 0.6}}
    budget = Budget(0.05).with_claim("new", accepted=False, scores=scores)
    assert budget.level("new") == lond_level(1, 0, 0.05)
    assert budget.level("other") == budget.level() == lond_level(2, 0, 0.05)
    more = {"base": {"0": 0.5, "1": 0.5}, "new": {"0": 0.6, "1": 0.7}}
    budget.check("new", more)
    again = budget.with_claim("new", accepted=True, scores=more)
    assert (len(again.claims), again.accepted) == (1, 1)
    with pytest.raises(StudyError, match="was judged by another score of new, seed 0"):
        budget.check("new", {"base": {"0": 0.5}, "new": {"0": 0.7}})
    with pytest.raises(StudyError, match="another score of base, seed 0"):
        budget.check("new", {"new": {"0": 0.6}})


def test_a_budget_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "claims.json"
    budget = read_budget(path, 0.05).with_claim("a", accepted=True, scores={"a": {"0": 0.5, "1": None}})
    write_budget(path, budget)
    assert read_budget(path, 0.05) == budget
    with pytest.raises(StudyError, match=r"was begun with `alpha` 0\.05, and it is 0\.1 now"):
        read_budget(path, 0.1)
    path.write_text("{}")
    with pytest.raises(StorageError, match="is no budget of claims"):
        read_budget(path, 0.05)
