"""What a visitor sees of the queue: their own jobs in full, those of others only as places in the line.

Frozen records and plain words; no capability is needed to show them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from dermaflux.domain.lesion import DIAGNOSIS_NAMES, Diagnosis, choice

_WORDS_CHARS = 80


class JobAction(StrEnum):
    """What can be done to a job in the queue."""

    PAUSE = "pause"
    RESUME = "resume"
    CANCEL = "cancel"
    RETRY = "retry"
    SHOW = "show"


class QueueAction(StrEnum):
    """What can be done to the list, or to the queue as a whole."""

    CLEAR = "clear"
    PAUSE_ALL = "pause_all"
    RESUME_ALL = "resume_all"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueEntry:
    """One job in the list. What may not be known of another user's is left empty: owner, asked, job_id and error.

    ahead: how many go before it while it waits (0 = next); begins_in and ends_in: likely seconds, None while unknown.
    is_pausing: it rests after its present image. actions: what the visitor may do to it. num_skipped: of those `done`,
    how many were skipped; of another user's job that is not told.
    """

    state: str
    done: int
    total: int
    is_mine: bool
    job_id: str = ""
    owner: str = ""
    asked: str = ""
    error: str | None = None
    ahead: int | None = None
    begins_in: float | None = None
    ends_in: float | None = None
    is_pausing: bool = False
    num_skipped: int = 0
    actions: tuple[JobAction, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueView:
    """The visitor's jobs, the newest first, and the open ones of others in the order of their turns.

    num_workers: workers alive now, anywhere. is_paused: nothing is begun; paused_by is for administrators only.
    """

    mine: tuple[QueueEntry, ...]
    others: tuple[QueueEntry, ...]
    num_workers: int
    is_paused: bool = False
    paused_by: str = ""
    may_pause_all: bool = False


def asked_in_words(kind: str, payload: Mapping[str, Any], total: int) -> str:
    """A job's request in a few words, such as "8 × melanoma · asymmetry 1.5 · border 6 · 4 colours · seed 7".

    Of free text how it begins.
    """
    payload = payload.get("base") or payload  # of a sweep the request that is moved
    spec, caption = payload.get("spec"), str(payload.get("caption", "")).strip()
    if isinstance(spec, Mapping) and "diagnosis" in spec:
        colours = len(spec.get("colours", ()))
        parts = [
            DIAGNOSIS_NAMES[choice("diagnosis", spec["diagnosis"], Diagnosis)].lower(),
            f"asymmetry {spec.get('asymmetry', 0):g}",
            f"border {spec.get('border', 0):g}",
            f"{colours} colour{'s' if colours != 1 else ''}",
        ]
        words = " · ".join([*parts, f"seed {payload.get('seed', 0)}"])
    else:
        words = caption or kind
    return f"{total} × {words if len(words) <= _WORDS_CHARS else words[: _WORDS_CHARS - 1].rstrip() + '…'}"
