"""Damages valid files of every format and loads them: run by test_fuzz.py in a process of its own, which it measures.

Each file is truncated, gets flipped bits, or overwritten stretches. Loading must end in images or in a DataError.
"""

from __future__ import annotations

import faulthandler
import gzip
import io
import json
import os
import resource
import struct
import sys
import tarfile
import time
import warnings
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from stepladder.datasets import load_image_set
from stepladder.datasets.decode import FORMATS
from stepladder.errors import DataError, StepladderError

SIZE = (12, 10)
#: A single load that takes longer hangs, seconds.
LONGEST = 20


def image(rng: np.random.Generator, fmt: str, mode: str = "RGB") -> bytes:
    target = io.BytesIO()
    pixels = Image.fromarray(rng.integers(0, 256, (SIZE[1], SIZE[0], 3), dtype=np.uint8)).convert(mode)
    pixels.save(target, fmt, **({"compression": "tiff_lzw"} if fmt == "TIFF" else {}))
    return target.getvalue()


def idx(values: np.ndarray) -> bytes:
    return struct.pack(f">4B{values.ndim}I", 0, 0, 8, values.ndim, *values.shape) + values.tobytes()


def make_files(root: Path, rng: np.random.Generator) -> dict[str, tuple[Path, str]]:
    """Valid image sets of each shape: (the file to damage, what to load)."""
    made: dict[str, tuple[Path, str]] = {}
    for fmt in FORMATS:
        folder = root / fmt
        for name in ("cat", "dog"):
            (folder / name).mkdir(parents=True)
            (folder / name / "0").write_bytes(image(rng, fmt))
        made[fmt] = folder / "cat" / "0", str(folder)
    images, labels = rng.integers(0, 256, (9, 6, 5), dtype=np.uint8), np.arange(9, dtype=np.uint8) % 3
    for name, pack, end in (("idx", bytes, ""), ("idx.gz", gzip.compress, ".gz")):
        (root / name).mkdir()
        (root / name / f"train-images-idx3-ubyte{end}").write_bytes(pack(idx(images)))
        (root / name / f"train-labels-idx1-ubyte{end}").write_bytes(pack(idx(labels)))
        made[name] = root / name / f"train-images-idx3-ubyte{end}", str(root / name)
    for name, save in (("a.npz", np.savez), ("b.npz", np.savez_compressed)):
        save(root / name, x_train=(images / 255).astype(np.float32), y_train=labels)
        made[name] = root / name, str(root / name)
    contents = [image(rng, "PNG") for _ in range(6)]
    features = {"label": {"names": ["cat", "dog"], "_type": "ClassLabel"}}
    table = pa.table({"img": [{"bytes": content, "path": None} for content in contents], "label": [0, 1] * 3})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    for name, packed in (("a.parquet", "none"), ("b.parquet", "zstd"), ("c.parquet", "snappy")):
        pq.write_table(table, root / name, compression=packed)
        made[name] = root / name, str(root / name)
    with tarfile.open(root / "a.tar", "w") as archive:
        for number, content in enumerate(contents):
            for end, body in (("png", content), ("cls", b"%d" % (number % 2))):
                member = tarfile.TarInfo(f"{number}.{end}")
                member.size = len(body)
                archive.addfile(member, io.BytesIO(body))
    made["tar"] = root / "a.tar", str(root / "a.tar")
    (root / "a.csv").write_text("path,label,split\n" + "".join(f"PNG/{c}/0,{c},train\n" for c in ("cat", "dog")))
    made["csv"] = root / "a.csv", str(root / "a.csv")
    return made


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    kind = rng.integers(4)
    if kind != 1:
        for _ in range(rng.integers(1, 5)):
            changed[rng.integers(len(changed))] ^= 1 << int(rng.integers(8))
    if kind == 3:
        start = int(rng.integers(len(changed)))
        filling = [b"\xff", b"\0", b"\x7f"][rng.integers(3)]
        changed[start : start + 8] = filling * min(8, len(changed) - start)
    return bytes(changed[: rng.integers(len(changed))] if kind == 1 else changed)


def main(root: Path, rounds: int, seed: int) -> None:
    os.environ["STEPLADDER_CACHE"] = str(root / "cache")
    warnings.simplefilter("error")
    rng = np.random.default_rng(seed)
    made = make_files(root, rng)
    for _, what in made.values():
        load_image_set(what)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    loaded, refused, slowest = 0, 0, 0.0
    for name, (path, what) in made.items():
        whole = path.read_bytes()
        for number in range(rounds):
            path.write_bytes(damaged(whole, rng))
            faulthandler.dump_traceback_later(LONGEST, exit=True)
            started = time.process_time()
            try:
                load_image_set(what)
                loaded += 1
            except DataError:
                refused += 1
            except StepladderError:
                raise
            except BaseException:
                (root / "culprit").write_bytes(path.read_bytes())
                print(f"{name}, round {number}, seed {seed}: {root / 'culprit'}", file=sys.stderr)
                raise
            slowest = max(slowest, time.process_time() - started)
        path.write_bytes(whole)
    faulthandler.cancel_dump_traceback_later()
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024
    print(json.dumps({"loaded": loaded, "refused": refused, "slowest": slowest, "grown": grown}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
