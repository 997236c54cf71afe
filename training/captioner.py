"""Who describes pictures, seen from outside: questions in, answers out, in whatever order they come.

It knows no model, no server and no file.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from PIL import Image


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One picture (RGB) and what is asked about it."""

    image_id: str
    image: Image.Image
    prompt: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The text that came, or why none did. `is_cut_off`: it reached the limit of tokens. seconds: of this picture."""

    question: Question
    text: str | None = None
    is_cut_off: bool = False
    failed: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How text is drawn: at most max_new_tokens of it; temperature 0 always takes the likeliest token."""

    max_new_tokens: int
    temperature: float
    seed: int


class Captioner(Protocol):
    """A model that describes pictures. `revision` says which weights it has, empty where that cannot be known."""

    revision: str

    def answers(self, questions: Iterable[Question]) -> Iterator[Answer]:
        """One answer a question. What concerns one picture is an answer that failed; what concerns all is raised."""
        ...


def at_most(image: Image.Image, side_px: int) -> Image.Image:
    """The picture itself, or shrunk so that its longer side has side_px."""
    if max(image.size) <= side_px:
        return image
    scale = side_px / max(image.size)
    size_px = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size_px, Image.Resampling.BICUBIC)
