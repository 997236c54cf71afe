"""The words that public sets use for patient, place and diagnosis, in ours. It knows no set and no file.

A word that is not known gives None; the reader counts it. 'Head/neck' and 'oral/genital' are such words on purpose:
the vocabulary has a face, a neck and a scalp, but nothing that is any of them.
"""

from types import MappingProxyType

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Diagnosis, Sex, Site, SkinTone
from training.lesion_records import UNKNOWN, age_of

NOTHING_KNOWN = frozenset(UNKNOWN) | {"na", "n/a", "-", "-1"}

SEXES: MappingProxyType[str, Sex] = MappingProxyType(
    {str(sex): sex for sex in Sex} | {"f": Sex.FEMALE, "m": Sex.MALE}
)
SITES: MappingProxyType[str, Site] = MappingProxyType(
    {str(site): site for site in Site}
    | {
        "anterior torso": Site.TRUNK, "lateral torso": Site.TRUNK, "torso": Site.TRUNK, "posterior torso": Site.BACK,
        "palms/soles": Site.ACRAL, "upper limbs": Site.UPPER_EXTREMITY, "lower limbs": Site.LOWER_EXTREMITY,
        "arm": Site.UPPER_EXTREMITY, "forearm": Site.UPPER_EXTREMITY, "thigh": Site.LOWER_EXTREMITY,
        "nose": Site.FACE, "lip": Site.FACE, "genital areas": Site.GENITAL,
    }
)  # fmt: skip

BENIGN_OR_MALIGNANT: MappingProxyType[str, Diagnosis] = MappingProxyType({
    "benign": Diagnosis.BENIGN, "malignant": Diagnosis.MALIGNANT,
    "false": Diagnosis.BENIGN, "true": Diagnosis.MALIGNANT,
    "0": Diagnosis.BENIGN, "1": Diagnosis.MALIGNANT, "0.0": Diagnosis.BENIGN, "1.0": Diagnosis.MALIGNANT,
})  # fmt: skip

# HAM10000's bkl are seborrheic keratoses, solar lentigines and lichen-planus-like keratoses; its akiec actinic
# keratoses and Bowen's disease (Tschandl 2018). Invasive squamous cell carcinoma is not among its classes.
DIAGNOSES: MappingProxyType[str, Diagnosis] = MappingProxyType(
    {
        word: diagnosis
        for diagnosis, words in {
            Diagnosis.NV: (
                "nevus", "naevus", "melanocytic nevus", "nevocytic nevus", "blue nevus", "clark nevus", "spitz nevus",
                "combined nevus", "congenital nevus", "dermal nevus", "recurrent nevus", "reed or spitz nevus",
                "melanocytic nevi", "dysplastic nevus",
            ),
            Diagnosis.BKL: (
                "seborrheic keratosis", "seborrhoeic keratosis", "solar lentigo", "lichenoid keratosis",
                "lichen planus like keratosis", "benign keratosis",
            ),
            Diagnosis.DF: ("dermatofibroma",),
            Diagnosis.VASC: (
                "vascular lesion", "angioma", "hemangioma", "cherry angioma", "pyogenic granuloma", "angiokeratoma",
            ),
            Diagnosis.MEL: (
                "melanoma", "melanoma in situ", "melanoma invasive", "melanoma, nos", "melanoma metastasis",
                "melanoma (in situ)", "melanoma (less than 0.76 mm)", "melanoma (0.76 to 1.5 mm)",
                "melanoma (more than 1.5 mm)", "malignant melanoma", "superficial spreading melanoma ssm",
                "lentigo maligna", "malignant melanocytic proliferations (melanoma)", "acral lentiginous melanoma",
                "nodular melanoma",
            ),
            Diagnosis.BCC: (
                "basal cell carcinoma", "basal cell carcinoma morpheiform", "solid cystic basal cell carcinoma",
                "basal cell carcinoma superficial", "basal cell carcinoma nodular",
            ),
            Diagnosis.AKIEC: (
                "actinic keratosis", "solar or actinic keratosis", "squamous cell carcinoma in situ", "bowen disease",
                "bowen's disease",
            ),
            Diagnosis.MALIGNANT: (
                "squamous cell carcinoma", "squamous cell carcinoma, invasive", "squamous cell carcinoma, nos",
                "squamous cell carcinoma keratoacanthoma",
            ),
            Diagnosis.BENIGN: ("lentigo", "lentigo nos", "lentigo simplex", "melanosis", "cafe au lait macule"),
        }.items()
        for word in words
    }
)  # fmt: skip


def plain(word: str) -> str:
    """A cell as words are looked up: lower case, one space for runs of them, hyphens and underscores; '' if unknown."""
    text = " ".join(word.replace("_", " ").replace("-", " ").split()).lower()
    return "" if word.strip().lower() in NOTHING_KNOWN else text


def age_in_years(word: str) -> float | None:
    """The age of a cell, None where it is no age of a person."""
    try:
        return age_of(word)
    except InvalidRequest:
        return None


def fitzpatrick(word: str) -> SkinTone | None:
    """The Fitzpatrick type of a cell: I to VI, or 1 to 6; None for anything else."""
    tones = list(SkinTone)
    number = word.removesuffix(".0")
    if number.isdecimal():
        return tones[int(number) - 1] if 1 <= int(number) <= len(tones) else None
    return next((tone for tone in tones if tone == word.strip().upper()), None)
