"""The model in LitServe, with batches gathered within 5 ms as in ours: ``with_litserve.py MODEL``."""

import sys

import litserve
import numpy as np

import stepladder as sl
from stepladder.model.images import read_pixels


class Answers(litserve.LitAPI):  # type: ignore[misc]
    """The model, in LitServe's steps."""

    def setup(self, device: str) -> None:  # noqa: ARG002 (what LitServe calls)
        """Load the model, in the process that asks it."""
        self.model = sl.load_model(sys.argv[1])

    # LitServe reads the annotation, and takes a request without one for a form or JSON, by its header.
    def decode_request(self, request) -> np.ndarray:  # type: ignore[no-untyped-def]
        """Return an image as the model reads it."""
        model = self.model
        pixels = read_pixels(request["images"].file.read(), model.image_shape, model.fit, model.span)
        return np.asarray(pixels[0])

    def batch(self, inputs: list[np.ndarray]) -> np.ndarray:
        """Gather images of several requests."""
        return np.stack(inputs)

    def predict(self, pixels: np.ndarray) -> np.ndarray:
        """Ask the model."""
        return self.model.probabilities(pixels)

    def unbatch(self, output: np.ndarray) -> list[np.ndarray]:
        """Part the answer again."""
        return list(output)

    def encode_response(self, output: np.ndarray) -> list[tuple[str, float]]:
        """Return the likeliest classes."""
        likeliest = np.argsort(-output)[:3]
        return [(self.model.class_names[label], float(output[label])) for label in likeliest]


if __name__ == "__main__":
    server = litserve.LitServer(Answers(max_batch_size=32, batch_timeout=0.005), accelerator="cpu", timeout=60)
    print("http://127.0.0.1:8766", flush=True)
    server.run(host="127.0.0.1", port=8766, generate_client_file=False, log_level="error")
