"""The About tab: what this is, its limits of use, how the figures come about, and the models' own cards."""

from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from dermaflux.domain.records import DISCLAIMER

if TYPE_CHECKING:
    from dermaflux.services import Services

CARD_FILE = "README.md"
_FRONT_MATTER = "---\n"
LIMITS = f"""\
### Limits of use

**{DISCLAIMER}**

- Every picture here is made by a generator. None shows a patient, and none proves how a disease looks.
- The classifier and the measurement judge generated images only. Pictures of people cannot be uploaded.
- The generator learned from HAM10000: mostly fair skin, two clinics, one kind of dermoscope. It knows other skin
  poorly, and what it makes for dark skin must not be trusted.
- Synthetic images belong in training data only. Exports refuse to write them into a validation or test split.
- A generator can repeat what it was trained on. Check a set for near copies before it is shared.
"""
READINGS = (
    (
        "Asymmetry 0–2, border 0–8, colours 1–6",
        "the A, B and C of the ABCD rule of dermoscopy, measured on the picture in the units of the request",
    ),
    (
        "Bar and tick",
        "the bar is what was measured, the tick what was requested; more than a quarter of the range apart is marked",
    ),
    (
        "TDS without D",
        "1.3 A + 0.1 B + 0.5 C. D (structures) is not requested, so the cut-offs 4.75 and 5.45 do not apply",
    ),
    (
        "P(malignant)",
        "the calibrated probability of the malignant classes; the mark is the operating point",
    ),
    ("Saliency", "where the classifier looked, not why; it is no proof of a sign"),
    (
        "Not measured",
        "the lesion touches the frame, fills it, or is not there; then no figure is given",
    ),
)
KEYS = (
    "**A** accept · **R** reject · **U** unsure · **← →** move · **S** saliency · **Z** enlarge · "
    "**Ctrl+Z** undo the last verdict"
)


def build(services: "Services") -> None:
    """Lay out the tab in the current Blocks context."""
    with gr.Row(elem_classes="df-about", equal_height=False):
        with gr.Column(scale=1, min_width=360):
            gr.Markdown(LIMITS)
        with gr.Column(scale=1, min_width=360):
            gr.Markdown(_readings())
            gr.Markdown(f"### Keys\n\n{KEYS}")
    cards = model_cards(services.settings.models_dir)
    gr.Markdown(
        "### Model cards" if cards else "### Model cards\n\nNo model is installed with this app."
    )
    for name, text in cards:
        with gr.Accordion(name, open=False):
            gr.Markdown(text)


def model_cards(models_dir: Path) -> list[tuple[str, str]]:
    """Name and text of every card under the models folder, without its front matter."""
    found = sorted(models_dir.glob(f"**/{CARD_FILE}")) if models_dir.is_dir() else []
    return [
        (card.parent.relative_to(models_dir).as_posix(), _body(card.read_text(encoding="utf-8")))
        for card in found
    ]


def _readings() -> str:
    rows = "\n".join(f"| {what} | {meaning} |" for what, meaning in READINGS)
    return f"### How to read a card\n\n| on the card | what it is |\n|---|---|\n{rows}\n"


def _body(text: str) -> str:
    return (
        text.split(_FRONT_MATTER, 2)[2]
        if text.startswith(_FRONT_MATTER) and text.count(_FRONT_MATTER) > 1
        else text
    )
