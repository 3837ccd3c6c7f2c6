"""Separate random streams, each derived from (seed, name): switching one thing on moves no other random number."""

from __future__ import annotations

import hashlib

import torch

_CPU = torch.device("cpu")


class Streams:
    """The random streams of one trial.

    The same seed and name always start the same stream, whatever else a recipe switches on:

    ``weights/<layer>``  initial weights of a layer; ``order``  order of the images;
    ``augment/<technique>``  one technique's augmentation; ``dropout/<layer>``  dropout masks of a layer.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def __call__(self, name: str, device: torch.device = _CPU) -> torch.Generator:
        """Return a new generator on ``device``, at the start of the stream ``name``."""
        digest = hashlib.sha256(f"{self.seed}/{name}".encode()).digest()
        # 63 bits: torch takes a signed 64-bit seed.
        return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)
