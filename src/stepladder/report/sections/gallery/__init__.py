"""The images that the shown model gets most wrong, and those that it is least sure of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stepladder.report.section import Section
from stepladder.studies.files.gallery import GalleryImage
from stepladder.studies.findings import Findings


class GallerySection(Section[Findings]):
    """Two rows of test images with what the model says of them."""

    key = "gallery"
    heading = "Worst mistakes and least certain images"
    short = "Mistakes and doubts"

    def values(self, findings: Findings) -> dict[str, Any]:
        """Return the images, with names in place of positions."""
        gallery, names = findings.gallery, findings.study.record.data.class_names
        return {
            "mistakes": [show_image(image, names) for image in gallery.mistakes] if gallery else [],
            "uncertain": [show_image(image, names) for image in gallery.uncertain] if gallery else [],
        }


@dataclass(frozen=True)
class ShownImage:
    """One image with what is written under it; ``bars`` are (class, percent, whether it is the true one)."""

    png: str
    label: str
    predicted: str
    right: bool
    bars: tuple[tuple[str, float, bool], ...]
    position: int

    @property
    def alt(self) -> str:
        """What can be said of the image to those who cannot see it."""
        return f"Test image {self.position} of the class {self.label}, taken for {self.predicted}"


def show_image(image: GalleryImage, names: tuple[str, ...]) -> ShownImage:
    """Return an image in words."""
    return ShownImage(
        png=image.png,
        label=names[image.label],
        predicted=names[image.predicted],
        right=image.label == image.predicted,
        bars=tuple((names[index], round(100 * share, 1), index == image.label) for index, share in image.top),
        position=image.position,
    )
