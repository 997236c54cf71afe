"""The DICOM layout: one Dermoscopic Photography object an image, marked as synthetic in every way DICOM has.

Source: DICOM PS3.3 (Dermoscopic Photography IOD), tags as pydicom 3 names them; what a real dermatoscope would
know (polarisation, contact, immersion) is left out, since nothing was photographed. UIDs follow from the content.
pydicom is imported on use. `train/metadata.jsonl` says the same as in the other formats.
"""

import hashlib
import io
import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from PIL import Image

from dermaflux import __version__
from dermaflux.curation.export_rows import ExportPlan, ExportRow
from dermaflux.domain.errors import DataNotFound, ImageNotReadable, InvalidRequest
from dermaflux.domain.records import DISCLAIMER
from dermaflux.provenance import Inspection, Provenance, hash_pixels

DATA_FILES = "{split}/metadata.jsonl"
DERMOSCOPIC_PHOTOGRAPHY = "1.2.840.10008.5.1.4.1.1.77.1.7"
PRIVATE_GROUP, PRIVATE_CREATOR = 0x0099, "DERMAFLUX 1"
_RECORD_ELEMENT = 0x01
_SEX = {"female": "F", "male": "M"}


def write(rows: Iterator[ExportRow], folder: Path, plan: ExportPlan) -> None:
    """Write `train/KEY.dcm` and the metadata lines."""
    part = folder / plan.split.value
    part.mkdir()
    with (part / "metadata.jsonl").open("w", encoding="utf-8") as lines:
        for number, row in enumerate(rows, start=1):
            name = f"{row.key}.dcm"
            dicom_object(row, plan.dataset, number).save_as(part / name, enforce_file_format=True)
            lines.write(json.dumps({"file_name": name} | dict(row.fields)) + "\n")


def dicom_object(row: ExportRow, dataset_name: str, number: int) -> Any:
    """The pydicom Dataset of one image: 8-bit RGB, uncompressed, little endian; `number` counts from 1."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import UID, ExplicitVRLittleEndian

    item = Dataset()
    item.file_meta = FileMetaDataset()
    item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    item.file_meta.MediaStorageSOPClassUID = UID(DERMOSCOPIC_PHOTOGRAPHY)
    item.file_meta.MediaStorageSOPInstanceUID = UID(uid("image", row.fields["sha256"]))
    item.SpecificCharacterSet = "ISO_IR 192"
    item.SOPClassUID = DERMOSCOPIC_PHOTOGRAPHY
    item.SOPInstanceUID = item.file_meta.MediaStorageSOPInstanceUID
    _add_study(item, row, dataset_name, number)
    _add_synthetic_marks(item, row)
    _add_anatomy(item)
    _add_pixels(item, row.png)
    return item


def read_record(content: bytes) -> tuple[Inspection, bool]:
    """The provenance record of a DICOM object and whether its pixels fit it; then whether it says Synthetic Data.

    Raises DataNotFound (no record of ours) or ImageNotReadable (no DICOM, no pixels, or a damaged record).
    """
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    try:
        item = dcmread(io.BytesIO(content))
        text = item.private_block(PRIVATE_GROUP, PRIVATE_CREATOR)[_RECORD_ELEMENT].value
        provenance = Provenance.from_dict(json.loads(text))
        picture = Image.frombytes("RGB", (item.Columns, item.Rows), item.pixel_array.tobytes())
    except KeyError:
        raise DataNotFound("The DICOM object carries no DermaFlux record: it was not made here.") from None
    except (InvalidDicomError, InvalidRequest, AttributeError, ValueError, TypeError, OSError) as error:
        raise ImageNotReadable(f"The DICOM object is damaged ({error}). Use the original file.") from error
    intact = hash_pixels(picture) == provenance.pixels_sha256
    found = Inspection(provenance=provenance, size_px=picture.size, intact=intact)
    return found, item.get((0x0008, 0x001C), None) is not None and item.SyntheticData == "YES"


def uid(kind: str, name: str) -> str:
    """A UID that follows from its content: 2.25 and a 128-bit number (DICOM PS3.5 B.2)."""
    digest = hashlib.sha256(f"dermaflux {kind} {name}".encode()).digest()
    return f"2.25.{int.from_bytes(digest[:16], 'big')}"


def _add_study(item: Any, row: ExportRow, dataset_name: str, number: int) -> None:
    fields = row.fields
    made = datetime.fromisoformat(fields["created_at"]) if fields["created_at"] else None
    item.PatientName = "Synthetic^No patient"
    item.PatientID = f"SYNTHETIC-{row.key[:16]}"
    item.PatientBirthDate = ""
    item.PatientSex = _SEX.get(fields["sex"] or "", "")
    if fields["age"] is not None:
        item.PatientAge = f"{int(fields['age']):03d}Y"
    # Each synthetic image is its own "patient", so it is its own study as well.
    item.StudyInstanceUID = uid("study", f"{dataset_name} {fields['sha256']}")
    item.SeriesInstanceUID = uid("series", f"{dataset_name} {fields['sha256']}")
    item.StudyID, item.SeriesNumber, item.InstanceNumber = "", 1, number
    item.AccessionNumber, item.ReferringPhysicianName = "", ""
    item.StudyDescription = f"Synthetic dataset {dataset_name}"[:64]
    item.Modality, item.Laterality = "DMS", ""
    item.Manufacturer, item.ManufacturerModelName = "DermaFlux", str(fields["model"])[:64]
    item.DeviceSerialNumber, item.SoftwareVersions = "none", __version__
    item.StudyDate = item.ContentDate = made.strftime("%Y%m%d") if made else ""
    item.StudyTime = item.ContentTime = made.strftime("%H%M%S") if made else ""
    item.AcquisitionDateTime = made.strftime("%Y%m%d%H%M%S+0000") if made else ""


def _add_synthetic_marks(item: Any, row: ExportRow) -> None:
    item.ImageType = ["DERIVED", "SECONDARY"]
    item.SyntheticData = "YES"
    item.ContentQualification = "RESEARCH"
    item.RecognizableVisualFeatures = "NO"
    item.BurnedInAnnotation = "NO"
    item.LossyImageCompression = "00"
    weights = " + ".join(filter(None, (row.fields["model"], row.fields["adapter"])))
    item.DerivationDescription = f"Synthetic image, generated by DermaFlux with {weights}; no patient."[:1024]
    item.ImageComments = f"{DISCLAIMER} {row.fields['caption']}"[:10240]
    block = item.private_block(PRIVATE_GROUP, PRIVATE_CREATOR, create=True)
    block.add_new(_RECORD_ELEMENT, "UT", _provenance_text(row.generated))


def _provenance_text(generated: Mapping[str, Any]) -> str:
    return json.dumps(dict(generated), separators=(",", ":"))


def _add_anatomy(item: Any) -> None:
    from pydicom.dataset import Dataset
    from pydicom.sequence import Sequence

    skin = Dataset()
    skin.CodeValue, skin.CodingSchemeDesignator, skin.CodeMeaning = "39937001", "SCT", "Skin"
    item.AnatomicRegionSequence = Sequence([skin])
    item.AcquisitionContextSequence = Sequence([])


def _add_pixels(item: Any, png: bytes) -> None:
    with Image.open(io.BytesIO(png)) as picture:
        pixels = picture.convert("RGB")
    data = pixels.tobytes()
    item.Columns, item.Rows = pixels.size
    item.SamplesPerPixel, item.PhotometricInterpretation, item.PlanarConfiguration = 3, "RGB", 0
    item.BitsAllocated, item.BitsStored, item.HighBit, item.PixelRepresentation = 8, 8, 7, 0
    item.PixelData = data + b"\0" * (len(data) % 2)
