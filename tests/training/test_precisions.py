"""Training in each precision gives the same bits again, with the processor's newest instructions and without them.

What one processor takes another does not have: with ``ONEDNN_MAX_CPU_ISA`` oneDNN runs as on one without AVX-512 and
bfloat16, so that the other path is tried on any machine.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

TRAINING = """
import hashlib, sys, torch
from stepladder.datasets import load_image_set, make_splits
from stepladder.recipe import parse_recipe
from stepladder.training.assembly import TrainingData
from stepladder.training.device import Compute
from stepladder.training.loop import train_network

splits = make_splits(load_image_set("digits", limit=20))
recipe = parse_recipe({"name": "tiny", "network": "conv5-8 pool2 conv3-8 fc16 fc", "epochs": 2, "batch_size": 16,
                       "techniques": [{"name": "standardize"}, {"name": "batch_norm"}]})
for precision in sys.argv[1:]:
    compute = Compute(torch.device("cpu"), precision, 1)
    for _ in range(2):
        one = train_network(recipe, TrainingData(splits.train, splits.validation, 10), 0, compute)
        assert one.failure is None, one.error
        bits = b"".join(value.numpy().tobytes() for value in one.module.state_dict().values())
        print(hashlib.sha256(bits).hexdigest())
"""


@pytest.mark.long
@pytest.mark.parametrize("most", ["AVX2", pytest.param("ALL", marks=pytest.mark.soak)])
def test_the_same_seed_gives_the_same_bits_on_either_path(most: str) -> None:
    environment = {**os.environ, "ONEDNN_MAX_CPU_ISA": most}
    done = subprocess.run(
        [sys.executable, "-c", TRAINING, "float32", "bfloat16"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, second, bfloat16, again = done.stdout.split()
    assert first == second != bfloat16
    assert bfloat16 == again
