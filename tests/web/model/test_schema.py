"""The server held against its own schema by schemathesis: made-up requests, right ones and wrong ones."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest

from tests.web.served import Served

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed: pip install schemathesis")

from hypothesis import HealthCheck, Phase, given, settings  # noqa: E402

_STATUSES = {200, 400, 401, 403, 404, 405, 408, 413, 415, 421, 422, 429, 503}


def attack(server: Served, examples: int) -> dict[str, Counter[int]]:
    """Ask with ``examples`` made-up requests an operation and kind, and count the statuses by operation."""
    schema = schemathesis.openapi.from_url(server.base + "/openapi.json")
    found: dict[str, Counter[int]] = {}
    # Bytes that a schema allows are no image, so right data may be refused; all else must hold.
    unasked = schemathesis.checks.CHECKS.get_by_names(["positive_data_acceptance"])

    def hold(case: schemathesis.Case) -> None:
        answer = case.call(timeout=60)
        case.validate_response(answer, excluded_checks=unasked)
        found.setdefault(f"{case.method} {case.path}", Counter())[answer.status_code] += 1
        assert answer.status_code in _STATUSES, answer.text
        if answer.status_code >= 400:
            assert list(answer.json()) == ["error"]

    limits = settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for result in schema.get_all_operations():
        operation = result.ok()
        limits(given(operation.as_strategy(generation_mode=schemathesis.GenerationMode.POSITIVE))(hold))()
        if operation.method == "post":  # the others take nothing that could be wrong
            limits(given(operation.as_strategy(generation_mode=schemathesis.GenerationMode.NEGATIVE))(hold))()
    return found


def check(server: Served, examples: int) -> None:
    found = attack(server, examples)
    assert set(found) == {
        "POST /predict", "POST /explain", "GET /model", "GET /healthz", "GET /readyz", "GET /metrics"
    }  # fmt: skip
    assert 422 in found["POST /predict"]
    assert all(200 in found[name] for name in found if name.startswith("GET"))
    assert Path(f"/proc/{server.pid}").exists()
    assert "Traceback" not in server.printed.read_text()
    for name, statuses in found.items():  # shown by pytest -s
        print(f"{name}: {sum(statuses.values()):,} requests, {dict(sorted(statuses.items()))}")


@pytest.mark.long
def test_made_up_requests_are_answered_as_the_schema_says(server: Served) -> None:
    check(server, 4)


@pytest.mark.soak
def test_many_made_up_requests_are_answered_as_the_schema_says(server: Served) -> None:
    check(server, int(os.environ.get("STEPLADDER_EXAMPLES", "1500")))
