"""What the functions return: studies, sweeps, curves, trained models, each with a short text and a notebook's view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from stepladder.errors import StudyError, missing_extra, printable
from stepladder.files import replace_text
from stepladder.model.folder import load_folder
from stepladder.model.torch_model import Model
from stepladder.recipe import Recipe
from stepladder.report.latex import render_latex
from stepladder.report.nothing_learned import describe_nothing_learned
from stepladder.report.plain_tables import plain_tables, write_csv
from stepladder.report.recipe_file import best_recipe
from stepladder.report.terminal import report_text, short_text
from stepladder.report.units import Scale
from stepladder.report.write import REPORT_PAGE, write_paper_figures, write_report
from stepladder.studies.files.records import SavedStudy, SavedTrial, StudyRecord, TrialResult
from stepladder.studies.files.store import load_study as load_saved_study
from stepladder.studies.findings import AnyFindings, Findings, work_out
from stepladder.studies.judging.learning import NothingLearned
from stepladder.studies.judging.points import Best, Point, SweepFindings
from stepladder.studies.judging.power_law import PowerLaw
from stepladder.studies.judging.sizes import CurveFindings, SizeResult
from stepladder.studies.judging.statistics import Effect, RungSummary
from stepladder.studies.train import TrainedModel as SavedModel
from stepladder.training.metrics import Metric

if TYPE_CHECKING:
    import pandas

    from stepladder.report.figures.paper import PaperFigure, PaperStyle

F = TypeVar("F", Findings, SweepFindings, CurveFindings)


class Result(Generic[F]):
    """A folder of trials with all that may be said of it.

    ``print(result)`` shows what the command line shows; a notebook shows verdicts, chart and a link to the report.

    Attributes:
        findings: everything that may be said, worked out once.
    """

    def __init__(self, findings: F) -> None:
        self.findings: F = findings

    @property
    def saved(self) -> SavedStudy:
        """The record and the trials, as the folder holds them."""
        return self.findings.study

    @property
    def folder(self) -> Path:
        """Where everything is kept."""
        return self.saved.folder

    @property
    def record(self) -> StudyRecord:
        """The plan, the data, versions and hardware."""
        return self.saved.record

    @property
    def trials(self) -> tuple[SavedTrial, ...]:
        """Every trial that has ended, in plan order."""
        return self.saved.trials

    @property
    def report_path(self) -> Path:
        """The page that opens in a browser, offline."""
        return self.folder / REPORT_PAGE

    def to_pandas(self, what: str = "trials") -> pandas.DataFrame:
        """Return a table as a DataFrame; pandas is only needed for this.

        Args:
            what: ``trials``, a row a trial as in results.csv, or a name of :meth:`tables`.

        Raises:
            StudyError: there is no such table, or pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise StudyError(missing_extra("pandas", "pandas")) from error
        tables = self.tables()
        if what not in tables:
            raise StudyError(f"there is no table {what!r}; give one of: {', '.join(tables)}")
        return pandas.DataFrame(tables[what])

    def tables(self) -> dict[str, list[dict[str, Any]]]:
        """Return the tables that there are, each a list of rows as plain values; shares are fractions of 1.

        ``trials`` of all; of a study ``effects``, ``rungs`` and ``differences``, a row a seed; of a sweep ``points``;
        of a curve ``sizes``.
        """
        return plain_tables(self.findings)

    def to_csv(self, path: Path | str) -> list[Path]:
        """Write :meth:`tables` as CSV and return the paths of the files.

        Args:
            path: a folder, which gets a file a table; or a name that ends in ``.csv``, which gets the first alone, the
                effects, points or sizes.

        Raises:
            StudyError: the path is neither.
            StorageError: a file cannot be written.
        """
        return write_csv(self.findings, Path(path))

    def to_latex(self, path: Path | str | None = None) -> str:
        """Return the tables of a paper as LaTeX, with booktabs, and write them to ``path`` where one is given.

        Raises:
            StorageError: the file cannot be written.
        """
        text = render_latex(self.findings)
        if path is not None:
            replace_text(Path(path), text)
        return text

    def to_figures(self, folder: Path | str, style: PaperStyle | None = None) -> list[PaperFigure]:
        """Write the figures of the report for a paper into ``folder``, and return them as they came out.

        Args:
            style: width, type and formats; 3.3 inches, 8 points and PDF where nothing is said.

        Raises:
            RecipeError: the style is none that figures can have.
            StorageError: a file cannot be written.
        """
        from stepladder.report.figures.paper import PaperStyle

        return write_paper_figures(self.findings, Path(folder), style or PaperStyle())

    def write_report(self) -> list[Path]:
        """Write the report anew and return the paths of its files."""
        return write_report(self.findings)

    def __repr__(self) -> str:
        return printable(short_text(self.findings))

    def __str__(self) -> str:
        return printable(report_text(self.findings))

    def _repr_html_(self) -> str:
        from stepladder.report.notebook import notebook_view

        return notebook_view(self.findings)


class Compared(Result[Findings]):
    """Rungs that were compared, whoever ran them."""

    @property
    def effects(self) -> tuple[Effect, ...]:
        """Every comparison of the plan with its interval and verdict."""
        return self.findings.effects

    @property
    def rungs(self) -> tuple[RungSummary, ...]:
        """Every rung with its scores, mean and spread."""
        return self.findings.rungs


class Study(Compared):
    """A study that was carried out, as far as it is."""

    @property
    def model(self) -> Model:
        """The model to take home: of the rung that validation chose, its best seed on validation.

        Where nothing may choose (no validation images), the first seed of the highest rung.

        Raises:
            StudyError: no trial has finished.
        """
        shown = self.findings.shown
        if shown is None:
            raise StudyError(f"no trial of {self.folder} has finished, so there is no model")
        return load_folder(shown.trial.folder / "model")


class Sweep(Result[SweepFindings]):
    """A sweep or a search: settings compared by validation alone."""

    @property
    def points(self) -> tuple[Point, ...]:
        """Every point with its scores on validation."""
        return self.findings.points

    @property
    def best(self) -> Best | None:
        """The point with the highest mean among those that learned; None where there is none."""
        return self.findings.best

    @property
    def recipe(self) -> Recipe | None:
        """The recipe of the best point, for whatever comes next; None where there is none."""
        return best_recipe(self.findings)


class Curve(Result[CurveFindings]):
    """A curve: accuracy against the number of training images."""

    @property
    def sizes(self) -> tuple[SizeResult, ...]:
        """Every size with its scores on test."""
        return self.findings.sizes

    @property
    def law(self) -> PowerLaw | None:
        """What the sizes above chance say of twice the images; None before test was read, and with too few of them."""
        return self.findings.law


class TrainedModel:
    """One training: its result, and the model.

    Attributes:
        folder: of the trial.
        result: its scores; accuracies are fractions of 1.
        arithmetic: the precision that it was trained in, and how that came about.
        nothing_learned: that its answers do not depend on the image; None where they do, or it cannot be told.
    """

    def __init__(self, saved: SavedModel) -> None:
        self.folder: Path = saved.folder
        self.result: TrialResult = saved.result
        self.arithmetic = saved.arithmetic
        self.nothing_learned: NothingLearned | None = saved.nothing_learned
        self.metric: Metric = saved.metric

    @property
    def model(self) -> Model:
        """The trained model.

        Raises:
            StudyError: the training failed.
        """
        if self.result.status == "failed":
            raise StudyError(f"the training in {self.folder} failed: {self.result.failure}")
        return load_folder(self.folder / "model")

    def __repr__(self) -> str:
        if self.result.status == "failed":
            return printable(f"<TrainedModel {self.folder}: failed, {str(self.result.failure)[:200]}>")
        result, scale = self.result, Scale(self.metric.unit)
        scores = (("test", self.metric.on_test(result)), ("validation", self.metric.on_validation(result)))
        what = "" if self.metric.name == "accuracy" else f"{self.metric.noun} "
        each = ", ".join(f"{what}{scale.full(score)} on {split}" for split, score in scores if score is not None)
        if self.nothing_learned is not None:
            opening, advice = describe_nothing_learned(self.nothing_learned)
            return printable(f"<{opening} {advice} TrainedModel {self.folder}: {each}>")
        return printable(f"<TrainedModel {self.folder}: {each}>")


def load_study(folder: Path | str) -> Study | Sweep | Curve:
    """Return the study, sweep, search or curve in a folder, whatever state it is in; nothing is written.

    Raises:
        StudyError: there is no study.
        StorageError: a file is damaged.
    """
    return as_result(work_out(load_saved_study(folder)))


def as_result(findings: AnyFindings) -> Study | Sweep | Curve:
    """Return findings with what a user asks of them."""
    match findings:
        case Findings():
            return Study(findings)
        case SweepFindings():
            return Sweep(findings)
        case CurveFindings():
            return Curve(findings)
