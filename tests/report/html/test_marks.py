from stepladder.report.html.marks import SYMBOLS, verdict_marks


def test_every_verdict_has_a_sign_of_its_own():
    assert len(set(SYMBOLS.values())) == len(SYMBOLS) == 5


def test_marks_follow_the_plan_and_carry_the_interval(make_study):
    marks = verdict_marks(make_study(seeds=5))
    assert [mark.name for mark in marks] == ["standardize", "augment", "schedule", "dropout", "batchnorm"]
    assert (marks[0].kind, marks[0].symbol, marks[0].word) == ("helped", "▲", "helped")
    assert marks[0].figures.startswith("+6.")
    assert "[" in marks[0].figures


def test_nothing_is_marked_before_test_is_read_or_of_one_seed(make_study):
    assert verdict_marks(make_study(seeds=1)) == []
    assert verdict_marks(make_study(read=False)) == []
