"""Chooses the pictures of a reader study by chance: as many real as synthetic ones, of the same diagnoses if wished.

Of each real lesion one picture at most, since two of one are no two observations. It knows no file and no store.
"""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.study import StudyPlan

_PLAIN = (Diagnosis.BENIGN, Diagnosis.MALIGNANT)
_Kinds = dict[Diagnosis | None, list["Eligible"]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Eligible:
    """A picture that a study may show: an image id or the name in a real set, its diagnosis, and its lesion."""

    key: str
    diagnosis: Diagnosis | None
    lesion: str


def choose(
    real: Sequence[Eligible], synthetic: Sequence[Eligible], plan: StudyPlan, rng: random.Random
) -> tuple[list[Eligible], list[Eligible]]:
    """Real and synthetic pictures, `plan.num_of_each` each. Raises InvalidRequest when there are too few."""
    real, synthetic = _one_a_lesion(real, rng), _one_a_lesion(synthetic, rng)
    wanted = plan.num_of_each
    if min(len(real), len(synthetic)) < wanted:
        raise InvalidRequest(
            f"{wanted} pictures of each kind are wanted, but there are {len(real)} real lesions and {len(synthetic)} "
            "accepted synthetic images to choose from. Ask for fewer, or add some."
        )
    if not plan.match_diagnoses:
        return rng.sample(real, wanted), rng.sample(synthetic, wanted)
    only_sides = all(one.diagnosis in (*_PLAIN, None) for one in real)
    kinds = _by_diagnosis(real, False), _by_diagnosis(synthetic, only_sides)
    shared = Counter({kind: min(len(found), len(kinds[1].get(kind, ()))) for kind, found in kinds[0].items()})
    if shared.total() < wanted:
        raise InvalidRequest(
            f"Only {shared.total()} pairs of the same diagnosis can be made of {len(real)} real lesions and "
            f"{len(synthetic)} accepted synthetic images. Ask for fewer, or do not match the diagnoses."
        )
    drawn = Counter(rng.sample(sorted(shared.elements(), key=str), wanted))
    one, other = ([p for kind, number in drawn.items() for p in rng.sample(side[kind], number)] for side in kinds)
    return one, other


def _one_a_lesion(pictures: Sequence[Eligible], rng: random.Random) -> list[Eligible]:
    shuffled = rng.sample(sorted(pictures, key=lambda one: one.key), len(pictures))
    return sorted({one.lesion: one for one in shuffled}.values(), key=lambda one: one.key)


def _by_diagnosis(pictures: Iterable[Eligible], only_sides: bool) -> _Kinds:
    """Pictures by diagnosis; where the other side knows benign and malignant only, so does this one."""
    found: _Kinds = defaultdict(list)
    for one in pictures:
        found[one.diagnosis.side if only_sides and one.diagnosis else one.diagnosis].append(one)
    return found
