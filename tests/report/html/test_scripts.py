import base64
import hashlib
import json
import re

from stepladder.report.html.scripts import as_json, content_policy, page_script, plotly_script


def test_the_policy_names_the_scripts_that_are_in_the_page(make_study):
    from stepladder.report.page import render_html

    text = render_html(make_study(rungs=2, seeds=2, epochs=1))
    scripts = re.findall(r"<script>(.*?)</script>", text, re.DOTALL)
    hashes = [base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts]
    assert len(hashes) == 2
    assert all(f"'sha256-{digest}'" in content_policy() for digest in hashes)
    assert content_policy() in text


def test_no_script_closes_its_element_early():
    for script in (plotly_script(), page_script()):
        assert "</script" not in script
        assert "<!--" not in script


def test_json_in_a_script_cannot_leave_it():
    document = {"name": "</script><script>alert(1)</script>\u2028<!--", "value": 1.5}
    text = as_json(document)
    assert "<" not in text
    assert "\u2028" not in text
    assert json.loads(text) == document
