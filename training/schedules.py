"""Learning-rate schedules as functions of progress. They know no optimiser."""

import math


def cosine_with_warmup(progress: float, step: int, warmup_steps: int, floor: float = 0.02) -> float:
    """The factor on the learning rate: linear over the warm-up, then cosine from 1 to `floor` at progress 1."""
    warm = min(1.0, (step + 1) / max(1, warmup_steps))
    return warm * (floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, progress))))
