"""Questions to a node of a cluster, where it may be another machine than the one that owns the study."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from stepladder.errors import StudyError
from stepladder.network import own
from stepladder.recipe import Recipe
from stepladder.studies.files.processor import processor_name
from stepladder.studies.running.cluster.beside import modules_beside
from stepladder.studies.running.cluster.handing_out import HandingOut, Place, Said, Task
from stepladder.studies.running.cluster.node_images import NodeImages
from stepladder.studies.running.cluster.session import Session, connect, refuse_other_stepladder
from stepladder.studies.running.events import error_of
from stepladder.studies.running.execution import Execution
from stepladder.techniques.catalogue import files_of, texts_of

#: Where an array is placed, and what it is made of in the object store.
Arrays = dict[str, list[Any]]


def order_of(recipes: Sequence[Recipe], conditions: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a worker on a node is told before its first line.

    Args:
        conditions: ``device``, ``precision``, ``threads``, ``checkpoint_seconds``, ``accept_different_bits``.

    Raises:
        RecipeError: the file of a technique was changed since it was named, or is gone.
        StudyError: a file imports what cannot travel; see :func:`modules_beside`.
    """
    networks = own.files_of(recipe.network for recipe in recipes)
    texts = {**_texts_of(recipes), **{reference: text.encode() for reference, text in networks}}
    return {
        "workers": 2,  # of others on the node nothing is known, so the energy of a trial is not
        "streams": 1,
        "techniques": files_of(setting.name for recipe in recipes for setting in recipe.techniques),
        "networks": networks,
        "modules": modules_beside({reference.rpartition(":")[0]: text for reference, text in texts.items()}),
        "path": [os.path.abspath(place) for place in sys.path],  # noqa: PTH100 (of "" too, the current folder)
        **conditions,
    }


def _texts_of(recipes: Sequence[Recipe]) -> dict[str, bytes]:
    return texts_of(setting.name for recipe in recipes for setting in recipe.techniques)


def placing(
    session: Session, arrays: Arrays, on_nodes: NodeImages | str | None = None
) -> Callable[[np.ndarray], dict[str, Any]]:
    """Return what puts an array into the object store and says where it is; its pieces are added to ``arrays``.

    Args:
        on_nodes: where nodes read images, (N, H, W, C), by themselves; these then have no pieces.
    """

    def place(array: np.ndarray) -> dict[str, Any]:
        described: dict[str, Any] = {"shape": list(array.shape), "dtype": array.dtype.str}
        if array.size:
            there = on_nodes is not None and array.ndim == 4
            described["path"] = name = session.name_of(array)
            arrays[name] = [] if there else session.share(array)
        return described

    return place


def told_of(images: NodeImages | str | None) -> str | None:
    """Return what a slot is told of images that nodes read by themselves; None where they travel."""
    return images.to_json() if isinstance(images, NodeImages) else None


class Asking:
    """A slot of a cluster that answers questions; :func:`asking` makes one.

    Attributes:
        session: of the cluster.
        kind: the processor of its node.
    """

    def __init__(self, session: Session, execution: Execution, recipes: Sequence[Recipe], gpus: float) -> None:
        self.session, self._execution = session, execution
        conditions = {"device": "cpu", "precision": "float32", "threads": execution.threads}
        self._order = order_of(recipes, {**conditions, "checkpoint_seconds": 60.0, "accept_different_bits": False})
        self._texts = _texts_of(recipes)
        self._out = HandingOut(
            session,
            1,
            lambda: session.make_slot(execution.threads or 1, gpus, 0, 60.0),
            execution.stop,
            lambda _: None,
            refuse_other_stepladder,
            places=session.places_for("questions"),
        )

    def ask(
        self, question: Callable[[Callable[[np.ndarray], dict[str, Any]]], dict[str, Any]], *, small: bool = False
    ) -> dict[str, Any]:
        """Return the answer to a question, which is given what places its arrays.

        Args:
            small: whether its images are a few that travel, whatever nodes read by themselves.

        Raises:
            StepladderError: as whoever answers raises it.
            Stopped: that was asked for meanwhile.
        """
        arrays: Arrays = {}
        there = None if small else self._execution.images_on_nodes
        read = told_of(there)
        line = json.dumps({**question(placing(self.session, arrays, there)), "name": "asked"})

        def begin(place: Place) -> Any:
            return place.actor.train.remote(self._order, self._texts, line, arrays, {}, read)

        found: dict[str, Any] | None = None
        task = Task("asked", begin)
        for said in self._out.run([task]):
            found = answer_in(said) or found
            if said.ended is not None and said.ended["how"] == "lost":
                self._out.again(task)
        if found is None:
            raise StudyError("a node of the cluster ended without an answer; memory may be short there")
        return found

    def close(self) -> None:
        """End the slot."""
        self.session.end_slots([place.actor for place in self._out.places])
        self._out.places.clear()


@contextmanager
def asking(execution: Execution, recipes: Sequence[Recipe]) -> Iterator[Asking | None]:
    """Yield what answers questions about the nodes of a cluster; None where this machine can answer for them.

    It can where the cluster was started here, and where no node has a GPU or another processor.

    Raises:
        StudyError: no cluster answers, or a node cannot be used.
    """
    if execution.cluster is None:
        yield None
        return
    session = connect(execution.cluster)
    gpus = 1.0 if execution.device in ("auto", "cuda") and any(node.gpus for node in session.nodes()) else 0.0
    if not gpus and session.processors() == {processor_name()}:
        yield None
        return
    made = Asking(session, execution, recipes, gpus)
    try:
        yield made
    finally:
        made.close()


def answer_in(said: Said) -> dict[str, Any] | None:
    """Return the answer among what a slot said; None where there is none yet.

    Raises:
        StepladderError: there was an error in its place.
    """
    found = None
    for line in said.lines:
        event = json.loads(line)
        if event["event"] == "error":
            raise error_of(event)
        if event["event"] == "answer":
            found = event
    return found
