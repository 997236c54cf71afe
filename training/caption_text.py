"""What a captioner is asked, and how its answer becomes a caption of the project's template.

The paper's prompt tells the model the label; the blind one does not, and the label is put on here, from the table.
It knows no model and no file.
"""

import re
from dataclasses import dataclass
from typing import Literal

from dermaflux.domain.caption import Labelled, compose_around
from dermaflux.domain.errors import DermaFluxError
from dermaflux.domain.records import MAX_CAPTION_CHARS

PromptKind = Literal["blind", "paper"]

# DermaFlux, arXiv 2603.16392: word for word.
PAPER_PROMPT = (
    "This is an image containing a {label} lesion. Give me a description of this mole regarding its asymmetry, border "
    "irregularity, and color."
)
BLIND_PROMPT = (
    "This is a close-up photo of a skin lesion. Describe only what is to be seen of it, in three to five plain "
    "sentences and in this order. First, whether its shape and colours are asymmetrical, and how much: perfectly "
    "symmetrical, or subtle, moderate, notable or pronounced asymmetry. Second, whether its border is smooth, slightly "
    "uneven, moderately irregular, irregular or highly irregular and jagged. Third, which of these colours it shows: "
    "white, red, light brown, dark brown, blue-grey, black. Do not describe the skin around it. Do not name or guess a "
    "diagnosis, do not say whether it is benign, malignant or suspicious, and give no advice."
)
_TALK_OF_DIAGNOSIS = re.compile(
    r"\b(?:malignan\w*|benign\w*|cancer\w*|melanoma\w*|carcinoma\w*|na?ev(?:us|i|ic)|keratos[ei]s|suspicio\w*"
    r"|worr(?:y|isome)|concern(?:s|ing)?(?! (?:its|the)\b)|dermatolog\w*|biops\w*|consult\w*|diagnos\w*|doctor"
    r"|physician|healthcare|medical)\b",
    re.IGNORECASE,
)
_MARKS = re.compile(r"[*_#`]+|^\s*(?:[-•]|\d+[.)])\s+", re.MULTILINE)
_LEAD = re.compile(r"^(?:sure|certainly|of course|here(?:'s| is| are))\b[^.:!\n]*[:!]\s*", re.IGNORECASE)
_DECLINES = re.compile(
    r"(?:but )?(?:i(?:'m| am) (?:sorry|unable|not able|not qualified|not a )|i (?:cannot|can't|can not|won't)|sorry\b"
    r"|as an ai\b)",
    re.IGNORECASE,
)


class UnusableAnswer(DermaFluxError):
    """A captioner's answer holds no description; the message says what it is instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """An answer in plain sentences, and how many of its sentences talk of a diagnosis or give advice."""

    text: str
    num_diagnostic: int


def prompt_for(kind: PromptKind, lesion: Labelled) -> str:
    """What is asked about one picture."""
    if kind == "blind":
        return BLIND_PROMPT
    return PAPER_PROMPT.format(label=lesion.diagnosis.side)


def description_of(raw: str, kind: PromptKind, *, is_cut_off: bool = False) -> Description:
    """The description within an answer: no markup, whole sentences; a blind one without its talk of a diagnosis.

    Raises UnusableAnswer when the model declined, was cut off within its first sentence, or nothing is left.
    """
    plain = _LEAD.sub("", _MARKS.sub("", raw.replace("’", "'")).strip())
    sentences = [line for line in re.split(r"(?<=[.!?])\s+|\n+", plain) if line.strip()]
    if is_cut_off and sentences and not sentences[-1].rstrip().endswith((".", "!", "?")):
        sentences.pop()
    said = [line for line in sentences if not _DECLINES.match(line)]
    diagnostic = [line for line in said if _TALK_OF_DIAGNOSIS.search(line)]
    kept = said if kind == "paper" else [line for line in said if line not in diagnostic]
    if not kept:
        why = "only talks of a diagnosis" if diagnostic else "declines" if sentences else "holds no whole sentence"
        raise UnusableAnswer(f"The answer {why}.")
    return Description(text=" ".join(" ".join(kept).split()), num_diagnostic=len(diagnostic))


def caption_of_answer(description: str, lesion: Labelled) -> str:
    """The caption: class and patient from the table, then the description, then the site.

    Raises UnusableAnswer when it is longer than a caption may be.
    """
    ended = description if description.endswith((".", "!", "?")) else f"{description}."
    caption = compose_around(ended, lesion)
    if len(caption) > MAX_CAPTION_CHARS:
        raise UnusableAnswer(f"The caption has {len(caption)} characters, more than {MAX_CAPTION_CHARS}.")
    return caption
