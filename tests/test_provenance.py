import contextlib
import io
import json
import random
import struct
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from dermaflux.domain.errors import DataNotFound, ImageNotReadable, InvalidRequest
from dermaflux.domain.lesion import Colour, Diagnosis, LesionSpec
from dermaflux.domain.records import DISCLAIMER, GeneratedImage, ModelIdentity, SamplingRequest
from dermaflux.provenance import (
    DIGITAL_SOURCE_TYPE,
    Provenance,
    from_generated,
    inspect,
    png_bytes,
    read_provenance,
    verify,
)

NOON = datetime(2030, 1, 2, 12, tzinfo=UTC)


def generated(caption="A lesion.", spec=None):
    request = SamplingRequest(
        caption=caption, spec=spec, seed=3, num_steps=8, guidance_scale=2.5, size_px=64, adapter="rare"
    )
    identity = ModelIdentity(
        model="nano", model_sha256="a" * 64, adapter="rare", adapter_sha256="c" * 64, licence="CC-BY-NC-4.0"
    )
    image = Image.frombytes("RGB", (64, 48), random.Random(1).randbytes(64 * 48 * 3))
    return GeneratedImage(image=image, image_index=1, seed=4, request=request, identity=identity, seconds=1.0)


def png(**what):
    made = generated(**what)
    return png_bytes(made.image, from_generated(made, NOON))


def chunks(data):
    position, found = 8, []
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        found.append((data[position + 4 : position + 8], data[position + 8 : position + 8 + length]))
        position += 12 + length
    return found


def test_record_survives_the_file(tmp_path):
    spec = LesionSpec(asymmetry=1.0, border=3.0, colours=(Colour.RED,), diagnosis=Diagnosis.BCC, age=41.0)
    made = generated(spec=spec)
    record = from_generated(made, NOON)
    path = tmp_path / "a.png"
    path.write_bytes(png_bytes(made.image, record))
    assert read_provenance(path) == record
    assert record.seed == 4 and record.steps == 8 and record.adapter_weight == 1.0
    assert inspect(path).size_px == (64, 48) and inspect(path).intact
    with Image.open(path) as picture:
        assert picture.tobytes() == made.image.tobytes()


def test_chunk_says_synthetic_and_stands_before_the_pixels():
    names = [name for name, _ in chunks(png())]
    assert names[:3] == [b"IHDR", b"iTXt", b"iTXt"]
    body = next(content for name, content in chunks(png()) if content.startswith(b"dermaflux\0"))
    record = json.loads(body.split(b"\0\0\0\0\0", 1)[1])
    assert record["synthetic"] is True and record["statement"] == DISCLAIMER
    assert record["created_at"] == "2030-01-02T12:00:00+00:00" and record["licence"] == "CC-BY-NC-4.0"


def test_equal_arguments_give_equal_bytes_and_nothing_of_an_earlier_file():
    made = generated()
    made.image.info["comment"] = made.image.info["icc_profile"] = b"private"
    assert png_bytes(made.image, from_generated(made, NOON)) == png()
    assert b"private" not in png_bytes(made.image, from_generated(made, NOON))


def xmp_of(data):
    with Image.open(io.BytesIO(data)) as picture:
        return ElementTree.fromstring(picture.info["XML:com.adobe.xmp"].split("?>", 1)[1].rsplit("<?", 1)[0])


def test_xmp_names_the_digital_source_type():
    root = xmp_of(png(caption="Ränder < 5 & 'braun' \x00\x0b 皮膚 🙂"))
    source = root.find(".//{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType")
    assert source is not None and source.text == DIGITAL_SOURCE_TYPE
    text = root.find(".//{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li")
    assert text is not None and text.text == "Ränder < 5 & 'braun'    皮膚 🙂"


@settings(max_examples=50)
@given(st.text(st.characters(exclude_categories=()), min_size=1, max_size=60).filter(str.strip))
def test_any_caption_survives_and_leaves_wellformed_xml(caption):
    data = png(caption=caption)
    assert read_provenance(data).caption == caption
    assert xmp_of(data).tag.endswith("xmpmeta")


def test_an_edited_pixel_is_seen():
    data = png()
    assert verify(data)
    with Image.open(io.BytesIO(data)) as picture:
        picture.load()
        texts = PngImagePlugin.PngInfo()
        texts.add_itxt("dermaflux", picture.info["dermaflux"])
        picture.putpixel((5, 5), (1, 2, 3))
        out = io.BytesIO()
        picture.save(out, "PNG", pnginfo=texts)
    assert read_provenance(out.getvalue()).seed == 4
    assert not verify(out.getvalue())


def test_a_record_is_never_written_into_other_pixels():
    made = generated()
    with pytest.raises(InvalidRequest, match="other pixels"):
        png_bytes(Image.new("RGB", (64, 48)), from_generated(made))


def test_content_hash_forgets_when_but_not_how():
    made = generated()
    one, two = from_generated(made, NOON), from_generated(made)
    assert one != two and one.content_sha256 == two.content_sha256
    assert replace(one, seed=5).content_sha256 != one.content_sha256


def test_what_cannot_be_read_says_why(tmp_path):
    with pytest.raises(DataNotFound, match="does not exist"):
        read_provenance(tmp_path / "none.png")
    with pytest.raises(ImageNotReadable, match="cannot be read"):
        read_provenance(b"no image")
    with pytest.raises(ImageNotReadable):
        read_provenance(tmp_path)
    plain = io.BytesIO()
    Image.new("RGB", (8, 8)).save(plain, "PNG")
    with pytest.raises(DataNotFound, match="no DermaFlux record"):
        read_provenance(plain.getvalue())


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"synthetic": true}', '{"caption": "x"}', '{"synthetic": true, "caption": 1, "spec": [1]}']
)
def test_a_damaged_record_is_refused(text):
    out, info = io.BytesIO(), PngImagePlugin.PngInfo()
    info.add_itxt("dermaflux", text)
    Image.new("RGB", (8, 8)).save(out, "PNG", pnginfo=info)
    with pytest.raises(ImageNotReadable, match="damaged record"):
        read_provenance(out.getvalue())


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.95])
def test_a_cut_file_is_refused(keep):
    data = png()
    with pytest.raises(ImageNotReadable):
        verify(data[: int(len(data) * keep)])


def test_flipped_bits_are_never_called_intact():
    data = bytearray(png())
    for position in range(data.index(b"IDAT") + 4, len(data) - 20, 97):
        data[position] ^= 0xFF
        with contextlib.suppress(ImageNotReadable):
            assert not verify(bytes(data)), position
        data[position] ^= 0xFF


def test_a_huge_image_is_refused_before_it_is_decoded():
    header = struct.pack(">IIBBBBB", 9000, 9000, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + b"IHDR" + header + struct.pack(">I", zlib.crc32(b"IHDR" + header))
    with pytest.raises(ImageNotReadable, match="megapixels"):
        read_provenance(b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT" + struct.pack(">I", 0))


def test_dict_round_trip_ignores_later_fields():
    record = from_generated(generated(), NOON)
    assert Provenance.from_dict(record.to_dict() | {"later": 1}) == record
