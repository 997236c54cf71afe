"""The controls of one lesion: diagnosis, asymmetry, border, colours, and the patient, with words and score beside.

They speak the vocabulary of domain.lesion only, and know no caption box and no model.
"""

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gradio as gr

from dermaflux.domain.caption import ASYMMETRY_WORDS, BORDER_WORDS, asymmetry_level, border_level
from dermaflux.domain.lesion import (
    ASYMMETRY_RANGE,
    BORDER_RANGE,
    Colour,
    Diagnosis,
    LesionSpec,
    Sex,
    Site,
    SkinTone,
    typical_colours,
)
from pages.components.web import plain_html

NOT_STATED = ""
FIRST_SPEC = LesionSpec(
    asymmetry=1.5, border=6, colours=typical_colours(4, Diagnosis.MEL), diagnosis=Diagnosis.MEL
)  # a lesion that shows what every control does
_TDS_MAX = LesionSpec(
    asymmetry=ASYMMETRY_RANGE[1],
    border=BORDER_RANGE[1],
    colours=tuple(Colour),
    diagnosis=Diagnosis.MEL,
).tds
_SHORT_NAMES = {
    Diagnosis.NV: "Nevus",
    Diagnosis.BKL: "Benign keratosis",
    Diagnosis.DF: "Dermatofibroma",
    Diagnosis.VASC: "Vascular lesion",
    Diagnosis.MEL: "Melanoma",
    Diagnosis.BCC: "Basal cell carcinoma",
    Diagnosis.AKIEC: "Actinic keratosis",
    Diagnosis.BENIGN: "Any benign",
    Diagnosis.MALIGNANT: "Any malignant",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionControls:
    """The components that together state a LesionSpec, and the three readouts beside them."""

    diagnosis: gr.Radio
    asymmetry: gr.Slider
    border: gr.Slider
    colours: gr.CheckboxGroup
    age: gr.Textbox
    sex: gr.Dropdown
    site: gr.Dropdown
    skin_tone: gr.Dropdown
    asymmetry_word: gr.HTML
    border_word: gr.HTML
    score: gr.HTML

    @property
    def inputs(self) -> list[Any]:
        """The components a spec is read from, in the order of `values_of`."""
        return [
            self.diagnosis, self.asymmetry, self.border, self.colours, self.age, self.sex, self.site, self.skin_tone,
        ]  # fmt: skip

    @property
    def readouts(self) -> list[Any]:
        """The components `readout_values` fills."""
        return [self.asymmetry_word, self.border_word, self.score]

    def spec(self, values: Mapping[Any, Any]) -> LesionSpec:
        """The lesion the controls state. Raises InvalidRequest, such as when no colour is ticked."""
        return LesionSpec(
            asymmetry=values[self.asymmetry],
            border=values[self.border],
            colours=tuple(values[self.colours]),
            diagnosis=values[self.diagnosis],
            age=values[self.age].strip() or None,
            sex=values[self.sex] or None,
            site=values[self.site] or None,
            skin_tone=values[self.skin_tone] or None,
        )


def values_of(spec: LesionSpec) -> list[Any]:
    """The control values that state a spec, in the order of `LesionControls.inputs`."""
    colours = [str(colour) for colour in spec.colours]
    age = None if spec.age is None else f"{spec.age:g}"
    patient = (age, spec.sex, spec.site, spec.skin_tone)
    stated = [NOT_STATED if value is None else str(value) for value in patient]
    return [str(spec.diagnosis), spec.asymmetry, spec.border, colours, *stated]


def readout_values(spec: LesionSpec) -> list[str]:
    """The two level words and the score, as HTML."""
    asymmetry = ASYMMETRY_WORDS[asymmetry_level(spec.asymmetry)][0]
    border = BORDER_WORDS[border_level(spec.border)][0]
    return [_level(asymmetry), _level(border), score_html(spec)]


def score_html(spec: LesionSpec) -> str:
    """The total dermoscopy score without D, its sum written out, and a meter."""
    share = 100 * spec.tds / _TDS_MAX
    kind = "malignant" if spec.malignant else "benign"
    return (
        f'<div class="df-score"><div class="df-score-line"><b>{spec.tds:.2f}</b>'
        f"<span>TDS without D, of {_TDS_MAX:.1f}</span><span>asked as {kind}</span></div>"
        f'<span class="df-meter"><i style="width:{share:.1f}%"></i></span>'
        f"1.3 × {spec.asymmetry:g} + 0.1 × {spec.border:g} + 0.5 × {len(spec.colours)} colours</div>"
    )


def lesion_controls(spec: LesionSpec = FIRST_SPEC) -> LesionControls:
    """Build the controls in the current Blocks context, set to a spec."""
    readouts = readout_values(spec)
    values = dict(
        zip(("diagnosis", "asymmetry", "border", "colours"), values_of(spec), strict=False)
    )
    diagnosis = gr.Radio(
        [(_SHORT_NAMES[d], str(d)) for d in Diagnosis],
        value=values["diagnosis"],
        label="Diagnosis",
        elem_classes="df-segments",
        elem_id="diagnosis",
    )
    with gr.Column(elem_classes="df-group"):
        asymmetry = gr.Slider(
            *ASYMMETRY_RANGE,
            value=values["asymmetry"],
            step=0.5,
            label="Asymmetry (axes)",
            elem_id="asymmetry",
        )
        asymmetry_word = plain_html(readouts[0], elem_id="asymmetry-word")
    with gr.Column(elem_classes="df-group"):
        border = gr.Slider(
            *BORDER_RANGE,
            value=values["border"],
            step=1,
            label="Border (irregular eighths)",
            elem_id="border",
        )
        border_word = plain_html(readouts[1], elem_id="border-word")
    colours = gr.CheckboxGroup(
        [(str(c).capitalize(), str(c)) for c in Colour],
        value=values["colours"],
        label="Colours",
        elem_classes="df-colours",
        elem_id="colours",
    )
    score = plain_html(readouts[2], elem_id="score")
    with gr.Accordion("Patient and site (optional)", open=False):
        patient = _patient_controls()
    return LesionControls(
        diagnosis=diagnosis,
        asymmetry=asymmetry,
        asymmetry_word=asymmetry_word,
        border=border,
        border_word=border_word,
        colours=colours,
        score=score,
        **patient,
    )


def _patient_controls() -> dict[str, Any]:
    with gr.Row():
        # A number field would show 0 for "not stated".
        age = gr.Textbox(
            NOT_STATED, label="Age in years", placeholder="Not stated", min_width=100, elem_id="age"
        )
        sex = _optional("Sex", Sex, "sex")
    with gr.Row():
        site = _optional("Body site", Site, "site")
        tone = _optional("Skin type (Fitzpatrick)", SkinTone, "skin-tone")
    return {"age": age, "sex": sex, "site": site, "skin_tone": tone}


def _optional(
    label: str, kind: type[Sex] | type[Site] | type[SkinTone], elem_id: str
) -> gr.Dropdown:
    choices = [
        ("Not stated", NOT_STATED),
        *((_capital(str(member)), str(member)) for member in kind),
    ]
    return gr.Dropdown(choices, value=NOT_STATED, label=label, min_width=100, elem_id=elem_id)


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def _level(word: str) -> str:
    return f'<div class="df-level">{html.escape(word[0].upper() + word[1:])}</div>'
