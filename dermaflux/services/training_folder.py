"""Reads the folder of a training run: what it was asked, how far it is, what it finished. It starts nothing."""

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermaflux.domain.errors import DataNotFound
from dermaflux.run_status import DONE, FILE, note_of
from dermaflux.services.supervised import log_tail, state_of
from dermaflux.services.training_records import CLASSIFIER, LORA, Line, RunReport, TrainingRun
from dermaflux.supervisor import LOG, PROCESS

ASKED = "asked.json"
HISTORY = "history.jsonl"
MODEL = "model"
_PROBES = re.compile(r"probes-(\d+)\.json")
_MAX_POINTS = 2000
_TAIL_BYTES = 8192


def is_run(folder: Path) -> bool:
    """Whether a folder holds a run."""
    return (folder / PROCESS).is_file() or (folder / FILE).is_file()


def read_run(kind: str, folder: Path) -> TrainingRun:
    """The run of a folder as it stands. Raises DataNotFound when there is none."""
    if not is_run(folder):
        raise DataNotFound(f"There is no run {folder.name!r}. It may have been deleted.")
    asked, settings, last = asked_of(folder), _json(folder / "config.json"), _last(folder)
    work = state_of(folder)
    return TrainingRun(
        run_id=f"{kind}/{folder.name}",
        kind=kind,
        name=folder.name,
        owner=asked.get("owner", ""),
        state=work.state,
        since=work.since,
        seconds=work.seconds,
        why=work.why,
        note=note_of(folder),
        step=last.get("step", 0),
        num_steps=_num_steps(kind, settings, last),
        product=_product(kind, folder) if work.state == DONE else None,
        settings=settings | {"preset": asked.get("preset", ""), "real": asked.get("real", "")},
    )


def read_report(kind: str, folder: Path) -> RunReport:
    """The run with its history, newest probes and the end of its log."""
    probes, step = _newest_probes(folder)
    return RunReport(
        run=read_run(kind, folder), history=read_history(folder), probes=probes, probes_step=step, log=log_tail(folder)
    )


def read_history(folder: Path, max_points: int = _MAX_POINTS) -> list[Line]:
    """The lines of a history in order; of a long one every n-th, and every line that was evaluated."""
    try:
        texts = (folder / HISTORY).read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    lines = [line for text in texts if (line := parsed_line(text)) is not None]
    every = len(lines) // max_points + 1
    return [line for index, line in enumerate(lines) if index % every == 0 or len(line) > 3 or line is lines[-1]]


def asked_of(folder: Path) -> dict[str, Any]:
    """Who asked for a run and how; empty for one from the command line."""
    return _json(folder / ASKED)


def changed_at(folder: Path) -> tuple[Any, ...]:
    """Something that differs when there is something new to show of a run."""
    files = (folder / HISTORY, folder / LOG, folder / FILE)
    return (state_of(folder).state, *(path.stat().st_size if path.is_file() else 0 for path in files))


def _num_steps(kind: str, settings: Mapping[str, Any], last: Line) -> int | None:
    if kind == LORA:
        return settings.get("num_steps")
    optim = settings.get("optim", {})
    per_epoch = optim.get("steps_per_epoch") or (last["step"] // last["epoch"] if last.get("epoch") else None)
    return per_epoch * optim["epochs"] if per_epoch and "epochs" in optim else None


def _product(kind: str, folder: Path) -> str | None:
    if kind == CLASSIFIER:
        return MODEL if (folder / MODEL / "config.json").is_file() else None
    return folder.name if (folder / f"{folder.name}.safetensors").is_file() else None


def _newest_probes(folder: Path) -> tuple[list[Line], int | None]:
    found = {int(m[1]): path for path in folder.glob("probes-*.json") if (m := _PROBES.fullmatch(path.name))}
    if not found:
        return [], None
    step = max(found)
    return json.loads(found[step].read_text(encoding="utf-8")), step


def _last(folder: Path) -> Line:
    """The last whole line of the history, from its end: a list of runs is read every few seconds."""
    try:
        with (folder / HISTORY).open("rb") as handle:
            handle.seek(0, os.SEEK_END)
            handle.seek(max(0, handle.tell() - _TAIL_BYTES))
            texts = handle.read().decode("utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return {}
    return next((line for text in reversed(texts) if isinstance(line := parsed_line(text), dict)), {})


def _json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}


def parsed_line(text: str) -> Line | None:
    """A line, None for one that is only half written."""
    try:
        return json.loads(text)
    except ValueError:
        return None


