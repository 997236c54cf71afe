"""Requests that move every slider on its own, so that none can be told from another.

In real lesions asymmetry, border and colours go together (Spearman .7 to .8); here they are drawn apart.
"""

import random

from dermaflux.domain.caption import ASYMMETRY_WORDS, BORDER_WORDS
from dermaflux.domain.lesion import HAM_DIAGNOSES, Colour, Diagnosis, LesionSpec, typical_colours

_PLAIN_SHARE = 0.15  # requests that say benign or malignant only


def draw_specs(count: int, seed: int) -> list[LesionSpec]:
    """`count` requests, each facet drawn evenly and apart from the others; half have their class's usual colours."""
    rng = random.Random(seed)
    return [_draw(rng) for _ in range(count)]


def _draw(rng: random.Random) -> LesionSpec:
    plain = rng.random() < _PLAIN_SHARE
    diagnosis = rng.choice((Diagnosis.BENIGN, Diagnosis.MALIGNANT) if plain else HAM_DIAGNOSES)
    count = rng.randint(1, len(Colour))
    usual = rng.random() < 0.5
    colours = typical_colours(count, diagnosis) if usual else tuple(rng.sample(list(Colour), count))
    return LesionSpec(
        asymmetry=rng.choice(list(ASYMMETRY_WORDS)),
        border=rng.choice(list(BORDER_WORDS)),
        colours=colours,
        diagnosis=diagnosis,
    )
