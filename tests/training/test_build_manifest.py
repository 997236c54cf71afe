"""From several sets to one manifest: copies go, groups stay whole, nothing is lost without a word."""

import csv
import json
import os
import subprocess
import sys
from collections import defaultdict
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageOps

from dermaflux.domain.caption import parse
from dermaflux.domain.errors import Cancelled, DataNotFound, InvalidRequest, StorageNotWritable
from dermaflux.domain.lesion import Diagnosis, Sex
from dermaflux.domain.records import Split
from training.build_manifest import ManifestConfig, build
from training.classifier_config import DataConfig
from training.classifier_data import open_data
from training.manifest import SCHEMA, facts_of, load_manifest, rows_of
from training.pictures import centre_square
from training.sources.splitting import Shares

HAM = "image_id,lesion_id,split,dx,age,sex,localization\n"
ISIC2020 = "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant\n"


def picture(seed, size=(60, 45)):
    """A picture like no other: smooth spots at places drawn from the seed."""
    coarse = np.random.default_rng(seed).integers(40, 220, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC)


def write_set(root, table, text, pictures):
    root.mkdir(parents=True, exist_ok=True)
    if table:
        (root / table).write_text(text)
    for name, image in pictures.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        image.save(root / name)
    return root


@pytest.fixture
def sets(tmp_path):
    """HAM with a fixed split, ISIC 2020 with two of its pictures and a patient across, Kaggle with copies of both."""
    ham = write_set(
        tmp_path / "ham", "ham10000.csv",
        HAM + "ISIC_1,HAM_1,train,nv,50,male,back\nISIC_2,HAM_2,test,mel,60,female,back\n"
        "ISIC_3,HAM_3,train,nv,,,\nISIC_4,HAM_4,val,bcc,70,male,face\nISIC_9,HAM_9,train,nv,50,male,back\n",
        {f"HAM10000_images_part_1/ISIC_{i}.jpg": picture(i) for i in (1, 2, 3, 4)},
    )  # fmt: skip
    (ham / "HAM10000_images_part_1/ISIC_9.jpg").write_bytes(b"broken")
    isic = write_set(
        tmp_path / "isic", "ISIC_2020_Training_GroundTruth.csv",
        ISIC2020 + "ISIC_1,IP_1,,male,50,head/neck,nevus,benign\nISIC_5,IP_1,,male,50,torso,nevus,benign\n"
        "ISIC_6,IP_2,,male,50,torso,melanoma,malignant\nISIC_7,IP_2,,male,50,torso,nevus,benign\n"
        "ISIC_8,IP_3,,male,50,torso,nevus,benign\n",
        {f"train/ISIC_{i}.jpg": picture(i, (80, 60)) for i in (1, 5, 6, 7, 8)},
    )  # fmt: skip
    kaggle = write_set(
        tmp_path / "kaggle", "", "",
        {
            "train/Malignant/a.jpg": picture(2, (120, 90)),  # the HAM test picture, larger
            "train/Malignant/e.jpg": picture(1),  # HAM calls it a nevus
            "test/Benign/b.jpg": picture(3),  # a HAM training picture, here for testing
            "test/Malignant/c.jpg": picture(6),  # takes patient IP_2 of ISIC 2020 along
            "train/Benign/d.jpg": picture(30),
        },
    )  # fmt: skip
    return {"ham10000": ham, "isic2020": isic, "kaggle2": kaggle}


@pytest.fixture
def config(sets, tmp_path):
    return ManifestConfig(
        roots=sets, out=tmp_path / "out" / "manifest.parquet", cache=tmp_path / "prints.db", descriptor=None
    )


def by_id(path):
    return {(row["source"], row["image_id"]): row for row in rows_of(path)}


def left_out(path):
    with path.with_suffix(".left_out.csv").open(newline="") as handle:
        return {(row["source"], row["picture"] or row["line"]): row["kind"] for row in csv.DictReader(handle)}


def test_copies_go_groups_stay_whole_and_held_out_wins(config):
    report = build(config)
    rows = by_id(config.out)
    crosses, copy = "its group is held out in another split", "copy of a kept picture"
    assert left_out(config.out) == {
        ("ham10000", "HAM10000_images_part_1/ISIC_9.jpg"): "picture not readable",
        ("ham10000", "HAM10000_images_part_1/ISIC_3.jpg"): crosses,  # the Kaggle copy is held out for testing
        ("isic2020", "train/ISIC_1.jpg"): copy,  # of HAM's, whose set is named first
        ("kaggle2", "train/Malignant/a.jpg"): copy,
        ("kaggle2", "train/Malignant/e.jpg"): copy,
        ("kaggle2", "test/Malignant/c.jpg"): copy,
    }
    assert {key: row["split"] for key, row in rows.items() if key != ("isic2020", "ISIC_8")} | {} == {
        ("ham10000", "ISIC_1"): "train", ("ham10000", "ISIC_2"): "test", ("ham10000", "ISIC_4"): "val",
        ("isic2020", "ISIC_5"): "train",  # its patient's other picture is one that HAM has for training
        ("isic2020", "ISIC_6"): "test", ("isic2020", "ISIC_7"): "test",  # the patient of a picture Kaggle tests on
        ("kaggle2", "test/Benign/b"): "test", ("kaggle2", "train/Benign/d"): rows["kaggle2", "train/Benign/d"]["split"],
    }  # fmt: skip
    splits = defaultdict(set)
    for row in rows.values():
        splits[row["group"]].add(row["split"])
    assert all(len(found) == 1 for found in splits.values())
    assert report["kept"] == len(rows) == 9
    assert report["pictures_compared"] == 14
    assert sum(source["pictures_read"] for source in report["sources"].values()) == 15 == len(rows) + 6
    assert report["pairs"]["same id"] == 1
    assert report["copies_called_benign_and_malignant"] == 1
    assert report["sources"]["isic2020"]["words_not_known"] == {"site 'head/neck'": 1}
    assert json.loads(config.out.with_suffix(".report.json").read_text()) == report


def test_a_set_that_is_free_has_its_split_drawn(config):
    free = ManifestConfig(
        roots=config.roots, out=config.out, cache=config.cache, descriptor=None, free=("kaggle2",),
        shares=Shares(val=0, test=0),
    )  # fmt: skip
    build(free)
    rows = by_id(config.out)
    assert rows["ham10000", "ISIC_3"]["split"] == "train"
    assert {row["split"] for (source, _), row in rows.items() if source != "ham10000"} == {"train"}
    assert facts_of(config.out)["free"] == ["kaggle2"]


def test_every_column_is_filled_and_typed(config):
    build(config)
    assert pq.read_schema(config.out).remove_metadata() == SCHEMA
    row = by_id(config.out)["ham10000", "ISIC_2"]
    assert row | {"group": "", "sha256": "", "phash": 0} == {
        "image_path": "HAM10000_images_part_1/ISIC_2.jpg", "source": "ham10000", "image_id": "ISIC_2",
        "lesion_id": "HAM_2", "patient_id": "", "group": "", "split": "test", "diagnosis": "mel", "malignant": True,
        "age": 60.0, "sex": "female", "site": "back", "skin_tone": None, "caption": "", "licence": "CC BY-NC 4.0",
        "citation": "tschandl2018ham10000", "sha256": "", "phash": 0, "width": 60, "height": 45,
    }  # fmt: skip
    assert len(row["sha256"]) == 64
    assert len(row["group"]) == 16
    assert "tschandl2018ham10000" in facts_of(config.out)["references"]


def test_the_same_sets_give_the_same_file_and_its_order_does_not_move_groups(config, tmp_path):
    build(config)
    first = config.out.read_bytes()
    build(config)
    assert config.out.read_bytes() == first
    groups = {key: row["group"] for key, row in by_id(config.out).items()}
    turned = ManifestConfig(
        roots=dict(reversed(config.roots.items())), out=config.out, cache=config.cache, descriptor=None
    )
    build(turned)
    again = by_id(config.out)
    assert ("kaggle2", "test/Malignant/c") in again  # now named first, it keeps its copy
    assert all(again[key]["group"] == group for key, group in groups.items() if key in again)


def test_a_manifest_is_read_as_a_data_set_of_several_roots(config, tmp_path):
    build(config)
    dataset = load_manifest(config.out, centre_square(32))
    assert len(dataset) == 9
    test = dataset.split(Split.TEST)
    assert {record.source for record in test.records} == {"ham10000", "isic2020", "kaggle2"}
    image, mask, record = test[0]
    assert (image.size, mask) == ((32, 32), None)
    assert (record.diagnosis, record.sex, record.licence) == (Diagnosis.MEL, Sex.FEMALE, "CC BY-NC 4.0")
    assert record.lesion_id == "ham10000/HAM_2"
    assert all(r.lesion_id for r in dataset.records)
    assert len(dataset.fingerprint()) == 64
    moved = tmp_path / "moved"
    config.roots["kaggle2"].rename(moved)
    with pytest.raises(DataNotFound):
        list(load_manifest(config.out))
    assert len(list(load_manifest(config.out, roots={"kaggle2": moved}))) == 9


def test_a_classifier_reads_a_manifest_in_its_own_classes_or_the_two_sides(config):
    build(config)
    data = DataConfig(manifest=config.out, frame_px=(40, 30))
    named = open_data(data)
    assert named[0][0].size == (40, 30)
    assert {str(r.diagnosis) for r in named.records} <= {"nv", "mel", "bcc"}, "plain ones are left out beside these"
    sides = open_data(replace(data, classes="malignant"))
    assert {str(r.diagnosis) for r in sides.records} == {"benign", "malignant"} and len(sides) >= len(named)
    with pytest.raises(InvalidRequest, match="both given"):
        replace(data, folder=config.out.parent)
    with pytest.raises(InvalidRequest, match="classes"):
        replace(data, classes="some")


def test_measured_pictures_get_a_caption(config, tmp_path):
    measured = tmp_path / "measured.csv"
    measured.write_text(
        "image_id,archive,asymmetry,border,colours,refused,ita_degrees\nISIC_2,200,1.5,6,dark brown|black,,45\n"
        "ISIC_4,200,,,,touches the frame,\n"
    )
    build(ManifestConfig(roots=config.roots, out=config.out, cache=config.cache, descriptor=None, measured=measured))
    captions = {record.image_id: record.caption for record in load_manifest(config.out).records if record.caption}
    assert list(captions) == ["ISIC_2"]
    said = parse(captions["ISIC_2"])
    assert (said.diagnosis, said.asymmetry, said.border, said.age, said.skin_tone) == (Diagnosis.MEL, 1.5, 6, 60, "I")


def test_a_stopped_build_leaves_the_earlier_manifest_and_goes_on(config):
    build(config)
    before = config.out.read_bytes(), sorted(os.listdir(config.out.parent))
    with pytest.raises(Cancelled, match="The same command goes on"):
        build(config, lambda: True)
    assert (config.out.read_bytes(), sorted(os.listdir(config.out.parent))) == before


def test_a_build_of_nothing_usable_or_nothing_known_is_refused(config, tmp_path):
    empty = write_set(tmp_path / "empty", "ham10000.csv", HAM + "ISIC_1,HAM_1,train,nv,50,male,back\n", {})
    with pytest.raises(DataNotFound, match="picture not found"):
        build(ManifestConfig(roots={"ham10000": empty}, out=config.out, cache=config.cache, descriptor=None))
    assert os.listdir(config.out.parent) == []
    with pytest.raises(StorageNotWritable, match="--out"):
        build(ManifestConfig(roots={"ham10000": empty}, out=empty / "ham10000.csv" / "m.parquet", descriptor=None))
    for wrong, words in (
        ({"roots": {}}, "roots is empty"),
        ({"roots": {"isic2018": empty}}, "not described"),
        ({"roots": {"ham10000": empty}, "free": ("ddi",)}, "not among the roots"),
        ({"roots": {"ham10000": empty}, "workers": 0}, "workers"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            ManifestConfig(**wrong)


def test_what_is_no_manifest_says_so(tmp_path):
    with pytest.raises(DataNotFound, match=r"training\.build_manifest"):
        load_manifest(tmp_path / "none.parquet")
    (tmp_path / "text.parquet").write_text("no parquet")
    with pytest.raises(DataNotFound, match="cannot be read as a manifest"):
        load_manifest(tmp_path / "text.parquet")
    pq.write_table(pq.read_table(_parquet(tmp_path)).select(["image_id"]), tmp_path / "less.parquet")
    with pytest.raises(InvalidRequest, match="lacks image_path, source, lesion_id"):
        load_manifest(tmp_path / "less.parquet")
    with pytest.raises(DataNotFound, match="holds no picture"):
        load_manifest(_parquet(tmp_path))


def _parquet(folder):
    pq.write_table(SCHEMA.empty_table(), folder / "empty.parquet")
    return folder / "empty.parquet"


def test_the_descriptor_joins_what_only_it_sees(tmp_path, repository):
    """A mirrored picture has another pHash; both stay, in one split."""
    table = "file_name,diagnosis,split\na.png,mel,test\n"
    one = write_set(tmp_path / "one", "metadata.csv", table, {"a.png": picture(1)})
    two = write_set(tmp_path / "two", "", "", {
        "train/Malignant/b.png": ImageOps.mirror(picture(1)), "train/Benign/c.png": picture(4),
    })  # fmt: skip
    roots = {"own": one, "kaggle2": two}
    given = {"roots": roots, "out": tmp_path / "m.parquet", "cache": tmp_path / "prints.db"}
    report = build(ManifestConfig(descriptor=repository / "assets/models/descriptor", **given))
    rows = by_id(tmp_path / "m.parquet")
    assert len(rows) == 3
    assert rows["kaggle2", "train/Malignant/b"]["group"] == rows["own", "a"]["group"]
    assert rows["kaggle2", "train/Malignant/b"]["split"] == "test"
    assert rows["kaggle2", "train/Benign/c"]["group"] != rows["own", "a"]["group"]
    assert report["pairs"]["same lesion by its looks"] == 1
    assert build(ManifestConfig(descriptor=None, **given))["pairs"]["same lesion by its looks"] == 0


@pytest.mark.slow
def test_the_program_reads_with_several_processes_and_names_a_mistake_in_one_line(config, repository):
    roots = [word for name, path in config.roots.items() for word in (name, str(path))]
    command = [sys.executable, "-m", "training.build_manifest", "--roots", *roots, "--out", str(config.out), "--cache"]
    command += [str(config.cache), "--descriptor", "None", "--workers", "2"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(f"9 pictures in {config.out}\n")
    several = config.out.read_bytes()
    build(config)
    assert config.out.read_bytes() == several
    wrong = subprocess.run([*command, "--free", "ddi"], cwd=repository, capture_output=True, text=True, check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)


@pytest.mark.data
def test_ham10000_is_known_to_hold_one_pair_of_copies_under_two_lesions(data_dir, tmp_path):
    """Only a part is decoded: the pair that the data's own description names, and others of their split."""
    wanted = {"ISIC_0025226", "ISIC_0030074", "ISIC_0027419", "ISIC_0025030"}
    with (data_dir / "ham10000.csv").open() as handle:
        lines = handle.readlines()
    root = tmp_path / "ham"
    root.mkdir()
    (root / "ham10000.csv").write_text("".join([lines[0], *(line for line in lines if line.split(",")[0] in wanted)]))
    (root / "ham10000_200x150.zip").symlink_to(data_dir / "ham10000_200x150.zip")
    config = ManifestConfig(
        roots={"ham10000": root}, out=tmp_path / "m.parquet", cache=tmp_path / "prints.db", descriptor=None
    )
    report = build(config)
    assert (report["kept"], report["copies_left_out"]) == (3, 1)
    assert {image.size for image, _, _ in load_manifest(config.out)} == {(200, 150)}
