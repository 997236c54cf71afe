"""The grid of curation: pages by any filter and order, verdicts on many images at once, saved filters. Thin.

Its callers have asked `sharing` whether the visitor may open the dataset.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dermaflux.curation.grid_records import GridChoices, OwnVerdict, SavedFilter
from dermaflux.curation.records import DecisionRequest, ImageFilter, ImagePage, checked_dataset_name
from dermaflux.domain.errors import DermaFluxError
from dermaflux.domain.lesion import choice
from dermaflux.domain.records import StoredImage, Verdict
from dermaflux.services.filtering import Words, image_filter
from dermaflux.services.sharing import Sharing

PAGE_SIZE = 120


class Browsing(Sharing):
    """Raises DataNotFound, InvalidRequest or StorageNotWritable as the store does."""

    def grid(
        self, dataset: str, words: Words, viewer: str, after: str | None = None, limit: int = PAGE_SIZE
    ) -> ImagePage:
        """A page of stored images with the verdicts of a dataset; while it has not been made, nobody has judged any."""
        name, filters = self._asked(dataset, words, viewer)
        if filters is None:
            return ImagePage(images=(), total=0, next_after=None)
        return self._store().page(name, filters, after=after, limit=limit)

    def grid_ids(self, dataset: str, words: Words, viewer: str, limit: int) -> tuple[str, ...]:
        """The ids of the first images that pass."""
        name, filters = self._asked(dataset, words, viewer)
        return () if filters is None else self._store().matching_ids(name, filters, limit)

    def _asked(self, dataset: str, words: Words, viewer: str) -> tuple[str | None, ImageFilter | None]:
        """The dataset if it is made, and the filter; None where nothing can pass: nobody has judged anything in it."""
        name, filters = self._existing(dataset), image_filter(words, viewer)
        if name is not None:
            return name, filters
        return None, None if filters.asks_for_verdicts else replace(filters, undecided=False, reviewer=None)

    def own_verdicts(self, dataset: str, reviewer: str, image_ids: Sequence[str]) -> Mapping[str, OwnVerdict]:
        """What a reviewer said of some images himself."""
        if self._existing(dataset) is None:
            return {}
        return self._store().own_verdicts(dataset, reviewer, image_ids)

    def grid_choices(self, dataset: str, viewer: str) -> GridChoices:
        """What there is to filter a dataset by."""
        return self._store().grid_choices(self._existing(dataset), viewer)

    def decide_all(
        self, dataset: str, reviewer: str, said: Sequence[Mapping[str, Any]]
    ) -> tuple[Mapping[str, StoredImage], Mapping[str, DermaFluxError]]:
        """Store verdicts in the order given; the images they are about as they are now, and the reasons of refusals.

        said: image_id and verdict each, and details as of `decide`, batch_id too. A new dataset is made with its first
        verdict.
        """
        name = checked_dataset_name(dataset)
        requests = [
            DecisionRequest(
                dataset=name,
                reviewer=reviewer,
                verdict=choice("verdict", one.get("verdict"), Verdict),
                **{field: value for field, value in one.items() if field != "verdict"},
            )
            for one in said
        ]
        if self._existing(name) is None:
            self._store().create_dataset(name, reviewer, exist_ok=True)
        refused = self._store().decide_all(requests).refused
        return self.images_now(name, reviewer, [request.image_id for request in requests]), refused

    def undo_together(self, dataset: str, reviewer: str, batch_id: str | None = None) -> Mapping[str, StoredImage]:
        """Take back the reviewer's last verdict, or the last ones given together; the images as they are now.

        batch_id: those given together under it, however long ago.
        """
        undone = self._store().undo_together(dataset, reviewer, batch_id)
        return self.images_now(dataset, reviewer, [one.image_id for one in undone])

    def images_now(self, dataset: str, viewer: str, image_ids: Sequence[str]) -> Mapping[str, StoredImage]:
        """Images by id with the verdicts that a viewer may see; those that are gone are left out."""
        return self._store().images_now(dataset, viewer, list(dict.fromkeys(image_ids)))

    def saved_filters(self, owner: str) -> tuple[SavedFilter, ...]:
        """A user's own filters by name."""
        return self._store().saved_filters(owner)

    def save_filter(self, owner: str, name: str, words: Words) -> None:
        """Keep a filter under a name, in place of the one that had it. Raises InvalidRequest when it cannot be."""
        image_filter(words)
        self._store().save_filter(owner, name, words)

    def delete_filter(self, owner: str, name: str) -> None:
        """Forget a user's filter."""
        self._store().delete_filter(owner, name)

    def _existing(self, dataset: str) -> str | None:
        return dataset if self._store().dataset(dataset) else None
