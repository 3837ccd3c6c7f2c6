"""``--threads`` reaches the arithmetic: of PyTorch, and of onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import stepladder as sl
from stepladder.errors import RecipeError
from stepladder.model import torch_model
from stepladder.model.onnx_file import OnnxModel
from stepladder.web.model import serving

BLACK = np.zeros((2, 8, 8, 1), np.uint8)


def test_pytorch_takes_so_many_at_most(model_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int | None] = []
    monkeypatch.setattr(torch_model, "threads_for", lambda _, at_most: asked.append(at_most) or nullcontext())
    sl.load_model(model_folder, threads=3).predict(BLACK)
    sl.load_model(model_folder).predict(BLACK)
    assert set(asked) == {3, None}
    with pytest.raises(RecipeError, match="`threads` is 0"):
        sl.load_model(model_folder, threads=0)


@pytest.mark.long
def test_onnxruntime_takes_so_many(
    model_folder: Path, tmp_path: Path, stepladder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    exported = tmp_path / "digits.onnx"
    assert stepladder("export", str(model_folder), "--out", str(exported)).code == 0
    served: list[OnnxModel] = []
    monkeypatch.setattr(serving, "serve", lambda model, **_: served.append(model) or "interrupt")
    for more in ((), ("--threads", "2")):
        stepladder("serve", str(exported), *more)
    counts = [one._session.get_session_options().intra_op_num_threads for one in served]
    assert counts == [0, 2]  # 0 is as many as there are cores
    assert np.array_equal(served[0].probabilities(BLACK), served[1].probabilities(BLACK))
    with pytest.raises(RecipeError, match="`threads` is -1; a call needs at least 1"):
        sl.load_model(exported, threads=-1)
