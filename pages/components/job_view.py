"""The events of one job -> the value of a board. Holds what has been seen of the job so far; knows no service.

Every `value()` is built anew: Gradio sends only what differs from the value before, so that must not be changed.
"""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dermaflux.domain.records import SamplingRequest, StoredImage
from dermaflux.services.records import (
    Ended,
    Finished,
    JobEvent,
    Loading,
    Paused,
    Preview,
    Progress,
    Skipped,
    Waiting,
)
from pages.components.card_view import Card, empty_card, image_title, skipped_card, stored_card
from pages.components.pictures import picture_uri, preview_uri

_ENDINGS = {
    "done": "Done",
    "cancelled": "Stopped",
    "failed": "Failed",
    "interrupted": "Interrupted by a restart of the app",
}


class BoardView:
    """What a board shows of one job: a card a part, and a line on how the job stands."""

    def __init__(self, cards: Sequence[Card]) -> None:
        self._cards = [*cards]
        self._strip: dict[str, Any] = {"state": "queued", "title": "Starting", "note": "", "fraction": 0.0}
        self._started: tuple[float, float] | None = None  # moment and fraction when the first news came
        self.ended = False

    def value(self) -> dict[str, Any]:
        """The board's value now."""
        return {
            "job": dict(self._strip),
            "cards": [dict(card) for card in self._cards],
            "empty": "No image was finished.",
        }

    def packed(self) -> dict[str, Any]:
        """The value as it is sent: each card as JSON text.

        Gradio's page clones and compares all it is sent at every step, deep; a text costs it nothing. With forty cards
        that took most of a browser's time.
        """
        value = self.value()
        return value | {"cards": [json.dumps(card) for card in value["cards"]]}

    def apply(self, event: JobEvent) -> None:
        """Take one event in."""
        match event:
            case Waiting(ahead=ahead):
                others = (
                    f"{ahead} request{'s' if ahead != 1 else ''} ahead" if ahead else "next in line"
                )
                self._strip |= {"state": "queued", "title": "Waiting", "note": others}
            case Paused(done=done, total=total):
                made = done - self._count("skipped")
                note = f"{made} of {total} done{self._skipped_words()} · resume it in the queue"
                self._strip |= {"state": "paused", "title": "Paused", "note": note, "fraction": done / total}
                self._started = None  # the time at rest says nothing of the time that is left
            case Loading():
                self._on_loading(event)
            case Preview():
                self._on_preview(event)
            case Finished() | Skipped():
                self._on_dealt_with(event)
            case Progress():
                self._running(0.0)
            case Ended():
                self._on_ended(event)

    def _on_loading(self, event: Loading) -> None:
        part = f", part {event.done + 1} of {event.total}" if event.total else ""
        fraction = event.done / event.total if event.total else 0.0
        self._strip |= {
            "state": "loading", "title": "Loading the model", "note": f"{event.doing}{part}", "fraction": fraction,
        }  # fmt: skip

    def _on_preview(self, event: Preview) -> None:
        self._cards[event.image_index] |= {
            "state": "sampling",
            "status": f"Step {event.step} of {event.num_steps}",
            "step": event.step,
            "num_steps": event.num_steps,
            "preview": preview_uri(event.image),
        }
        self._running(event.step / event.num_steps)

    def _on_dealt_with(self, event: Finished | Skipped) -> None:
        index = event.image_index
        if isinstance(event, Finished):
            stored = replace(event.stored, assessment=event.assessment.to_dict())
            self._cards[index] = self._finished_card(index, stored)
        else:
            self._cards[index] = skipped_card(self._cards[index])
            self._started = None  # the time that went into it says nothing of the time that is left
        self._running(0.0)

    def _finished_card(self, index: int, stored: StoredImage) -> Card:
        """The card of a finished part."""
        raise NotImplementedError

    def _running(self, of_image: float) -> None:
        dealt_with, total = self._count("done") + self._count("skipped"), len(self._cards)
        fraction = min(1.0, (dealt_with + of_image) / total)
        now = time.monotonic()
        self._started = self._started or (now, fraction)
        begun, first = self._started
        note = f"{self._count('done')} of {total} done{self._skipped_words()}"
        if fraction > first and fraction < 1:
            seconds = (now - begun) * (1 - fraction) / (fraction - first)
            note += f" · about {_duration(seconds)} left"
        title = f"Sampling image {min(dealt_with + 1, total)} of {total}"
        self._strip |= {"state": "running", "title": title, "note": note, "fraction": fraction}

    def _on_ended(self, event: Ended) -> None:
        self.ended = True
        done, total = self._count("done"), len(self._cards)
        note = event.error or f"{done} of {total} images{self._skipped_words()}"
        fraction = (done + self._count("skipped")) / total
        title = _ENDINGS.get(event.state, event.state)
        self._strip |= {"state": event.state, "title": title, "note": note, "fraction": fraction}
        self._close()

    def _count(self, state: str) -> int:
        return sum(card["state"] == state for card in self._cards)

    def _skipped_words(self) -> str:
        return f" · {skipped} skipped" if (skipped := self._count("skipped")) else ""

    def _close(self) -> None:
        """What becomes of cards whose image was not made."""
        raise NotImplementedError


class JobView(BoardView):
    """The images of one request. What was neither made nor skipped when it ended goes.

    skippable: the job's id where the visitor may skip images of it, as the board's event names it.
    """

    def __init__(self, request: SamplingRequest, skippable: str | None = None) -> None:
        seeds = range(request.seed, request.last_seed + 1, request.candidates)
        cards = [empty_card(i, image_title(i, seed), request.num_steps) for i, seed in enumerate(seeds)]
        super().__init__([card | {"skippable": skippable} for card in cards])

    def _finished_card(self, index: int, stored: StoredImage) -> Card:
        title = image_title(index, stored.generated["seed"])  # of the candidate that was kept
        return stored_card(stored, key=str(index), title=title, picture=picture_uri(Path(stored.path)))

    def _close(self) -> None:
        self._cards = [card for card in self._cards if card["state"] in ("done", "skipped")]


def _duration(seconds: float) -> str:
    return f"{max(1, round(seconds))} s" if seconds < 90 else f"{round(seconds / 60)} min"
