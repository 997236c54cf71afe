"""The About tab: what this is, its limits of use, how the figures come about, and the models' own cards."""

import re
from pathlib import Path

import gradio as gr

from dermaflux.domain.records import DISCLAIMER

CARDS_DIR = Path(__file__).parents[1] / "docs" / "model_cards"
_PICTURE = re.compile(r"!\[[^]]*\]\([^)]*\)")
_TO_A_FILE = re.compile(r"\[([^]]*)\]\((?!https?:)[^)]*\)")
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
        "Deletion, insertion",
        "its answer as the hottest parts are painted over (low is good) and as they come back (high is good)",
    ),
    (
        "Not measured",
        "the lesion touches the frame, fills it, or is not there; then no figure is given",
    ),
)
KEYS = (
    "**A** accept · **R** reject · **U** unsure · **← →** move · **S** saliency · **Z** enlarge · "
    "**Ctrl+Z** undo the last verdict"
)


def build() -> None:
    """Lay out the tab in the current Blocks context."""
    with gr.Row(elem_classes="df-about", equal_height=False):
        with gr.Column(scale=1, min_width=360):
            gr.Markdown(LIMITS)
        with gr.Column(scale=1, min_width=360):
            gr.Markdown(_readings())
            gr.Markdown(f"### Keys\n\n{KEYS}")
    gr.Markdown("### Model cards")
    for name, text in model_cards():
        with gr.Accordion(name, open=False):
            gr.Markdown(text)


def model_cards(folder: Path = CARDS_DIR) -> list[tuple[str, str]]:
    """Name and text of every card, without pictures and links to files, which the page does not serve."""
    return [(card.stem, _served(card.read_text(encoding="utf-8"))) for card in sorted(folder.glob("*.md"))]


def _readings() -> str:
    rows = "\n".join(f"| {what} | {meaning} |" for what, meaning in READINGS)
    return f"### How to read a card\n\n| on the card | what it is |\n|---|---|\n{rows}\n"


def _served(text: str) -> str:
    return _TO_A_FILE.sub(r"\1", _PICTURE.sub("", text))
