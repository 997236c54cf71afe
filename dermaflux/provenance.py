"""The "synthetic, made by ..." record inside every image file: written, read back, and checked.

A PNG carries it twice: as JSON in the iTXt chunk `dermaflux` for us, and as an XMP packet with the IPTC
digital source type for everybody else. It knows pixels and text only: no store, no model, no settings.
The pixel hash shows that pixels were edited; it is no signature and proves nothing about who wrote the file.
"""

import hashlib
import io
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

from PIL import Image, PngImagePlugin, UnidentifiedImageError

from dermaflux import __version__
from dermaflux.domain.errors import DataNotFound, ImageNotReadable, InvalidRequest
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import DISCLAIMER, GeneratedImage, ModelIdentity, SamplingRequest

CHUNK = "dermaflux"
XMP_CHUNK = "XML:com.adobe.xmp"
DIGITAL_SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
MAX_PIXELS = 64_000_000

# What XML 1.0 cannot hold even escaped; the JSON record keeps such characters.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provenance:
    """How one image was made. `created_at` is ISO 8601 in UTC, `pixels_sha256` the hash of its RGB pixels.

    `chosen_from` counts the candidates of which it was the closest to the spec; `contrast_scale` is None without one;
    `precision` is None for the usual arithmetic; `speed` names what was done to be faster and may change a pixel
    (`domain.speed`), `batch` counts the images drawn together; None for nothing and for one drawn alone.

    The field names are those of the JSON record inside the file.
    """

    caption: str
    spec: LesionSpec | None
    seed: int
    steps: int | None
    guidance_scale: float | None
    size_px: int | None
    model: str
    model_sha256: str
    adapter: str | None = None
    adapter_sha256: str | None = None
    adapter_weight: float | None = None
    chosen_from: int = 1
    contrast_scale: float | None = None
    precision: str | None = None
    speed: str | None = None
    batch: int | None = None
    licence: str = ""
    software: str = "DermaFlux"
    version: str = __version__
    created_at: str = ""
    pixels_sha256: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The JSON record: `synthetic` and the disclaimer first, then the fields."""
        spec = self.spec.to_dict() if self.spec else None
        fields = asdict(replace(self, spec=None)) | {"spec": spec}
        return {"synthetic": True, "statement": DISCLAIMER} | fields

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Provenance":
        """The record of a JSON object; fields of later versions are ignored.

        Raises InvalidRequest when a field is missing, the spec is no lesion, or `synthetic` is not true.
        """
        if values.get("synthetic") is not True:
            raise InvalidRequest("The record does not say that the image is synthetic, so it is not ours.")
        known = {name: values[name] for name in cls.__dataclass_fields__ if name in values}
        spec = known.get("spec")
        try:
            known["spec"] = LesionSpec.from_dict(spec) if spec else None
            return cls(**known)
        except (TypeError, ValueError) as error:
            raise InvalidRequest(f"The record is incomplete or damaged ({error}).") from error

    @property
    def content_sha256(self) -> str:
        """What the image is, whenever it was made: a hash of the record without `created_at` and version."""
        fields = self.to_dict()
        for name in ("created_at", "version", "statement"):
            del fields[name]
        for name in ("contrast_scale", "precision", "speed", "batch"):
            if fields[name] is None:  # images from before there was such a field keep their hash
                del fields[name]
        return hashlib.sha256(_json(fields).encode()).hexdigest()

    @property
    def drawing_sha256(self) -> str:
        """What was asked of which weights by which version: the same for records whose pixels must be the same."""
        fields = self.to_dict()
        for name in ("created_at", "statement", "pixels_sha256", "licence"):
            del fields[name]
        return hashlib.sha256(_json(fields).encode()).hexdigest()

    @property
    def request(self) -> SamplingRequest:
        """The request of one image that gives these pixels again, but for rounding where `speed` or `batch` differ.

        Raises InvalidRequest for a record of bad values.
        """
        try:
            return SamplingRequest(
                caption=self.caption,
                spec=self.spec,
                seed=self.seed,
                num_steps=self.steps,
                guidance_scale=self.guidance_scale,
                contrast_scale=self.contrast_scale,
                size_px=self.size_px,
                model=self.model,
                adapter=self.adapter,
                adapter_weight=1.0 if self.adapter_weight is None else self.adapter_weight,
            )
        except (TypeError, AttributeError) as error:
            raise InvalidRequest(f"The record is incomplete or damaged ({error}).") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What a file says of itself: its record, its size (width, height), and whether the pixels fit the record."""

    provenance: Provenance
    size_px: tuple[int, int]
    intact: bool


def from_generated(generated: GeneratedImage, created_at: datetime | None = None) -> Provenance:
    """The record of a finished sample; `created_at` (aware) defaults to now."""
    moment = (created_at or datetime.now(UTC)).astimezone(UTC)
    return replace(
        expected_of(generated.request, generated.identity, generated.seed),
        batch=generated.batch if generated.batch > 1 else None,
        created_at=moment.isoformat(timespec="seconds"),
        pixels_sha256=hash_pixels(generated.image),
    )


def expected_of(request: SamplingRequest, identity: ModelIdentity, seed: int) -> Provenance:
    """The record an image of a resolved request will have when drawn alone, but for its time and its pixels."""
    return Provenance(
        caption=request.caption,
        spec=request.spec,
        seed=seed,
        steps=request.num_steps,
        guidance_scale=request.guidance_scale,
        size_px=request.size_px,
        model=identity.model,
        model_sha256=identity.model_sha256,
        adapter=identity.adapter,
        adapter_sha256=identity.adapter_sha256,
        adapter_weight=request.adapter_weight if identity.adapter else None,
        chosen_from=request.candidates,
        contrast_scale=request.contrast_scale if request.spec else None,
        precision=identity.precision or None,
        speed=identity.speed or None,
        licence=identity.licence,
    )


def hash_pixels(image: Image.Image) -> str:
    """The sha256 of an image's size and RGB pixels; file format and metadata play no part."""
    rgb = image if image.mode == "RGB" else image.convert("RGB")
    return hashlib.sha256(b"RGB %d %d " % rgb.size + rgb.tobytes()).hexdigest()


def png_bytes(image: Image.Image, provenance: Provenance) -> bytes:
    """The image as an RGB PNG that carries its record; the same arguments give the same bytes.

    Raises InvalidRequest when the record was made for other pixels.
    """
    if hash_pixels(image) != provenance.pixels_sha256:
        raise InvalidRequest("The record belongs to other pixels. Make it with from_generated for this image.")
    chunks = PngImagePlugin.PngInfo()
    chunks.add_itxt(CHUNK, _json(provenance.to_dict()))
    chunks.add_itxt(XMP_CHUNK, _xmp_packet(provenance))
    out = io.BytesIO()
    rgb = image.convert("RGB")
    rgb.info = {}  # nothing of an earlier file (ICC, DPI, comments) travels along
    # Level 3 takes a third of the time of Pillow's 6 for files 7 % larger.
    rgb.save(out, "PNG", pnginfo=chunks, compress_level=3)
    return out.getvalue()


def read_provenance(source: Path | str | bytes) -> Provenance:
    """The record inside a PNG given by path or content; pixels are not decoded.

    Raises DataNotFound (no such file, or no record in it) or ImageNotReadable (no PNG, or a damaged record).
    """
    with _opened(source) as (picture, name):
        return _record_of(picture, name)


def inspect(source: Path | str | bytes) -> Inspection:
    """The record inside a PNG and whether the pixels are still those it was written for.

    Raises as `read_provenance` does.
    """
    with _opened(source) as (picture, name):
        provenance = _record_of(picture, name)
        intact = hash_pixels(picture) == provenance.pixels_sha256
        return Inspection(provenance=provenance, size_px=picture.size, intact=intact)


def verify(source: Path | str | bytes) -> bool:
    """Whether the pixels are those the record was written for. Raises as `read_provenance` does."""
    return inspect(source).intact


@contextmanager
def _opened(source: Path | str | bytes) -> Iterator[tuple[Image.Image, str]]:
    name = "The image" if isinstance(source, bytes) else str(source)
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise ImageNotReadable(f"{name} has more than {MAX_PIXELS // 10**6} megapixels. Make it smaller.")
            yield picture, name
    except FileNotFoundError:
        raise DataNotFound(f"{name} does not exist. Check the path.") from None
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageNotReadable(f"{name} cannot be read as an image ({error}). Use the original PNG.") from error


def _record_of(picture: Image.Image, name: str) -> Provenance:
    text = picture.info.get(CHUNK)
    if not isinstance(text, str):
        raise DataNotFound(
            f"{name} carries no DermaFlux record: it was not made here, or another program saved it "
            "without its metadata. Use the original file."
        )
    try:
        values = json.loads(text)
        if not isinstance(values, dict):
            raise InvalidRequest("It is not a JSON object.")
        return Provenance.from_dict(values)
    except (json.JSONDecodeError, InvalidRequest) as error:
        raise ImageNotReadable(f"{name} has a damaged record. {error} Use the original file.") from error


def _json(values: Mapping[str, Any]) -> str:
    # ASCII only: a lone surrogate out of a browser would not survive UTF-8.
    return json.dumps(values, ensure_ascii=True, separators=(",", ":"))


def _xmp_packet(provenance: Provenance) -> str:
    def text(value: str) -> str:
        return escape(_NOT_XML.sub(" ", value))

    model = " + ".join(name for name in (provenance.model, provenance.adapter) if name)
    return f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/" \
xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/">
<Iptc4xmpExt:DigitalSourceType>{DIGITAL_SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>
<dc:description><rdf:Alt><rdf:li xml:lang="x-default">{text(provenance.caption)}</rdf:li></rdf:Alt></dc:description>
<dc:rights><rdf:Alt><rdf:li xml:lang="x-default">{text(DISCLAIMER)}</rdf:li></rdf:Alt></dc:rights>
<xmp:CreatorTool>{text(f"{provenance.software} {provenance.version} ({model})")}</xmp:CreatorTool>
<xmp:CreateDate>{text(provenance.created_at)}</xmp:CreateDate>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
