"""The list of studies and the reading room as Gradio components, and what is put into them.

`session` is all that a reader's browser is told: places and pictures, one size, what is asked; never what a picture is.
"""

import base64
import secrets
from collections.abc import Sequence
from typing import Any

import gradio as gr

from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import DISCLAIMER
from dermaflux.services.study_views import StudyEntry, StudyTurn
from pages.components.web import read_web

STUDY_DISCLAIMER = f"{DISCLAIMER} In this study real pictures are shown among them."
_EMPTY = "No study is open to you yet. A curator makes one below from accepted images and a set of real pictures."
_KEYS = {
    Diagnosis.BENIGN: "B",
    Diagnosis.MALIGNANT: "M",
    Diagnosis.NV: "N",
    Diagnosis.BKL: "K",
    Diagnosis.DF: "D",
    Diagnosis.VASC: "V",
    Diagnosis.MEL: "M",
    Diagnosis.BCC: "C",
    Diagnosis.AKIEC: "A",
}


def study_list() -> gr.HTML:
    """An empty list. Events: `opened`, `closed`, `removed` (study), `looked`, `exported` (study, gives_up_reading)."""
    return gr.HTML(
        value=list_value(()),
        html_template='<div class="df-studies"></div>',
        js_on_load=read_web("study_list.js"),
        apply_default_css=False,
        elem_id="study-list",
    )


def reading_room() -> gr.HTML:
    """The room, closed. Events: `answered` (study and the fields of an answer), `left` ()."""
    return gr.HTML(
        value={},
        html_template=read_web("study_room.html"),
        js_on_load=read_web("study_room.js"),
        apply_default_css=False,
        elem_id="study-room",
        session={},
        problem={},
    )


def list_value(entries: Sequence[StudyEntry]) -> dict[str, Any]:
    """What the list shows."""
    return {"studies": [_entry(entry) for entry in entries], "empty": _EMPTY}


def session_value(turn: StudyTurn) -> dict[str, Any]:
    """What the room is told of a turn; `turn` is another one every time, so that being told again is noticed."""
    return {
        "turn": secrets.token_hex(4),
        "study": turn.study,
        "position": turn.position,
        "total": turn.total,
        "size_px": turn.size_px,
        "time_limit_s": turn.time_limit_s,
        "lesions": [{"value": str(d), "label": d.label.capitalize(), "key": _KEYS[d]} for d in turn.question.answers],
        "pictures": {str(place): _uri(content) for place, content in turn.pictures.items()},
        "disclaimer": STUDY_DISCLAIMER,
    }


def _entry(entry: StudyEntry) -> dict[str, Any]:
    told = ("name", "num_shown", "num_answered", "is_open", "is_mine", "is_finished", "may_read", "may_look")
    return {name: getattr(entry, name) for name in told} | {
        "loses_reading": entry.loses_reading,
        "state": _state(entry),
        "about": f"{entry.num_shown} pictures, by {entry.owner}.{_own_place(entry)}",
        "progress": _progress(entry),
    }


def _state(entry: StudyEntry) -> str:
    if not entry.is_open:
        return "closed"
    return "you have finished" if entry.is_finished else "open"


def _own_place(entry: StudyEntry) -> str:
    if not entry.num_answered or entry.is_finished:
        return ""
    return f" You have answered {entry.num_answered}."


def _progress(entry: StudyEntry) -> str:
    if not entry.is_mine:
        return ""
    if not entry.progress:
        return "Nobody has begun to read."
    one_by_one = (
        f"{one.reader} {'finished' if one.is_finished else f'{one.num_answered}/{entry.num_shown}'}"
        for one in entry.progress
    )
    return f"Readers: {', '.join(one_by_one)}."


def _uri(content: bytes) -> str:
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")
