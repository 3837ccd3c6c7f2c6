"""Images of several requests, gathered for one call of the model, which one thread makes."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter

import numpy as np
from threadpoolctl import ThreadpoolController

from stepladder.model.classifier import Classifier

#: Images of one call at most. Below the number from which a model is asked by another arithmetic
#: (``model.forward.FEWEST_IMAGES``), so that an answer does not depend on who asks at the same time.
MOST_IMAGES = 32

#: How long the first image of a call waits for others that are on their way, in seconds.
WAIT_SECONDS = 0.005

_BLAS = ThreadpoolController()

#: Probabilities (N, classes), float32, and unlikeness (N,), float32, where the model tells it.
Answered = tuple[np.ndarray, np.ndarray | None]


@dataclass
class _Job:
    pixels: np.ndarray
    done: Future[Answered] = field(default_factory=Future)


class Batches:
    """One thread that asks ``classifier``; the images of requests that come together go into one call.

    A request that comes alone does not wait: there is a wait only while others are known to be on their way, whose
    images are being decoded.

    Args:
        most: images of one call.
        seen: told of each call: how many images, and its seconds.
    """

    def __init__(
        self, classifier: Classifier, most: int = MOST_IMAGES, seen: Callable[[int, float], None] | None = None
    ) -> None:
        self._classifier, self._most, self._seen = classifier, most, seen
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._coming = 0
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Say that a request is on its way to :meth:`ask`, while inside."""
        with self._lock:
            self._coming += 1
        try:
            yield
        finally:
            with self._lock:
                self._coming -= 1

    def ask(self, pixels: np.ndarray) -> asyncio.Future[Answered]:
        """Put uint8 ``pixels`` (N, H, W, C) into the queue, and return what the model will say of them."""
        job = _Job(pixels)
        self._put(job)
        return asyncio.wrap_future(job.done)

    def alive(self) -> bool:
        """Whether it answers, or would."""
        return self._thread is None or self._thread.is_alive()

    def _put(self, job: _Job) -> None:
        with self._lock:
            if self._thread is None:  # not before: a server may fork once the application is made
                # A daemon, so that a server that is told to end does not wait for a long answer that nobody gets.
                self._thread = threading.Thread(target=self._work, name="stepladder model", daemon=True)
                self._thread.start()
        self._jobs.put(job)

    def close(self) -> None:
        """End the thread once all that waits is done."""
        self._jobs.put(None)

    def _work(self) -> None:
        kept: _Job | None = None
        while True:
            job = kept or self._jobs.get()
            kept = None
            if job is None:
                return
            jobs, kept, ended = self._gather(job)
            self._answer([one for one in jobs if one.done.set_running_or_notify_cancel()])
            if ended:
                return

    def _gather(self, first: _Job) -> tuple[list[_Job], _Job | None, bool]:
        """Return the jobs of one call, what came after them, and whether the end came."""
        jobs, size, deadline = [first], len(first.pixels), perf_counter() + WAIT_SECONDS
        while size < self._most and (self._coming or not self._jobs.empty()):
            try:
                job = self._jobs.get(timeout=max(0.0, deadline - perf_counter()))
            except queue.Empty:
                break
            if job is None:
                return jobs, None, True
            if size + len(job.pixels) > self._most:
                return jobs, job, False
            jobs.append(job)
            size += len(job.pixels)
        return jobs, None, False

    def _answer(self, jobs: list[_Job]) -> None:
        if not jobs:
            return
        try:
            probabilities, unlikeness = self._ask(np.concatenate([job.pixels for job in jobs]))
        except BaseException as error:  # each of those who wait is told
            for job in jobs:
                job.done.set_exception(error)
            return
        start = 0
        for job in jobs:
            part = slice(start, start + len(job.pixels))
            job.done.set_result((probabilities[part], None if unlikeness is None else unlikeness[part]))
            start = part.stop

    def _ask(self, pixels: np.ndarray) -> Answered:
        parts: list[Answered] = []
        for start in range(0, len(pixels), self._most):
            began = perf_counter()
            part = pixels[start : start + self._most]
            # Two threads of BLAS wait for each other on products this small: 16 images took 46 ms of processor time, of
            # which 38 were unlikeness, on a busy two-core machine; with one thread 8.
            with _BLAS.limit(limits=1, user_api="blas"):
                if self._classifier.tells_unlikeness:
                    parts.append(self._classifier.with_unlikeness(part))
                else:
                    parts.append((self._classifier.fast_probabilities(part), None))
            if self._seen is not None:
                self._seen(len(part), perf_counter() - began)
        told = [part[1] for part in parts if part[1] is not None]
        return np.concatenate([part[0] for part in parts]), np.concatenate(told) if told else None
