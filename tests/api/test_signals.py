"""A request to stop reaches training wherever the signal arrives."""

import os
import signal

import pytest

from stepladder.api.signals import stopping_politely
from stepladder.training.stop import Stop, Stopped


def ask() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_where_nobody_looks_it_leaves_at_once():
    with pytest.raises(Stopped, match="interrupt"), stopping_politely(Stop()):
        ask()


def test_where_somebody_looks_the_step_is_finished():
    stop = Stop()
    with stopping_politely(stop), stop.observing():
        ask()
        assert stop.wanted()
        ask()  # impatience


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_while_an_object_is_finalized_is_not_lost():
    """Python prints what a finalizer raises, and goes on."""

    class Finalized:
        def __del__(self):
            ask()

    stop = Stop()
    with stopping_politely(stop):
        Finalized()
        with pytest.raises(Stopped, match="interrupt"):
            stop.raise_if_wanted()
