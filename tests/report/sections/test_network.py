from __future__ import annotations

from stepladder.report.sections.network import NetworkSection, describe_network, layer_table
from stepladder.studies.findings import make_findings


def test_the_network_of_a_recipe(complete_study, tmp_path):
    findings = make_findings(complete_study(tmp_path, rungs=2, seeds=1, epochs=1))
    assert findings.network is not None
    assert findings.network.rung == findings.shown.trial.rung
    values = NetworkSection().values(findings)
    assert values["line"] == "conv3-4 pool2 fc16 fc"
    rows = layer_table(findings.network.inspection).rows
    assert [row[0] for row in rows] == ["conv1", "relu1", "pool1", "flatten", "fc1", "relu2", "fc2"]
    assert "16,682 weights" in describe_network(findings.network.inspection)


def test_a_recipe_without_a_network_has_none(make_study):
    findings = make_findings(make_study(rungs=1, seeds=1, epochs=1))
    assert findings.network is None
    assert "do not describe its network" in NetworkSection().html(findings)
