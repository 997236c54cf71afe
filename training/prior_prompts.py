"""What is said of each class to a vision-language model: ensembles of prompts as plain data.

Two sets are shipped: two classes, and the seven diagnoses, of which the malignant ones are summed. They were written
down before any model was run and are not tuned on any picture. It knows no model.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dermaflux.domain.errors import DataNotFound, InvalidRequest

TEMPLATES = (
    "a dermoscopic image of {}",
    "a dermatoscopy photo of {}",
    "this is a skin lesion image of {}",
    "a close-up photograph of {} on the skin",
)
_MALIGNANCY = {
    "benign": ("a benign skin lesion", "a harmless mole", "a benign lesion without signs of cancer"),
    "malignant": ("a malignant skin lesion", "skin cancer", "a lesion suspicious for skin cancer"),
}
_DIAGNOSES = {
    "nv": ("melanocytic nevus", "a benign mole"),
    "bkl": ("benign keratosis", "seborrheic keratosis", "solar lentigo"),
    "df": ("dermatofibroma",),
    "vasc": ("a vascular lesion", "angioma", "angiokeratoma"),
    "mel": ("melanoma", "malignant melanoma"),
    "bcc": ("basal cell carcinoma",),
    "akiec": ("actinic keratosis", "Bowen's disease", "squamous cell carcinoma in situ"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptSet:
    """The texts of each class in the order of `classes`, and which classes are malignant."""

    name: str
    classes: tuple[str, ...]
    malignant: tuple[bool, ...]
    texts: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        """Raise InvalidRequest without a malignant and a benign class, or for a class of which nothing is said."""
        if len(set(self.malignant)) < 2 or not all(self.texts):
            raise InvalidRequest(f"The prompts {self.name!r} need texts for benign and malignant classes.")

    def sha256(self) -> str:
        """Of every text in order: scores of other prompts are other scores."""
        return hashlib.sha256(json.dumps([self.classes, self.malignant, self.texts]).encode()).hexdigest()


def shipped_prompts() -> tuple[PromptSet, ...]:
    """The two ensembles: malignancy and diagnosis."""
    return (
        _ensemble("malignancy", _MALIGNANCY, ("malignant",)),
        _ensemble("diagnosis", _DIAGNOSES, ("mel", "bcc", "akiec")),
    )


def read_prompts(path: Path) -> tuple[PromptSet, ...]:
    """Sets of a JSON file: {name: {class: {"malignant": bool, "texts": [...]}}}.

    Raises DataNotFound when it cannot be read, InvalidRequest when it holds something else.
    """
    try:
        sets = json.loads(path.read_text(encoding="utf-8"))
        return tuple(
            PromptSet(
                name=name,
                classes=tuple(classes),
                malignant=tuple(bool(said["malignant"]) for said in classes.values()),
                texts=tuple(tuple(map(str, said["texts"])) for said in classes.values()),
            )
            for name, classes in sets.items()
        )
    except OSError as error:
        raise DataNotFound(f"{path} cannot be read ({error.strerror}). Check the path.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InvalidRequest(
            f"{path} does not hold prompts ({error!r}). "
            'Write {"name": {"class": {"malignant": true, "texts": ["a photo of ..."]}, ...}}.'
        ) from error


def _ensemble(name: str, said: Mapping[str, Sequence[str]], malignant: Sequence[str]) -> PromptSet:
    return PromptSet(
        name=name,
        classes=tuple(said),
        malignant=tuple(key in malignant for key in said),
        texts=tuple(tuple(t.format(words) for words in of_class for t in TEMPLATES) for of_class in said.values()),
    )
