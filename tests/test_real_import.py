"""Real pictures come in as pixels alone; what could run, overflow, escape or identify stays out."""

import csv
import io
import struct
import zipfile
import zlib
from pathlib import Path

import pytest
from PIL import ExifTags, Image, ImageCms

from dermaflux.__main__ import main
from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.services import real_import
from dermaflux.services.real_import import bare, import_real

SECRET = b"SECRETPLACE"


def photograph(size=(40, 30), colour=(200, 120, 90), orientation=6):
    """A JPEG as a telephone writes it: turned by a tag, with its place, camera and a comment inside."""
    picture = Image.new("RGB", size, colour)
    picture.paste((0, 0, 0), (0, 0, 8, 8))
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    exif[ExifTags.Base.ImageDescription] = SECRET.decode()
    exif.get_ifd(ExifTags.IFD.GPSInfo)[ExifTags.GPS.GPSLatitude] = (48.0, 12.0, 30.0)
    content = io.BytesIO()
    picture.save(content, "JPEG", exif=exif, comment=SECRET, quality=95)
    return content.getvalue()


def png_bomb(side=60_000):
    """A PNG of a few bytes that says it is 60,000 px wide."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = zlib.compress(bytes(1000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


@pytest.fixture
def source(tmp_path):
    folder = tmp_path / "clinic"
    (folder / "sub").mkdir(parents=True)
    (folder / "Jane Doe 1.jpg").write_bytes(photograph())
    (folder / "sub" / "two.png").write_bytes(bare(photograph(colour=(90, 60, 50)), "two"))
    (folder / "metadata.csv").write_text(
        "file_name,diagnosis,split,lesion_id,patient_name\n"
        "Jane Doe 1.jpg,mel,val,L1,Jane Doe\n"
        "sub/two.png,nv,test,L2,X\n"
    )
    return folder


def test_only_pixels_and_known_facts_come_in(source, tmp_path):
    report = import_real(source, tmp_path / "real" / "set")
    assert (report.num_pictures, report.refused, report.columns_left_behind) == (2, (), ("patient_name",))
    folder = tmp_path / "real" / "set"
    assert folder.stat().st_mode & 0o077 == 0
    rows = list(csv.DictReader(io.StringIO((folder / "metadata.csv").read_text())))
    facts = {(row["diagnosis"], row["split"], row["lesion_id"]) for row in rows}
    assert facts == {("mel", "val", "L1"), ("nv", "test", "L2")}
    everything = b"".join(path.name.encode() + path.read_bytes() for path in folder.iterdir())
    assert SECRET not in everything
    assert b"Jane" not in everything
    melanoma = next(row for row in rows if row["diagnosis"] == "mel")
    with Image.open(folder / melanoma["file_name"]) as picture:
        assert not picture.getexif()
        assert not set(picture.info) - {"srgb", "gamma"}
        assert picture.size == (30, 40)  # upright: the tag said to turn it
        assert picture.getpixel((26, 3)) == pytest.approx((0, 0, 0), abs=12)


def test_what_is_no_picture_is_refused_and_the_rest_taken(source, tmp_path, monkeypatch):
    monkeypatch.setattr(real_import, "MAX_FILE_MB", 1)
    ran = tmp_path / "ran"
    (source / "bomb.png").write_bytes(png_bomb())
    (source / "program.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n(" + str(ran).encode() + b") (w) file\nshowpage\n"
    )
    (source / "text.jpg").write_text("<script>alert(1)</script>")
    (source / "cut.jpg").write_bytes(photograph()[:400])
    (source / "large.bmp").write_bytes(bytes(1_500_000))
    (source / "vector.svg").write_text("<svg/>")  # no suffix of a picture: not even looked at
    (tmp_path / "secret.png").write_bytes(photograph())
    (source / "link.png").symlink_to(tmp_path / "secret.png")
    report = import_real(source, tmp_path / "set")
    assert report.num_pictures == 2
    refused = {Path(r.name).name: r.why for r in report.refused}
    assert set(refused) == {"bomb.png", "program.png", "text.jpg", "cut.jpg", "large.bmp", "link.png"}
    assert "larger than" in refused["large.bmp"]
    assert "link" in refused["link.png"]
    assert not ran.exists()


def test_a_zip_cannot_write_elsewhere_nor_swell(source, tmp_path, monkeypatch):
    monkeypatch.setattr(real_import, "MAX_FILE_MB", 1)
    archive = tmp_path / "set.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("../../escaped.png", bare(photograph(), "a"))
        packed.writestr("inside.png", bare(photograph(colour=(1, 2, 3)), "b"))
        packed.writestr("swollen.png", bytes(5_000_000))
    report = import_real(archive, tmp_path / "inside" / "set")
    assert report.num_pictures == 1
    assert [r.name for r in report.refused] == ["swollen.png"]
    assert not list(tmp_path.parent.glob("escaped*"))
    assert sorted(p.suffix for p in (tmp_path / "inside" / "set").iterdir()) == [".csv", ".png"]


def test_a_profile_is_followed_and_a_damaged_one_does_no_harm():
    picture = Image.new("RGB", (20, 20), (120, 60, 200))
    content = io.BytesIO()
    picture.save(content, "PNG", icc_profile=b"no profile at all")
    with Image.open(io.BytesIO(bare(content.getvalue(), "damaged"))) as kept:
        assert kept.getpixel((0, 0)) == (120, 60, 200)
    content = io.BytesIO()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    picture.save(content, "PNG", icc_profile=srgb.tobytes())
    with Image.open(io.BytesIO(bare(content.getvalue(), "srgb"))) as same:
        assert same.getpixel((0, 0)) == pytest.approx((120, 60, 200), abs=1)
        assert "icc_profile" not in same.info


def test_nothing_is_left_where_nothing_came_in_and_no_set_is_overwritten(source, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "a.png").write_text("no picture")
    with pytest.raises(DataNotFound, match="no picture that can be taken in"):
        import_real(empty, tmp_path / "real" / "set")
    assert list((tmp_path / "real").iterdir()) == []
    import_real(source, tmp_path / "real" / "set")
    with pytest.raises(InvalidRequest, match="already"):
        import_real(source, tmp_path / "real" / "set")
    with pytest.raises(DataNotFound, match="neither a folder nor a zip"):
        import_real(tmp_path / "nowhere", tmp_path / "real" / "other")


def test_the_command_takes_in_what_evaluations_can_read(source, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DERMAFLUX_DATA_DIR", str(tmp_path / "data"))
    assert main(["import-real", str(source), "--name", "mine"]) == 0
    assert "2 pictures in" in capsys.readouterr().out
    from dermaflux.services.real_pictures import read_real

    with read_real(tmp_path / "data" / "real" / "mine", "val", None, 0) as real:
        assert [(p.lesion_id, str(p.diagnosis)) for p in real.pictures] == [("L1", "mel")]
    assert main(["import-real", str(source), "--name", "../out"]) == 2
    assert "cannot name a dataset" in capsys.readouterr().err
