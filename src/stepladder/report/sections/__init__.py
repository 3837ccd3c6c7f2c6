"""The parts of a report, a folder each: its words, tables, figure, chart and template lie together.

Each tuple below is the order of a page, of its navigation and of the Markdown. A new part is a folder and a row here.
"""

from __future__ import annotations

from stepladder.report.section import Section
from stepladder.report.sections.calibration import CalibrationSection
from stepladder.report.sections.classes import ClassesSection
from stepladder.report.sections.comparison import (
    ComparisonMeaningSection,
    ComparisonRungsSection,
    ComparisonStudiesSection,
)
from stepladder.report.sections.confusion import ConfusionSection
from stepladder.report.sections.curves import CurvesSection
from stepladder.report.sections.data import DataSection
from stepladder.report.sections.diagnosis import DiagnosisSection
from stepladder.report.sections.effects import EffectsSection
from stepladder.report.sections.factorial import FactorialSection
from stepladder.report.sections.gallery import GallerySection
from stepladder.report.sections.ladder import LadderSection
from stepladder.report.sections.meaning import MeaningSection
from stepladder.report.sections.network import NetworkSection
from stepladder.report.sections.pool import (
    PoolLeftOutSection,
    PoolMeaningSection,
    PoolMovesSection,
    PoolSetsSection,
    PoolStudiesSection,
)
from stepladder.report.sections.pool_techniques import PoolTechniquesSection
from stepladder.report.sections.protocol import ProtocolSection
from stepladder.report.sections.scores import CommandScoresSection, ScoresSection
from stepladder.report.sections.sizes import SizesSection
from stepladder.report.sections.sweep_curves import SweepCurvesSection
from stepladder.report.sections.sweep_meaning import SweepMeaningSection
from stepladder.report.sections.sweep_points import SweepPointsSection
from stepladder.studies.findings import Findings
from stepladder.studies.judging.comparison import Comparison
from stepladder.studies.judging.points import SweepFindings
from stepladder.studies.judging.sizes import CurveFindings
from stepladder.studies.pool.findings import PoolFindings

#: Of a study that compares rungs on test.
STUDY_SECTIONS: tuple[Section[Findings], ...] = (
    MeaningSection(),
    LadderSection(),
    EffectsSection(),
    FactorialSection(),
    CurvesSection(),
    DiagnosisSection(),
    ConfusionSection(),
    GallerySection(),
    ClassesSection(),
    CalibrationSection(),
    NetworkSection(),
    DataSection(),
    ProtocolSection(),
)

#: Of scores that another program made: what needs no image and no model. Curves are of commands that tell them.
SCORE_SECTIONS: tuple[Section[Findings], ...] = (
    MeaningSection(),
    LadderSection(),
    EffectsSection(),
    FactorialSection(),
    CurvesSection(),
    ScoresSection(),
)

#: Of a sweep or a search, which never reads test.
SWEEP_SECTIONS: tuple[Section[SweepFindings], ...] = (
    SweepMeaningSection(),
    SweepPointsSection(),
    SweepCurvesSection(),
    DataSection(),
    ProtocolSection(),
)

#: Of a sweep or a search of a user's own command.
SCORE_SWEEP_SECTIONS: tuple[Section[SweepFindings], ...] = (
    SweepMeaningSection(),
    SweepPointsSection(),
    SweepCurvesSection(),
    CommandScoresSection[SweepFindings](),
)

#: Of a curve over the number of training images.
CURVE_SECTIONS: tuple[Section[CurveFindings], ...] = (
    SizesSection(),
    DataSection(),
    ProtocolSection(),
)

#: Of a curve of a user's own command.
SCORE_CURVE_SECTIONS: tuple[Section[CurveFindings], ...] = (
    SizesSection(),
    CommandScoresSection[CurveFindings](),
)

#: Of several studies side by side.
COMPARISON_SECTIONS: tuple[Section[Comparison], ...] = (
    ComparisonMeaningSection(),
    ComparisonRungsSection(),
    ComparisonStudiesSection(),
)

#: Of studies of several image sets, judged together.
POOL_SECTIONS: tuple[Section[PoolFindings], ...] = (
    PoolMeaningSection(),
    PoolTechniquesSection(),
    PoolSetsSection(),
    PoolMovesSection(),
    PoolLeftOutSection(),
    PoolStudiesSection(),
)
