"""Images that a node reads where they lie, instead of getting them through the object store.

Run as a program by a slot, once a node: it loads the images as the owner of the study did, and keeps their pixels in
the scratch folder under the SHA-256 of the bytes. Only those that the owner has by the same name are ever used, so that
other images can never be taken for them.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stepladder.errors import StepladderError, StudyError


@dataclass(frozen=True)
class NodeImages:
    """Where nodes find the images of a study, and how they load them.

    Attributes:
        place: a path on every node, or a URI that pyarrow knows, as ``s3://bucket/images`` or ``gs://bucket/images``.
        loading: how the owner loaded its own, see :attr:`~stepladder.datasets.ImageSet.loading`.
    """

    place: str
    loading: Mapping[str, Any]

    def to_json(self) -> str:
        """Return it as a slot passes it on."""
        return json.dumps({"place": self.place, "loading": dict(self.loading)})


def main() -> int:
    """Load the images of the JSON document on stdin, keep their pixels in the folder that is named, and return 0."""
    told, folder = json.load(sys.stdin), Path(sys.argv[1])
    try:
        with _here(told["place"], folder) as path:
            _keep(path, told["loading"], folder)
    except StepladderError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _keep(path: Path, loading: Mapping[str, Any], folder: Path) -> None:
    from stepladder.datasets import load_image_set
    from stepladder.datasets.sources.base import Labelled

    others = {name: value for name, value in loading.items() if name != "labels"}
    images = load_image_set(Labelled(path, **loading["labels"]), **others)
    for split in images.splits.values():
        name = hashlib.sha256(split.pixels.reshape(-1).data).hexdigest()
        if not (folder / name).exists():
            part = folder / f"{name}.part"
            split.pixels.tofile(part)
            part.rename(folder / name)


@contextmanager
def _here(place: str, folder: Path) -> Iterator[Path]:
    """Yield the images as files of this node; those of a URI are copied for the moment, by pyarrow."""
    if "://" not in place:
        if not Path(place).exists():
            raise StudyError(
                f"there is no {place} on this node; `images_on_nodes` is where every node finds the images"
            )
        yield Path(place)
        return
    from pyarrow import ArrowException, fs

    try:
        system, path = fs.FileSystem.from_uri(place)
        with tempfile.TemporaryDirectory(dir=folder) as copied:
            target = Path(copied) / (Path(path).name or "images")
            if system.get_file_info(path).type == fs.FileType.File:
                fs.copy_files(path, str(target), source_filesystem=system)
            else:
                target.mkdir()
                fs.copy_files(path, str(target), source_filesystem=system)
            yield target
    except (ArrowException, OSError, ValueError) as error:
        reason = str(error).strip().partition("\n")[0]
        raise StudyError(f"this node cannot read {place}: {reason}; see `images_on_nodes`") from error


if __name__ == "__main__":
    sys.exit(main())
