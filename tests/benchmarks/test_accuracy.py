import json

import pytest


@pytest.mark.soak
def test_the_time_to_an_accuracy(measure):
    outcome = measure("accuracy", "digits", "--recipe", "small", "--wanted", "60", "--json")
    assert outcome.code == 0, outcome.err
    (run,) = json.loads(outcome.out)["races"]
    assert 0 < run["seconds"] < run["whole"]
    assert run["accuracy"] > 0.9
    never = measure("accuracy", "digits", "--recipe", "small", "--wanted", "99.99")
    assert "reached by 0 of 1" in never.out or "99.99" in never.out


def test_a_percentage_is_refused_that_is_none(measure):
    outcome = measure("accuracy", "digits", "--wanted", "100")
    assert outcome.code == 2
    assert "--wanted is 100; it must be a percentage" in outcome.err
