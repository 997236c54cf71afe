"""Near-duplicates among stored images: groups of the same lesion, which one to keep and why, and what is none.

Images are described once, by the lesion descriptor; vectors are kept in the data folder by content.
"""

import math
from collections.abc import Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dermaflux.checksums import content_id
from dermaflux.curation.grid_records import OwnVerdict
from dermaflux.domain.closeness import distance
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import StoredImage, Verdict
from dermaflux.services.browsing import Browsing
from dermaflux.services.embedding_cache import EmbeddingCache
from dermaflux.services.filtering import Words
from dermaflux.services.probing import EMBEDDINGS
from dermaflux.services.records import ProbeStep, assessment_of

if TYPE_CHECKING:
    import numpy as np

MAX_COMPARED = 5000
MAX_DISTINCT = 100
DUPLICATE_TAG = "near-duplicate"


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateGroup:
    """Images that show almost the same, the one to keep first; `reason` says why that one."""

    images: tuple[StoredImage, ...]
    reason: str


class Grouping(Browsing):
    """Raises ModelNotAvailable without the descriptor, and what browsing raises."""

    def duplicate_groups(
        self, dataset: str, words: Words, viewer: str
    ) -> "Iterator[ProbeStep | tuple[DuplicateGroup, ...]]":
        """Tell how far it is, then answer: the groups among what passes a filter and is not rejected, largest first.

        At most MAX_COMPARED images are compared. Pairs that somebody said are no duplicates hold no group together.
        """
        found = self._as_seen(dataset, self.grid_ids(dataset, words, viewer, MAX_COMPARED), viewer)
        images = [image for image in found if image.verdict is not Verdict.REJECT]
        vectors = yield from self._lesion_vectors(images)
        own = self.own_verdicts(dataset, viewer, [image.image_id for image in images])
        groups = [_ranked([images[row] for row in rows], own) for rows in self._linked(images, vectors)]
        yield tuple(sorted(groups, key=lambda group: -len(group.images)))

    def keep_best(self, dataset: str, reviewer: str, kept: str, others: Sequence[str], batch_id: str) -> int:
        """Reject all of a group but one, together; how many. Raises the refusal when one cannot be rejected."""
        if not others or kept in others:
            raise InvalidRequest("Keep one image of the group and reject the others.")
        said = [
            {"image_id": image_id, "verdict": "reject", "tags": (DUPLICATE_TAG,), "batch_id": batch_id}
            for image_id in others
        ]
        now, refused = self.decide_all(dataset, reviewer, said)
        if refused:
            raise next(iter(refused.values()))
        return len(now)

    def say_distinct(self, image_ids: Sequence[str], said_by: str) -> None:
        """Remember that no two of these images are duplicates. Raises InvalidRequest for more than MAX_DISTINCT."""
        if len(image_ids) > MAX_DISTINCT:  # each pair is remembered
            raise InvalidRequest(
                f"That would be said of {len(image_ids):,} images at once, {MAX_DISTINCT} at most. Reject some of them "
                "in the grid, then look again."
            )
        self._store().say_distinct(image_ids, said_by)

    def unsay_distinct(self, image_ids: Sequence[str], said_by: str) -> None:
        """Forget that one said so."""
        self._store().unsay_distinct(image_ids, said_by)

    def _as_seen(self, dataset: str, image_ids: Sequence[str], viewer: str) -> Sequence[StoredImage]:
        if self._existing(dataset) is None:
            return tuple(self._store().get_many(image_ids))
        return list(self.images_now(dataset, viewer, image_ids).values())

    def _lesion_vectors(self, images: Sequence[StoredImage]) -> "Generator[ProbeStep, None, np.ndarray]":
        import numpy as np

        folder = self.settings.data_dir / EMBEDDINGS / content_id(self.settings.models_dir / "descriptor")[:32]
        cache = EmbeddingCache(folder)
        embed = self.lesion_embedder()
        keys = [image.sha256 for image in images]
        for done, total in cache.fill(
            keys, lambda rows: embed([self.stored_picture(images[row].image_id) for row in rows])
        ):
            yield ProbeStep(doing="Describing images", done=done, total=total)
        return np.array([cache.vectors[key] for key in keys])

    def _linked(self, images: Sequence[StoredImage], vectors: "np.ndarray") -> list[list[int]]:
        import numpy as np

        from dermaflux.evaluation import neighbours

        if len(images) < 2:
            return []
        near = neighbours.pairs_within(vectors, self.duplicate_thresholds().lesion_distance)
        ids = [image.image_id for image in images]
        distinct = self._store().distinct_pairs(ids)
        ends = zip(near.first.tolist(), near.second.tolist(), strict=True)
        kept = np.array([tuple(sorted((ids[a], ids[b]))) not in distinct for a, b in ends], dtype=bool)
        linked = neighbours.Pairs(first=near.first[kept], second=near.second[kept], distance=near.distance[kept])
        return neighbours.groups(linked, len(images))


def _ranked(images: Sequence[StoredImage], own: Mapping[str, OwnVerdict]) -> DuplicateGroup:
    """No copy of a training picture, then what is closest to its request, then the most realistic, then the first."""

    def rank(image: StoredImage) -> tuple[bool, float, float, str]:
        rated = own[image.image_id].realism if image.image_id in own else None
        return bool(image.memorised), _distance(image), -(rated or 0), image.image_id

    ranked = sorted(images, key=rank)
    best, second = _distance(ranked[0]), _distance(ranked[1])
    if any(image.memorised for image in images) and not ranked[0].memorised:
        reason = "no copy of a training picture"
    elif best < second:
        others = f"{second:.2f}" if math.isfinite(second) else "not measured"
        reason = f"closest to its request ({best:.2f} off, the next {others})"
    elif ranked[0].image_id in own and own[ranked[0].image_id].realism:
        reason = f"as close as the others, realism {own[ranked[0].image_id].realism}"
    else:
        reason = "the first of equals"
    return DuplicateGroup(images=tuple(ranked), reason=reason)


def _distance(image: StoredImage) -> float:
    spec = image.generated.get("spec")
    return distance(LesionSpec.from_dict(spec), assessment_of(image)) if spec else math.inf
