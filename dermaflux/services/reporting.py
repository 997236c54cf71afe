"""Evaluations and their reports: run as `python -m dermaflux evaluate ... --json` in a process of its own, read again.

A report is what that command prints; one that was made elsewhere is put into data/reports. It knows no figure.
"""

import functools
import json
import logging
import re
import shutil
import sys
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.records import SPLITS
from dermaflux.domain.roles import Visitor
from dermaflux.evaluation.study_arms import DIFFERENCES, RESULTS
from dermaflux.run_status import write_json
from dermaflux.services.heavy_work import EVALUATIONS
from dermaflux.services.probing import Probing
from dermaflux.services.real_pictures import read_real
from dermaflux.services.report_records import (
    COVERAGE,
    KINDS,
    MEMORISATION,
    OF_DATASET,
    OF_REAL,
    EvaluationRequest,
    EvaluationRun,
    Report,
    ReportChoice,
    StudyChoice,
)
from dermaflux.services.supervised import (
    REPOSITORY,
    Command,
    launch,
    log_tail,
    request_stop,
    state_of,
)
from dermaflux.services.training_folder import parsed_line
from dermaflux.services.training_runs import Training
from dermaflux.supervisor import PROCESS

log = logging.getLogger(__name__)

REPORTS = "reports"  # in the data folder: reports that were made elsewhere, one JSON file each
STUDIES = "studies"  # in the data folder and among the assets: augmentation studies, a folder each
_REPORT, _ASKED, _SHEET = "report.json", "asked.json", "pairs.png"
_SO_FAR = re.compile(r"(\d+) of (\d+)")  # in what a command says of its progress
# What only the report of that kind says.
_MARKS: Mapping[str, str] = {
    "reliability": "classifier",
    "leakage": "adherence",
    "real_floor": "quality",
    "copied_share": "memorisation",
    "covered_share": "coverage",
    "real_readability": "artefacts",
    "classes": "diversity",
}


class Reporting(Training, Probing):
    """Evaluations in the data folder, the reports they made, and studies."""

    def start_evaluation(self, user: str, request: EvaluationRequest) -> EvaluationRun:
        """Begin an evaluation as a process of its own.

        The process reads the dataset itself, so this returns at once and no copy is made. Raises InvalidRequest
        (unknown kind, nothing chosen, nothing accepted, other work under way), DataNotFound, StorageNotWritable.
        """
        real = self._checked(request)
        name = f"{request.kind}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
        evaluations = self.settings.data_dir / EVALUATIONS
        folder = evaluations / name
        with self._alone():
            _remove_unstarted(evaluations)
            self.prepare_folder(folder)
            try:
                write_json(folder / _ASKED, {"owner": user, "kind": request.kind, "about": _about(request, real)})
                launch(folder, self._evaluation_command(request, folder, real))
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        return _read_evaluation(folder)

    def evaluations(self, visitor: Visitor) -> tuple[EvaluationRun, ...]:
        """The evaluations a visitor may see, the newest first."""
        folders = (self.settings.data_dir / EVALUATIONS).glob(f"*/{PROCESS}")
        found = [_read_evaluation(path.parent) for path in folders]
        mine = [run for run in found if visitor.may_see(run.owner)]
        return tuple(sorted(mine, key=lambda run: run.run_id[-15:], reverse=True))

    def stop_evaluation(self, visitor: Visitor, run_id: str) -> None:
        """Stop an evaluation; nothing of it is kept. Raises DataNotFound, InvalidRequest."""
        if run_id not in {run.run_id for run in self.evaluations(visitor)}:
            raise DataNotFound(f"There is no evaluation {run_id!r}.")
        request_stop(self.settings.data_dir / EVALUATIONS / run_id)

    def reports(self, visitor: Visitor, *kinds: str) -> tuple[ReportChoice, ...]:
        """The reports of these kinds that a visitor may see, those made here first, the newest first."""
        made = [
            ReportChoice(report_id=run.report_id, kind=run.kind, title=run.title)
            for run in self.evaluations(visitor)
            if run.report_id
        ]
        folder = self.settings.data_dir / REPORTS
        for path in sorted(folder.glob("*.json")):
            with suppress(FileNotFoundError):  # removed since it was listed
                if kind := _kind_of_file(path, path.stat().st_mtime_ns):
                    made.append(ReportChoice(report_id=f"{REPORTS}/{path.stem}", kind=kind, title=path.stem))
        return tuple(choice for choice in made if choice.kind in kinds)

    def report(self, visitor: Visitor, report_id: str) -> Report:
        """One report as it was printed. Raises DataNotFound, also for one that is not the visitor's to see."""
        if report_id not in {choice.report_id for choice in self.reports(visitor, *KINDS)}:
            raise DataNotFound("There is no such report. It may have been removed.")
        place, _, name = report_id.partition("/")
        if place == REPORTS:
            return _read_json(self.settings.data_dir / REPORTS / f"{name}.json")
        found = _read_json(self.settings.data_dir / EVALUATIONS / name / _REPORT)
        if found.get("sheet"):
            found["sheet"] = f"{EVALUATIONS}/{name}/{_SHEET} of the data folder"  # wherever that has moved to
        return found

    def augmentation_studies(self) -> tuple[StudyChoice, ...]:
        """The augmentation studies there are: those shipped, and those put into the data folder."""
        found: dict[str, StudyChoice] = {}
        for root in (REPOSITORY / "assets" / STUDIES, self.settings.data_dir / STUDIES):
            for path in sorted(root.glob(f"*/{RESULTS}")):
                texts = path.read_text(encoding="utf-8").splitlines()
                lines = tuple(line for text in texts if (line := parsed_line(text)))
                found[path.parent.name] = StudyChoice(
                    name=path.parent.name, num_cells=len(lines), lines=lines,
                    differences=_read_differences(path.parent / DIFFERENCES),
                )  # fmt: skip
        return tuple(found.values())

    def _checked(self, request: EvaluationRequest) -> Path | None:
        """Where the real pictures lie; what can be seen to be missing is said now and not minutes later."""
        if request.kind not in KINDS:
            raise InvalidRequest(f"There is no evaluation {request.kind!r}. Choose one of {', '.join(KINDS)}.")
        if request.kind in OF_DATASET and not request.dataset:
            raise InvalidRequest("Choose the dataset that is to be looked at.")
        real = self.real_set(request.real) if request.kind in OF_REAL or request.real else None
        if request.kind in OF_DATASET and request.kind != COVERAGE:
            assert request.dataset is not None
            if not self.accepted_ids(request.dataset):
                raise InvalidRequest(f"No image of {request.dataset!r} is accepted yet. Accept some first.")
        if request.kind == MEMORISATION and real is not None:
            if request.split not in SPLITS:
                raise InvalidRequest(f"There is no split {request.split!r}. Choose one of {', '.join(SPLITS)}.")
            with read_real(real, request.split, 1, 0):
                pass
        return real

    def _evaluation_command(self, request: EvaluationRequest, folder: Path, real: Path | None) -> Command:
        words = [sys.executable, "-u", "-m", "dermaflux", "evaluate", request.kind]
        if request.kind == "adherence":
            words += ["--num-images", str(request.num_images)]
        if request.kind in OF_DATASET:
            words += ["--dataset", str(request.dataset)]
        if request.kind == MEMORISATION:
            words += ["--split", request.split]
            words += ["--sheet", str((folder / _SHEET).resolve())] if request.with_sheet else []
        if real is not None:
            words += ["--real", str(real.resolve())]
        if request.max_images and real is not None:
            words += ["--max-images", str(request.max_images)]
        return Command(argv=[*words, "--json"], settings=self.settings, stdout=_REPORT, results=(_SHEET,))


def _about(request: EvaluationRequest, real: Path | None) -> str:
    """What is looked at and compared with, in a few words."""
    compared = real.stem if real else None
    if compared and request.kind == MEMORISATION:
        compared = f"the {SPLITS.get(request.split, request.split)} pictures of {compared}"
    return " and ".join(part for part in (request.dataset, compared) if part)


def _remove_unstarted(evaluations: Path) -> None:
    """Remove what a start left behind that was cut off before its process began. Call it while no other can start."""
    for path in evaluations.glob(f"*/{_ASKED}"):
        if not (path.parent / PROCESS).exists():
            shutil.rmtree(path.parent, ignore_errors=True)


def _read_evaluation(folder: Path) -> EvaluationRun:
    asked, work = _read_json(folder / _ASKED), state_of(folder)
    kind, about = asked["kind"], asked["about"]
    made = (folder / _REPORT).is_file()
    progress = log_tail(folder, 1) if work.is_running else ""
    when = datetime.strptime(folder.name[-15:], "%Y%m%d-%H%M%S").strftime("%d %b %Y %H:%M")
    return EvaluationRun(
        run_id=folder.name,
        kind=kind,
        title=f"{when} UTC{f', {about}' if about else ''}",
        owner=asked["owner"],
        state=work.state,
        since=work.since,
        progress=progress,
        why=work.why,
        report_id=f"{EVALUATIONS}/{folder.name}" if made else None,
        share=_share(progress),
    )


def _share(progress: str) -> float | None:
    found = _SO_FAR.search(progress)
    return int(found[1]) / int(found[2]) if found and int(found[2]) else None


@functools.lru_cache(maxsize=512)
def _kind_of_file(path: Path, changed_ns: int) -> str | None:
    """The kind of a report that somebody put there; None for what is none, so that one file never hides the others.

    A report is read once for each time it was changed: pages ask every few seconds.
    """
    try:
        report = _read_json(path)
    except DataNotFound as error:
        log.warning("%s is left out: %s", path.name, error)
        return None
    return next((kind for mark, kind in _MARKS.items() if mark in report), None)


def _read_differences(path: Path) -> tuple[dict[str, Any], ...]:
    """None where the study has not been reported on yet, or its file is damaged: that hides no study."""
    if not path.is_file():
        return ()
    try:
        return tuple(_read_json(path).get("differences", ()))
    except DataNotFound as error:
        log.warning("the differences of the study %s are left out: %s", path.parent.name, error)
        return ()


def _read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataNotFound(f"The report {path.name} cannot be read ({error}). Make it anew.") from error
    return found if isinstance(found, dict) else {}
