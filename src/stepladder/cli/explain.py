"""``stepladder explain``: where in an image a prediction comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from stepladder.cli.console import OwnNetwork, OwnTechniques, make_console, register_own
from stepladder.datasets.archives import OpenArchives
from stepladder.errors import StorageError
from stepladder.files import replace_bytes
from stepladder.model.explain import explain_image
from stepladder.model.find import model_folder
from stepladder.model.folder import load_folder
from stepladder.report.figures.explanation import draw_explanation
from stepladder.report.figures.style import to_png


def explain(
    model: Annotated[Path, Parameter(help="Model folder of a trial.")],
    image: Annotated[Path, Parameter(help="Image file; one in an archive as pets.zip/cat/1.jpg.")],
    *,
    out: Annotated[Path, Parameter(help="The sheet, a PNG.")] = Path("explanation.png"),
    class_name: Annotated[
        str | None, Parameter(name="--class", help="Explain this one; the likeliest by default.")
    ] = None,
    technique: OwnTechniques = (),
    network: OwnNetwork = None,
) -> None:
    """Draw what in an image speaks for its class (Grad-CAM, occlusion), and the first layer's filters."""
    register_own(technique)
    folder = model_folder(model)
    if folder is None:
        raise StorageError(
            f"{model} is an exported file, whose inside is closed; give the model folder that it came from"
        )
    loaded = load_folder(folder, "cpu", "float32", network)
    with OpenArchives() as archives:
        archives.open(image)
        explanation = explain_image(loaded, image, class_name)
    replace_bytes(out, to_png(draw_explanation(explanation), photographs=True))
    make_console(False).print(
        f"{explanation.class_name} {100 * explanation.probability:.1f} %: {out}", markup=False, soft_wrap=True
    )
