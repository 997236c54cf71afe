"""Who may see which dataset: shared ones are everybody's, a private one is its owner's and the administrators'.

To all others a private dataset is not there: not in pickers, not by its name. Verdicts inside a dataset are hidden by
its review plan, which is another matter.
"""

from typing import Any

from dermaflux.curation.records import Dataset
from dermaflux.domain.errors import DataNotFound, NotAllowed
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services.curating import Curating


class Sharing(Curating):
    """Datasets as one visitor sees them. Raises DataNotFound for a private one of somebody else."""

    def shared_datasets(self) -> tuple[str, ...]:
        """The names on offer to anybody, whoever asks."""
        return tuple(d.name for d in self._store().datasets() if not d.private and not d.archived)

    def datasets_of(self, visitor: Visitor, *, archived: bool = False) -> tuple[Dataset, ...]:
        """What a visitor may see, by name; archived ones only when asked for."""
        found = self._store().datasets()
        return tuple(d for d in found if _may_see(visitor, d) and (archived or not d.archived))

    def dataset_names(self, visitor: Visitor) -> list[str]:
        """The names of what a visitor may see and is not archived."""
        return [dataset.name for dataset in self.datasets_of(visitor)]

    def open_dataset(self, name: str, visitor: Visitor) -> Dataset | None:
        """The dataset for a visitor; None when there is none of that name. Raises DataNotFound as if it were not there.

        Whoever shows or changes a dataset for a visitor asks this first.
        """
        dataset = self._store().dataset(name)
        if dataset is not None and not _may_see(visitor, dataset):
            raise DataNotFound(f"There is no dataset {name!r} that is open to you. Choose another one.")
        return dataset

    def open_for_verdicts(self, name: str, visitor: Visitor) -> None:
        """The same before a verdict, which makes a missing dataset: that takes a curator. Raises NotAllowed."""
        dataset = self.open_dataset(name, visitor)
        if dataset is None:
            visitor.require(Role.CURATOR, f"begin the new dataset {name.strip()!r}")
        elif dataset.archived:
            raise NotAllowed(f"{dataset.name} is archived, so it takes no more verdicts. Bring it back first.")

    def new_dataset(self, visitor: Visitor, name: str, description: str = "", *, private: bool = False) -> Dataset:
        """A dataset of the visitor's own. Raises InvalidRequest for a bad or taken name."""
        return self._store().create_dataset(name, visitor.name, description, private=private)

    def change_dataset(self, visitor: Visitor, name: str, **changes: Any) -> Dataset:
        """Change new_name, description, private or archived of a dataset of the visitor's own.

        Administrators change any, curators also shared ones without an owner. Raises NotAllowed for somebody else's.
        """
        dataset = self.open_dataset(name, visitor)
        if dataset is None:
            raise DataNotFound(f"There is no dataset {name!r}. Choose another one.")
        if not visitor.may_see(dataset.owner) and dataset.owner:
            raise NotAllowed(f"{dataset.name} belongs to {dataset.owner}. Ask its owner or an administrator.")
        return self._store().change_dataset(name, **changes)


def _may_see(visitor: Visitor, dataset: Dataset) -> bool:
    return not dataset.private or visitor.may_see(dataset.owner)
