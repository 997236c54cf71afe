"""An export comes back as the same set into another store, and not at all when anything in it was changed."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest

from dermaflux.curation.credentials import CredentialSigner
from dermaflux.curation.export import export_dataset
from dermaflux.curation.export_records import ExportRequest, ExportTools
from dermaflux.curation.import_export import import_export
from dermaflux.curation.review_records import ReviewPlan
from dermaflux.curation.store import CurationStore, open_engine
from dermaflux.domain.errors import Cancelled, DataNotFound, InvalidRequest

RETURNING = ("imagefolder", "parquet", "webdataset", "coco")


def export(store, folder, layout="imagefolder", dataset="first", signer=None, **more):
    request = ExportRequest(dataset=dataset, format=layout, folder=folder, images_per_shard=3, **more)
    tools = ExportTools(find_lesion=lambda image: np.ones((64, 64), dtype=bool), signer=signer)
    return export_dataset(store, request, tools=tools)


@pytest.fixture
def judged(filled, says, image_ids):
    """The filled store with a second reviewer, tags, a refused image among the accepted, and one flagged as cleared."""
    filled.decide(says(image_ids[0], "accept", "bob", realism=2, tags=("sharp", "odd"), note="Bob wrote this"))
    filled.decide(says(image_ids[1], "unsure", "bob"))
    filled.assess(image_ids[1], memorised=False)
    return filled


@pytest.fixture
def elsewhere(new_database, tmp_path):
    """An empty store in another place."""
    (tmp_path / "elsewhere").mkdir()
    with new_database(tmp_path / "elsewhere") as url:
        engine = open_engine(url)
        yield CurationStore(engine, tmp_path / "elsewhere" / "images")
        engine.dispose()


def hashes(store, dataset="first"):
    return [image.sha256 for image in store.accepted(dataset)]


def pool_files(store):
    return sorted(path.name for path in Path(store.pool.folder).rglob("*") if path.is_file())


@pytest.mark.parametrize("layout", RETURNING)
def test_an_export_comes_back_as_the_same_set_and_leaves_as_the_same_bytes(judged, elsewhere, tmp_path, layout):
    left = export(judged, tmp_path / "out", layout)
    told = []
    report = import_export(elsewhere, tmp_path / "out", "first", lambda *step: told.append(step))
    assert (report.num_images, report.num_new_images, report.num_decisions) == (4, 4, 6)
    assert told[-1] == (4, 4) and report.set_sha256 == left.set_sha256
    assert hashes(elsewhere) == hashes(judged)
    again = export(elsewhere, tmp_path / "again", layout)
    assert again.set_sha256 == left.set_sha256
    for part in ("train", "data", "sidecars", "annotations"):
        for path in (tmp_path / "out" / part).rglob("*"):
            assert (tmp_path / "again" / path.relative_to(tmp_path / "out")).read_bytes() == path.read_bytes()


def test_a_set_without_rejects_has_the_same_manifest_when_it_comes_back(judged, elsewhere, image_ids, says, tmp_path):
    for image_id in image_ids:
        judged.decide(says(image_id, "accept"))
    left = export(judged, tmp_path / "out")
    import_export(elsewhere, tmp_path / "out", "first")
    assert export(elsewhere, tmp_path / "again").manifest_sha256 == left.manifest_sha256


def test_verdicts_come_as_new_chained_decisions_under_pseudonyms(judged, elsewhere, tmp_path):
    export(judged, tmp_path / "out")
    import_export(elsewhere, tmp_path / "out", "taken in")
    decisions = elsewhere.decisions("taken in")
    assert len(decisions) == 6 and elsewhere.verify_chain().intact
    assert all(d.reviewer.startswith("reviewer-") for d in decisions) and len({d.reviewer for d in decisions}) == 2
    bobs = next(d for d in decisions if d.tags)
    assert bobs.realism == 2 and set(bobs.tags) == {"sharp", "odd"} and bobs.note.startswith("Imported from an export")
    known = elsewhere.get(decisions[0].image_id)
    assert known.assessment["measurement"]["asymmetry"] == 1.0
    assert [c.memorised for c in elsewhere.candidates("taken in")].count(False) == 1


def test_an_adjudicated_image_comes_back_as_it_was_settled(judged, elsewhere, image_ids, says, tmp_path):
    judged.set_review_plan("first", ReviewPlan(reviewers_per_image=2))
    judged.decide(says(image_ids[0], "reject", "bob"))
    judged.adjudicate(says(image_ids[0], "accept", "dee"))
    left = export(judged, tmp_path / "out")
    assert left.num_images == 4
    import_export(elsewhere, tmp_path / "out", "first")
    assert hashes(elsewhere) == hashes(judged) and elsewhere.verify_chain().intact
    assert export(elsewhere, tmp_path / "again").set_sha256 == left.set_sha256
    assert import_export(elsewhere, tmp_path / "out", "first").num_decisions == 0
    with pytest.raises(InvalidRequest, match="1 under the least agreement"):
        export(judged, tmp_path / "agreed", min_agreement=1.0, without=set(image_ids[1:]))


def test_the_same_import_again_adds_nothing(judged, elsewhere, tmp_path):
    export(judged, tmp_path / "out")
    import_export(elsewhere, tmp_path / "out", "first")
    report = import_export(elsewhere, tmp_path / "out", "first")
    assert (report.num_images, report.num_new_images, report.num_decisions) == (4, 0, 0)
    back_home = import_export(judged, tmp_path / "out", "first copy")
    assert (back_home.num_new_images, back_home.num_decisions) == (0, 6)


@pytest.mark.parametrize("layout", ["imagefolder", "parquet"])
def test_a_signed_export_comes_back_as_the_unsigned_images(judged, elsewhere, tmp_path, signing_files, layout):
    export(judged, tmp_path / "out", layout, signer=CredentialSigner(*signing_files))
    import_export(elsewhere, tmp_path / "out", "first")
    assert hashes(elsewhere) == hashes(judged)
    assert pool_files(elsewhere) == sorted(f"{sha256}.png" for sha256 in hashes(judged))


def rewrite_manifest(folder):
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["files"]:
        content = (folder / name).read_bytes()
        manifest["files"][name] = {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (folder / "manifest.json").write_text(json.dumps(manifest))


def change_a_picture(folder):
    path = sorted((folder / "train").glob("*.png"))[-1]
    content = bytearray(path.read_bytes())
    content[-30] ^= 1
    path.write_bytes(content)


def swap_two_pictures(folder):
    one, two = sorted((folder / "train").glob("*.png"))[-2:]
    first, second = one.read_bytes(), two.read_bytes()
    one.write_bytes(first[:-40] + second[-40:])


def change_a_verdict(folder):
    path = sorted((folder / "sidecars").iterdir())[0]
    path.write_text(path.read_text().replace('"verdict": "accept"', '"verdict": "unsure"'))


def put_a_name(folder):
    path = sorted((folder / "sidecars").iterdir())[0]
    sidecar = json.loads(path.read_text())
    sidecar["decisions"][0]["reviewer"] = "ada"
    path.write_text(json.dumps(sidecar))


def drop_a_picture(folder):
    path = sorted((folder / "train").glob("*.png"))[0]
    path.unlink()
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"].pop(f"train/{path.name}", None)
    (folder / "manifest.json").write_text(json.dumps(manifest))


def add_a_file(folder):
    (folder / "train" / "mine.png").write_bytes(b"x")


@pytest.mark.parametrize(
    "tamper", [change_a_picture, swap_two_pictures, change_a_verdict, put_a_name, drop_a_picture, add_a_file]
)
@pytest.mark.parametrize("covered", [False, True], ids=["bare", "with the manifest rewritten"])
def test_what_was_changed_is_refused_and_nothing_is_kept(judged, elsewhere, tmp_path, tamper, covered):
    export(judged, tmp_path / "out")
    tamper(tmp_path / "out")
    if covered:
        rewrite_manifest(tmp_path / "out")
    with pytest.raises(InvalidRequest):
        import_export(elsewhere, tmp_path / "out", "first")
    assert elsewhere.page().total == 0 and elsewhere.datasets() == () and pool_files(elsewhere) == []


def test_a_stopped_import_keeps_nothing(judged, elsewhere, tmp_path):
    def stop(done, total):
        if done == 3:
            raise Cancelled("Stopped.")

    export(judged, tmp_path / "out")
    with pytest.raises(Cancelled):
        import_export(elsewhere, tmp_path / "out", "first", stop)
    assert elsewhere.page().total == 0 and elsewhere.datasets() == () and pool_files(elsewhere) == []


def test_a_failed_import_takes_no_file_away_that_was_there_before(judged, tmp_path, image_ids):
    export(judged, tmp_path / "out")
    before = pool_files(judged)
    change_a_picture(tmp_path / "out")
    rewrite_manifest(tmp_path / "out")
    with pytest.raises(InvalidRequest):
        import_export(judged, tmp_path / "out", "copy")
    assert pool_files(judged) == before and judged.verify_chain().intact


def test_an_import_brings_back_a_file_that_was_lost(judged, tmp_path):
    export(judged, tmp_path / "out")
    before = pool_files(judged)
    lost = next(judged.accepted("first"))
    Path(lost.path).unlink()
    import_export(judged, tmp_path / "out", "first")
    assert pool_files(judged) == before and judged.read_png(lost)


def test_a_name_that_differs_in_case_only_is_refused_whole(judged, tmp_path):
    export(judged, tmp_path / "out")
    with pytest.raises(InvalidRequest, match="'first' already"):
        import_export(judged, tmp_path / "out", "First")
    assert judged.datasets()[0].name == "first" and len(judged.datasets()) == 1


def test_what_is_no_export_or_cannot_come_back_is_said(judged, tmp_path):
    with pytest.raises(DataNotFound, match="does not exist"):
        import_export(judged, tmp_path / "none", "first")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InvalidRequest, match="no export"):
        import_export(judged, tmp_path / "empty", "first")
    export(judged, tmp_path / "out", "dicom")
    with pytest.raises(InvalidRequest, match="as dicom cannot be taken back"):
        import_export(judged, tmp_path / "out", "first")
    with pytest.raises(InvalidRequest, match="cannot name a dataset"):
        import_export(judged, tmp_path / "out", "../x")
