from __future__ import annotations

from collections.abc import Callable

import pytest

from stepladder.report.question import describe_question
from stepladder.report.write import study_head
from stepladder.studies.files.records import SavedStudy
from stepladder.studies.findings import work_out


@pytest.mark.parametrize(
    ("options", "question"),
    [
        (
            {"rungs": 3, "seeds": 5},
            "Which training technique helps? 3 recipes were each trained 5 times on 45,000 images of cifar10-jpeg, 10 "
            "classes, and compared on 10,000 test images.",
        ),
        (
            {"rungs": 2, "seeds": 1},
            "Which training technique helps? 2 recipes were each trained once on 45,000 images of cifar10-jpeg, 10 "
            "classes, and compared on 10,000 test images.",
        ),
    ],
)
def test_a_study_says_what_was_asked_in_plain_words(
    make_study: Callable[..., SavedStudy], options: dict[str, int], question: str
) -> None:
    findings = work_out(make_study(**options))
    assert describe_question(findings) == study_head(findings).question == question


def test_a_sweep_says_that_test_was_not_read(made_up_sweep: Callable[..., SavedStudy]) -> None:
    findings = work_out(made_up_sweep(["optimizer.lr=0.1,0.2"], [[0.8, 0.9], [0.7, 0.8]]))
    said = describe_question(findings)
    assert said.startswith("Which settings are best? 2 combinations were each trained twice on ")
    assert said.endswith(" validation images. The test images were not read.")
