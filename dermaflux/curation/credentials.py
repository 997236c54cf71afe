"""C2PA content credentials: signed into a PNG when it is exported, and read back.

It knows PNG bytes, a certificate and a key; no store and no record of ours. c2pa-python is optional and imported
on use. Whether a certificate is *trusted* is for the reader to decide: only whether the signature holds is said here.
"""

import hashlib
import io
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from dermaflux import __version__
from dermaflux.domain.errors import ImageNotReadable, InvalidRequest

_PNG_MAGIC = b"\x89PNG\r\n\x1a\n"
_C2PA_CHUNK = b"caBX"
# A thumbnail would be larger than a small image itself.
_NO_THUMBNAIL = {"builder": {"thumbnail": {"enabled": False}}}
_HOLDS = ("Valid", "Trusted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a file's C2PA manifest says. `holds` is None when c2pa-python is not there to check the signature."""

    holds: bool | None
    issuer: str | None = None
    source_type: str | None = None
    problem: str | None = None


class CredentialSigner:
    """Signs PNGs with one certificate: c2pa.created, digital source type trainedAlgorithmicMedia.

    Raises InvalidRequest when c2pa-python is missing, or certificate or key cannot be used.
    """

    def __init__(self, certificate: Path, private_key: Path) -> None:
        self._c2pa = _required()
        chain, key = _read(certificate, "certificate"), _read(private_key, "key")
        self.certificate_sha256 = hashlib.sha256(chain).hexdigest()
        try:
            info = self._c2pa.C2paSignerInfo(_algorithm(key), chain, key, None)
            self._signer = self._c2pa.Signer.from_info(info)
        except (self._c2pa.C2paError, ValueError, TypeError) as error:
            raise InvalidRequest(
                f"The C2PA certificate {certificate} and key {private_key} cannot be used ({error}). "
                "Give a PEM chain and its PKCS #8 key in PEM, without a password."
            ) from error

    def sign(self, png: bytes, title: str) -> bytes:
        """The PNG with a signed manifest in it; pixels and records stay. Each signature is another one.

        Raises InvalidRequest when the certificate is not fit for C2PA.
        """
        c2pa, signed = self._c2pa, io.BytesIO()
        manifest = {
            "claim_generator_info": [{"name": "DermaFlux", "version": __version__}],
            "title": title,
            "format": "image/png",
        }
        try:
            with (
                c2pa.Context.from_dict(_NO_THUMBNAIL) as context,
                c2pa.Builder(json.dumps(manifest), context) as builder,
            ):
                builder.set_intent(
                    c2pa.C2paBuilderIntent.CREATE, c2pa.C2paDigitalSourceType.TRAINED_ALGORITHMIC_MEDIA
                )
                builder.sign(self._signer, "image/png", io.BytesIO(png), signed)
        except c2pa.C2paError as error:
            raise InvalidRequest(
                f"{title} could not be signed ({error}). Use a certificate made for C2PA, or export unsigned."
            ) from error
        return signed.getvalue()


def read_credentials(png: bytes) -> Credentials | None:
    """What the C2PA manifest of a PNG says; None when it has none. Raises ImageNotReadable for a cut file."""
    if all(name != _C2PA_CHUNK for name, _ in _chunks(png)):
        return None
    c2pa = _installed()
    if c2pa is None:
        return Credentials(holds=None, problem="c2pa-python is not installed, so the signature was not checked")
    try:
        with c2pa.Reader("image/png", io.BytesIO(png)) as reader:
            state, manifest = reader.get_validation_state(), reader.get_active_manifest() or {}
            results: dict[str, Any] = reader.get_validation_results() or {}
    except c2pa.C2paError as error:
        return Credentials(holds=False, problem=str(error))
    failures = results.get("activeManifest", {}).get("failure", [])
    codes = [item["code"] for item in failures if item["code"] != "signingCredential.untrusted"]
    holds = state in _HOLDS and not codes
    return Credentials(
        holds=holds,
        issuer=manifest.get("signature_info", {}).get("issuer"),
        source_type=_source_type(manifest),
        problem=None if holds else ", ".join(codes) or "the signature does not hold",
    )


def without_credentials(png: bytes) -> bytes:
    """The PNG as it was before it was signed, byte for byte. Raises ImageNotReadable for a cut file."""
    return _PNG_MAGIC + b"".join(chunk for name, chunk in _chunks(png) if name != _C2PA_CHUNK)


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    position = len(_PNG_MAGIC)
    while position < len(png):
        if position + 12 > len(png):
            raise ImageNotReadable("The PNG is cut off. Use the original file.")
        (length,) = struct.unpack_from(">I", png, position)
        end = position + 12 + length
        if end > len(png):
            raise ImageNotReadable("The PNG is cut off. Use the original file.")
        yield png[position + 4 : position + 8], png[position:end]
        position = end


def _source_type(manifest: dict[str, Any]) -> str | None:
    for assertion in manifest.get("assertions", []):
        for action in assertion.get("data", {}).get("actions", []):
            if action.get("action") == "c2pa.created":
                return action.get("digitalSourceType")
    return None


def _algorithm(private_key: bytes) -> str:
    """The signature that a key makes. Raises ValueError or TypeError for a key that is not readable or not known."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(private_key, password=None)
    if isinstance(key, ec.EllipticCurvePrivateKey) and key.key_size in (256, 384, 521):
        return {256: "es256", 384: "es384", 521: "es512"}[key.key_size]
    if isinstance(key, rsa.RSAPrivateKey):
        return "ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise ValueError("the key is neither ECDSA on P-256, P-384 or P-521, nor RSA, nor Ed25519")


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidRequest(f"The C2PA {what} {path} cannot be read ({error.strerror}). Check the path.") from error


def _required() -> ModuleType:
    c2pa = _installed()
    if c2pa is None:
        raise InvalidRequest(
            "Exports are to be signed (DERMAFLUX_C2PA_CERT), but c2pa-python is not installed. "
            "Run `pip install -r requirements-c2pa.txt`, or unset the variable."
        )
    return c2pa


def _installed() -> ModuleType | None:
    try:
        import c2pa
    except ImportError:
        return None
    return c2pa
