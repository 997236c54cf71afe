"""What comes back out of an export: one image with all that its sidecar says of it, checked field by field.

It knows no folder and no store; a sidecar that does not fit is refused in words.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dermaflux.curation.export_sidecars import SCHEMA
from dermaflux.curation.judgements import Judgement, is_pseudonym
from dermaflux.curation.records import DecisionRequest
from dermaflux.curation.verdicts import consensus
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import Assessment, Verdict
from dermaflux.provenance import Provenance

_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadSidecar:
    """A sidecar that was read: the hash and record of its image, what was found on it and who judged it."""

    sha256: str
    provenance: Provenance
    assessment: Assessment | None
    memorised: bool | None
    verdict: Verdict
    judgements: tuple[Judgement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class IncomingImage:
    """An image to take in: the bytes it had in the pool it came from, and its sidecar."""

    png: bytes
    sidecar: ReadSidecar


def read_sidecar(text: str) -> ReadSidecar:
    """A sidecar of its text. Raises InvalidRequest when anything in it does not belong."""
    try:
        values = json.loads(text)
        if values["schema"] != SCHEMA:
            raise InvalidRequest(f"Its schema is {values['schema']!r}, not {SCHEMA}.")
        if not _SHA256.fullmatch(values["sha256"]) or values["memorised"] not in (None, False, True):
            raise InvalidRequest("Its hash or its memorisation is none.")
        judgements, verdict = tuple(_judgement(said) for said in values["decisions"]), Verdict(values["verdict"])
        if _outcome(judgements) != verdict:
            raise InvalidRequest(f"Its decisions do not come to {verdict}.")
        return ReadSidecar(
            sha256=values["sha256"],
            provenance=Provenance.from_dict(values["generated"]),
            assessment=_assessment(values),
            memorised=values["memorised"],
            verdict=verdict,
            judgements=judgements,
        )
    except (KeyError, TypeError, ValueError, AttributeError, InvalidRequest) as error:
        raise InvalidRequest(
            f"A sidecar of the export is damaged or of another version ({error}). Export again."
        ) from error


def _assessment(values: Mapping[str, Any]) -> Assessment | None:
    if values["measurement"] is None and values["prediction"] is None:
        return None
    return Assessment.from_dict(values)


def _outcome(said: Sequence[Judgement]) -> Verdict | None:
    settled = [judgement.verdict for judgement in said if judgement.adjudicates]
    return settled[-1] if settled else consensus([str(judgement.verdict) for judgement in said])


def _judgement(said: Mapping[str, Any]) -> Judgement:
    """Checked as a reviewer's own decision would be, and never in a name: only pseudonyms come in."""
    if not is_pseudonym(said["reviewer"]):
        raise InvalidRequest("A reviewer in it is no pseudonym.")
    checked = DecisionRequest(
        dataset="",
        image_id="",
        reviewer=said["reviewer"],
        verdict=said["verdict"],
        realism=said["realism"],
        tags=tuple(said["tags"]),
    )
    if datetime.fromisoformat(said["decided_at"]).tzinfo is None:
        raise InvalidRequest("The time of a decision has no zone.")
    return Judgement(
        reviewer=checked.reviewer,
        verdict=checked.verdict,
        realism=checked.realism,
        tags=checked.tags,
        decided_at=said["decided_at"],
        adjudicates=said["adjudicates"] is True,
    )
