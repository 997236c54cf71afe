"""Does an added set of pictures help? A quick head on fixed features with and without it, judged on real pictures.

Both heads learn the same real pictures and are judged on the same held-out ones, several times over. What is added
is never judged on. Plain numbers on features (N, D); it knows no model and reads no picture.
"""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Diagnosis
from dermaflux.evaluation.classifier_metrics import (
    Bootstrap,
    interval_of,
    resample_weights,
    weighted_auc,
)
from dermaflux.evaluation.diversity import Labelled
from dermaflux.evaluation.probe_head import head_probabilities, standardiser
from dermaflux.evaluation.probe_report import (
    MIN_OF_A_CLASS,
    ClassRecall,
    Difference,
    ProbeOptions,
    ProbeReport,
)

MIN_HELD_OUT = 20


def draw_rows(labels: Sequence[str], lesion_ids: Sequence[str], options: ProbeOptions) -> tuple[np.ndarray, ...]:
    """The rows of real training pictures that each draw learns from; only these need features.

    All pictures: their lesions are drawn with replacement within each class, so that none gets lost.
    """
    rng, names, lesions = np.random.default_rng(options.seed), np.asarray(labels), np.asarray(lesion_ids)
    of_class = [np.flatnonzero(names == name) for name in np.unique(names)]
    draws = []
    for _ in range(options.num_draws):
        if options.num_real is None:
            parts = [_lesions_again(rows, lesions, rng) for rows in of_class]
        else:
            share = options.num_real / len(names)
            sizes = [min(len(rows), max(MIN_OF_A_CLASS, round(share * len(rows)))) for rows in of_class]
            parts = [rng.choice(rows, size, replace=False) for rows, size in zip(of_class, sizes, strict=True)]
        draws.append(np.concatenate(parts))
    return tuple(draws)


def probe(
    real: Labelled, added: Labelled, held_out: Labelled, draws: Sequence[np.ndarray], options: ProbeOptions
) -> ProbeReport:
    """Compare heads with and without the added set; `groups` of `held_out` are its lesions, which intervals resample.

    Raises InvalidRequest when nothing is added to a class there is, or too few held-out pictures are left.
    """
    classes = sorted({str(d) for d in real.diagnoses})
    added, held_out, left_out = _of_classes(added, classes), _of_classes(held_out, classes), (added, held_out)
    _check(classes, added, held_out)
    if any(len({str(real.diagnoses[row]) for row in rows}) < 2 for rows in draws):
        raise InvalidRequest("A draw holds one diagnosis alone. Give more real training pictures.")
    answers = np.stack([_both_heads(_rows(real, rows), added, held_out.features, classes) for rows in draws])
    compared = _Compared(answers, held_out, classes, options)
    judged, given = Counter(held_out.diagnoses), Counter(added.diagnoses)
    return ProbeReport(
        balanced_accuracy=compared.balanced_accuracy(),
        malignant_auc=compared.malignant_auc(),
        classes={
            name: ClassRecall(recall=compared.recall(name), num_held_out=judged[name], num_added=given[name])
            for name in compared.judged
        },
        num_real=len(draws[0]),
        num_added=len(added.diagnoses),
        num_held_out=len(held_out.diagnoses),
        num_lesions=len(set(held_out.groups)),
        num_draws=len(draws),
        num_added_left_out=len(left_out[0].diagnoses) - len(added.diagnoses),
        num_held_out_left_out=len(left_out[1].diagnoses) - len(held_out.diagnoses),
    )


class _Compared:
    """Answers (draws, 2 heads, N, K) turned into differences, all over the same resamples of lesions.

    Few real pictures: the draws are nearly independent, and a resample averages as many draws, drawn with
    replacement. All real pictures: the draws share one training set, so a resample takes one of them.
    """

    def __init__(self, answers: np.ndarray, held_out: Labelled, classes: Sequence[str], options: ProbeOptions) -> None:
        self._classes, self._answers = classes, answers
        self._truth = np.array([classes.index(str(d)) for d in held_out.diagnoses])
        self.judged = [name for k, name in enumerate(classes) if (self._truth == k).any()]
        self._how = Bootstrap(num_resamples=options.num_resamples, seed=options.seed)
        weights = np.concatenate(resample_weights(held_out.groups, self._how))
        self._weights = np.concatenate([np.ones((1, weights.shape[1])), weights])  # first: everything as it is
        num_draws = len(answers)
        taken = num_draws if options.num_real is not None else 1
        rng = np.random.default_rng(options.seed + 1)
        shares = rng.multinomial(taken, np.full(num_draws, 1 / num_draws), size=options.num_resamples) / taken
        self._shares = np.concatenate([np.full((1, num_draws), 1 / num_draws), shares])
        recalls = [[self._recalls(head) for head in pair] for pair in answers]
        self._mixed_recalls = self._mixed(np.array(recalls))

    def recall(self, name: str) -> Difference:
        """Of one class."""
        return self._difference(self._mixed_recalls[:, :, self.judged.index(name)])

    def balanced_accuracy(self) -> Difference:
        """The mean of the recalls of the classes that a resample holds."""
        return self._difference(np.nanmean(self._mixed_recalls, axis=2))

    def malignant_auc(self) -> Difference | None:
        """Of the summed probability of the malignant classes."""
        malignant = np.array([Diagnosis(name).is_malignant for name in self._classes])
        truth = malignant[self._truth]
        if truth.all() or not truth.any():
            return None
        scores = self._answers[..., malignant].sum(axis=-1).clip(0, 1)
        areas = [[weighted_auc(truth, head, self._weights) for head in pair] for pair in scores]
        return self._difference(self._mixed(np.array(areas)[..., None])[..., 0])

    def _recalls(self, probabilities: np.ndarray) -> np.ndarray:
        """(B, judged classes); nan where a resample lacks the class."""
        kinds = [self._classes.index(name) for name in self.judged]
        member = (self._truth[:, None] == kinds).astype(float)
        right = member * (probabilities.argmax(axis=1) == self._truth)[:, None]
        total = self._weights @ member
        return (self._weights @ right) / np.where(total > 0, total, np.nan)

    def _mixed(self, figures: np.ndarray) -> np.ndarray:
        """Figures (draws, 2, B, F) averaged over the draws of each resample: (2, B, F)."""
        return np.einsum("bd,dhbf->hbf", self._shares, figures)

    def _difference(self, figures: np.ndarray) -> Difference:
        """Of figures (2, B) whose first resample is everything as it is."""
        delta = figures[1] - figures[0]
        return Difference(
            without=float(figures[0, 0]),
            with_added=float(figures[1, 0]),
            delta=interval_of(float(delta[0]), delta[1:], self._how),
        )


def _both_heads(real: Labelled, added: Labelled, shown: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """P (2, N, K) of the head without and of the head with the added set, features scaled as the real ones are."""
    mean, spread = standardiser(real.features)
    scaled = [(part - mean) / spread for part in (real.features, added.features, shown)]
    labels = [str(d) for d in real.diagnoses]
    more = (np.concatenate(scaled[:2]), labels + [str(d) for d in added.diagnoses])
    return np.stack([head_probabilities(given, scaled[2], classes) for given in ((scaled[0], labels), more)])


def _lesions_again(rows: np.ndarray, lesions: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    _, member = np.unique(lesions[rows], return_inverse=True)
    count = int(member.max()) + 1
    return np.repeat(rows, rng.multinomial(count, np.full(count, 1 / count))[member])


def _rows(part: Labelled, rows: Sequence[int] | np.ndarray) -> Labelled:
    groups = [part.groups[int(row)] for row in rows] if part.groups else []
    return Labelled(features=part.features[rows], diagnoses=[part.diagnoses[int(row)] for row in rows], groups=groups)


def _of_classes(part: Labelled, classes: Sequence[str]) -> Labelled:
    return _rows(part, [row for row, name in enumerate(part.diagnoses) if str(name) in classes])


def _check(classes: Sequence[str], added: Labelled, held_out: Labelled) -> None:
    if len(classes) < 2:
        raise InvalidRequest(f"The real training pictures show {', '.join(classes)} alone. Two diagnoses are needed.")
    if not len(added.diagnoses):
        raise InvalidRequest(f"No accepted image is of a diagnosis of the real pictures ({', '.join(classes)}).")
    judged = len(set(map(str, held_out.diagnoses)))
    if len(held_out.diagnoses) < MIN_HELD_OUT or judged < 2:
        raise InvalidRequest(
            f"There are {len(held_out.diagnoses)} held-out real pictures of {judged} known diagnoses to judge on. "
            f"At least {MIN_HELD_OUT} of two diagnoses are needed."
        )
