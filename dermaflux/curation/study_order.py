"""The order in which one reader sees a study: each reader another one, the same whenever it is asked for.

Pictures are shuffled until every repeat stands far enough behind its original; which of the two pictures came first
does not matter, since they are the same. Checks are spread: one at a random place in each of as many stretches.
"""

import random
from collections.abc import Sequence

from dermaflux.curation.study_records import ItemKind, StudyItem

LEAST_GAP = 10  # pictures between the two showings of one, so that the first answer is not simply remembered
_NUM_TRIES = 500


def order_for(items: Sequence[StudyItem], seed: int, reader: str) -> list[str]:
    """The ids of all items in the order of one reader."""
    rng = random.Random(f"{seed}:{reader}")
    checks = sorted(item.item_id for item in items if item.kind is ItemKind.CHECK)
    original_of = {item.item_id: item.repeats for item in items if item.repeats}
    pictures = sorted(item.item_id for item in items if item.kind is not ItemKind.CHECK)
    gap = min(LEAST_GAP, len(pictures) // 4)
    best, widest = pictures, -1
    for _ in range(_NUM_TRIES):
        rng.shuffle(pictures)
        shown = _originals_first(pictures, original_of)
        reached = _least_distance(shown, original_of)
        if reached > widest:
            best, widest = shown, reached
        if widest >= gap:
            break
    rng.shuffle(checks)
    return _spread(best, checks, rng)


def _originals_first(shuffled: Sequence[str], original_of: dict[str, str]) -> list[str]:
    shown = list(shuffled)
    place = {item_id: index for index, item_id in enumerate(shown)}
    for repeat, original in original_of.items():
        if place[repeat] < place[original]:
            one, other = place[repeat], place[original]
            shown[one], shown[other] = original, repeat
    return shown


def _least_distance(shown: Sequence[str], original_of: dict[str, str]) -> int:
    place = {item_id: index for index, item_id in enumerate(shown)}
    return min((place[repeat] - place[original] for repeat, original in original_of.items()), default=len(shown))


def _spread(pictures: Sequence[str], checks: Sequence[str], rng: random.Random) -> list[str]:
    """A check somewhere in each stretch of the pictures, never before the first one."""
    shown, number = list(pictures), len(pictures)
    edges = [round(index * number / max(len(checks), 1)) for index in range(len(checks) + 1)]
    for index in reversed(range(len(checks))):
        low, high = max(edges[index], 1), max(edges[index + 1], 1)
        shown.insert(rng.randint(low, high), checks[index])
    return shown
