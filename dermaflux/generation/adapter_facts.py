"""What a LoRA file says of how to sample with it: its text length; steps and scales of one distilled to few steps.

Only the header is read, no weights and no torch. A file that says nothing leaves the model's own defaults.
"""

from dataclasses import dataclass
from pathlib import Path

from safetensors import SafetensorError, safe_open

from dermaflux.domain.contrast import CONTRAST_RANGE
from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.domain.records import MAX_GUIDANCE_SCALE, MAX_STEPS
from dermaflux.generation.facts import MAX_TEXT_TOKENS

STEPS_KEY, TEXT_TOKENS_KEY = "dermaflux.sampling_steps", "dermaflux.text_tokens"
GUIDANCE_KEY, CONTRAST_KEY = "dermaflux.guidance_scale", "dermaflux.contrast_scale"


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterFacts:
    """Steps 1..100, guidance 0..20, contrast 0..10 and text tokens 1..512 that the LoRA was made for; None unsaid."""

    num_steps: int | None = None
    guidance_scale: float | None = None
    contrast_scale: float | None = None
    text_tokens: int | None = None


def read_adapter_facts(path: Path) -> AdapterFacts:
    """The facts in the header of a safetensors file. Raises ModelNotAvailable when it cannot be read or is wrong."""
    try:
        with safe_open(path, "np") as handle:
            header = handle.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise ModelNotAvailable(f"The adapter {path} cannot be read: {error}. Give a .safetensors file.") from error
    return AdapterFacts(
        num_steps=_whole(path, header, STEPS_KEY, MAX_STEPS),
        text_tokens=_whole(path, header, TEXT_TOKENS_KEY, MAX_TEXT_TOKENS),
        guidance_scale=_number(path, header, GUIDANCE_KEY, (0.0, MAX_GUIDANCE_SCALE)),
        contrast_scale=_number(path, header, CONTRAST_KEY, CONTRAST_RANGE),
    )


def _whole(path: Path, header: dict[str, str], key: str, most: int) -> int | None:
    number = _number(path, header, key, (1, most))
    if number is not None and not number.is_integer():
        raise ModelNotAvailable(f"The adapter {path} states {key} {number}, not a whole number. Export it anew.")
    return None if number is None else int(number)


def _number(path: Path, header: dict[str, str], key: str, within: tuple[float, float]) -> float | None:
    if key not in header:
        return None
    try:
        number = float(header[key])
    except ValueError:
        number = float("nan")
    if not within[0] <= number <= within[1]:
        raise ModelNotAvailable(
            f"The adapter {path} states {key} {header[key]!r}, not a number in {within[0]:g} to {within[1]:g}. "
            "Export it anew."
        )
    return number
