"""What is seen of the queue -> the value of the queue panel: plain dicts, JSON-ready.

Pure: no service, no Gradio. assets/web/queue.js reads them.
"""

from typing import Any

from dermaflux.services.queue_records import JobAction, QueueEntry, QueueView

Value = dict[str, Any]
_LABELS = {
    JobAction.PAUSE: "Pause",
    JobAction.RESUME: "Resume",
    JobAction.CANCEL: "Cancel",
    JobAction.RETRY: "Try again",
    JobAction.SHOW: "Show",
}
_NO_WORKER = (
    "No worker is at work, so jobs wait. Whoever runs this app can start one: python -m dermaflux worker"
)
_OPEN = ("waiting", "running", "paused")
_EMPTY = "No jobs yet. What you generate is listed here, and goes on when you close or reload the page."


def queue_value(view: QueueView) -> Value:
    """The panel's value."""
    return {
        "summary": _summary(view),
        "notes": _notes(view),
        "rows": [_row(entry, view, f"mine-{entry.job_id}") for entry in view.mine],
        "others": [_row(entry, view, f"other-{place}") for place, entry in enumerate(view.others)],
        "empty": _EMPTY,
        "may_clear": any(entry.state not in _OPEN for entry in view.mine),
        "may_pause_all": view.may_pause_all,
        "is_paused": view.is_paused,
    }


def failed_value(reason: str) -> Value:
    """The panel's value when the queue cannot be shown."""
    empty = {"rows": [], "others": [], "may_clear": False, "may_pause_all": False, "is_paused": False}
    return {"summary": "not available", "notes": [reason], "empty": "", **empty}


def about(seconds: float) -> str:
    """A likely time as coarse as it is known: "about 5 s", "about 40 s", "about 3 min"."""
    if seconds < 90:
        step = 5 if seconds > 20 else 1
        return f"about {max(1, round(seconds / step) * step)} s"
    minutes = seconds / 60
    return f"about {round(minutes)} min" if minutes < 90 else f"about {minutes / 60:.1f} h"


def _summary(view: QueueView) -> str:
    mine = [entry for entry in view.mine if entry.state in _OPEN]
    others = sum(entry.state != "paused" for entry in view.others)
    parts = [f"{len(mine)} of yours" if mine else "nothing of yours waits"]
    if others:
        parts.append(f"{others} of others")
    first = next((entry for entry in reversed(mine) if entry.state != "paused"), None)
    if first:
        parts.append(_standing(first, view))
    return " · ".join(parts)


def _notes(view: QueueView) -> list[str]:
    notes = []
    if view.is_paused:
        by = f" ({view.paused_by})" if view.paused_by else ""
        notes.append(f"The queue is paused by an administrator{by}: nothing is begun until it is resumed.")
    if not view.num_workers:
        notes.append(_NO_WORKER)
    return notes


def _row(entry: QueueEntry, view: QueueView, key: str) -> Value:
    title = entry.asked if entry.is_mine else (f"A job of {entry.owner}" if entry.owner else "Another user's job")
    return {
        "key": key,
        "job_id": entry.job_id,
        "is_mine": entry.is_mine,
        "state": entry.state,
        "title": title,
        "standing": _standing(entry, view),
        "fraction": entry.done / entry.total if entry.total else 0.0,
        "actions": [
            {"name": str(action), "label": _LABELS[action], "hint": f"{_LABELS[action]}: {title}"}
            for action in entry.actions
        ],
    }


def _standing(entry: QueueEntry, view: QueueView) -> str:
    """Where a job stands, in words."""
    num_made, skipped = entry.done - entry.num_skipped, f" · {entry.num_skipped} skipped" if entry.num_skipped else ""
    done = f"{num_made} of {entry.total} done{skipped}"
    match entry.state:
        case "waiting":
            behind = f" · {done}" if entry.done else ""
            return f"{_place(entry.ahead)}, {_begins(entry, view)}{behind}"
        case "running":
            rest = _left(entry)
            return f"Running · {done} · {rest}"
        case "paused":
            return f"Paused · {done}"
        case "done":
            made = entry.total - entry.num_skipped
            return f"Done · {made} image{'s' if made != 1 else ''}{skipped}"
        case "failed":
            return f"Failed · {entry.error or done}"
        case "cancelled":
            return f"Cancelled · {num_made} of {entry.total} kept{skipped}"
    return f"Interrupted · {num_made} of {entry.total} kept{skipped}"


def _place(ahead: int | None) -> str:
    if not ahead:
        return "Next in line"
    place = ahead + 1
    ending = "th" if place % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(place % 10, "th")
    return f"{place}{ending} in line"


def _begins(entry: QueueEntry, view: QueueView) -> str:
    if view.is_paused:
        return "the queue is paused"
    if not view.num_workers:
        return "no worker is there"
    if entry.begins_in is None:
        return "no estimate yet"
    return about(entry.begins_in) if entry.begins_in >= 1 else "begins now"


def _left(entry: QueueEntry) -> str:
    if entry.is_pausing:
        return "pauses after this image"
    return "no estimate yet" if entry.ends_in is None else f"{about(entry.ends_in)} left"
