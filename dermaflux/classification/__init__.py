"""The classifier: a calibrated view of a picture, a saliency map and an embedding; and which lesion it shows.

`LesionClassifier`, `LesionDescriptor` and `overlay` are found here by name; torch loads only when one is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dermaflux.classification.classifier import LesionClassifier
    from dermaflux.classification.descriptor import LesionDescriptor
    from dermaflux.classification.saliency import overlay

__all__ = ["LesionClassifier", "LesionDescriptor", "overlay"]

_HOMES = {"LesionClassifier": "classifier", "LesionDescriptor": "descriptor", "overlay": "saliency"}


def __getattr__(name: str) -> Any:
    """Load the module behind a public name on first use (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
