"""Capability: captions in, images out, from a FluxPipeline. Importing it loads no torch; using it does."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from dermaflux.generation.catalogue import ModelCatalogue
from dermaflux.generation.entries import AdapterEntry, ModelEntry

if TYPE_CHECKING:
    from dermaflux.generation.loading import load_pipeline
    from dermaflux.generation.placement import choose_placement
    from dermaflux.generation.sampler import Generator

__all__ = [
    "AdapterEntry",
    "Generator",
    "ModelCatalogue",
    "ModelEntry",
    "choose_placement",
    "load_pipeline",
]

_HEAVY = {
    "Generator": "dermaflux.generation.sampler",
    "choose_placement": "dermaflux.generation.placement",
    "load_pipeline": "dermaflux.generation.loading",
}


def __getattr__(name: str) -> Any:
    """Import what needs torch only when it is asked for."""
    if name in _HEAVY:
        return getattr(import_module(_HEAVY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
