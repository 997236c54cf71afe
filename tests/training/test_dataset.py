"""The data sets: aligned masks, splits by lesion, and clear words for every broken row."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dermaflux.domain.errors import DataNotFound, ImageNotReadable, InvalidRequest
from dermaflux.domain.lesion import Diagnosis, Site
from dermaflux.domain.records import Split
from training.dataset import as_uint8, load_folder, load_ham10000
from training.pictures import FrameTransform, PictureSource, centre_square


def draw_lesion(size=(60, 45), centre=(38, 15), radius=8):
    image, mask = Image.new("RGB", size, (230, 190, 170)), Image.new("L", size, 0)
    box = [centre[0] - radius, centre[1] - radius, centre[0] + radius, centre[1] + radius]
    ImageDraw.Draw(image).ellipse(box, fill=(60, 30, 20))
    ImageDraw.Draw(mask).ellipse(box, fill=255)
    return image, mask


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c"):
        image, mask = draw_lesion()
        image.save(tmp_path / f"{name}.png")
        mask.save(tmp_path / f"{name}_mask.png")
    return tmp_path


def write_rows(folder, rows):
    (folder / "metadata.jsonl").write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("quarter_turns", [0, 1, 2, 3])
@pytest.mark.parametrize("box", [None, (10, 0, 55, 45), (20.5, 3.5, 50.5, 33.5)])
def test_image_and_mask_stay_aligned_under_every_transform(flip, quarter_turns, box):
    image, mask = draw_lesion()
    transform = FrameTransform(size_px=(64, 64), box=box, flip=flip, quarter_turns=quarter_turns)
    dark = np.asarray(transform.apply(image).convert("L")) < 128
    inside = np.asarray(transform.apply(mask)) > 127
    assert (dark & inside).sum() / (dark | inside).sum() > 0.93


def test_quarter_turns_are_counter_clockwise():
    image = Image.new("RGB", (4, 4))
    image.putpixel((3, 0), (255, 0, 0))
    turned = FrameTransform(quarter_turns=1).apply(image)
    assert turned.getpixel((0, 0)) == (255, 0, 0)


def test_a_folder_gives_pictures_masks_and_facts(folder):
    write_rows(folder, [
        {"file_name": "a.png", "dx": "mel", "mask_name": "a_mask.png", "age": 60, "sex": "Female", "site": "back"},
        {"file_name": "b.png", "diagnosis": "nv", "mask_name": "b_mask.png", "split": "val", "age": "unknown"},
    ])  # fmt: skip
    dataset = load_folder(folder, centre_square(32))
    assert (len(dataset), dataset.rejected) == (2, ())
    assert dataset.records[0].site == Site.BACK
    assert dataset.records[1].age is None
    image, mask, record = dataset[0]
    assert (image.size, mask.size, record.diagnosis) == ((32, 32), (32, 32), Diagnosis.MEL)
    assert [r.image_id for r in dataset.split(Split.VAL).records] == ["b"]
    images, masks = as_uint8(dataset)
    assert images.shape == (2, 32, 32, 3)
    assert set(np.unique(masks)) == {0, 1}


def test_every_broken_row_is_named_and_the_rest_is_kept(folder):
    (folder / "broken.png").write_bytes(b"not a picture")
    write_rows(folder, [
        {"file_name": "a.png", "diagnosis": "mel", "lesion_id": "L1"},
        {"file_name": "missing.png", "diagnosis": "mel"},
        {"file_name": "broken.png", "diagnosis": "mel"},
        {"file_name": "b.png", "diagnosis": "wart"},
        {"file_name": "b.png", "diagnosis": "nv", "age": "old"},
        {"file_name": "../a.png", "diagnosis": "nv"},
        {"file_name": "c.png", "diagnosis": "mel", "lesion_id": "L1", "split": "test"},
        {"file_name": "c.png", "diagnosis": "mel", "mask_name": "none.txt"},
        "{not json",
    ])  # fmt: skip
    dataset = load_folder(folder)
    assert len(dataset) == 1
    reasons = {row.line: row.reason for row in dataset.rejected}
    assert sorted(reasons) == [2, 3, 4, 5, 6, 7, 8, 9]
    for line, words in {
        2: "missing.png is not in", 3: "broken.png cannot be read", 4: "'wart' is not known", 5: "age is 'old'",
        6: "points outside", 7: "already in split train", 8: "mask none.txt", 9: "not JSON",
    }.items():  # fmt: skip
        assert words in reasons[line]


def test_a_folder_without_usable_rows_says_why(folder, tmp_path_factory):
    with pytest.raises(DataNotFound, match=r"neither metadata\.csv nor"):
        load_folder(folder)
    (folder / "metadata.csv").write_text("file_name,diagnosis\na.png,wart\n")
    with pytest.raises(DataNotFound, match="line 2: diagnosis 'wart'"):
        load_folder(folder)
    with pytest.raises(DataNotFound, match="is not a folder"):
        load_folder(folder / "nowhere")


def test_a_mask_of_another_size_is_refused(folder):
    Image.new("L", (10, 10)).save(folder / "a_mask.png")
    write_rows(folder, [{"file_name": "a.png", "diagnosis": "nv", "mask_name": "a_mask.png"}])
    with pytest.raises(ImageNotReadable, match="mask of a is"):
        load_folder(folder)[0]


def test_a_missing_archive_or_table_says_what_to_do(tmp_path):
    with pytest.raises(DataNotFound, match="--data-dir"):
        load_ham10000(tmp_path)
    with pytest.raises(DataNotFound, match="--data-dir"):
        PictureSource(tmp_path / "none.zip").read("a.png")
    with pytest.raises(InvalidRequest, match="no HAM10000 archive of 300"):
        load_ham10000(tmp_path, 300)


@pytest.mark.data
def test_ham10000_is_read_whole_by_lesion(data_dir):
    dataset = load_ham10000(data_dir, 200, centre_square(64))
    assert [len(dataset.split(split)) for split in Split] == [7090, 979, 1946]
    owners: dict[str, set[Split]] = {}
    for record in dataset.records:
        owners.setdefault(record.lesion_id, set()).add(record.split)
    assert len(owners) == 7470
    assert all(len(splits) == 1 for splits in owners.values())
    assert len(load_ham10000(data_dir, 224)) == 5984
    image, mask, _ = dataset[0]
    assert image.size == mask.size == (64, 64)


@pytest.mark.data
def test_ham10000_masks_cover_the_darker_part(data_dir):
    dataset = load_ham10000(data_dir, 200, centre_square(64)).split(Split.VAL)
    darker = 0
    for index in range(0, 200, 5):
        image, mask, _ = dataset[index]
        grey, inside = np.asarray(image.convert("L"), float), np.asarray(mask) > 127
        darker += bool(inside.any() and not inside.all() and grey[inside].mean() < grey[~inside].mean())
    assert darker >= 36
