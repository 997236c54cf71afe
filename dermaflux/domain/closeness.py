"""How far what was measured lies from what was asked for: the ruler by which the closest of several images is kept.

Numbers only; it knows neither how an image is made nor how it is measured.
"""

import math

from dermaflux.domain.lesion import Colour, LesionSpec
from dermaflux.domain.records import Measurement

_ASYMMETRY_RANGE = 2.0
_BORDER_RANGE = 8.0


def distance(asked: LesionSpec, found: Measurement) -> float:
    """The mean of three differences, each as a share of its range: 0 as asked for, 1 the very opposite.

    Asymmetry and border by their size, colours by how many of the six are in one set only. A refused measurement is
    infinitely far: what cannot be measured cannot be said to be close.
    """
    if found.asymmetry is None or found.border is None:
        return math.inf
    wrong_colours = set(asked.colours) ^ set(found.colours)
    return (
        abs(asked.asymmetry - found.asymmetry) / _ASYMMETRY_RANGE
        + abs(asked.border - found.border) / _BORDER_RANGE
        + len(wrong_colours) / len(Colour)
    ) / 3
