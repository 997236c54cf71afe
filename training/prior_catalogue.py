"""The prior dermatology models that are known by name: where their weights are, and what the paper reports of them.

A name, a hub repository or a folder becomes a folder on this machine. It loads no model.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dermaflux.domain.errors import InvalidRequest
from dermaflux.generation.hub import download_vision_language


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorModel:
    """A hub repository; reported_auc is the DermaFlux paper's figure (arXiv 2603.16392), on its own test set."""

    repository: str
    reported_auc: float | None = None


CATALOGUE: Mapping[str, PriorModel] = {
    "biomedclip": PriorModel(repository="microsoft/BiomedCLIP-PubMedBERT_256-vit_base_patch16_224", reported_auc=0.693),
    "dermlip-vit": PriorModel(repository="redlessone/DermLIP_ViT-B-16", reported_auc=0.720),
    "dermlip-panderm": PriorModel(repository="redlessone/DermLIP_PanDerm-base-w-PubMed-256", reported_auc=0.765),
    "make": PriorModel(repository="xieji-x/MAKE", reported_auc=0.786),
    "monet": PriorModel(repository="suinleelab/monet"),
}


def folder_of(model: str) -> Path:
    """The folder of a catalogue name, a folder, or a hub repository OWNER/NAME, which is downloaded once.

    Raises InvalidRequest for a name that is none of them, ModelNotAvailable when the hub does not give it.
    """
    if Path(model).is_dir():
        return Path(model)
    if known := CATALOGUE.get(model):
        return download_vision_language(known.repository)
    if model.count("/") != 1 or model.startswith((".", "/")):
        raise InvalidRequest(f"{model} is no folder. Known models: {', '.join(CATALOGUE)}; or give OWNER/NAME.")
    return download_vision_language(model)


def reported_auc(model: str) -> float | None:
    """What the paper reports of a model, if anything."""
    known = CATALOGUE.get(model)
    return known.reported_auc if known else None
