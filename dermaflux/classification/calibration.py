"""Calibration: one temperature and one bias a class, fitted on the validation split.

p = softmax(z / T + b) (bias-corrected temperature scaling, Alexandari et al., arXiv 1901.06852): the bias
undoes what balanced sampling did to the priors. P(malignant) is the sum over malignant classes, so both
answers agree. It knows no network and no picture.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, logsumexp, softmax

from dermaflux.domain.errors import InvalidRequest

BIAS_PENALTY = 0.02
"""L2 weight on the biases, in nats: rare classes have a dozen validation pictures only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Temperature (> 0) and a bias for each class."""

    temperature: float
    biases: tuple[float, ...]

    def __post_init__(self) -> None:
        """Raise InvalidRequest unless the temperature is positive and every number finite."""
        if not self.temperature > 0 or not np.isfinite((self.temperature, *self.biases)).all():
            raise InvalidRequest(f"The calibration {self} is not usable: refit it on the validation split.")

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """Calibrated probabilities (N, C) of logits (N, C)."""
        return softmax(logits / self.temperature + np.asarray(self.biases), axis=1)


def identity(num_classes: int) -> Calibration:
    """The calibration that changes nothing."""
    return Calibration(temperature=1.0, biases=(0.0,) * num_classes)


def fit(logits: np.ndarray, labels: np.ndarray, malignant: Sequence[bool]) -> Calibration:
    """The calibration that minimises the class NLL plus the malignant NLL of (N, C) logits, (N,) labels.

    `malignant` says of each class whether it counts as such. Convex in 1/T and b; deterministic.
    """
    mask, count = np.asarray(malignant, dtype=bool), logits.shape[1]
    truth = mask[labels]

    def loss(params: np.ndarray) -> float:
        scaled = log_softmax(logits * np.exp(params[0]) + params[1:], axis=1)
        nll = -scaled[np.arange(len(labels)), labels].mean()
        if mask.any() and not mask.all():
            sums = np.stack([logsumexp(scaled[:, ~mask], axis=1), logsumexp(scaled[:, mask], axis=1)], axis=1)
            nll -= sums[np.arange(len(labels)), truth.astype(int)].mean()
        return float(nll + BIAS_PENALTY * (params[1:] ** 2).mean())

    found = minimize(loss, np.zeros(count + 1), method="L-BFGS-B")
    biases = found.x[1:] - found.x[1:].mean()
    return Calibration(temperature=float(np.exp(-found.x[0])), biases=tuple(float(b) for b in biases))
