"""What in an image speaks for a class, as pictures that a page lays over one another."""

from __future__ import annotations

import asyncio
import base64
import copy
import io
import queue
import threading
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from stepladder.datasets.threads import available_cores
from stepladder.errors import missing_extra
from stepladder.model.classifier import Classifier
from stepladder.web.guard import Refused

if TYPE_CHECKING:
    from stepladder.model.torch_model import Model

#: Explanations that run or wait at a time: each takes as long as a hundred predictions.
MOST_AT_A_TIME = 8

#: Of a picture that is laid over another: the strongest places are as opaque as this.
_OPACITY = 0.75


def why_it_cannot(classifier: Classifier) -> str | None:
    """Return the sentence why ``classifier`` is not explained here; None where it is."""
    if not hasattr(classifier, "module"):
        return "an exported file is closed; serve the model folder that it came from, and it can be explained"
    try:
        import captum.attr  # noqa: F401
    except ImportError:
        return missing_extra("captum", "explain")
    return None


@dataclass
class _Question:
    content: bytes
    class_name: str | None
    done: Future[dict[str, Any]] = field(default_factory=Future)


class Explanations:
    """One thread that explains, beside the one that predicts: no prediction waits for an explanation.

    It has its own copy of the network, made for the first question: Grad-CAM hangs hooks on the layers, which the
    images of others must not set off. It computes by half of the cores.

    Args:
        classifier: one that :func:`why_it_cannot` says nothing of.
        most: that run or wait at a time.
    """

    def __init__(self, classifier: Classifier, most: int = MOST_AT_A_TIME) -> None:
        self._classifier, self._most = classifier, most
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._open = 0
        self._thread: threading.Thread | None = None

    def ask(self, content: bytes, class_name: str | None) -> asyncio.Future[dict[str, Any]]:
        """Put an encoded image into the queue, and return what :func:`explanation_document` will say of it.

        Raises:
            Refused: 429, too many wait.
        """
        with self._lock:
            if self._open >= self._most:
                raise Refused(429, f"{self._most} explanations wait already; ask again later", {"Retry-After": "5"})
            self._open += 1
            if self._thread is None:  # a daemon, as the thread that predicts
                self._thread = threading.Thread(target=self._work, name="stepladder explaining", daemon=True)
                self._thread.start()
        question = _Question(content, class_name)
        self._questions.put(question)
        return asyncio.wrap_future(question.done)

    def close(self) -> None:
        """End the thread once all that waits is done."""
        self._questions.put(None)

    def _work(self) -> None:
        from stepladder.training.device import SMALL_STEP, threads_for

        half = max(1, available_cores() // 2)
        own: Model | None = None
        while (question := self._questions.get()) is not None:
            if question.done.set_running_or_notify_cancel():
                try:
                    own = own or _copy_of(self._classifier)
                    with threads_for(SMALL_STEP, half):  # put back afterwards: other threads of this process see it
                        told = explanation_document(own, question.content, question.class_name)
                    question.done.set_result(told)
                except BaseException as error:  # whoever waits is told
                    question.done.set_exception(error)
            with self._lock:
                self._open -= 1


def _copy_of(classifier: Classifier) -> Model:
    from stepladder.model.torch_model import Model

    assert isinstance(classifier, Model)
    return replace(classifier, module=copy.deepcopy(classifier.module))


def explanation_document(classifier: Model, content: bytes, class_name: str | None) -> dict[str, Any]:
    """Return :class:`stepladder.web.model.answers.Explained` of one encoded image, as plain values.

    Raises:
        StepladderError: the image cannot be read, there is no such class, or the model cannot be explained.
    """
    from stepladder.model.explain import explain_image

    found = explain_image(classifier, content, class_name)
    heat = np.clip(found.grad_cam, 0, 1)
    changed = np.clip(found.occlusion, -1, 1)
    return {
        "class": found.class_name,
        "probability": found.probability,
        "image": _data_url(found.pixels if found.pixels.shape[2] == 3 else found.pixels[:, :, 0]),
        "grad_cam": _data_url(_laid_over("YlOrRd", heat, heat)),
        "occlusion": _data_url(_laid_over("RdBu_r", (changed + 1) / 2, np.abs(changed))),
    }


def _laid_over(name: str, values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return ``values`` (H, W), 0 to 1, as uint8 colors, opaque by ``weights``; the colors that `explain` has."""
    from matplotlib import colormaps

    colors: np.ndarray = colormaps[name](values)
    colors[:, :, 3] = _OPACITY * weights
    return (255 * colors).round().astype(np.uint8)


def _data_url(pixels: np.ndarray) -> str:
    from PIL import Image

    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return "data:image/png;base64," + base64.b64encode(written.getvalue()).decode("ascii")
