from inspect import signature
from typing import Any

from stepladder.studies.running.callbacks import CALLBACK_NAMES, CallbackList, Callbacks


class Notes(Callbacks):
    def __init__(self, name: str, told: list[tuple[Any, ...]]) -> None:
        for method in CALLBACK_NAMES:
            setattr(self, method, self._noting(name, method))
        self.told = told

    def _noting(self, name: str, method: str) -> Any:
        return lambda *values: self.told.append((name, method, *values))


def test_a_list_passes_everything_on_in_order() -> None:
    told: list[tuple[Any, ...]] = []
    both = CallbackList([Notes("one", told), Notes("other", told)])
    assert {"trial_started", "epoch_ended", "reading", "message", "leaks_checked"} <= set(CALLBACK_NAMES)
    for method in CALLBACK_NAMES:
        values = tuple(range(len(signature(getattr(Callbacks, method)).parameters) - 1))
        told.clear()
        getattr(both, method)(*values)
        assert told == [("one", method, *values), ("other", method, *values)]


def test_nobody_has_to_listen() -> None:
    for method in CALLBACK_NAMES:
        parameters = list(signature(getattr(Callbacks, method)).parameters)[1:]
        assert getattr(Callbacks(), method)(*parameters) is None
        assert getattr(CallbackList([]), method)(*parameters) is None
