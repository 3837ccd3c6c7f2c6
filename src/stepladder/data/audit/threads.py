"""Work on blocks of images by all cores that this process may use."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from threadpoolctl import threadpool_limits

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(work: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``work(item)`` for every item, in order; numpy lets go of the interpreter while it computes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # One thread a product: on blocks this small two threads of BLAS wait for each other, and beside another busy
    # process they wait long.
    with threadpool_limits(1, "blas"), ThreadPoolExecutor(cores) as pool:
        yield from pool.map(work, items)
