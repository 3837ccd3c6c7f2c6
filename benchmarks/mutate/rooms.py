"""What is mutated: rooms of the code, and which tests are asked about each of their files, the nearest first.

A path of tests is below ``tests``; it may end in ``::test_name``. Tests that take long stand last, so that most mutants
never meet them.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Room:
    """Files that answer for one thing, below ``src/stepladder``, and by file the tests that should notice a mistake.

    Attributes:
        files: tests by file, the quickest and nearest first.
        last: tests that every file of the room is held against at the end.
    """

    files: dict[str, tuple[str, ...]]
    last: tuple[str, ...] = ()

    def tests_of(self, file: str) -> tuple[str, ...]:
        """Return the tests of a file, in the order in which they are asked."""
        own = self.files[file]
        return (*own, *(test for test in self.last if test not in own))


_WIRING = ("wiring/test_trials.py", "wiring/test_designs.py")
_JUDGING = "studies/judging/test_"

ROOMS: dict[str, Room] = {
    "judging": Room(
        {
            "studies/judging/verdicts.py": (f"{_JUDGING}verdicts.py", f"{_JUDGING}statistics.py"),
            "studies/judging/statistics.py": (f"{_JUDGING}statistics.py", "studies/test_findings.py"),
            "studies/judging/boundaries.py": (f"{_JUDGING}boundaries.py", f"{_JUDGING}statistics.py"),
            "studies/judging/choice.py": (f"{_JUDGING}choice.py", "studies/test_findings.py"),
            "studies/design/designs.py": ("studies/design/test_designs.py",),
            "studies/design/factorial.py": ("studies/design/test_factorial.py", "studies/design/test_designs.py"),
            "studies/design/rules.py": ("studies/design/test_rules.py", f"{_JUDGING}statistics.py"),
        },
        ("wiring/test_designs.py",),
    ),
    "splits": Room(
        {
            "datasets/splits.py": ("datasets/test_splits.py", "datasets/test_groups.py"),
            "datasets/groups.py": ("datasets/test_groups.py", "datasets/test_splits.py"),
            "datasets/image_set.py": ("datasets/test_image_set.py", "datasets/test_splits.py"),
        },
        ("studies/test_prepare.py",),
    ),
    "preparation": Room(
        {
            "studies/prepare.py": ("studies/test_prepare.py",),
            "datasets/audit/leaks.py": ("datasets/audit/test_leaks.py", "datasets/test_groups.py"),
            "techniques/standardize.py": ("techniques/test_standardize.py", "techniques/test_inputs.py"),
            "techniques/random_crop.py": ("techniques/test_random_crop.py",),
            "techniques/horizontal_flip.py": ("techniques/test_horizontal_flip.py",),
            "techniques/dropout.py": ("techniques/test_dropout.py", "techniques/test_network_techniques.py"),
        },
        ("wiring/test_trials.py",),
    ),
    "training": Room(
        {
            "training/loop.py": ("training/test_loop.py", "training/test_checkpoint.py"),
            "training/assembly.py": ("training/test_loop.py", "training/test_frozen.py"),
            "training/evaluate.py": ("training/test_evaluate.py", "training/test_loop.py"),
            "training/optimizer.py": ("training/test_optimizer.py", "training/test_loop.py"),
            "training/calibration.py": ("training/test_calibration.py",),
            "training/metrics.py": ("training/test_metrics.py", "training/test_loop.py"),
            "training/rng.py": ("training/test_rng.py", "training/test_loop.py"),
            "training/history.py": ("training/test_history.py", "training/test_checkpoint.py"),
            "techniques/ema.py": ("techniques/test_ema.py",),
        },
        ("wiring/test_trials.py",),
    ),
    "saving": Room(
        {
            "files.py": ("test_files.py", "wiring/test_order_of_writes.py"),
            "training/checkpoint.py": ("training/test_checkpoint.py",),
            "training/snapshot.py": ("training/test_checkpoint.py",),
            "studies/files/checksums.py": ("studies/files/test_checksums.py",),
            "studies/files/predictions.py": ("studies/files/test_predictions.py",),
            "studies/files/integrity.py": ("studies/files/test_integrity.py",),
            "studies/files/ledger.py": ("studies/files/test_ledger.py", "studies/running/test_reading.py"),
            "studies/running/reading.py": ("studies/running/test_reading.py",),
            "studies/running/trial.py": ("studies/running/test_trial.py",),
            "model/folder.py": ("model/test_folder.py",),
            "model/config.py": ("model/test_folder.py",),
        },
        ("wiring/test_order_of_writes.py", "wiring/test_trials.py"),
    ),
    "prediction": Room(
        {
            "model/classifier.py": ("model/test_classifier.py", "model/test_limits.py"),
            "model/forward.py": ("model/test_forward.py", "model/test_classifier.py"),
            "model/images.py": ("model/test_images.py", "model/test_rule.py"),
            "model/limits.py": ("model/test_limits.py", "model/test_classifier.py"),
            "model/rule.py": ("model/test_rule.py",),
            "model/image_statistics.py": ("model/test_image_statistics.py",),
            "model/torch_model.py": ("model/test_folder.py", "model/test_classifier.py"),
            "model/unlikeness.py": ("model/test_unlikeness.py",),
        },
    ),
    "export": Room(
        {
            "model/export.py": ("model/test_export.py", "model/test_unlikeness.py"),
            "model/onnx_file.py": ("model/test_onnx_file.py", "model/test_export.py"),
            "model/any_size.py": ("model/test_any_size.py",),
            "model/quantize.py": ("model/test_quantize.py",),
        },
        ("cli/test_predict.py::test_quantizing_says_what_it_costs",),
    ),
    "findings": Room(
        {
            "studies/findings.py": ("studies/test_findings.py", "report/sections/test_meaning.py"),
            "studies/judging/answers.py": (f"{_JUDGING}answers.py",),
            "studies/judging/test_set.py": (f"{_JUDGING}test_set.py",),
            "report/units.py": ("report/test_units.py", "report/sections/test_meaning.py"),
            "report/sections/effects/figure.py": ("report/sections/test_shown.py", "report/sections/test_figures.py"),
            "report/sections/ladder/figure.py": ("report/sections/test_shown.py", "report/sections/test_figures.py"),
        },
        ("report/sections/test_shown.py", "report/test_markdown.py"),
    ),
}

#: Loaded once for all mutants: what Stepladder and its tests would load anew in every fork, and nothing of Stepladder.
#: Making an optimizer loads torch._dynamo.
WARM = (
    *("torch", "torch._dynamo", "torch.onnx", "torch.export", "numpy", "scipy.optimize", "scipy.stats", "pydantic"),
    *(
        "pydantic.mypy",
        "sklearn.datasets",
        "sklearn.svm",
        "sklearn.cluster",
        "matplotlib.pyplot",
        "plotly.graph_objects",
    ),
    *("pyarrow.parquet", "PIL.Image", "safetensors.torch", "onnx", "onnxruntime", "statsmodels.stats.power"),
    *("onnxruntime.quantization", "onnxscript", "cyclopts", "rich.console", "pytest", "_pytest.runner"),
    *("torchmetrics", "pandas", "jinja2", "filelock", "statsmodels.stats.proportion", "statsmodels.stats.multitest"),
)
