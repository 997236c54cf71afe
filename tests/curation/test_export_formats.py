"""COCO and Croissant as their own libraries read them, sidecars, and exports that are signed."""

import hashlib
import json
from dataclasses import replace

import mlcroissant
import numpy as np
import pytest
from PIL import Image

from dermaflux.curation.credentials import CredentialSigner, read_credentials, without_credentials
from dermaflux.curation.export import export_dataset
from dermaflux.curation.export_coco import run_lengths
from dermaflux.curation.export_records import ExportFormat, ExportRequest, ExportTools
from dermaflux.curation.file_check import FileState, check_file
from dermaflux.domain.errors import InvalidRequest


def dark_part(image):
    """A finder of lesions for noise: a blob with a hole, in another place on each image; none on one of them."""
    first = image.getpixel((0, 0))[0]
    mask = np.zeros((image.height, image.width), dtype=bool)
    if first % 4:
        mask[10 : 20 + first // 8, 5:30] = True
        mask[12:14, 8:11] = False
    return mask


def export(store, folder, layout="imagefolder", tools=None, **more):
    tools = tools or ExportTools(find_lesion=dark_part)
    return export_dataset(store, ExportRequest(dataset="first", format=layout, folder=folder, **more), tools=tools)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of pycocotools itself
def test_coco_is_read_by_pycocotools_with_the_very_masks(filled, tmp_path, capsys):
    from pycocotools.coco import COCO

    export(filled, tmp_path / "out", "coco")
    coco = COCO(tmp_path / "out" / "annotations" / "instances_train.json")
    assert len(coco.getImgIds()) == 4
    names = {coco.cats[i]["name"]: coco.cats[i]["supercategory"] for i in coco.getCatIds()}
    assert names["mel"] == "malignant" and names["nv"] == "benign" and names["not stated"] == "not stated"
    with_lesion = 0
    for image in coco.loadImgs(coco.getImgIds()):
        path = tmp_path / "out" / "train" / image["file_name"]
        with Image.open(path) as picture:
            expected = dark_part(picture)
        found = coco.loadAnns(coco.getAnnIds(imgIds=image["id"]))
        with_lesion += bool(found)
        assert bool(found) == bool(expected.any())
        for annotation in found:
            assert (coco.annToMask(annotation).astype(bool) == expected).all()
            assert annotation["area"] == expected.sum()
            assert coco.cats[annotation["category_id"]]["name"] == image["diagnosis"]
            left, top, width, height = annotation["bbox"]
            assert expected[top : top + height, left : left + width].sum() == expected.sum()
    assert with_lesion


@pytest.mark.parametrize("seed", range(8))
def test_run_lengths_are_those_of_pycocotools(seed):
    from pycocotools import mask as coco_mask

    mask = np.random.default_rng(seed).random((seed + 1, 7)) > 0.5
    mask[0, 0] = seed % 2 == 0
    packed = coco_mask.frPyObjects({"counts": run_lengths(mask), "size": list(mask.shape)}, *mask.shape)
    assert packed == coco_mask.encode(np.asfortranarray(mask.astype(np.uint8)))


def test_coco_without_a_segmenter_is_refused_before_anything_is_written(filled, tmp_path):
    with pytest.raises(InvalidRequest, match="no segmenter"):
        export(filled, tmp_path / "out", "coco", ExportTools())
    assert not (tmp_path / "out").exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning", "ignore::ResourceWarning")
@pytest.mark.parametrize("layout", ["imagefolder", "parquet", "coco"])
def test_croissant_is_valid_and_gives_the_records(filled, tmp_path, layout):
    export(filled, tmp_path / "out", layout, images_per_shard=3)
    described = mlcroissant.Dataset(jsonld=str(tmp_path / "out" / "croissant.json"))
    assert not described.metadata.ctx.issues.errors
    assert described.metadata.data_use_cases and described.metadata.personal_sensitive_information
    records = list(described.records(record_set="images"))
    stored = {image.sha256: image for image in filled.accepted("first")}
    assert len(records) == 4
    for record in records:
        image = stored[record["images/sha256"].decode()]
        assert record["images/seed"] == image.generated["seed"]
        assert record["images/colours"] == [b"red", b"dark brown"] and record["images/synthetic"] is True
        with Image.open(image.path) as picture:
            assert record["images/image"].tobytes() == picture.tobytes()
    text = json.loads((tmp_path / "out" / "croissant.json").read_text())
    assert text["rai:hasSyntheticData"] is True and "nano" in text["prov:wasDerivedFrom"][0]


@pytest.mark.parametrize("layout", tuple(ExportFormat))
def test_every_format_has_the_same_sidecars_and_set_hash(filled, tmp_path, layout):
    report, plain = export(filled, tmp_path / "out", layout), export(filled, tmp_path / "plain")
    assert report.set_sha256 == plain.set_sha256
    texts = [path.read_text() for path in sorted((tmp_path / "plain" / "sidecars").iterdir())]
    if (tmp_path / "out" / "sidecars.jsonl").exists():
        assert (tmp_path / "out" / "sidecars.jsonl").read_text() == "".join(texts)
    else:
        assert [path.read_text() for path in sorted((tmp_path / "out" / "sidecars").iterdir())] == texts
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["set_sha256"] == report.set_sha256


def test_a_sidecar_says_how_what_and_who_under_a_pseudonym(filled, says, image_ids, tmp_path):
    filled.decide(says(image_ids[0], "accept", "Dr. Grace Hopper", tags=("sharp",), note="Grace was here"))
    export(filled, tmp_path / "out")
    texts = [path.read_text() for path in (tmp_path / "out" / "sidecars").iterdir()]
    assert not any("Grace" in text or '"ada"' in text for text in texts)
    found = {sidecar["sha256"]: sidecar for sidecar in map(json.loads, texts)}
    stored = filled.get(image_ids[0])
    sidecar = found[stored.sha256]
    assert sidecar["generated"] == stored.generated and sidecar["measurement"] == stored.assessment["measurement"]
    assert sidecar["prediction"]["malignant"] == 0.7 and sidecar["verdict"] == "accept"
    ada, grace = sidecar["decisions"]
    assert ada["reviewer"] != grace["reviewer"] and grace["tags"] == ["sharp"] and ada["realism"] == 4
    decided = filled.decisions("first", image_ids[0])
    assert [said["decided_at"] for said in (ada, grace)] == [event.created_at for event in decided]
    assert {s["decisions"][0]["reviewer"] for s in found.values()} == {ada["reviewer"]}


def test_a_reviewer_has_another_pseudonym_in_another_dataset(filled, says, image_ids):
    filled.create_dataset("second")
    filled.decide(says(image_ids[0], dataset="second"))
    first, second = (filled.judgements(name)[image_ids[0]][0].reviewer for name in ("first", "second"))
    assert first != second and first.startswith("reviewer-")


@pytest.mark.parametrize("layout", ["imagefolder", "parquet"])
def test_signed_exports_verify_and_leave_the_pool_as_it_was(filled, tmp_path, signing_files, layout):
    signer = CredentialSigner(*signing_files)
    before = {image.sha256: filled.read_png(image) for image in filled.accepted("first")}
    report = export(filled, tmp_path / "signed", layout, ExportTools(signer=signer))
    plain = export(filled, tmp_path / "plain", layout)
    assert report.set_sha256 == plain.set_sha256 and report.manifest_sha256 != plain.manifest_sha256
    assert {image.sha256: filled.read_png(image) for image in filled.accepted("first")} == before
    manifest = json.loads((tmp_path / "signed" / "manifest.json").read_text())
    assert manifest["signed_with_certificate_sha256"] == hashlib.sha256(signing_files[0].read_bytes()).hexdigest()
    for png in pngs_of(tmp_path / "signed", layout):
        signed = read_credentials(png)
        assert signed is not None and signed.holds
        assert without_credentials(png) in before.values()


def pngs_of(folder, layout):
    if layout == "imagefolder":
        return [path.read_bytes() for path in (folder / "train").glob("*.png")]
    import pyarrow.parquet

    tables = [pyarrow.parquet.read_table(path) for path in (folder / "data").glob("*.parquet")]
    return [image["bytes"] for table in tables for image in table["image"].to_pylist()]


def test_a_signed_file_that_was_touched_does_not_verify(filled, tmp_path, signing_files):
    export(filled, tmp_path / "out", tools=ExportTools(signer=CredentialSigner(*signing_files)))
    path = next((tmp_path / "out" / "train").glob("*.png"))
    assert check_file(path).state is FileState.INTACT and check_file(path).signature == "valid"
    content = path.read_bytes()
    end = content.index(b"IEND") - 4
    path.write_bytes(content[:end] + b"\0\0\0\3tEXta\0b" + bytes.fromhex("9cbb7fde") + content[end:])
    check = check_file(path)
    assert check.state is FileState.CHANGED and check.signature == "invalid"


def test_an_image_of_a_hand_written_caption_is_category_not_stated(store, sample, says, tmp_path):
    store.create_dataset("first")
    made = sample(2)
    made = replace(made, request=replace(made.request, spec=None, caption="by hand"))
    store.decide(says(store.add_image(made).image_id))
    export(store, tmp_path / "out", "coco", ExportTools(find_lesion=lambda image: np.ones((64, 64), dtype=bool)))
    coco = json.loads((tmp_path / "out" / "annotations" / "instances_train.json").read_text())
    names = {category["id"]: category["name"] for category in coco["categories"]}
    assert [names[a["category_id"]] for a in coco["annotations"]] == ["not stated"]
