"""Which of the alike pictures are kept and in which split every group stands. The same pictures give the same answer.

It knows arrays only. A group never crosses a split: what a publisher held out stays held out, and what would cross is
left behind. Free groups are drawn by a hash of their own, so that more data moves no group that stays the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import Split
from training.sources.alike import Alike

SPLITS = (Split.TRAIN, Split.VAL, Split.TEST)
FREE = -1
_SMALL_CLASS = 50
"""Classes of fewer free groups are spread evenly in the order of their hashes: chance would leave splits empty."""


class Fate(IntEnum):
    """What becomes of a picture."""

    KEPT = 0
    COPY = 1
    CROSSES = 2


FATE_WORDS = {Fate.COPY: "copy of a kept picture", Fate.CROSSES: "its group is held out in another split"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """How much of the free groups is held out, the rest is for training; and what the draw depends on."""

    val: float = 0.1
    test: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        """Raise InvalidRequest for shares that are none."""
        if min(self.val, self.test) < 0 or self.val + self.test >= 1:
            raise InvalidRequest(f"The shares val {self.val} and test {self.test} must be 0 or more, below 1 together.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """What decides between N pictures, all (N,).

    A hash of set and id, the split its publisher fixed (an index of SPLITS, or FREE), the rank of its set (0 first),
    its size in pixels, and its class as a number.
    """

    name: np.ndarray
    fixed: np.ndarray
    rank: np.ndarray
    num_pixels: np.ndarray
    diagnosis: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """For every picture (N,): its Fate, its group's name (the least name hash of the group) and its split."""

    fate: np.ndarray
    group: np.ndarray
    split: np.ndarray


def place(claims: Claims, alike: Alike, shares: Shares) -> Placed:
    """Where every picture goes."""
    label, num_groups = alike.group, int(alike.group.max(initial=-1)) + 1
    names = np.full(num_groups, np.iinfo(np.uint64).max, np.uint64)
    np.minimum.at(names, label, claims.name)
    held = np.full(num_groups, FREE)
    np.maximum.at(held, label, claims.fixed)  # test over val over train
    free = np.flatnonzero(held == FREE)
    held[free] = draw(names[free], _group_class(claims, label, num_groups)[free], shares)
    split = held[label]
    crosses = (claims.fixed != FREE) & (claims.fixed != split)
    fate = np.where(crosses, Fate.CROSSES, Fate.KEPT)
    fate[_later_copies(claims, alike.copy, np.flatnonzero(~crosses))] = Fate.COPY
    return Placed(fate=fate, group=names[label], split=split)


def draw(names: np.ndarray, classes: np.ndarray, shares: Shares) -> np.ndarray:
    """The split, an index of SPLITS, of free groups by name hash (G,) uint64; classes of few groups are spread."""
    position = _unit_interval(names, shares.seed)
    for small in _small_classes(classes):
        rows = np.flatnonzero(classes == small)
        rows = rows[np.argsort(position[rows], kind="stable")]
        position[rows] = (np.arange(len(rows)) + 0.5) / len(rows)
    ends = np.array([1 - shares.val - shares.test, 1 - shares.test])
    return np.searchsorted(ends, position, side="right")


def _small_classes(classes: np.ndarray) -> Sequence[int]:
    found, count = np.unique(classes, return_counts=True)
    return found[count < _SMALL_CLASS].tolist()


def _group_class(claims: Claims, label: np.ndarray, num_groups: int) -> np.ndarray:
    """The rarest class among each group's pictures."""
    rarity = np.argsort(np.argsort(-np.bincount(claims.diagnosis), kind="stable"), kind="stable")
    rarest = np.full(num_groups, -1)
    np.maximum.at(rarest, label, rarity[claims.diagnosis])
    return rarest


def _later_copies(claims: Claims, copy: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Of `rows` those that are not the first of their copies: by rank of the set, then by size, then by name."""
    order = rows[
        np.lexsort((claims.name[rows], -claims.num_pixels[rows], claims.rank[rows], copy[rows]))
    ]
    return order[1:][copy[order[1:]] == copy[order[:-1]]]


def _unit_interval(names: np.ndarray, seed: int) -> np.ndarray:
    """Names mixed with the seed to numbers in [0, 1) (the finaliser of SplitMix64, Steele 2014)."""
    mixed = names + np.uint64((seed + 1) * 0x9E3779B97F4A7C15 % 2**64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return ((mixed ^ (mixed >> np.uint64(31))) >> np.uint64(11)) / 2.0**53
