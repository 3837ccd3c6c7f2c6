import subprocess
import sys

import stepladder


def test_every_public_name_is_listed_and_there() -> None:
    assert sorted(stepladder._HOMES) == sorted(stepladder.__all__)
    for name in stepladder.__all__:
        assert getattr(stepladder, name).__doc__ or name == "TECHNIQUES"


def test_the_public_names_are_the_promised_ones() -> None:
    assert set(stepladder.__all__) == {
        "TECHNIQUES",
        "Compute",
        "ImageAudit",
        "ImageSet",
        "Inspection",
        "Model",
        "Network",
        "Recipe",
        "Rules",
        "SavedStudy",
        "Technique",
        "audit_image_set",
        "as_matrix",
        "change_settings",
        "choose_compute",
        "inspect_network",
        "load_image_set",
        "load_model",
        "load_network",
        "load_recipe",
        "load_study",
        "plan_study",
        "run_curve",
        "run_lr_range",
        "run_search",
        "run_study",
        "run_sweep",
        "train_model",
        "write_report",
    }


def test_importing_the_package_imports_no_torch() -> None:
    subprocess.run([sys.executable, "-c", "import stepladder, sys; assert 'torch' not in sys.modules"], check=True)
