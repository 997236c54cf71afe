"""Synthetic pictures as training material: what they were asked for is their class, and they never judge."""

import csv
import json

import pytest
from PIL import Image

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from training.dataset import load_folder
from training.synthetic_source import (
    AGREEING,
    CLOSE,
    JUDGED_NAME,
    SyntheticConfig,
    counts,
    draw,
    passes,
    read_synthetic,
    refuse_synthetic,
)


@pytest.fixture
def pool(tmp_path, write_synthetic):
    for index in range(12):
        write_synthetic(tmp_path / f"{index:02}.png", ("mel", "nv", "bkl")[index % 3])
    return tmp_path


def test_the_class_is_what_was_asked_for_and_plain_ones_are_left_out(pool, caplog, write_synthetic):
    write_synthetic(pool / "plain.png", "malignant")
    found = read_synthetic(pool)
    assert counts(found.records) == {"mel": 4, "nv": 4, "bkl": 4}
    assert {str(record.split) for record in found.records} == {"train"}
    assert found[0][0].size == (24, 24)
    assert "1 synthetic pictures say benign or malignant only" in caplog.text


@pytest.mark.parametrize("part", ["val", "Test", "validation"])
def test_a_synthetic_picture_in_a_held_out_split_is_refused(pool, part, write_synthetic):
    write_synthetic(pool / "export" / part / "x.png")
    with pytest.raises(InvalidRequest, match="never judge"):
        read_synthetic(pool)


def test_what_is_not_ours_or_has_no_diagnosis_is_refused_by_name(pool, write_synthetic):
    Image.new("RGB", (8, 8)).save(pool / "foreign.png")
    with pytest.raises(InvalidRequest, match=r"foreign\.png carries no record"):
        read_synthetic(pool)
    (pool / "foreign.png").unlink()
    write_synthetic(pool / "free.png", None)
    with pytest.raises(InvalidRequest, match=r"free\.png was made from a free caption"):
        read_synthetic(pool)


def test_an_empty_or_missing_folder_says_so(tmp_path):
    with pytest.raises(DataNotFound, match="no usable"):
        read_synthetic(tmp_path)
    with pytest.raises(DataNotFound, match="not a folder"):
        read_synthetic(tmp_path / "none")


def test_a_draw_is_the_ratio_without_repeats_and_grows(pool):
    found = read_synthetic(pool)
    few, many = draw(found, 4, 1.0, seed=3), draw(found, 4, 1.75, seed=3)
    assert (len(few), len(many)) == (4, 7)
    assert {r.image_id for r in few.records} < {r.image_id for r in many.records}
    assert [r.image_id for r in draw(found, 4, 1.0, seed=3).records] == [r.image_id for r in few.records]
    assert [r.image_id for r in draw(found, 4, 1.0, seed=4).records] != [r.image_id for r in few.records]
    assert len(draw(found, 4, None, seed=0)) == 12
    with pytest.raises(InvalidRequest, match="asks for 16 synthetic ones, the folder holds 12"):
        draw(found, 4, 4.0, seed=0)


def test_only_what_was_judged_to_fit_is_kept(pool):
    with pytest.raises(DataNotFound, match="judge_synthetic"):
        read_synthetic(pool, CLOSE)
    verdicts = [("00.png", True, [0.5, 1.0, 0]), ("01.png", True, [0, 1.5, 0]), ("02.png", False, [0, 0, 0])]
    verdicts.append(("03.png", True, None))
    lines = [json.dumps({"name": n, "agrees": a, "levels_off": off}) for n, a, off in verdicts]
    (pool / JUDGED_NAME).write_text("\n".join(lines))
    assert [r.image_id for r in read_synthetic(pool, CLOSE).records] == ["00.png"]
    assert [r.image_id for r in read_synthetic(pool, AGREEING).records] == ["00.png", "01.png", "03.png"]
    assert passes(False, None, "all")


def test_a_synthetic_picture_among_real_ones_is_refused_by_name(tmp_path, write_synthetic):
    write_synthetic(tmp_path / "sneaked.png")
    Image.new("RGB", (24, 24), (200, 150, 120)).save(tmp_path / "real.png")
    with (tmp_path / "metadata.csv").open("w", newline="") as handle:
        rows = [("real.png", "nv", "train"), ("sneaked.png", "mel", "val")]
        csv.writer(handle).writerows([("file_name", "diagnosis", "split"), *rows])
    with pytest.raises(InvalidRequest, match=r"sneaked\.png \(split val\) is synthetic"):
        refuse_synthetic(load_folder(tmp_path))


@pytest.mark.parametrize(
    ("wrong", "name"), [({"ratio": 0.0}, "ratio"), ({"weight": 0.0}, "weight"), ({"keep": "some"}, "keep")]
)
def test_what_cannot_be_is_refused_by_name(tmp_path, wrong, name):
    with pytest.raises(InvalidRequest, match=name):
        SyntheticConfig(folder=tmp_path, **wrong)


def test_a_ratio_of_nothing_is_refused():
    with pytest.raises(InvalidRequest, match="folder"):
        SyntheticConfig(ratio=1.0)
