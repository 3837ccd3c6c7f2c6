"""Options of every command that reads images. Imports no torch, so that looking at images starts at once."""

# Without "from __future__ import annotations": the annotations of a dataclass are read again in the module of one that
# inherits from it, where these names are not.
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from stepladder.cli.groups import FIRST, IMAGES
from stepladder.datasets import Access, DefaultSize, ImageSet, Labelled, load_image_set

Data = Annotated[
    str,
    Parameter(
        group=FIRST,
        help="A name (digits, cifar10, mnist …) or a path: folder of images, table of paths, zip, parquet, .npz, .tar, "
        "IDX.",
    ),
]


@Parameter(name="*")
@dataclass(frozen=True)
class DataOptions:
    """What every command that reads images may be told of them."""

    limit: Annotated[
        int | None,
        Parameter(group=FIRST, help="Use only the first N images a class of each split, for a quick try."),
    ] = None
    size: Annotated[
        int | None,
        Parameter(
            group=IMAGES,
            help="Resize every image to N×N pixels. By default images of one size up to 64 pixels keep it; all others "
            "become squares of their median shorter side, at most 64.",
        ),
    ] = None
    fit: Annotated[
        Literal["auto", "crop", "pad", "stretch"],
        Parameter(
            group=IMAGES,
            help="How images are resized: crop keeps the center; pad keeps all and adds black; stretch changes the "
            "proportions; auto pads where a crop would take more than a tenth of the median image away, else crops.",
        ),
    ] = "auto"
    channels: Annotated[
        Literal["auto", "1", "3"],
        Parameter(group=IMAGES, help="1 makes all images gray, 3 color; auto keeps them gray where all are."),
    ] = "auto"
    stretch: Annotated[
        bool,
        Parameter(
            group=IMAGES,
            negative="",
            show_default=False,
            help="Of gray images of 16 bits, make black to white what the training images use of their values.",
        ),
    ] = False
    label_pattern: Annotated[
        str | None,
        Parameter(
            group=IMAGES,
            help="Of a folder, the class in the path of each file, in place of class folders: a regular expression "
            "whose first group, or whole match, names it, as '([a-z]+)[.][0-9]+'.",
        ),
    ] = None
    level: Annotated[
        str | None,
        Parameter(
            group=IMAGES, help="Of folders in folders, which one is the class: top (the default), leaf, or 1, 2, …"
        ),
    ] = None
    path_column: Annotated[
        str | None, Parameter(group=IMAGES, help="Column of a table with the paths; found by name or cells by default.")
    ] = None
    label_column: Annotated[
        str | None, Parameter(group=IMAGES, help="Column of a table with the labels; found likewise.")
    ] = None
    split_column: Annotated[
        str | None, Parameter(group=IMAGES, help="Column of a table with the splits; split or subset by default.")
    ] = None
    images_in: Annotated[
        Path | None,
        Parameter(
            name="--images",
            group=IMAGES,
            help="Folder that the paths of a table start from; its own, or one in it or beside it, by default.",
        ),
    ] = None
    index: Annotated[
        Path | None,
        Parameter(group=IMAGES, help="Table that labels the images of the folder, whose paths start there."),
    ] = None
    fold_labels: Annotated[
        bool,
        Parameter(
            group=IMAGES,
            negative="",
            show_default=False,
            help="Of a table or folder, labels that differ by case or spaces alone are one class.",
        ),
    ] = False
    group_column: Annotated[
        str | None,
        Parameter(
            group=IMAGES,
            help="Column of a table or of parquet that names what each image is of, as a patient: the images of one "
            "stay on one side of every split.",
        ),
    ] = None
    group_pattern: Annotated[
        str | None,
        Parameter(
            group=IMAGES,
            help="The same from the paths below the folder: a regular expression whose first group, or whole match, "
            "names what an image is of, as '(object[0-9]+)_'.",
        ),
    ] = None
    group_bursts: Annotated[
        float | None,
        Parameter(
            group=IMAGES,
            help="The same from EXIF: photographs that one camera took with at most so many seconds between them.",
        ),
    ] = None
    group_patients: Annotated[
        bool,
        Parameter(
            group=IMAGES, negative="", show_default=False, help="The same from DICOM: the images of one patient."
        ),
    ] = False
    data_dir: Annotated[
        Path | None,
        Parameter(group=IMAGES, help="Where the files of a named image set are: a folder, or for cifar its archive."),
    ] = None
    download: Annotated[
        bool,
        Parameter(
            group=IMAGES,
            negative="",
            show_default=False,
            help="Fetch a named image set, or published weights, that are not on this computer.",
        ),
    ] = False

    def load_data(
        self, console: Console, data: str, *, skip_damaged: bool = False, default_size: DefaultSize | None = None
    ) -> ImageSet:
        """Load an image set with a progress bar where somebody is watching.

        Args:
            default_size: the size to take where none was asked for, as of a pretrained network's images.
        """
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task("Reading images", total=None)

            def show_download(name: str, done: int, total: int) -> None:
                progress.update(task, description=f"Fetching {name}", completed=done, total=total)

            def show_reading(done: int, total: int) -> None:
                progress.update(task, description="Reading images", completed=done, total=total)

            return load_image_set(
                Labelled(
                    data,
                    group_column=self.group_column,
                    group_pattern=self.group_pattern,
                    group_bursts=self.group_bursts,
                    group_patients=self.group_patients,
                    label_pattern=self.label_pattern,
                    level=self.level,
                    path_column=self.path_column,
                    label_column=self.label_column,
                    split_column=self.split_column,
                    images=self.images_in,
                    index=self.index,
                    fold_labels=self.fold_labels,
                ),
                limit=self.limit,
                size=default_size if self.size is None else self.size,
                fit=None if self.fit == "auto" else self.fit,
                channels=None if self.channels == "auto" else int(self.channels),
                stretch=self.stretch,
                skip_damaged=skip_damaged,
                access=Access(self.data_dir, self.download, show_reading, show_download),
            )
