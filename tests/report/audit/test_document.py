from __future__ import annotations

import json

from stepladder.report.audit import build_audit_document


def test_every_figure_is_in_the_document(make_troubled):
    audit = make_troubled()
    document = json.loads(json.dumps(build_audit_document(audit), allow_nan=False))
    assert document["counts"] == {"train": {"zero": 80, "one": 20}, "test": {"zero": 10, "one": 14}}
    assert document["balance"]["majority_rate"] == 10 / 24
    assert document["damaged"][0] == {"place": "images/one/7.png", "reason": "the file is empty (0 bytes)"}
    assert document["constant"] == [{"split": "train", "position": 5}, {"split": "train", "position": 6}]
    across = document["copies"][1]
    assert (across["first"], across["second"]) == ("train", "test")
    assert across["exact"] == [[0, 20], [1, 21], [2, 22], [3, 23]]
    assert across["in_second"] == [20, 21, 22, 23]
    assert document["mirror"]["classes"][0]["name"] == "zero"
    assert len(document["mean"]) == len(document["std"]) == 1
