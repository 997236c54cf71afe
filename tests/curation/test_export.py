import hashlib
import io
import json
import os
import tarfile
import time
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image

from dermaflux.curation.export import export_dataset as export_with
from dermaflux.curation.export import zip_export
from dermaflux.curation.export_records import ExportFormat, ExportRequest, ExportTools
from dermaflux.curation.export_rows import COLUMNS
from dermaflux.curation.folder_exchange import exchanged
from dermaflux.domain.errors import Cancelled, DataNotFound, ImageNotReadable, InvalidRequest
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import DISCLAIMER
from dermaflux.provenance import read_provenance, verify
from training.dataset import load_folder

FORMATS = tuple(ExportFormat)


def wanted(folder, layout=ExportFormat.IMAGEFOLDER, **more):
    return ExportRequest(dataset="first", format=layout, folder=folder, **more)


def whole_picture(image):
    return np.ones((image.height, image.width), dtype=bool)


def export_dataset(store, request, on_step=None, tools=None):
    return export_with(store, request, on_step, tools or ExportTools(find_lesion=whole_picture))


def bytes_of(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


@pytest.mark.parametrize("layout", FORMATS)
def test_every_format_is_whole_marked_and_deterministic(filled, tmp_path, layout):
    steps = []
    report = export_dataset(filled, wanted(tmp_path / "a", layout), lambda *step: steps.append(step))
    again = export_dataset(filled, wanted(tmp_path / "b", layout))
    assert bytes_of(tmp_path / "a") == bytes_of(tmp_path / "b")
    assert report.manifest_sha256 == again.manifest_sha256 and report.num_images == 4
    assert report.diagnoses == {"mel": 2, "nv": 1, "vasc": 1} and report.left_out == {}
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    files = bytes_of(tmp_path / "a")
    assert report.num_bytes == sum(map(len, files.values()))
    manifest = json.loads(files.pop("manifest.json"))
    assert manifest["files"].keys() == files.keys() and manifest["synthetic"] is True
    for name, content in files.items():
        assert manifest["files"][name]["sha256"] == hashlib.sha256(content).hexdigest()
    card = files["README.md"].decode()
    for part in (DISCLAIMER, "configs:", "machine-generated", "| mel | melanoma | 2 |"):
        assert part in card
    assert "CC-BY-NC-4.0" in files["LICENSE.md"].decode() and 'license_name: "cc-by-nc-4.0"' in card
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "data"]


def test_front_matter_is_what_the_hub_reads(filled, tmp_path):
    from huggingface_hub import DatasetCard

    export_dataset(filled, wanted(tmp_path / "out"))
    data = DatasetCard.load(tmp_path / "out" / "README.md").data.to_dict()
    assert data["tags"] == ["synthetic", "medical", "dermatology"] and data["license"] == "other"
    assert data["configs"][0]["data_files"] == [{"split": "train", "path": "train/**"}]
    assert (tmp_path / "out" / data["license_link"]).is_file() and data["size_categories"] == ["n<1K"]


def test_imagefolder_loads_with_datasets_and_keeps_provenance(filled, tmp_path, monkeypatch):
    import datasets

    export_dataset(filled, wanted(tmp_path / "out"))
    cache = str(tmp_path / "cache")
    loaded = datasets.load_dataset("imagefolder", data_dir=str(tmp_path / "out"), cache_dir=cache)
    by_card = datasets.load_dataset(str(tmp_path / "out"), cache_dir=cache)
    for found in (loaded, by_card):
        assert list(found) == ["train"] and found["train"].num_rows == 4
        assert set(found["train"].column_names) == {"image", *COLUMNS}
    first = loaded["train"][0]
    assert first["image"].size == (64, 64) and first["synthetic"] is True and first["colours"] == ["red", "dark brown"]
    for path in (tmp_path / "out" / "train").glob("*.png"):
        assert verify(path) and read_provenance(path).model == "nano"


def test_imagefolder_is_what_the_training_reads(filled, tmp_path):
    export_dataset(filled, wanted(tmp_path / "out"))
    dataset = load_folder(tmp_path / "out" / "train")
    assert len(dataset) == 4 and not dataset.rejected
    assert sorted(record.diagnosis for record in dataset.records) == ["mel", "mel", "nv", "vasc"]
    assert {record.age for record in dataset.records} == {60.0}


def test_an_export_comes_back_as_the_same_images(filled, engine, tmp_path, store):
    export_dataset(filled, wanted(tmp_path / "out"))
    before = store.page().total
    for path in (tmp_path / "out" / "train").glob("*.png"):
        assert store.add_image(path.read_bytes()).sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert store.page().total == before


def test_parquet_loads_in_shards(filled, tmp_path):
    import datasets

    export_dataset(filled, wanted(tmp_path / "out", ExportFormat.PARQUET, images_per_shard=3))
    names = sorted(p.name for p in (tmp_path / "out" / "data").iterdir())
    assert names == ["train-00000-of-00002.parquet", "train-00001-of-00002.parquet"]
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    assert found.num_rows == 4 and found[0]["image"].size == (64, 64)
    assert found.features["predicted_malignant"].dtype == "float64" and found[0]["predicted_diagnosis"] == "mel"
    raw = found.cast_column("image", datasets.Image(decode=False))[0]["image"]["bytes"]
    assert verify(raw)


def test_webdataset_loads_in_shards(filled, tmp_path):
    import datasets

    export_dataset(filled, wanted(tmp_path / "out", ExportFormat.WEBDATASET, images_per_shard=3))
    found = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    assert found.num_rows == 4 and found[0]["json"]["seed"] in range(4)
    with tarfile.open(tmp_path / "out" / "data" / "train-000001.tar") as archive:
        entries = archive.getmembers()
        assert [Path(e.name).suffix for e in entries] == [".json", ".png"] and {e.mtime for e in entries} == {0}
        member = archive.extractfile(entries[1])
        assert member is not None and verify(member.read())


def test_dicom_is_marked_synthetic_and_keeps_the_pixels(filled, tmp_path):
    export_dataset(filled, wanted(tmp_path / "out", ExportFormat.DICOM))
    originals = {image.sha256: image for image in filled.accepted("first")}
    rows = [json.loads(line) for line in (tmp_path / "out" / "train" / "metadata.jsonl").read_text().splitlines()]
    uids = set()
    for row in rows:
        item = pydicom.dcmread(tmp_path / "out" / "train" / row["file_name"])
        assert item.SOPClassUID.name == "Dermoscopic Photography Image Storage"
        assert item[0x0008, 0x001C].value == "YES" and list(item.ImageType) == ["DERIVED", "SECONDARY"]
        assert item.ContentQualification == "RESEARCH" and item.RecognizableVisualFeatures == "NO"
        assert DISCLAIMER in item.ImageComments and item.PatientAge == "060Y" and "nano" in item.DerivationDescription
        record = json.loads(item.private_block(0x0099, "DERMAFLUX 1")[0x01].value)
        assert record == originals[row["sha256"]].generated
        with Image.open(originals[row["sha256"]].path) as original:
            assert item.pixel_array.tobytes() == original.tobytes()
        uids.add(item.SOPInstanceUID)
    assert len(uids) == 4


def test_a_hand_written_caption_and_an_unassessed_image_are_exported(store, sample, says, tmp_path):
    from dataclasses import replace

    store.create_dataset("first")
    made = sample(1, licence="")
    made = replace(made, request=replace(made.request, spec=None, caption="etwas | Braunes"))
    store.decide(says(store.add_image(made).image_id))
    for layout in FORMATS:
        report = export_dataset(store, wanted(tmp_path / layout, layout))
        assert report.diagnoses == {"not stated": 1}
    row = json.loads((tmp_path / "imagefolder" / "train" / "metadata.jsonl").read_text())
    assert row["diagnosis"] is None and row["measured_asymmetry"] is None and row["caption"] == "etwas | Braunes"
    assert "not stated by the model" in (tmp_path / "dicom" / "LICENSE.md").read_text()


def test_nothing_accepted_is_said(store, tmp_path, image_ids):
    with pytest.raises(InvalidRequest, match="nothing to export"):
        export_dataset(store, wanted(tmp_path / "out"))
    with pytest.raises(DataNotFound, match="no dataset"):
        export_dataset(store, ExportRequest(dataset="none", format=FORMATS[0], folder=tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_memorised_images_stay_behind_unless_asked_for(filled, tmp_path, image_ids):
    filled.assess(image_ids[0], memorised=True)
    report = export_dataset(filled, wanted(tmp_path / "out"))
    assert report.num_images == 3 and report.left_out == {"memorised": 1}
    assert export_dataset(filled, wanted(tmp_path / "all", include_memorised=True)).num_images == 4
    for image_id in image_ids[:4]:
        filled.assess(image_id, memorised=True)
    with pytest.raises(InvalidRequest, match="too close to training images"):
        export_dataset(filled, wanted(tmp_path / "none"))


@pytest.mark.parametrize("split", ["val", "test", "nonsense"])
def test_synthetic_images_never_go_into_val_or_test(tmp_path, split):
    with pytest.raises(InvalidRequest):
        wanted(tmp_path / "out", split=split)


def test_nor_into_the_test_folder_of_a_real_dataset(filled, tmp_path):
    (tmp_path / "real" / "train").mkdir(parents=True)
    with pytest.raises(InvalidRequest, match="test split"):
        export_dataset(filled, wanted(tmp_path / "real" / "test"))
    with pytest.raises(InvalidRequest, match="Choose one of"):
        wanted(tmp_path, "csv")


def test_a_folder_with_other_things_is_never_overwritten(filled, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match=r"thesis\.txt"):
        export_dataset(filled, wanted(out))
    assert (out / "thesis.txt").read_text() == "mine"
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidRequest, match="is a file"):
        export_dataset(filled, wanted(tmp_path / "file"))


def test_an_earlier_export_is_replaced_whole_but_not_what_was_added_to_it(filled, tmp_path, says, image_ids):
    out = tmp_path / "out"
    out.mkdir()  # an empty folder is fine
    export_dataset(filled, wanted(out))
    filled.decide(says(image_ids[0], "reject"))
    assert export_dataset(filled, wanted(out, ExportFormat.PARQUET)).num_images == 3
    assert not (out / "train").exists()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InvalidRequest, match=r"notes\.txt"):
        export_dataset(filled, wanted(out))


@pytest.mark.parametrize("layout", FORMATS)
def test_cancel_leaves_nothing_and_the_earlier_export_in_place(filled, tmp_path, layout):
    def stop(done, total):
        if done == 2:
            raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        export_dataset(filled, wanted(tmp_path / "new", layout), stop)
    export_dataset(filled, wanted(tmp_path / "old"))
    before = bytes_of(tmp_path / "old")
    with pytest.raises(Cancelled):
        export_dataset(filled, wanted(tmp_path / "old", layout), stop)
    assert bytes_of(tmp_path / "old") == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "old"]


def test_a_changed_or_lost_image_file_stops_the_export(filled, tmp_path):
    path = Path(next(filled.accepted("first")).path)
    content = path.read_bytes()
    path.write_bytes(content + b"x")
    with pytest.raises(ImageNotReadable, match="changed"):
        export_dataset(filled, wanted(tmp_path / "out"))
    path.unlink()
    with pytest.raises(DataNotFound, match="gone"):
        export_dataset(filled, wanted(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_zip_holds_the_export_and_is_deterministic(filled, tmp_path):
    export_dataset(filled, wanted(tmp_path / "out"))
    path = zip_export(tmp_path / "out")
    first = path.read_bytes()
    assert zip_export(tmp_path / "out") == path and path.read_bytes() == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert archive.testzip() is None
        found = {name.removeprefix("out/"): archive.read(name) for name in archive.namelist()}
    assert found == bytes_of(tmp_path / "out")
    with pytest.raises(InvalidRequest, match="no export"):
        zip_export(tmp_path / "data")


def test_two_models_are_both_named_in_the_licence(filled, sample, says, tmp_path):
    stored = filled.add_image(sample(99, Diagnosis.DF, licence="FLUX.1-dev Non-Commercial"))
    filled.decide(says(stored.image_id))
    export_dataset(filled, wanted(tmp_path / "out"))
    text = (tmp_path / "out" / "LICENSE.md").read_text()
    assert "CC-BY-NC-4.0" in text and "FLUX.1-dev Non-Commercial" in text
    card = (tmp_path / "out" / "README.md").read_text()
    assert 'license_name: "cc-by-nc-4.0-flux.1-dev-non-commercial"' in card


def test_where_folders_cannot_be_exchanged_an_earlier_export_is_replaced_too(filled, tmp_path, monkeypatch):
    monkeypatch.setattr("dermaflux.curation.export_folder.exchanged", lambda one, other: False)
    first = export_dataset(filled, wanted(tmp_path / "out"))
    assert export_dataset(filled, wanted(tmp_path / "out")).manifest_sha256 == first.manifest_sha256
    assert sorted(p.name for p in tmp_path.iterdir()) == ["data", "out"]


def test_folders_are_exchanged_in_one_step(tmp_path):
    for name in "ab":
        (tmp_path / name / name).mkdir(parents=True)
    if not exchanged(tmp_path / "a", tmp_path / "b"):
        pytest.skip("this system or file system cannot exchange folders")
    assert (tmp_path / "a" / "b").is_dir() and (tmp_path / "b" / "a").is_dir()
    with pytest.raises(FileNotFoundError):
        exchanged(tmp_path / "a", tmp_path / "none")


def test_what_killed_exports_left_beside_the_target_is_tidied_by_the_next(filled, tmp_path):
    export_dataset(filled, wanted(tmp_path / "out"))
    earlier = tmp_path / ".out.0000.partial.earlier"
    (tmp_path / "out").rename(earlier)  # killed between the two renames, where folders cannot be exchanged
    for name, age_seconds in ((".out.1111.partial", 7200), (".out.2222.partial", 0), (".other.3333.partial", 7200)):
        (tmp_path / name).mkdir()
        os.utime(tmp_path / name, (time.time() - age_seconds,) * 2)
    export_dataset(filled, wanted(tmp_path / "out"))
    assert sorted(p.name for p in tmp_path.iterdir()) == [".other.3333.partial", ".out.2222.partial", "data", "out"]
