"""Makes a reader study: chooses its pictures, makes them alike, gives them random names, and draws up its key.

It knows pictures as bytes and how to get them, no store.
"""

import hashlib
import random
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dermaflux.curation.study_records import ItemKind, StudyItem
from dermaflux.domain.study import CONFIDENCE_RANGE, Source, StudyPlan
from dermaflux.services.records import OnStep
from dermaflux.services.study_choice import Eligible
from dermaflux.services.study_pictures import (
    check_card,
    checked_detail_px,
    short_side_px,
    shown_picture,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A picture that was chosen, and how to get its file."""

    kind: ItemKind
    picture: Eligible
    load: Callable[[], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeStudy:
    """What is to be stored: the items without hashes yet, the bytes shown by id, and the detail in pixels."""

    items: tuple[StudyItem, ...]
    contents: dict[str, bytes]
    detail_px: int

    def with_hashes(self, sha256: dict[str, str]) -> tuple[StudyItem, ...]:
        """The items with the hash of what is shown for each."""
        return tuple(replace(item, sha256=sha256[file_of(item)]) for item in self.items)


def make_study(drawn: Sequence[Drawn], plan: StudyPlan, rng: random.Random, on_step: OnStep | None) -> MadeStudy:
    """All that a study shows. Raises ImageNotReadable, InvalidRequest (a picture too small)."""
    sides = [short_side_px(one.load(), one.picture.key) for one in drawn]
    detail_px = checked_detail_px(min(sides), plan)
    items, contents = [], {}
    for done, one in enumerate(drawn, start=1):
        original = one.load()
        item = StudyItem(
            item_id=_random_id(),
            kind=one.kind,
            sha256="",
            origin=one.picture.key,
            origin_sha256=hashlib.sha256(original).hexdigest(),
            diagnosis=str(one.picture.diagnosis) if one.picture.diagnosis else None,
        )
        contents[item.item_id] = shown_picture(original, one.picture.key, detail_px, plan)
        items.append(item)
        if on_step:
            on_step(done, len(drawn))
    repeats = [_repeat_of(item) for item in rng.sample(items, plan.num_repeats)]
    checks = [_check(number, rng) for number in range(plan.num_checks)]
    contents |= {item.item_id: check_card(item.wanted, plan) for item in checks if item.wanted}
    return MadeStudy(items=(*items, *repeats, *checks), contents=contents, detail_px=detail_px)


def file_of(item: StudyItem) -> str:
    """The id of the file that an item shows: of a repeat that of its original."""
    return item.repeats or item.item_id


def _repeat_of(item: StudyItem) -> StudyItem:
    return replace(item, item_id=_random_id(), kind=ItemKind.REPEAT, repeats=item.item_id)


def _check(number: int, rng: random.Random) -> StudyItem:
    source = (Source.SYNTHETIC, Source.REAL)[number % 2]
    return StudyItem(
        item_id=_random_id(), kind=ItemKind.CHECK, sha256="", wanted=(source, rng.randint(*CONFIDENCE_RANGE))
    )


def _random_id() -> str:
    """Nothing about it follows from the picture, its kind, or when it was made."""
    return secrets.token_hex(16)
