"""Work on blocks of images by all cores that this process may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


def available_cores() -> int:
    """Return how many cores this process may use: a container or batch job often gets fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def all_cores(at_most: int | None = None) -> Iterator[ThreadPoolExecutor]:
    """Give a pool with a thread for each core, or with ``at_most`` threads.

    Numpy releases the interpreter's lock while it computes.

    One thread a matrix product: on small blocks two threads of BLAS wait for each other, beside another busy process
    they wait long, and their sums would have other bits.
    """
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(at_most or available_cores()) as pool:
        yield pool


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``work(item)`` for every item, in order, from the pool of :func:`all_cores`."""
    with all_cores() as pool:
        yield from pool.map(work, items)
