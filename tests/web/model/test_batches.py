"""Images of several requests in one call: who waits, who does not, and that each gets its own answer."""

from __future__ import annotations

import asyncio
import threading
from time import perf_counter, sleep
from typing import Any

import numpy as np
import pytest

from stepladder.model.classifier import Classifier
from stepladder.web.model import batches
from stepladder.web.model.batches import MOST_IMAGES, Batches


class Sum(Classifier):
    """Says of an image the sum of its pixels, and notes how many it was asked about at a time."""

    tells_unlikeness = False

    def __init__(self, pause: float = 0.0) -> None:
        self.calls: list[int] = []
        self.threads: set[int] = set()
        self.pause = pause

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        self.calls.append(len(pixels))
        self.threads.add(threading.get_ident())
        sleep(self.pause)
        if (pixels == 255).any():
            raise MemoryError("out of memory")
        return pixels.reshape(len(pixels), -1).sum(axis=1, keepdims=True).astype(np.float32)

    def with_unlikeness(self, pixels: np.ndarray) -> Any:
        return self.probabilities(pixels), -self.probabilities(pixels)[:, 0]


def image(value: int, count: int = 1) -> np.ndarray:
    return np.full((count, 2, 2, 1), value, np.uint8)


def test_images_that_wait_go_into_one_call() -> None:
    model = Sum(pause=0.05)
    made = Batches(model, most=8)

    async def main() -> list[Any]:
        first = made.ask(image(1))
        await asyncio.sleep(0.01)  # the model is at work
        return await asyncio.gather(first, *(made.ask(image(value)) for value in range(2, 12)))

    answers = asyncio.run(main())
    assert [float(probabilities[0, 0]) for probabilities, _ in answers] == [4.0 * value for value in range(1, 12)]
    assert model.calls == [1, 8, 2]
    assert len(model.threads) == 1


def test_what_comes_alone_does_not_wait_and_what_others_bring_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "WAIT_SECONDS", 5.0)
    model = Sum()
    made = Batches(model)

    async def main() -> None:
        began = perf_counter()
        await made.ask(image(1))
        assert perf_counter() - began < 2
        with made.coming(), made.coming():
            first = made.ask(image(2))
            await asyncio.sleep(0.05)
            second = made.ask(image(3, MOST_IMAGES - 1))  # with it the call is full
            await asyncio.gather(first, second)
        assert perf_counter() - began < 2

    asyncio.run(main())
    assert model.calls == [1, MOST_IMAGES]


def test_a_wait_has_an_end() -> None:
    model = Sum()
    made = Batches(model)

    async def main() -> None:
        with made.coming():  # whose image is never there
            await asyncio.wait_for(made.ask(image(1)), 5)

    asyncio.run(main())
    assert model.calls == [1]


def test_more_images_than_a_call_takes_are_asked_in_parts() -> None:
    model = Sum()
    seen: list[int] = []
    made = Batches(model, most=4, seen=lambda images, seconds: seen.append(images) if seconds >= 0 else None)

    async def main() -> Any:
        return await made.ask(np.concatenate([image(value) for value in range(10)]))

    probabilities, unlikeness = asyncio.run(main())
    assert probabilities[:, 0].tolist() == [4.0 * value for value in range(10)]
    assert unlikeness is None
    assert model.calls == seen == [4, 4, 2]


def test_unlikeness_comes_with_it_where_the_model_tells_it() -> None:
    model = Sum()
    model.tells_unlikeness = True

    async def main() -> Any:
        made = Batches(model, most=2)
        return await asyncio.gather(made.ask(image(1)), made.ask(image(2, 3)))

    (_, one), (_, three) = asyncio.run(main())
    assert (one.tolist(), three.tolist()) == ([-4.0], [-8.0] * 3)


def test_an_error_reaches_those_of_its_call_alone_and_the_thread_goes_on() -> None:
    made = Batches(Sum())

    async def main() -> None:
        with pytest.raises(MemoryError):
            await made.ask(image(255))
        assert (await made.ask(image(1)))[0].tolist() == [[4.0]]
        assert made.alive()

    asyncio.run(main())


def test_what_nobody_waits_for_any_more_is_not_asked() -> None:
    model = Sum(pause=0.05)
    made = Batches(model)

    async def main() -> None:
        first = made.ask(image(1))
        await asyncio.sleep(0.01)
        gone = made.ask(image(2))
        gone.cancel()
        await first
        await made.ask(image(3))

    asyncio.run(main())
    assert model.calls == [1, 1]


def test_it_ends_when_all_that_waits_is_done() -> None:
    model = Sum()
    made = Batches(model)

    async def main() -> None:
        waiting = [made.ask(image(value)) for value in range(5)]
        made.close()
        await asyncio.gather(*waiting)

    asyncio.run(main())
    assert made._thread is not None
    made._thread.join(5)
    assert not made.alive()
    assert sum(model.calls) == 5
