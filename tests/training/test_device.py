from types import SimpleNamespace

import pytest
import torch

from stepladder.errors import RecipeError
from stepladder.training import device
from stepladder.training.device import SMALL_STEP, choose_compute, choose_threads, keep_freed_memory, threads_for


def test_an_unknown_device_or_precision_is_named_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"unknown device 'cdua'; did you mean 'cuda'\?"):
        choose_compute("cdua")
    with pytest.raises(RecipeError, match=r"unknown precision 'bfloat'; did you mean 'bfloat16'\?"):
        choose_compute("cpu", "bfloat")


def test_a_device_that_is_not_there_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(RecipeError, match="`device` is cuda, and PyTorch finds none on this machine; there is: cpu"):
        choose_compute("cuda")


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_takes_bfloat16_where_the_processor_multiplies_it(
    monkeypatch: pytest.MonkeyPatch, native: bool, expected: str
) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: native)
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: False)
    assert choose_compute("cpu").precision == expected


@pytest.mark.parametrize(("precision", "dtype"), [("float32", torch.float32), ("bfloat16", torch.bfloat16)])
def test_autocast_multiplies_in_the_precision(precision: str, dtype: torch.dtype) -> None:
    with choose_compute("cpu", precision).autocast():
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype


def test_small_steps_take_one_thread_and_large_ones_all(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setattr(device, "_ALL_THREADS", 2)
    try:
        choose_threads(device.SMALL_STEP - 1)
        assert torch.get_num_threads() == 1
        choose_threads(device.SMALL_STEP)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    ("platform", "libc", "asked"),
    [
        ("linux", True, [(-3, 32 * 2**20), (-1, 2**31 - 1)]),  # glibc's numbers of mmap and trim thresholds
        ("linux", False, []),  # musl
        ("darwin", True, []),
    ],
)
def test_freed_memory_is_kept_where_the_c_library_can(
    monkeypatch: pytest.MonkeyPatch, platform: str, libc: bool, asked: list[tuple[int, int]]
) -> None:
    calls: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *values: calls.append(values)) if libc else SimpleNamespace()
    monkeypatch.setattr("ctypes.CDLL", lambda _: library)
    monkeypatch.setattr("sys.platform", platform)
    keep_freed_memory()
    assert calls == asked


def test_threads_are_left_as_they_were() -> None:
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        with threads_for(SMALL_STEP - 1):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
