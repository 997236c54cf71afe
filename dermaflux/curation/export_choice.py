"""Which images of a dataset an export takes, and why the others stay behind. The same set gives the same choice.

It reads verdicts and, for duplicates, pixels; it writes nothing. Images are looked at in the order of their content
hash, and each that stays behind is counted once, under the first reason that holds.
"""

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from PIL import Image

from dermaflux.curation.export_records import ExportRequest
from dermaflux.curation.export_store import Candidate
from dermaflux.curation.judgements import Judgement
from dermaflux.curation.review_records import Agreement
from dermaflux.curation.store import CurationStore
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import Verdict
from dermaflux.picture_hashes import perceptual_hash

MEMORISED = "memorised"
EXCLUDED = "excluded by name"
DISPUTED = "under the least agreement"
DUPLICATE = "near-duplicate"
CAPPED = "over the cap of its diagnosis"

SAID = {Verdict.ACCEPT: "accepted", Verdict.REJECT: "rejected", Verdict.UNSURE: "unsure"}
Judgements = Mapping[str, tuple[Judgement, ...]]
_Keep = Callable[[Candidate], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The candidates taken, how many stay behind for which reason, and what the reviewers said of the whole dataset."""

    taken: tuple[Candidate, ...]
    left_out: Mapping[str, int]
    judgements: Judgements
    verdicts: Mapping[Verdict, int]
    agreement: Agreement


def choose(store: CurationStore, request: ExportRequest, check_stop: Callable[[], None]) -> Choice:
    """Apply the request's filters. check_stop is called between images and may raise.

    Raises InvalidRequest when nothing is left, DataNotFound or ImageNotReadable as the store does.
    """
    everything, judgements = store.candidates(request.dataset), store.judgements(request.dataset)
    wanted = [candidate for candidate in everything if candidate.verdict in request.verdicts]
    if not wanted:
        verdicts = " or ".join(SAID[verdict] for verdict in request.verdicts)
        raise InvalidRequest(
            f"No image of {request.dataset!r} is {verdicts} yet, so there is nothing to export. Accept some first."
        )
    left_out: Counter[str] = Counter()
    kept: Iterable[Candidate] = wanted
    for reason, keep in _steps(store, request, judgements, check_stop):
        kept = _kept(kept, keep, reason, left_out)
    taken = tuple(kept)
    if not taken:
        raise InvalidRequest(_nothing_left(request, len(wanted), left_out))
    return Choice(
        taken=taken,
        left_out=dict(left_out),
        judgements=judgements,
        verdicts=Counter(candidate.verdict for candidate in everything),
        agreement=store.agreement(request.dataset),
    )


def share_of_accepts(said: Iterable[Judgement]) -> float:
    """The share of an image's reviewers who accepted it, 0..1; an adjudication is not asked."""
    verdicts = [judgement.verdict for judgement in said if not judgement.adjudicates]
    return verdicts.count(Verdict.ACCEPT) / len(verdicts) if verdicts else 0.0


def _kept(candidates: Iterable[Candidate], keep: _Keep, reason: str, left_out: Counter[str]) -> Iterator[Candidate]:
    for candidate in candidates:
        if keep(candidate):
            yield candidate
        else:
            left_out[reason] += 1


def _steps(
    store: CurationStore, request: ExportRequest, judgements: Judgements, check_stop: Callable[[], None]
) -> Iterator[tuple[str, _Keep]]:
    if not request.include_memorised:
        yield MEMORISED, lambda candidate: candidate.memorised is not True
    if request.without:
        yield EXCLUDED, lambda candidate: not {candidate.image_id, candidate.sha256} & request.without
    if request.min_agreement:
        least = request.min_agreement
        yield DISPUTED, lambda candidate: share_of_accepts(judgements.get(candidate.image_id, ())) >= least - 1e-9
    if request.duplicate_bits is not None:
        yield DUPLICATE, _FirstOfItsKind(store, request.duplicate_bits, check_stop)
    if request.max_per_diagnosis is not None:
        yield CAPPED, _Capped(request.max_per_diagnosis)


class _FirstOfItsKind:
    """Lets an image pass when no earlier one that passed has nearly the same perceptual hash (pHash, 64 bits)."""

    def __init__(self, store: CurationStore, bits: int, check_stop: Callable[[], None]) -> None:
        self._store, self._bits, self._check_stop = store, bits, check_stop
        self._seen, self._num_seen = np.empty(1024, np.uint64), 0

    def __call__(self, candidate: Candidate) -> bool:
        self._check_stop()
        with Image.open(io.BytesIO(self._store.read_png(candidate.image_id))) as picture:
            hashed = perceptual_hash(picture)
        distances = np.bitwise_count(self._seen[: self._num_seen] ^ hashed)
        if (distances <= self._bits).any():
            return False
        if self._num_seen == len(self._seen):
            self._seen = np.concatenate([self._seen, np.empty_like(self._seen)])
        self._seen[self._num_seen] = hashed
        self._num_seen += 1
        return True


class _Capped:
    """Lets so many images of each diagnosis pass."""

    def __init__(self, limit: int) -> None:
        self._limit, self._passed = limit, Counter[str | None]()

    def __call__(self, candidate: Candidate) -> bool:
        self._passed[candidate.diagnosis] += 1
        return self._passed[candidate.diagnosis] <= self._limit


def _nothing_left(request: ExportRequest, number: int, left_out: Mapping[str, int]) -> str:
    if set(left_out) == {MEMORISED}:
        return (
            f"All {number} accepted images of {request.dataset!r} are too close to training images. "
            "Accept others, or ask for memorised images to be included."
        )
    reasons = ", ".join(f"{count} {reason}" for reason, count in left_out.items())
    return f"All {number} images of {request.dataset!r} would stay behind ({reasons}). Ask for less."
