"""A real Ray cluster of this machine: two nodes of one core each, started once for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import pytest

from stepladder.studies.running.cluster import session
from stepladder.studies.running.cluster.scratch import VARIABLE
from stepladder.studies.running.cluster.session import Session, connect, disconnect


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the nodes have their scratch folders; Ray's processes inherit the environment of whoever starts it."""
    folder = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(VARIABLE, str(folder))
        yield folder


@pytest.fixture(scope="module")
def two_nodes(scratch: Path) -> Iterator[str]:
    """The address of the cluster."""
    if find_spec("ray") is None:
        pytest.skip("the extra 'cluster' is not installed")
    session._import_ray()  # first of all, as on the command line: it says what Ray may print
    from benchmarks.cluster import nodes_of  # here: the other tests of these folders need no command line

    with ExitStack() as stack:
        for left in reversed(range(3)):
            try:
                made = stack.enter_context(nodes_of(1, 1))
                break
            except Exception:  # Ray gives a node 30 s to start, and a busy machine may need more
                if not left:
                    raise
        yield made.address
        disconnect()
    assert list(scratch.glob("*/*/slot-*")) == [], "a slot has left its folder"


@pytest.fixture(name="session")
def open_session(two_nodes: str) -> Iterator[Session]:
    """A connection that stays open for a test, so that its slots and what they load are there for its second study."""
    disconnect()  # that of a test before, which has said what is there
    yield connect(two_nodes)
    disconnect()
