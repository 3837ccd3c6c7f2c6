"""Which effects are one question, and what is said of those that are not."""

from __future__ import annotations

from typing import Any

import pytest

from stepladder.studies.pool.files import NetworkRecord, PartRecord
from stepladder.studies.pool.sameness import asks_about, question_of, what_differs
from tests.studies.pool.records import FLIP, SCALE, make_effect

CROP: dict[str, Any] = {"name": "random_crop"}


def test_what_a_set_needs_of_its_own_does_not_part_effects() -> None:
    effect = make_effect()
    other = make_effect("other name", values=(0.1, 0.2), epochs=5, batch_size=128, lr=0.01)
    assert question_of(effect) == question_of(other)


def test_the_same_two_rungs_are_one_question_whatever_the_plan_calls_it() -> None:
    assert question_of(make_effect()) == question_of(make_effect(kind="leave-one-out"))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"optimizer": "adamw"}, "its optimizer is adamw, not sgd"),
        ({"network": NetworkRecord(label="resnet9", fingerprint="others")}, "its network is resnet9, not report"),
        ({"network": NetworkRecord(label="report", fingerprint="others")}, "its network differs"),
        ({"switched": ({"name": "horizontal_flip", "p": 0.3},)}, "settings of horizontal_flip differ (p 0.3, not 0.5)"),
        ({"switched": ({**FLIP, "code": "abc"},)}, "settings of horizontal_flip differ (its code is another)"),
        ({"around": ()}, "it stands without standardize"),
        ({"around": (SCALE, CROP)}, "it stands with random_crop"),
        ({"around": (CROP,)}, "it stands with random_crop and without standardize"),
        ({"around": ({**SCALE, "by": 2},)}, "settings of standardize around it differ (by 2, not absent)"),
    ],
)
def test_what_parts_effects_is_said(changes: dict[str, Any], words: str) -> None:
    effect = make_effect(**changes)
    assert question_of(effect) != question_of(make_effect())
    assert asks_about(effect) == asks_about(make_effect()) == ("horizontal_flip",)
    assert what_differs(effect, make_effect()) == words


def test_another_order_is_another_question() -> None:
    one, other = make_effect(around=(SCALE, CROP)), make_effect(around=(CROP, SCALE))
    assert question_of(one) != question_of(other)
    assert what_differs(one, other) == "its techniques have another order"


def test_a_sum_over_rungs_is_told_from_a_comparison_of_two() -> None:
    parts = tuple(
        PartRecord(weight=weight, techniques=techniques, mean=0.8)
        for weight, techniques in ((0.5, (SCALE, FLIP)), (-0.5, (SCALE,)), (0.5, (FLIP,)), (-0.5, ()))
    )
    shapley = make_effect(parts=parts, kind="shapley")
    assert question_of(shapley) != question_of(make_effect())
    assert shapley.around == ()
    assert shapley.switched == (SCALE, FLIP)
    assert shapley.without is None
    assert make_effect().without == 0.8
