"""What a saved pipeline says of itself: `dermaflux.json` beside model_index.json.

Plain files and numbers, so that a list of models can be shown before torch is loaded.
"""

import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from dermaflux.domain.contrast import CONTRAST_RANGE
from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.domain.records import MAX_GUIDANCE_SCALE, MAX_STEPS, SIZE_MULTIPLE_PX, SIZE_RANGE_PX

FACTS_FILE = "dermaflux.json"
MAX_TEXT_TOKENS = 512
_OPTIONAL = {"contrast_scale", "int8_checked"}  # files of earlier versions lack them


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineFacts:
    """A pipeline's own defaults and licence. Raises ValueError naming a field outside its range.

    guidance_scale is that of true classifier-free guidance (1 = off) unless the transformer is guidance-distilled;
    text_tokens is the T5 length it was trained with; contrast_scale is how loud the sliders are (`domain.contrast`);
    int8_checked says that its int8 pictures were measured to be as good (docs/benchmarks.md).
    """

    size_px: int
    num_steps: int
    guidance_scale: float
    text_tokens: int
    licence: str
    contrast_scale: float = 0.0
    int8_checked: bool = False

    def __post_init__(self) -> None:
        """Check the ranges a request could ask for."""
        _check("size_px", self.size_px, SIZE_RANGE_PX, int)
        _check("num_steps", self.num_steps, (1, MAX_STEPS), int)
        _check("guidance_scale", self.guidance_scale, (0.0, MAX_GUIDANCE_SCALE), (int, float))
        _check("contrast_scale", self.contrast_scale, CONTRAST_RANGE, (int, float))
        _check("text_tokens", self.text_tokens, (1, MAX_TEXT_TOKENS), int)
        if self.size_px % SIZE_MULTIPLE_PX:
            raise ValueError(f"size_px is {self.size_px}, not a multiple of {SIZE_MULTIPLE_PX}")
        if not isinstance(self.licence, str):
            raise ValueError(f"licence is {self.licence!r}, not text")


def save_facts(folder: Path, facts: PipelineFacts) -> None:
    """Write the facts beside model_index.json, whole or not at all."""
    partial = folder / f".{FACTS_FILE}.partial"
    partial.write_text(json.dumps(asdict(facts), indent=2) + "\n")
    os.replace(partial, folder / FACTS_FILE)


def load_facts(folder: Path) -> PipelineFacts | None:
    """The facts of a saved pipeline, None when the folder states none (a foreign FluxPipeline).

    Raises ModelNotAvailable when the file is there but cannot be believed.
    """
    path = folder / FACTS_FILE
    if not path.is_file():
        return None
    try:
        values = json.loads(path.read_text())
        if not isinstance(values, dict):
            raise ValueError("it is not a JSON object")
        names = {field.name for field in fields(PipelineFacts)}
        if wrong := sorted(names - _OPTIONAL - set(values) | set(values) - names):
            raise ValueError(
                f"the field {wrong[0]!r} is {'missing' if wrong[0] in names else 'unknown'}"
            )
        return PipelineFacts(**values)
    except ValueError as error:
        raise ModelNotAvailable(
            f"{path} cannot be used: {error}. Mend the file or reinstall the model."
        ) from error


def _check(
    name: str, value: object, limits: tuple[float, float], kind: type | tuple[type, ...]
) -> None:
    if isinstance(value, bool) or not isinstance(value, kind):
        raise ValueError(f"{name} is {value!r}, not a number of the right kind")
    if not limits[0] <= value <= limits[1]:  # type: ignore[operator] - a number by the check above
        raise ValueError(f"{name} is {value}, outside {limits[0]} to {limits[1]}")
