"""Event files: as TensorBoard's own reader has them, and cut or damaged ones."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepladder.studies.scores.event_files import read_events

FILE = next((Path(__file__).with_name("data") / "tensorboard" / "base" / "seed0").iterdir())


def test_scalars_are_those_of_tensorboards_own_reader() -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    theirs = accumulator.EventAccumulator(str(FILE), size_guidance={"scalars": 0, "tensors": 0})
    theirs.Reload()
    ours = read_events(FILE)
    assert [row["step"] for row in ours] == [0, 1, 2]
    assert [row["test/accuracy"] for row in ours] == pytest.approx(
        [one.value for one in theirs.Scalars("test/accuracy")]
    )
    tensors = [one.tensor_proto.float_val[0] for one in theirs.Tensors("val/accuracy")]
    assert [row["val/accuracy"] for row in ours] == pytest.approx(tensors)


def test_a_file_that_is_cut_has_what_is_whole(tmp_path: Path) -> None:
    whole = FILE.read_bytes()
    lengths = set()
    for size in range(0, len(whole), 7):
        (tmp_path / "cut").write_bytes(whole[:size])
        lengths.add(len(read_events(tmp_path / "cut")) if size > 40 else 0)
    assert lengths == {0, 1, 2, 3}


@pytest.mark.parametrize("place", range(8, 400, 13))
def test_a_damaged_byte_is_another_number_or_a_sentence(tmp_path: Path, place: int) -> None:
    content = bytearray(FILE.read_bytes())
    content[place] ^= 0xFF
    (tmp_path / "damaged").write_bytes(content)
    try:
        rows = read_events(tmp_path / "damaged")
    except ValueError:
        rows = []
    assert len(rows) <= 4
