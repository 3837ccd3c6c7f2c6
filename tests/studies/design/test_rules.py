import pytest

from stepladder.errors import StudyError
from stepladder.studies.design.rules import Rules, Seeds


@pytest.mark.parametrize(
    ("rules", "seeds", "validation", "words"),
    [
        (Rules(), 0, 0.1, "--seeds is 0; it must be 1 to 1000 or auto"),
        (Rules(max_seeds=1), "auto", 0.1, "--max-seeds is 1; it must be 2 to 1000"),
        (Rules(alpha=0.0), 3, 0.1, "--alpha is 0; it must be above 0"),
        (Rules(smallest_effect=-1.0), 3, 0.1, "--smallest-effect is -1.0; it must be 0 or more"),
        (Rules(max_trials=0), 3, 0.1, "--max-trials is 0"),
        (Rules(select="best"), 3, 0.1, "unknown selection 'best'; did you mean 'best-val'"),
        (Rules(select="best-val"), 3, 0, "--select best-val chooses by validation images"),
        (Rules(metric="ece_calibrated"), 3, 0, "--metric ece_calibrated fits a temperature on validation images"),
        (Rules(metric="auc"), 3, 0.1, "unknown metric 'auc'"),
    ],
)
def test_what_cannot_be_is_refused(rules: Rules, seeds: Seeds, validation: float, words: str) -> None:
    with pytest.raises(StudyError, match=words):
        rules.check(seeds, validation)


def test_the_smallest_effect_is_the_metrics_own_where_none_is_named() -> None:
    assert Rules().effect_of_interest == 0.005
    assert Rules(metric="nll").effect_of_interest == 0.01
    assert Rules(smallest_effect=0.0).effect_of_interest == 0
    Rules().check("auto", 0.1)
