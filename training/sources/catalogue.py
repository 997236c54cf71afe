"""Every set that is described, by the name that commands use. It knows no reader."""

from collections.abc import Mapping
from types import MappingProxyType

from dermaflux.domain.errors import InvalidRequest
from training.sources.class_folders import KAGGLE1, KAGGLE2, MED_NODE
from training.sources.clinics import DDI, DERM7PT, FITZPATRICK17K, OWN, PAD_UFES_20, PH2
from training.sources.description import Source
from training.sources.isic import DERM12345, HAM10000, HIBA, ISIC2019, ISIC2020, ISIC2024, MILK10K

SOURCES: Mapping[str, Source] = MappingProxyType({
    source.name: source
    for source in (
        HAM10000, ISIC2019, ISIC2020, ISIC2024, MILK10K, HIBA, DERM12345, PAD_UFES_20, DDI, PH2, DERM7PT,
        FITZPATRICK17K, MED_NODE, KAGGLE1, KAGGLE2, OWN,
    )
})  # fmt: skip


def source_named(name: str) -> Source:
    """The description of a set. Raises InvalidRequest listing the known ones."""
    if name not in SOURCES:
        raise InvalidRequest(f"The set {name!r} is not described. Known: {', '.join(SOURCES)}.")
    return SOURCES[name]
