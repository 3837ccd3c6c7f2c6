"""DICOM against pydicom's own arithmetic, and its values worked out by hand; patients stay together."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from stepladder.datasets import Labelled, load_image_set
from stepladder.datasets import dicom as room
from stepladder.datasets.decode import Wide, decode_image, image_shape
from stepladder.datasets.dicom import NEEDS_DICOM, window
from stepladder.datasets.suspects import proposed
from stepladder.errors import DataError
from stepladder.model.images import read_pixels

pydicom = pytest.importorskip("pydicom", reason="needs the extra dicom")


def scan(
    pixels: np.ndarray, bits: int = 12, *, signed: bool = False, kind: str = "MONOCHROME2", **tags: object
) -> bytes:
    """A DICOM file of these pixels."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

    made = Dataset()
    made.SOPClassUID, made.SOPInstanceUID = CTImageStorage, generate_uid()
    made.Rows, made.Columns = pixels.shape[-2:] if kind != "RGB" else pixels.shape[:2]
    if pixels.ndim == 3 and kind != "RGB":
        made.NumberOfFrames = len(pixels)
    made.SamplesPerPixel = 3 if kind == "RGB" else 1
    if kind == "RGB":
        made.PlanarConfiguration = 0
    made.PhotometricInterpretation = kind
    made.BitsAllocated = 8 * pixels.dtype.itemsize
    made.BitsStored, made.HighBit, made.PixelRepresentation = bits, bits - 1, int(signed)
    for name, value in tags.items():
        setattr(made, name, value)
    made.PixelData = pixels.tobytes()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.file_meta.MediaStorageSOPClassUID, made.file_meta.MediaStorageSOPInstanceUID = (
        CTImageStorage,
        made.SOPInstanceUID,
    )
    written = io.BytesIO()
    made.save_as(written, enforce_file_format=True)
    return written.getvalue()


RAMP = np.arange(0, 4096, 16, dtype=np.uint16).reshape(16, 16)


def test_without_a_window_all_values_of_its_bits_become_black_to_white():
    levels = decode_image(scan(RAMP))
    assert (levels.shape, levels.dtype) == ((16, 16, 1), np.uint8)
    np.testing.assert_array_equal(levels[:, :, 0], np.rint(RAMP / 4095 * 255).astype(np.uint8))
    np.testing.assert_array_equal(decode_image(scan(RAMP, kind="MONOCHROME1")), 255 - levels)
    signed = (RAMP.astype(np.int16) - 2048).astype(np.int16)
    np.testing.assert_array_equal(decode_image(scan(signed, signed=True)), levels)
    np.testing.assert_array_equal(decode_image(scan(RAMP, RescaleSlope=-2, RescaleIntercept=7)), 255 - levels)
    assert image_shape(scan(RAMP)) == (16, 16, 1)


def test_eight_bits_are_taken_as_they_are():
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    np.testing.assert_array_equal(decode_image(scan(pixels, 8))[:, :, 0], pixels)
    np.testing.assert_array_equal(decode_image(scan(pixels, 8, kind="MONOCHROME1"))[:, :, 0], 255 - pixels)


@pytest.mark.parametrize("function", ["LINEAR", "LINEAR_EXACT", "SIGMOID"])
def test_windows_are_those_of_pydicom(function):
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    content = scan(
        RAMP, WindowCenter=40, WindowWidth=400, RescaleSlope=1, RescaleIntercept=-1024, VOILUTFunction=function
    )
    opened = pydicom.dcmread(io.BytesIO(content))
    expected = apply_voi_lut(apply_modality_lut(opened.pixel_array, opened), opened).astype(np.float64)
    low, high = -1024, 4095 - 1024  # what 12 bits can hold, rescaled
    np.testing.assert_allclose(
        decode_image(content)[:, :, 0],
        np.rint((expected - low) / (high - low) * 255),
        atol=1 if function == "SIGMOID" else 0,
    )


def test_a_window_by_hand():
    values = np.array([-1000, -160, 40, 240, 1000])
    assert window(values, 40, 400).round(3).tolist() == [0, 0, 0.501, 1, 1]
    assert window(np.array([39, 40]), 40, 1).tolist() == [0, 1]
    inverted = decode_image(scan(RAMP, kind="MONOCHROME1", WindowCenter=["2000", "9"], WindowWidth=["400", "9"]))
    plain = decode_image(scan(RAMP, WindowCenter=2000, WindowWidth=400))
    np.testing.assert_array_equal(inverted, 255 - plain)
    assert {0, 255} < set(plain.ravel().tolist())


def test_of_a_film_the_first_image_is_taken_and_color_is_color():
    film = np.stack([RAMP, RAMP[::-1]])
    np.testing.assert_array_equal(decode_image(scan(film)), decode_image(scan(RAMP)))
    color = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
    content = scan(color, 8, kind="RGB")
    np.testing.assert_array_equal(decode_image(content), color)
    assert image_shape(content) == (6, 5, 3)


def test_compressed_pixels_are_read_where_pydicom_can():
    from pydicom.uid import RLELossless

    opened = pydicom.dcmread(io.BytesIO(scan(RAMP)))
    opened.compress(RLELossless)
    written = io.BytesIO()
    opened.save_as(written)
    np.testing.assert_array_equal(decode_image(written.getvalue()), decode_image(scan(RAMP)))
    opened.file_meta.TransferSyntaxUID = pydicom.uid.JPEGLSLossless
    written = io.BytesIO()
    opened.save_as(written)
    with pytest.raises(
        DataError, match="DICOM compressed as JPEG-LS Lossless Image Compression is not read; save it as"
    ):
        decode_image(written.getvalue())


def test_what_was_done_is_told_and_the_patient_by_a_digest():
    told = []
    wide = Wide(scan_seen=lambda *what: told.append(what))
    decode_image(scan(RAMP, WindowCenter=40, WindowWidth=400, RescaleSlope=2, PatientID="Jane"), wide=wide)
    decode_image(scan(RAMP, kind="MONOCHROME1"), wide=wide)
    (first, patient), (second, nobody) = told
    assert first == ("12 bits", "rescaled", "windowed")
    assert second == ("12 bits", "inverted (MONOCHROME1)", "no window, so the full range")
    assert (len(patient), nobody) == (16, "")
    assert "Jane" not in patient


@pytest.mark.parametrize("content", [b"", scan(RAMP)[:600], scan(RAMP)[:140], b"\0" * 128 + b"DICM" + b"x" * 50])
def test_damaged_files_are_errors(content):
    with pytest.raises(DataError):
        decode_image(content)


def test_a_file_without_an_image_and_a_huge_one_are_refused():
    opened = pydicom.dcmread(io.BytesIO(scan(RAMP)))
    for name, words in (("PixelData", "without an image in it"), ("Rows", "without an image in it")):
        made = pydicom.dcmread(io.BytesIO(scan(RAMP)))
        delattr(made, name)
        written = io.BytesIO()
        made.save_as(written)
        with pytest.raises(DataError, match=words):
            decode_image(written.getvalue())
    opened.Rows, opened.Columns = 60_000, 60_000
    written = io.BytesIO()
    opened.save_as(written)
    with pytest.raises(DataError, match="megapixels"):
        decode_image(written.getvalue())


def write_patients(root: Path, patients: int = 6, each: int = 4) -> str:
    rng = np.random.default_rng(0)
    for number in range(patients):
        for image in range(each):
            folder = root / "ab"[number % 2]
            folder.mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 4096, (16, 16), dtype=np.uint16)
            kind = "MONOCHROME1" if image else "MONOCHROME2"
            content = scan(pixels, kind=kind, WindowCenter=2000, WindowWidth=3000, PatientID=f"Patient {number}")
            (folder / f"{rng.bytes(6).hex()}.dcm").write_bytes(content)
    return str(root)


def test_a_folder_says_what_was_done_and_suggests_patients(tmp_path):
    folder = write_patients(tmp_path / "scans")
    found = load_image_set(folder)
    assert found.image_shape == (16, 16, 1)
    (told,) = [note for note in found.notes if "images are DICOM" in note]
    assert told.startswith("24 images are DICOM: 12 bits (24), ")
    assert "windowed (24)" in told
    assert "inverted (MONOCHROME1) (18)" in told
    assert any(
        note.startswith("The 24 DICOM images are of 6 patients.") and note.endswith("with `group_patients=True`.")
        for note in found.notes
    )
    assert proposed(found.notes) == {"group_patients": True}
    named = load_image_set(Labelled(folder, group_patients=True))
    assert len(np.unique(named.splits["train"].groups)) == 6
    assert "Groups, by `group_patients`: 6 patients of 24 images." in named.notes
    assert not any("A test that mixes" in note for note in named.notes)
    assert "Patient" not in " ".join((*found.notes, *named.notes)).replace("PatientID", "")
    np.testing.assert_array_equal(found.splits["train"].images, named.splits["train"].images)


@pytest.mark.long
def test_what_was_done_is_kept_with_the_decoded_images(tmp_path):
    folder = write_patients(tmp_path / "scans", patients=6, each=20)
    assert load_image_set(folder).notes == load_image_set(folder).notes


def test_patients_are_asked_of_dicom_alone(tmp_path, write_folder):
    folder = str(write_folder(tmp_path / "set", {"a": 3, "b": 3}))
    with pytest.raises(DataError, match="no image names one"):
        load_image_set(Labelled(folder, group_patients=True))
    with pytest.raises(DataError, match="`group_patients` is read from image files, and digits has none"):
        load_image_set(Labelled("digits", group_patients=True))
    (Path(folder) / "a" / "scan.dcm").write_bytes(scan(RAMP, PatientID="1"))
    named = load_image_set(Labelled(folder, group_patients=True))
    assert len(np.unique(named.splits["train"].groups)) == 7


def test_a_model_reads_them_by_the_same_decoder(tmp_path):
    (tmp_path / "a.dcm").write_bytes(scan(RAMP, WindowCenter=2000, WindowWidth=3000))
    pixels = read_pixels(tmp_path / "a.dcm", (16, 16, 1))
    np.testing.assert_array_equal(pixels[0], decode_image((tmp_path / "a.dcm").read_bytes()))


@pytest.mark.long
def test_without_pydicom_one_sentence_counts_the_files_and_says_what_to_install(tmp_path, monkeypatch):
    folder = write_patients(tmp_path / "scans", patients=6, each=20)
    (tmp_path / "scans" / "a" / "damaged.dcm").write_bytes(b"no image")
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "pydicom", None)
        without.setattr(room, "_dcmread", room._dcmread.__wrapped__)
        with pytest.raises(DataError, match="120 of 121 images cannot be read: DICOM needs pydicom; install it with: "):
            load_image_set(folder)
        with pytest.raises(DataError, match="none of the 121 images can be decoded"):
            load_image_set(folder, skip_damaged=True)
        with pytest.raises(DataError) as error:
            read_pixels((Path(folder) / "a").glob("*.dcm").__next__(), (16, 16, 1))
        assert NEEDS_DICOM in str(error.value)
    # Once it is installed they are read.
    assert len(load_image_set(folder, skip_damaged=True).splits["train"]) == 120
