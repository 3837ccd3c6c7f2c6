"""``stepladder bench``: the two commands that take options of their own, and what is refused."""

import json

import pytest
import torch

from stepladder.bench.gpu import WORKERS_AND_STREAMS


def test_one_way_to_use_the_cores(stepladder):
    outcome = stepladder("bench", "study", "--way", "processes", "--seeds", "1", "--epochs", "1", "--json")
    assert outcome.code == 0, outcome.err
    document = json.loads(outcome.out)
    (one,) = document["studies"]
    assert one["threads"] == 1
    assert document["machine"]["matrix_product_flop_per_second"] > 1e8


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here, and its ladders take minutes")
def test_without_a_gpu_the_bench_says_what_it_could_not_measure(stepladder):
    outcome = stepladder("bench", "gpu", "digits")
    assert outcome.code == 0
    assert outcome.out.count("not measured") == 2 + len(WORKERS_AND_STREAMS)
    assert "PyTorch finds no CUDA device here, so nothing of this could be measured." in " ".join(outcome.out.split())
    assert " cores, matrix product of 2048² in " in " ".join(outcome.out.split())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("engine", "--rounds", "0"), "--rounds is 0; it must be at least 1"),
        (("data", "--images", "10"), "--images is 10; it must be at least 1,000"),
        (("start", "--rounds", "0"), "--rounds is 0; it must be at least 1"),
        (("study", "--seeds", "0"), "--seeds is 0; it must be at least 1"),
        (("gpu", "--rounds", "0"), "--rounds is 0; it must be at least 1"),
    ],
)
def test_what_is_refused(stepladder, arguments, message):
    outcome = stepladder("bench", *arguments)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())
