import json

import numpy as np

from stepladder.datasets import Split
from stepladder.studies.files.ledger import PlanRead, note_reading


def test_it_lists_images_and_plans(stepladder):
    none = stepladder("readings")
    assert (none.code, none.out.strip()) == (0, "No test images were read on this computer yet.")
    split = Split(np.zeros((30, 4, 4, 1), np.uint8), np.zeros(30, np.int64))
    for name in ("one", "two"):
        note_reading(split, PlanRead(name, "ladder", "dots", f"/studies/{name}", "2026-01-31T12:00:00+00:00"))
    told = stepladder("readings")
    assert "dots: 30 test images, read in 2 plans" in told.out
    assert "2026-01-31T12:00:00+00:00 ladder /studies/one" in " ".join(told.out.split())
    (document,) = json.loads(stepladder("readings", "--json").out)
    assert document["fingerprint"] == split.fingerprint
    assert [plan["plan_hash"] for plan in document["plans"]] == ["one", "two"]
