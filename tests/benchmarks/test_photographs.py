"""Reading photographs: a few of them, repeated, and what is refused."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import photographs as room
from stepladder.bench.processes import Measured


@pytest.fixture
def photos(tmp_path):
    (tmp_path / "photos" / "below").mkdir(parents=True)
    for number in range(3):
        noise = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
        Image.fromarray(noise).resize((90, 70)).save(tmp_path / "photos" / "below" / f"{number}.JPG", "JPEG")
    return tmp_path / "photos"


@pytest.mark.long
def test_photographs_are_repeated_and_read(photos):
    calls = []
    files = sorted(photos.rglob("*.JPG"))
    (one, other) = room.measure_reading(files, [(100, 24), (130, 12)], 1, lambda: calls.append(1))
    assert (one.count, one.side, other.count) == (100, 24, 130)
    assert one.seconds[0] > 0
    assert one.processor_seconds[0] > 0.1
    assert one.peaks[0] > 50e6
    assert len(calls) == 2


def test_the_exponent_is_of_the_count(measure, photos, monkeypatch):
    def measured(files, points, rounds, on_point):
        return [room.Reading(count, side, (Measured(9.0, 10**8, 0.001 * count),) * rounds) for count, side in points]

    monkeypatch.setattr(room, "measure_reading", measured)
    outcome = measure("photographs", str(photos), "--json")
    assert json.loads(outcome.out)["exponents"] == {"time": pytest.approx(1), "memory": pytest.approx(0)}
    assert "3 JPEG files, repeated by links" in " ".join(outcome.err.split())


def test_what_is_refused(measure, photos, tmp_path):
    (tmp_path / "none").mkdir()
    for command, message in (
        ((str(tmp_path / "none"),), "none holds no JPEG file; give a folder with photographs"),
        ((str(photos), "--largest", "1000"), "--largest is 1000; it must be at least 4,000"),
    ):
        outcome = measure("photographs", *command)
        assert outcome.code == 2
        assert message in " ".join(outcome.err.split())
