"""The checksum of an exported file is its last entry of metadata, and tells of every changed byte."""

from __future__ import annotations

from pathlib import Path

import pytest

from stepladder.errors import StorageError
from stepladder.model.onnx_file import has_its_checksum, with_checksum, without_checksum

onnx = pytest.importorskip("onnx")


def test_a_file_with_its_checksum_is_the_same_model_and_every_changed_byte_is_found(tmp_path: Path) -> None:
    helper = onnx.helper
    value = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1])
    other = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1])
    model = helper.make_model(helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [value], [other]))
    helper.set_model_props(model, {"stepladder": "{}"})
    plain = model.SerializeToString()
    content = with_checksum(plain)
    assert without_checksum(content) == without_checksum(plain) == plain
    read = onnx.load_from_string(content)
    onnx.checker.check_model(read)
    assert read.graph == model.graph
    assert [entry.key for entry in read.metadata_props] == ["stepladder", "stepladder sha256"]

    path = tmp_path / "model.onnx"
    path.write_bytes(content)
    assert has_its_checksum(path) is True
    for position in range(len(content)):
        path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
        assert has_its_checksum(path) is not True, position
    path.write_bytes(content + b" ")
    assert has_its_checksum(path) is False
    path.write_bytes(plain)
    assert has_its_checksum(path) is None
    with pytest.raises(StorageError, match="cannot read"):
        has_its_checksum(tmp_path / "none.onnx")
