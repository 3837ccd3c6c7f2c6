"""The gallery as the page shows it: names in place of positions."""

from __future__ import annotations

from dataclasses import dataclass

from stepladder.study.files.gallery import Gallery, GalleryImage


@dataclass(frozen=True)
class Shown:
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


@dataclass(frozen=True)
class GalleryView:
    """The two rows of images, and some training images of each class as (class, images in all, PNGs)."""

    mistakes: tuple[Shown, ...]
    uncertain: tuple[Shown, ...]
    classes: tuple[tuple[str, int, tuple[str, ...]], ...]


def view_gallery(gallery: Gallery, names: tuple[str, ...]) -> GalleryView:
    """Return the gallery in words."""
    return GalleryView(
        tuple(_shown(image, names) for image in gallery.mistakes),
        tuple(_shown(image, names) for image in gallery.uncertain),
        tuple(zip(names, gallery.train_counts, gallery.samples, strict=False)),
    )


def _shown(image: GalleryImage, names: tuple[str, ...]) -> Shown:
    return Shown(
        png=image.png,
        label=names[image.label],
        predicted=names[image.predicted],
        right=image.label == image.predicted,
        bars=tuple((names[index], round(100 * share, 1), index == image.label) for index, share in image.top),
        position=image.position,
    )
