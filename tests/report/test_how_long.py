from stepladder.report.how_long import how_long
from stepladder.studies.running.timing import Estimate, Range


def test_a_range_and_what_it_rests_on() -> None:
    found = Range(240, 360)
    assert how_long(found, 1, Estimate({}, {}, took=1.84)) == "4 to 6 min, by a measurement of 1.8 s."
    assert how_long(found, 2, Estimate({}, {}, took=1.84)) == (
        "4 to 6 min, 2 trials at a time, by a measurement of 1.8 s."
    )


def test_a_busy_machine_is_named_with_the_time_without_the_others() -> None:
    said = how_long(Range(240, 360), 1, Estimate({}, {}, busy=2.0, took=1.0))
    assert said == (
        "4 to 6 min, by a measurement of 1.0 s. Other programs use the processor now; without them it would take 2 to "
        "3 min."
    )
    assert "Other programs" not in how_long(Range(240, 360), 1, Estimate({}, {}, busy=1.1))
