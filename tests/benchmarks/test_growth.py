"""How a study grows: small ones, the exponent, the picture, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest

from benchmarks import growth as room
from benchmarks.growth import exponent, grown_values, measure_growth
from stepladder.bench.processes import Measured
from stepladder.datasets import ImageSet, Split, make_splits


def test_the_exponent_is_the_steepest_of_the_upper_half():
    values = [1, 2, 4, 8, 16, 32]
    assert exponent(values, [5 + value for value in values]) == pytest.approx(0.82, abs=0.01)
    assert exponent(values, [value**2 for value in values]) == pytest.approx(2)
    late = [1, 2, 4, 8, 16, 64]  # linear until the last, which is what an average over all would hide
    assert exponent(values, late) == pytest.approx(2)


@pytest.mark.soak
def test_growth_measures_whole_studies(monkeypatch):
    monkeypatch.setitem(room._GROWN, "classes", (2, 4))
    monkeypatch.setitem(room._FROM, "classes", room.Point(images=200, size=16))
    grown = measure_growth("classes")
    assert grown.values == (2, 4)
    assert all(one.seconds > 0 and one.peak > 100e6 for one in grown.measured)


@pytest.mark.usefixtures("pictures_rendered")
def test_growth_draws_its_picture(measure, monkeypatch, tmp_path):
    def measured(what, largest=None, advance=None):
        values = grown_values(what, largest)
        return room.Growth(what, values, tuple(Measured(2.0 * value, 10**9, 2.0 * value) for value in values))

    monkeypatch.setattr(room, "measure_growth", measured)
    outcome = measure("growth", "--of", "images", "--of", "seeds", "--picture", "g/growth.svg", "--json")
    drawn = (tmp_path / "g" / "growth.svg").read_text()
    assert json.loads(outcome.out)["exponents"]["seeds"] == {"time": pytest.approx(1), "memory": pytest.approx(0)}
    assert drawn.count("exponent 1.00") == drawn.count("exponent 0.00") == 2
    assert "How a study grows" in drawn
    assert "peak memory, MB" in drawn


@pytest.mark.parametrize("what", ["images", "seeds", "classes", "size"])
def test_every_point_can_be_split(what):
    values = grown_values(what)
    assert len(values) > 2
    for value in values:
        point = replace(room._FROM[what], **{what: value})
        labels = np.arange(point.images) % point.classes
        images = np.zeros((point.images, 1, 1, 1), np.uint8)
        names = tuple(str(number) for number in range(point.classes))
        assert make_splits(ImageSet("points", names, {"train": Split(images, labels)})).validation is not None


@pytest.mark.parametrize(
    ("option", "message"),
    [
        (("--picture", "a.jpg"), "--picture is a.jpg; give a name that ends in .svg or .png"),
        (("--largest", "10"), "--largest 10 leaves fewer than 3 values of images"),
    ],
)
def test_what_is_refused(measure, option, message):
    outcome = measure("growth", *option)
    assert outcome.code == 2
    assert message in " ".join(outcome.err.split())
