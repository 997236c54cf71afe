"""The caption beside the sliders: when it follows them, when it is left alone, and what is said about it.

Pure functions on text and LesionSpec. A caption the user has edited is never overwritten by a slider.
"""

import html
from dataclasses import dataclass, fields

from dermaflux.domain.caption import at_caption_resolution, parse
from dermaflux.domain.errors import InvalidCaption
from dermaflux.domain.lesion import LesionSpec

_FIELD_NAMES = {"skin_tone": "skin tone"}


@dataclass(frozen=True, slots=True, kw_only=True)
class CaptionNote:
    """What is said below the caption. state: same, differs, free or empty."""

    state: str
    text: str

    @property
    def html(self) -> str:
        """The note as one line of HTML."""
        return f'<div class="df-caption-note" data-state="{self.state}" role="status">{html.escape(self.text)}</div>'


FOLLOWS = CaptionNote(state="same", text="Matches the sliders.")


def is_edited(text: str, composed: str) -> bool:
    """Whether the text is the user's own: neither blank nor what was composed last."""
    return bool(text.strip()) and text.strip() != composed.strip()


def note_on(text: str, spec: LesionSpec) -> CaptionNote:
    """How a caption stands to the sliders."""
    if not text.strip():
        return CaptionNote(
            state="empty", text="The caption is empty. Write one, or compose it from the sliders."
        )
    said = _parsed(text)
    if said is None:
        return CaptionNote(
            state="free",
            text="Free text: images follow your words, and no request can be compared with what is measured.",
        )
    if different := _differences(said, at_caption_resolution(spec)):
        return CaptionNote(
            state="differs",
            text=f"No longer matches the sliders ({', '.join(different)}). Images follow the text.",
        )
    return FOLLOWS


def requested_spec(text: str, spec: LesionSpec) -> LesionSpec | None:
    """What a caption asks for: the sliders where it says the same, else what it says, None for free text."""
    said = _parsed(text)
    return spec if said == at_caption_resolution(spec) else said


def _parsed(text: str) -> LesionSpec | None:
    try:
        return parse(text)
    except InvalidCaption:
        return None


def _differences(said: LesionSpec, asked: LesionSpec) -> list[str]:
    names = [field.name for field in fields(LesionSpec)]
    return [
        _FIELD_NAMES.get(name, name)
        for name in names
        if getattr(said, name) != getattr(asked, name)
    ]
