from __future__ import annotations

import base64
import gzip
import hashlib
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import stepladder.report
from stepladder.report.plotly_bundle import SHA256, VERSION, bundle_license, packed_bundle

SCRIPTS = Path(stepladder.report.__file__).parent / "templates" / "scripts"
NODE = shutil.which("node")


def bundle() -> bytes:
    return gzip.decompress(base64.b64decode(packed_bundle()))


def test_the_bundle_is_the_one_that_is_pinned():
    script = bundle()
    assert hashlib.sha256(script).hexdigest() == SHA256
    assert f"plotly.js (basic - minified) v{VERSION}".encode() in script[:200]
    assert "MIT License" in bundle_license()
    assert "-->" not in bundle_license()
    assert len(packed_bundle()) < 600_000


def test_it_knows_every_kind_of_trace_that_the_charts_draw():
    """A kind that the bundle lacks is drawn as scatter, without a word."""
    charts = "".join(path.read_text() for path in SCRIPTS.parents[1].glob("sections/*/chart.js"))
    charts += (SCRIPTS / "rows.js").read_text()
    assert "scatter" in bundle().decode()
    for kind in ("heatmap", "bar", "pie", "contour", "histogram", "box", "violin"):
        assert f'type: "{kind}"' not in charts


def test_plotly_for_python_is_no_dependency():
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    needs = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]["dependencies"]
    assert len(needs) > 10
    assert not any(need.startswith("plotly") for need in needs)


@pytest.mark.long
@pytest.mark.skipif(NODE is None, reason="no node here: apt-get install nodejs")
@pytest.mark.parametrize("level", [0, 1, 9])
def test_the_page_unpacks_what_gzip_packs(tmp_path, level):
    """Stored, fixed and dynamic blocks, long repeats and none."""
    whole = bytes(range(256)) * 300 + b"a" * 70_000 + hashlib.sha256(b"x").digest() * 3 + SCRIPTS.as_posix().encode()
    inflate = (SCRIPTS / "unpack.js").read_text().partition("function unpack()")[0]
    for number, content in enumerate((whole, b"abc", b"")):
        packed, unpacked = tmp_path / f"{number}.gz", tmp_path / f"{number}.out"
        packed.write_bytes(gzip.compress(content, level, mtime=0))
        script = (
            f"{inflate}\nconst fs = require('fs');"
            "fs.writeFileSync(process.argv[2], inflate(new Uint8Array(fs.readFileSync(process.argv[1]))));"
        )
        subprocess.run([str(NODE), "-e", script, str(packed), str(unpacked)], check=True, timeout=60)
        assert unpacked.read_bytes() == content
