"""``stepladder serve`` as it is typed; what it answers is tested in tests/web/model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from stepladder.web.model import serving
from stepladder.web.model.serving import _name_of


def test_its_help_has_examples_and_needs_no_extra(
    stepladder: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("fastapi", "uvicorn", "prometheus_client"):
        monkeypatch.setitem(sys.modules, module, None)
    shown = stepladder("serve", "--help")
    assert shown.code == 0
    assert "stepladder serve model.onnx --port 9000 --quiet" in shown.out
    lacking = stepladder("serve", "model")
    assert lacking.code == 2
    assert "pip install 'stepladder[serve]'" in lacking.err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nowhere",), "nowhere does not exist; give the model folder of a trial"),
        (("nowhere", "--max-batch", "0"), "--max-batch is 0; it must be 1 to 10,000"),
        (("nowhere", "--max-images", "0"), "--max-images is 0; it must be 1 to 10,000"),
        (("nowhere", "--max-pixels", "60000000"), "--max-pixels is 60000000; it must be 1 to 50,000,000"),
        (("nowhere", "--max-megabytes", "0"), "--max-megabytes is 0; it must be more than 0"),
        (("nowhere", "--max-megabytes", "nan"), "--max-megabytes is nan; it must be more than 0"),
        (("nowhere", "--max-requests", "-1"), "--max-requests is -1; it must be more than 0"),
        (("nowhere", "--threads", "0"), "--threads is 0; it must be more than 0"),
        (("nowhere", "--port", "70000"), "--port is 70000; it must be 0 to 65535"),
        (("nowhere", "--token", "short"), "--token has 5 letters; give 16 or more"),
        (("https://example.org/model.onnx",), "does not exist"),
    ],
)
def test_wrong_input_is_one_sentence(stepladder: Callable[..., Any], arguments: tuple[str, ...], words: str) -> None:
    refused = stepladder("serve", *arguments)
    assert refused.code == 2
    assert words in refused.err
    assert refused.err.count("\n") == 1


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("studies/digits-ladder/trials/0123456789abcdef/model", "digits-ladder, trial 01234567"),
        ("digits/model", "digits"),
        ("my shapes.onnx", "my shapes"),
        (Path("there/shapes"), "shapes"),
        (b"bytes of a file", "model"),
    ],
)
def test_a_model_is_called_by_what_people_know_it_by(path: Any, name: str) -> None:
    assert _name_of(path) == name


def test_the_line_of_a_request_says_nothing_of_what_was_sent() -> None:
    from stepladder.web.guard import Handled

    line = serving.line_of(Handled("POST", "/predict", 200, 0.0123, 5))
    assert line[8:] == "  200      12 ms  POST /predict"
