"""What a request is steered by: its caption, the empty text, and the opposites that its contrast pushes away from.

It knows texts and scales, and neither latents nor files.
"""

from dermaflux.domain.caption import compose
from dermaflux.domain.contrast import contrasts
from dermaflux.domain.records import SamplingRequest
from dermaflux.generation.guidance import Guidance, Push
from dermaflux.generation.prompts import PromptEncoder


def guidance_of(request: SamplingRequest, encoder: PromptEncoder, *, distilled: bool) -> Guidance:
    """The texts of a resolved request and how strongly each acts; distilled: the scale is fed to the transformer."""
    encode, scale = encoder.encode, float(request.guidance_scale or 0.0)
    true_guidance = not distilled and scale > 1.0
    plain, opposites = _opposites(request)
    return Guidance(
        caption=encode(request.caption),
        empty=encode("") if true_guidance else None,
        scale=scale,
        plain=None if plain == request.caption else encode(plain),
        pushes=tuple(Push(away_from=encode(caption), scale=scale) for caption, scale in opposites.items()),
    )


def _opposites(request: SamplingRequest) -> tuple[str, dict[str, float]]:
    """The plain caption of what is asked for, and the captions it is to be pushed away from with their scales."""
    if request.spec is None or not request.contrast_scale:
        return request.caption, {}
    plain = compose(request.spec)
    away = {compose(c.away_from): c.scale for c in contrasts(request.spec, request.contrast_scale)}
    return plain, {caption: scale for caption, scale in away.items() if caption != plain}
