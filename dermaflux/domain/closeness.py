"""How far what an image shows lies from what was asked for: the ruler by which the closest of several is kept.

Numbers only; it knows neither how an image is made nor how it is judged.
"""

import math

from dermaflux.domain.lesion import Colour, LesionSpec
from dermaflux.domain.records import Assessment

_ASYMMETRY_RANGE = 2.0
_BORDER_RANGE = 8.0


def distance(asked: LesionSpec, found: Assessment) -> float:
    """The mean of four differences, each as a share of its range: 0 as asked for, 1 the very opposite.

    Asymmetry and border by their size, colours by how many of the six are in one set only, the diagnosis by the
    probability that the classifier gives to the wrong side of malignant; it counts nothing where the classifier
    refused. A refused measurement is infinitely far: what cannot be measured cannot be said to be close.
    """
    measured, predicted = found.measurement, found.prediction.malignant
    if measured.asymmetry is None or measured.border is None:
        return math.inf
    wrong_colours = set(asked.colours) ^ set(measured.colours)
    differences = [
        abs(asked.asymmetry - measured.asymmetry) / _ASYMMETRY_RANGE,
        abs(asked.border - measured.border) / _BORDER_RANGE,
        len(wrong_colours) / len(Colour),
    ]
    if predicted is not None:
        differences.append(1 - predicted if asked.malignant else predicted)
    return sum(differences) / len(differences)
