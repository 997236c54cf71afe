"""Whose turn it is: round robin over users, each user's jobs first come first served. Pure; no database."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingJob:
    """What decides a waiting job's turn."""

    id: str
    user: str


def fair_order(
    waiting: Sequence[WaitingJob], last_served: Mapping[str, datetime | None]
) -> Sequence[WaitingJob]:
    """Round robin: each round takes every user's next job, whoever was served longest ago first.

    `waiting` is in order of submission; a user never served, or missing in `last_served`, comes first.
    """
    lines: dict[str, list[WaitingJob]] = defaultdict(list)
    for job in waiting:
        lines[job.user].append(job)
    users = sorted(lines, key=lambda user: (last_served.get(user) or _NEVER, lines[user][0].id))
    rounds = max(map(len, lines.values()), default=0)
    return [
        lines[user][turn] for turn in range(rounds) for user in users if turn < len(lines[user])
    ]
