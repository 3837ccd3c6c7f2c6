"""What a program that watches the server may read: Prometheus's text, by its own library."""

from __future__ import annotations

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector

from stepladder.web.guard import Handled

#: Seconds; a small network on one core answers in some 2 ms, a large one on many images in seconds.
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_IMAGES = (1, 2, 4, 8, 16, 32, 64, 128)

#: What a request asked for that no address of ours is: whoever asks must not make up new rows.
_OTHER = "other"


class Metrics:
    """Counts what is answered; nothing of what was sent, and of no sender.

    Args:
        model: name of the model.
        paths: the addresses that are counted by their own name.
    """

    text_type = "text/plain; version=0.0.4; charset=utf-8"

    def __init__(self, model: str, paths: frozenset[str]) -> None:
        self._paths = paths
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        labels = ("path", "method", "status")
        self._requests = self._make(Counter, "requests", "Requests that were answered or refused.", labels)
        self._seconds = Histogram(
            "stepladder_request_seconds",
            "From the head of a request to the start of its answer.",
            ("path",),
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._images = self._make(Counter, "images", "Images that the model was asked about.")
        self._received = self._make(Counter, "received_bytes", "Bytes of bodies that were read.")
        self._calls = Histogram(
            "stepladder_batch_images", "Images of one call of the model.", buckets=_IMAGES, registry=self._registry
        )
        self._computing = Histogram(
            "stepladder_model_seconds", "Of one call of the model.", buckets=_SECONDS, registry=self._registry
        )
        about = Gauge("stepladder_model_info", "The model that answers.", ("model",), registry=self._registry)
        about.labels(model).set(1)

    def _make(self, kind: type[Counter], name: str, text: str, labels: tuple[str, ...] = ()) -> Counter:
        return kind(f"stepladder_{name}", text, labels, registry=self._registry)

    def handled(self, one: Handled) -> None:
        """Count a request."""
        path = one.path if one.path in self._paths else _OTHER
        method = one.method if one.method in ("GET", "HEAD", "POST", "OPTIONS") else _OTHER
        self._requests.labels(path, method, str(one.status)).inc()
        self._seconds.labels(path).observe(one.seconds)
        self._received.inc(one.received)

    def called(self, images: int, seconds: float) -> None:
        """Count a call of the model."""
        self._images.inc(images)
        self._calls.observe(images)
        self._computing.observe(seconds)

    def watch(self, open_requests: Callable[[], int]) -> None:
        """Show how many requests are not over."""
        gauge = Gauge("stepladder_open_requests", "Requests that are not over.", registry=self._registry)
        gauge.set_function(open_requests)

    def text(self) -> bytes:
        """Return all of it, as Prometheus reads it."""
        return generate_latest(self._registry)
