from pathlib import Path

from stepladder.studies.running.energy import EnergyMeter


def counter(root: Path, name: str, value: int, most: int = 1_000_000) -> None:
    (root / name).mkdir(exist_ok=True)
    (root / name / "energy_uj").write_text(f"{value}\n")
    (root / name / "max_energy_range_uj").write_text(f"{most}\n")


def test_packages_are_added_up_over_their_turns_and_parts_left_out(tmp_path: Path) -> None:
    counter(tmp_path, "intel-rapl:0", 900_000)
    counter(tmp_path, "intel-rapl:1", 0)
    counter(tmp_path, "intel-rapl:0:0", 0)
    meter = EnergyMeter(tmp_path)
    counter(tmp_path, "intel-rapl:0", 100_000)  # it ran over: 200,000 more
    counter(tmp_path, "intel-rapl:1", 500_000)
    counter(tmp_path, "intel-rapl:0:0", 999_999)
    meter.add()
    assert meter.joules() == 0.7
    counter(tmp_path, "intel-rapl:1", 600_000)
    assert meter.joules() == 0.8


def test_a_machine_that_does_not_tell(tmp_path: Path) -> None:
    assert EnergyMeter(tmp_path / "missing").joules() is None
    assert EnergyMeter(tmp_path).joules() is None
    counter(tmp_path, "intel-rapl:0", 1)
    meter = EnergyMeter(tmp_path)
    (tmp_path / "intel-rapl:0" / "energy_uj").write_text("")
    meter.add()
    counter(tmp_path, "intel-rapl:0", 5)
    assert meter.joules() is None
