"""C2PA signatures with a certificate of the test itself: signed, read, found out when the file was touched."""

import io
import sys
import zlib

import pytest
from PIL import Image

from dermaflux.curation.credentials import CredentialSigner, read_credentials, without_credentials
from dermaflux.curation.file_check import FileState, check_file
from dermaflux.domain.errors import DataNotFound, ImageNotReadable, InvalidRequest
from dermaflux.provenance import DIGITAL_SOURCE_TYPE, from_generated, png_bytes, verify


@pytest.fixture
def png(sample):
    made = sample(3)
    return png_bytes(made.image, from_generated(made))


@pytest.fixture
def signed(png, signing_files):
    return CredentialSigner(*signing_files).sign(png, "a.png")


def with_another_xmp(png):
    """The PNG with other words in its XMP chunk, its checksum made right again."""
    start = png.index(b"XML:com.adobe.xmp") - 4
    end = start + 4 + int.from_bytes(png[start - 4 : start], "big")
    chunk = png[start:end].replace(b"DermaFlux", b"DermaFlax", 1)
    return png[:start] + chunk + zlib.crc32(chunk).to_bytes(4, "big") + png[end + 4 :]


def test_a_signed_png_says_who_and_how_and_keeps_everything_else(png, signed):
    found = read_credentials(signed)
    assert found is not None and found.holds and found.issuer == "DermaFlux tests"
    assert found.source_type == DIGITAL_SOURCE_TYPE
    assert without_credentials(signed) == png and verify(signed)
    assert len(signed) < len(png) + 30_000  # no thumbnail


def test_an_unsigned_png_has_no_credentials(png):
    assert read_credentials(png) is None and without_credentials(png) == png


def test_a_touched_file_is_found_out(signed, tmp_path):
    broken = with_another_xmp(signed)  # neither pixels nor our own record
    found = read_credentials(broken)
    assert found is not None and found.holds is False and "dataHash" in (found.problem or "")
    path = tmp_path / "a.png"
    path.write_bytes(broken)
    check = check_file(path)
    assert check.state is FileState.CHANGED and check.signature == "invalid"
    assert any("signature does not hold" in problem for problem in check.problems)


def test_a_signature_moved_to_another_picture_does_not_hold(signed, sample):
    other = sample(4)
    plain = png_bytes(other.image, from_generated(other))
    start = signed.index(b"caBX") - 4
    length = int.from_bytes(signed[start : start + 4], "big") + 12
    moved = plain[:33] + signed[start : start + length] + plain[33:]
    found = read_credentials(moved)
    assert found is not None and found.holds is False


def test_what_cannot_sign_says_why(tmp_path, signing_files, monkeypatch):
    certificate, key = signing_files
    with pytest.raises(InvalidRequest, match="cannot be read"):
        CredentialSigner(tmp_path / "none.pem", key)
    (tmp_path / "junk.pem").write_text("no key")
    with pytest.raises(InvalidRequest, match="PKCS #8"):
        CredentialSigner(certificate, tmp_path / "junk.pem")
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(InvalidRequest, match=r"requirements-c2pa\.txt"):
        CredentialSigner(certificate, key)


def test_without_the_library_a_signature_is_called_unchecked(signed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    (tmp_path / "a.png").write_bytes(signed)
    check = check_file(tmp_path / "a.png")
    assert check.state is FileState.INTACT and check.signature == "unchecked"


def test_an_intact_file_gives_its_whole_record(png, tmp_path):
    (tmp_path / "a.png").write_bytes(png)
    check = check_file(tmp_path / "a.png")
    assert check.state is FileState.INTACT and check.signature is None
    assert check.record is not None and check.record["seed"] == 3 and check.record["synthetic"] is True


def test_a_lost_xmp_packet_counts_as_changed(png, tmp_path):
    start = png.index(b"XML:com.adobe.xmp") - 8
    length = int.from_bytes(png[start : start + 4], "big") + 12
    (tmp_path / "a.png").write_bytes(png[:start] + png[start + length :])
    check = check_file(tmp_path / "a.png")
    assert check.state is FileState.CHANGED and "XMP" in check.problems[0]


@pytest.mark.parametrize("keep", [0.5, 0.99])
def test_a_cut_file_of_ours_counts_as_changed(png, tmp_path, keep):
    (tmp_path / "a.png").write_bytes(png[: int(len(png) * keep)])
    assert check_file(tmp_path / "a.png").state is FileState.CHANGED


def test_files_without_a_record_are_answered_and_missing_ones_refused(tmp_path):
    plain = io.BytesIO()
    Image.new("RGB", (8, 8)).save(plain, "PNG")
    (tmp_path / "plain.png").write_bytes(plain.getvalue())
    (tmp_path / "text.txt").write_text("no image")
    (tmp_path / "cut.png").write_bytes(plain.getvalue()[:30])
    (tmp_path / "broken.dcm").write_bytes(b"\0" * 128 + b"DICM" + b"junk")
    for name in ("plain.png", "text.txt", "cut.png", "broken.dcm"):
        assert check_file(tmp_path / name).state is FileState.NONE
    with pytest.raises(DataNotFound):
        check_file(tmp_path / "gone.png")
    with pytest.raises(ImageNotReadable):
        check_file(tmp_path)
