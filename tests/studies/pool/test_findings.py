"""Studies pooled: what goes together, an image set once, what is left out and why, and what a reader must know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stepladder.errors import StudyError
from stepladder.studies.pool.files import NetworkRecord, write_pool
from stepladder.studies.pool.findings import PROPERTIES, pool_studies, read_studies
from stepladder.studies.pool.sets import DescribedStudy, LeftOut
from stepladder.studies.pool.statistics import pool_effects
from stepladder.training.unit import Unit
from tests.studies.pool.records import FLIP, SCALE, made_up_pool, make_effect, make_study, pool_records

DROPOUT: dict[str, Any] = {"name": "dropout", "p": 0.5}


def test_what_is_pooled_is_what_the_statistics_say_of_its_sets() -> None:
    found = made_up_pool()
    assert [(one.name, one.sets) for one in found.techniques] == [("augment", 6), ("dropout", 5)]
    augment = found.techniques[0]
    effects = [member.effect for member in augment.members]
    assert augment.points == pool_effects([one.mean for one in effects], [one.error for one in effects])
    assert augment.odds == pool_effects(
        [one.log_odds for one in effects if one.log_odds], [one.log_odds_error for one in effects if one.log_odds_error]
    )
    assert sum(augment.counted.values()) == 6
    assert augment.counted["helped"] == 3
    assert found.find("dropout") is found.techniques[1]
    assert found.find("mixup") is None
    assert repr(found) == "<PoolFindings of 6 studies of 6 sets: 2 techniques>"


def test_a_share_has_no_difference_beyond_all_points() -> None:
    wide = pool_records(
        make_study("one", make_effect(values=(0.9, 0.1))),
        make_study("two", make_effect(values=(-0.9, 0.1))),
        make_study("three", make_effect(values=(0.5, 0.9))),
    )
    assert wide.techniques[0].points.prediction == (-1.0, 1.0)
    nats = [make_study(name, make_effect(values=(9.0, 1.0 + len(name))), unit=Unit.NATS) for name in ("a", "bc", "def")]
    prediction = pool_records(*nats).techniques[0].points.prediction
    assert prediction is not None
    assert prediction[1] > 1


def test_an_image_set_counts_once_and_by_its_study_of_most_seeds() -> None:
    few = make_study("one", make_effect(values=(0.5, 0.6)), study="few")
    many, other = make_study("one"), make_study("two")
    for records in ((few, many, other), (many, few, other)):
        found = pool_records(*records)
        (technique,) = found.techniques
        assert [member.effect.n for member in technique.members] == [5, 5]
        assert found.sets == 2
        assert found.labels.count("one") == 2
        assert found.left_out == (
            LeftOut("one", "augment", "an image set counts once, and another study of it has 5 seeds for its 2"),
        )


def test_what_no_other_set_answers_is_left_out_and_said_why() -> None:
    found = pool_records(
        make_study("one", make_effect(), make_effect("rare", switched=(DROPOUT,))),
        make_study("two"),
        make_study("three", make_effect(around=())),
        make_study("four", make_effect(switched=({**FLIP, "p": 0.3},), optimizer="adamw")),
    )
    assert [(one.name, one.sets) for one in found.techniques] == [("augment", 2)]
    assert found.left_out == (
        LeftOut("one", "rare", "no other image set has it"),
        LeftOut("three", "augment", "another contrast than on one: it stands without standardize"),
        LeftOut("four", "augment", "another contrast than on one: its optimizer is adamw, not sgd"),
    )


def test_a_set_that_is_pooled_itself_says_why_its_other_contrast_is_not() -> None:
    both = make_study("one", make_effect(), make_effect(around=(SCALE, DROPOUT), kind="leave-one-out"))
    found = pool_records(both, make_study("two"))
    assert [one.sets for one in found.techniques] == [2]
    assert found.left_out == (LeftOut("one", "augment", "another contrast than on two: it stands with dropout"),)


def test_two_questions_of_one_name_are_told_apart() -> None:
    found = pool_records(
        *(make_study(name) for name in ("one", "two")),
        *(make_study(name, make_effect(around=())) for name in ("three", "four")),
    )
    assert sorted(one.name for one in found.techniques) == ["augment (after standardize)", "augment (alone)"]
    # What is short and what one talks of comes first: the network, then the plan.
    small = NetworkRecord(label="lenet5", fingerprint="others")
    networks = pool_records(
        *(make_study(name) for name in ("one", "two")),
        *(make_study(name, make_effect(network=small)) for name in ("three", "four")),
    )
    assert sorted(one.name for one in networks.techniques) == ["augment (lenet5)", "augment (report)"]
    both = [make_effect(), make_effect(around=(SCALE, DROPOUT), kind="leave-one-out")]
    plans = pool_records(*(make_study(name, *both) for name in ("one", "two")))
    assert sorted(one.name for one in plans.techniques) == ["augment (ladder)", "augment (leave-one-out)"]
    called = pool_records(make_study("one"), make_study("two", make_effect("my flips")))
    assert [one.name for one in called.techniques] == ["horizontal_flip"]


def test_where_a_new_set_goes_is_told_by_the_odds() -> None:
    """Three sets gain 46, 50 and 73 points, some thirty times the odds: no interval in points says that it helps."""
    gains = {"ants": (0.46, 3.3), "clothes": (0.50, 3.5), "lights": (0.73, 3.4)}
    records = [
        make_study(
            name,
            make_effect(values=tuple(gain + step for step in (-0.01, 0.0, 0.01)), log_odds=odds, log_odds_error=0.1),
        )
        for name, (gain, odds) in gains.items()
    ]
    (one,) = pool_records(*records).techniques
    assert one.points.prediction is not None
    assert one.points.prediction[0] < 0
    assert one.direction == 1
    turned = [make_study(name, make_effect(log_odds=-odds, log_odds_error=0.1)) for name, (_, odds) in gains.items()]
    assert pool_records(*turned).techniques[0].direction == -1
    nats = [make_study(name, make_effect(log_odds=None, log_odds_error=None)) for name in gains]
    assert pool_records(*nats).techniques[0].direction == 1  # by what there is
    assert pool_records(*nats[:2]).techniques[0].direction == 0  # two sets say nothing of a third


def test_two_sets_of_one_name_are_numbered() -> None:
    found = pool_records(make_study("photos"), make_study("photos", fingerprint="other images"))
    assert found.labels == ("photos", "photos (2)")


def test_studies_with_other_metrics_are_no_pool() -> None:
    with pytest.raises(StudyError, match="one is judged by accuracy and two by macro_f1, and their differences are no"):
        pool_records(make_study("one"), make_study("two", metric="macro_f1", metric_key="macro_f1"))


def test_what_a_reader_must_know_is_said() -> None:
    images = {"train": 50, "test": 20}
    records = [
        make_study("coarse", images=images),
        make_study("fine", make_effect(epochs=5), images=images),
    ]
    studies = [DescribedStudy(records[0], (), ("it is unfinished",)), DescribedStudy(records[1], (), ())]
    found = pool_studies(studies)
    assert found.cautions == (
        "coarse: it is unfinished.",
        "coarse and fine have as many images of the same size. Where these are the same images with other labels, they "
        "count as two sets and are none, and the intervals are too narrow.",
        "Two sets say nothing of a third: a prediction takes 3 sets or more, and is very wide with so few.",
        "The sets had different numbers of epochs, and may differ for that alone.",
    )
    assert pool_records(*(make_study(name) for name in ("a", "bc", "def"))).cautions == ()


def test_what_sets_differ_in_is_read_where_it_is_known() -> None:
    found = pool_records(
        make_study("one", image_shape=(16, 4, 3), may_be_flipped=True, classes=7, images={"train": 12}),
        make_study("two"),
    )
    values = {each.key: [value for value, _ in found.techniques[0].property_values(each)] for each in PROPERTIES}
    assert values == {
        "size": [8.0, 8.0],
        "classes": [7.0, 10.0],
        "images": [12.0, 1003.0],
        "without": [0.8, 0.8],
        "colors": [1.0, 0.0],
        "flip": [1.0],
    }


def test_saved_findings_are_read_as_studies_are(tmp_path: Path) -> None:
    write_pool(tmp_path / "kept", [make_study("one"), make_study("two")], keep_names=True)
    for source in (tmp_path / "kept", tmp_path / "kept/findings.json"):
        assert [study.record.name for study in read_studies([source])] == ["one", "two"]
    for sources, words in (
        ([], "give the folders of studies"),
        ([tmp_path / "kept", tmp_path / "." / "kept"], "is given twice"),
        ([tmp_path], "neither study.json nor findings.json is in"),
        ([tmp_path / "gone"], "there is no .*gone; give the folder"),
    ):
        with pytest.raises(StudyError, match=words):
            read_studies(sources)


def test_a_pool_of_one_set_has_nothing_to_say() -> None:
    found = pool_records(make_study("one", make_effect(), make_effect("other", switched=(DROPOUT,), around=(SCALE,))))
    assert found.techniques == ()
    assert [one.why for one in found.left_out] == ["no other image set has it"] * 2
