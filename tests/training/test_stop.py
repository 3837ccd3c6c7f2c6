import pytest

from stepladder.training.stop import Stop, Stopped


def test_the_first_reason_stays():
    stop = Stop()
    stop.raise_if_wanted()
    stop.request("terminate")
    stop.request("interrupt")
    with pytest.raises(Stopped) as stopped:
        stop.raise_if_wanted()
    assert stopped.value.reason == "terminate"


def test_it_stops_by_itself_after_its_time(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("stepladder.training.stop.monotonic", lambda: now[0])
    stop = Stop(max_seconds=10)
    now[0] = 109.9
    assert not stop.wanted()
    now[0] = 110
    assert stop.wanted()
    assert stop.reason == "time"


def test_it_passes_whoever_catches_errors():
    assert issubclass(Stopped, KeyboardInterrupt)
    assert not issubclass(Stopped, Exception)


def test_observing_ends_where_it_began():
    stop = Stop()
    with stop.observing():
        with stop.observing():
            pass
        assert stop.observed
    assert not stop.observed
