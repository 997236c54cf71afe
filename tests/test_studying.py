"""Reader studies through services and command line: pictures made alike, who may what, results, export, removal."""

import csv
import io
import json
import random
import zipfile

import numpy as np
import pytest
from PIL import Image

from dermaflux.__main__ import main
from dermaflux.curation.study_records import ItemKind
from dermaflux.domain.errors import DataNotFound, ImageNotReadable, InvalidRequest, NotAllowed
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.roles import Role, Visitor
from dermaflux.domain.study import Source, StudyAnswer, StudyPlan
from dermaflux.services import Services
from dermaflux.services.study_choice import Eligible, choose
from dermaflux.services.study_pictures import GREY
from dermaflux.services.study_views import StudyRequest
from dermaflux.settings import Settings

OLGA = Visitor(name="olga", role=Role.CURATOR)
ANN, BOB = (Visitor(name=name, role=Role.REVIEWER) for name in ("ann", "bob"))
VIC = Visitor(name="vic", role=Role.VIEWER)
PLAN = StudyPlan(num_of_each=4, size_px=160, check_share=0.3, repeat_share=0.25)


@pytest.fixture
def services(tmp_path, fill_for_study):
    with Services(Settings(data_dir=tmp_path / "data")) as services:
        fill_for_study(services)
        yield services


def made(services, plan=PLAN, name="trial", visitor=OLGA):
    return services.create_study(visitor, StudyRequest(name=name, dataset="realism", real="clinic", plan=plan, seed=5))


def key_of(services, name="trial"):
    return {item.item_id: item for item in services._store().study_items(name)}


def read_all(services, visitor, says, name="trial"):
    """Answer a whole study; says(item) gives (source, confidence). Returns the pictures by place."""
    turn, seen = services.read_study(name, visitor), {}
    key = key_of(services, name)
    while turn.position < turn.total:
        seen |= turn.pictures
        item = services._store().begin_reading(name, visitor.name).current
        source, confidence = says(key[item.item_id], key)
        answer = StudyAnswer(position=turn.position, source=source, confidence=confidence, browser_ms=900)
        turn = services.answer_study(name, visitor, answer)
    return seen


def truthfully(item, key):
    item = key[item.repeats] if item.repeats else item
    return item.wanted or (Source(item.kind), 5)


def carelessly(item, key):
    return Source.REAL, 1


def test_what_readers_get_of_both_kinds_is_alike_but_for_the_pixels(services):
    made(services)
    seen = read_all(services, ANN, carelessly)
    assert len(seen) == PLAN.num_shown == 13
    files = [Image.open(io.BytesIO(content)) for content in seen.values()]
    assert {(f.format, f.size, f.mode, tuple(sorted(f.info))) for f in files} == {
        ("JPEG", (160, 160), "RGB", ("jfif", "jfif_density", "jfif_unit", "jfif_version"))
    }
    assert len({json.dumps(f.quantization) for f in files}) == 1
    assert len({len(content) for content in seen.values()}) == 1
    assert not any(b"SECRET" in content or b"dermaflux" in content for content in seen.values())


def test_files_have_random_names_and_say_nothing_else(services):
    made(services)
    (folder,) = (services.settings.data_dir / "studies").iterdir()
    assert folder.stat().st_mode & 0o077 == 0
    names = {path.stem for path in folder.iterdir()}
    key = key_of(services)
    assert names == {i for i, item in key.items() if item.kind is not ItemKind.REPEAT}
    assert all(len(name) == 32 and int(name, 16) >= 0 for name in names)
    kinds = [key[i].kind for i in sorted(names) if key[i].kind is not ItemKind.CHECK]
    assert kinds != sorted(kinds)


def test_all_pictures_are_brought_down_to_the_detail_of_the_poorest(services):
    made(services)
    assert services._store().study("trial").sources["detail_px"] == 96
    seen = read_all(services, ANN, truthfully)
    order = {a.answer.position: a.item_id for a in services._store().study_answers("trial")}
    key = key_of(services)
    for place, content in seen.items():
        if key[order[place]].kind is ItemKind.REAL:
            spectrum = np.abs(np.fft.fft2(np.asarray(Image.open(io.BytesIO(content)).convert("L"), dtype=float)))
            assert spectrum[76:85, 76:85].mean() < spectrum[20:30, 20:30].mean() / 10


def test_a_disc_hides_the_corners_of_all(services):
    made(services, StudyPlan(num_of_each=2, size_px=160, frame="round", check_share=0.2))
    for content in read_all(services, ANN, carelessly).values():
        picture = np.asarray(Image.open(io.BytesIO(content)), dtype=int)
        assert np.abs(picture[:16, :16] - GREY).max() <= 3


def test_the_same_seed_shows_the_same_pictures_and_diagnoses_are_matched(services):
    for name in ("one", "two"):
        made(services, name=name)
    chosen = [sorted((i.origin, i.origin_sha256) for i in key_of(services, n).values()) for n in ("one", "two")]
    assert chosen[0] == chosen[1]
    found = [(i.kind, i.diagnosis) for i in key_of(services, "one").values()]
    for diagnosis in ("nv", "mel"):
        assert found.count((ItemKind.REAL, diagnosis)) == found.count((ItemKind.SYNTHETIC, diagnosis))


def test_a_study_keeps_what_it_shows_when_its_sources_go(services):
    made(services)
    services.purge(tuple(services.accepted_ids("realism")), "test")
    for path in (services.settings.data_dir / "real" / "clinic").iterdir():
        path.unlink()
    assert len(read_all(services, ANN, carelessly)) == PLAN.num_shown


def test_a_changed_picture_is_not_shown(services):
    made(services)
    (folder,) = (services.settings.data_dir / "studies").iterdir()
    for path in folder.iterdir():
        path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(ImageNotReadable, match="was changed"):
        services.read_study("trial", ANN)


def test_what_cannot_be_made_is_said_and_leaves_nothing(services):
    few = StudyPlan(num_of_each=10, size_px=160)
    with pytest.raises(InvalidRequest, match="6 real lesions and 6 accepted"):
        made(services, few)
    with pytest.raises(NotAllowed, match="make a reader study"):
        made(services, visitor=ANN)
    with pytest.raises(DataNotFound, match="real pictures named 'other'"):
        services.create_study(OLGA, StudyRequest(name="x", dataset="realism", real="other", plan=PLAN))

    def stop(done, total):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        services.create_study(OLGA, StudyRequest(name="x", dataset="realism", real="clinic", plan=PLAN), stop)
    assert services.studies(OLGA) == ()
    assert list(services.settings.data_dir.glob("studies/*")) == []


def test_nobody_looks_before_having_read_to_the_end(services):
    made(services)
    services.read_study("trial", ANN)
    services.read_study("trial", OLGA)  # the owner reads as well
    for visitor in (ANN, OLGA):
        with pytest.raises(NotAllowed, match="to the end first"):
            services.study_results("trial", visitor, gives_up_reading=True)
    with pytest.raises(NotAllowed, match="to the end first"):
        services.export_study("trial", OLGA, gives_up_reading=True)
    with pytest.raises(NotAllowed, match="owner and for those"):
        services.study_results("trial", BOB)
    read_all(services, OLGA, truthfully)
    assert services.study_results("trial", OLGA).everyone.num_readers == 1


def test_an_owner_who_looks_gives_up_reading_and_is_asked_first(services):
    made(services)
    (entry,) = services.studies(OLGA)
    assert (entry.may_read, entry.may_look, entry.loses_reading) == (True, True, True)
    with pytest.raises(InvalidRequest, match="could still read"):
        services.study_results("trial", OLGA)
    assert "Nobody has read" in services.study_results("trial", OLGA, gives_up_reading=True).headline
    (entry,) = services.studies(OLGA)
    assert (entry.may_read, entry.may_look, entry.loses_reading) == (False, True, False)
    with pytest.raises(NotAllowed, match="looked at the results"):
        services.read_study("trial", OLGA)


def test_a_reader_sees_their_own_figures_and_the_groups_alone(services):
    made(services)
    read_all(services, ANN, truthfully)
    read_all(services, BOB, truthfully)
    whole, own = services.study_results("trial", OLGA, gives_up_reading=True), services.study_results("trial", ANN)
    assert {one.reader for one in whole.readers} == {"ann", "bob"}
    assert [pair.readers for pair in whole.everyone.pairs] == [("ann", "bob")]
    assert [one.reader for one in own.readers] == ["ann"]
    assert own.everyone.pairs == ()
    assert "bob" not in json.dumps(own.to_dict())
    (entry,) = services.studies(ANN)
    assert entry.progress == ()
    for what in (services.export_study, services.close_study, services.remove_study):
        with pytest.raises(NotAllowed, match="Only olga"):
            what("trial", ANN)


def test_invited_readers_alone_know_of_a_study(services):
    made(services, StudyPlan(num_of_each=2, size_px=160, readers=("ann", "olga")))
    assert [len(services.studies(v)) for v in (OLGA, ANN, BOB, VIC)] == [1, 1, 0, 0]
    for refused in (services.read_study, services.study_results):
        with pytest.raises(DataNotFound, match="no study 'trial' for you"):
            refused("trial", BOB)
    with pytest.raises(NotAllowed, match="to the end first"):  # named as a reader, so blinded from the start
        services.study_results("trial", OLGA, gives_up_reading=True)
    made(services, StudyPlan(num_of_each=2, size_px=160), name="open")
    assert [entry.name for entry in services.studies(BOB)] == ["open"]
    with pytest.raises(DataNotFound):
        services.read_study("open", VIC)


def test_results_tell_a_keen_reader_from_a_careless_one_and_flag_the_latter(services):
    made(services)
    read_all(services, ANN, truthfully)
    read_all(services, BOB, carelessly)
    report = services.study_results("trial", OLGA, gives_up_reading=True)
    ann, bob = report.readers
    assert (ann.detection.accuracy.value, ann.checks_passed, ann.repeats_equal, ann.is_flagged) == (1, 3, 2, False)
    assert (bob.detection.accuracy.value, bob.detection.sensitivity.value, bob.is_flagged) == (0.5, 0, True)
    assert (report.everyone.num_readers, report.attentive.num_readers) == (2, 1)
    assert (report.everyone.detection.accuracy.value, report.attentive.detection.accuracy.value) == (0.75, 1)
    assert "1 who failed the attention checks" in report.headline
    assert ann.median_s == 0.9


def test_who_stopped_counts_once_the_study_is_closed(services):
    made(services)
    read_all(services, ANN, truthfully)
    turn = services.read_study("trial", BOB)
    for place in range(turn.total - 2):
        services.answer_study("trial", BOB, StudyAnswer(position=place, source="real", confidence=2))
    report = services.study_results("trial", OLGA, gives_up_reading=True)
    assert (report.everyone.num_readers, report.num_unfinished) == (1, 1)
    services.close_study("trial", OLGA)
    assert services.study_results("trial", OLGA).everyone.num_readers == 2
    with pytest.raises(InvalidRequest, match="closed"):
        services.read_study("trial", BOB)


def test_the_export_holds_every_answer_and_the_key(services):
    made(services)
    read_all(services, ANN, truthfully)
    content = services.export_study("trial", OLGA, gives_up_reading=True)
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        rows = list(csv.DictReader(io.StringIO(archive.read("answers.csv").decode())))
        study, results = (json.loads(archive.read(name)) for name in ("study.json", "results.json"))
        assert "Research use only" in archive.read("README.txt").decode()
    assert len(rows) == PLAN.num_shown
    assert [int(row["position"]) for row in rows] == list(range(PLAN.num_shown))
    for row in rows:
        said = f"{row['answer']} {row['confidence']}" if row["kind"] == "check" else row["answer"]
        assert row["truth"] == said
    assert {item["item_id"] for item in study["items"]} == {row["item_id"] for row in rows}
    assert study["plan"]["num_of_each"] == 4
    assert results["everyone"]["detection"]["accuracy"]["value"] == 1
    assert all("Not a medical device" in part["statement"] for part in (study, results))


def test_a_removed_study_takes_its_pictures_along(services):
    made(services)
    read_all(services, ANN, carelessly)
    services.remove_study("trial", OLGA)
    assert services.studies(OLGA) == ()
    assert list((services.settings.data_dir / "studies").iterdir()) == []


def test_the_command_line_reports_exports_and_removes(services, capsys, monkeypatch, tmp_path):
    made(services)
    read_all(services, ANN, truthfully)
    monkeypatch.setenv("DERMAFLUX_DATA_DIR", str(services.settings.data_dir))
    assert main(["study", "results", "trial"]) == 0
    said = capsys.readouterr().out
    assert "The reader was right on 100 % of the pictures" in said
    assert "Not a medical device" in said
    assert main(["study", "results", "trial", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["readers"][0]["reader"] == "ann"
    assert main(["study", "export", "trial", "--out", str(tmp_path / "answers.zip")]) == 0
    assert zipfile.is_zipfile(tmp_path / "answers.zip")
    assert main(["study", "results", "other"]) == 2
    assert main(["study", "reslts", "trial"]) == 2
    assert "Did you mean results?" in capsys.readouterr().err
    assert main(["study", "remove", "trial", "--yes"]) == 0
    assert services._store().studies() == ()


def eligible(prefix, diagnoses, lesions=None):
    return [
        Eligible(key=f"{prefix}{n}", diagnosis=Diagnosis(d), lesion=(lesions or {}).get(n, f"{prefix}{n}"))
        for n, d in enumerate(diagnoses)
    ]


def test_one_picture_a_lesion_and_pairs_of_a_diagnosis():
    real = eligible("r", ["nv"] * 6 + ["mel"] * 3, lesions={0: "same", 1: "same", 2: "same"})
    synthetic = eligible("s", ["mel"] * 8 + ["nv"] * 2)
    plan = StudyPlan(num_of_each=5)
    for seed in range(20):
        chosen, others = choose(real, synthetic, plan, random.Random(seed))
        assert len({one.lesion for one in chosen}) == len({one.key for one in others}) == 5
        assert sorted(o.diagnosis for o in chosen) == sorted(o.diagnosis for o in others)
    with pytest.raises(InvalidRequest, match="Only 5 pairs"):
        choose(real, synthetic, StudyPlan(num_of_each=6), random.Random(0))
    chosen, others = choose(real, synthetic, StudyPlan(num_of_each=6, match_diagnoses=False), random.Random(0))
    assert len(chosen) == len(others) == 6


def test_where_real_pictures_are_only_benign_or_malignant_pairs_are_made_of_that():
    real = eligible("r", ["benign"] * 3 + ["malignant"] * 3)
    synthetic = eligible("s", ["nv", "bkl", "mel", "bcc"])
    chosen, others = choose(real, synthetic, StudyPlan(num_of_each=4), random.Random(0))
    assert sorted(o.diagnosis.side for o in others) == sorted(o.diagnosis for o in chosen)
