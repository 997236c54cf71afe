"""Sweeps as jobs: a grid or a strip of images, each cell drawn once and found again when it was drawn before.

A cell is an image like any other: judged, stored, open to verdicts. A job that is tried again draws what is missing.
"""

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from dermaflux.domain.errors import Cancelled, DataNotFound, DermaFluxError, InvalidRequest
from dermaflux.domain.records import (
    DISCLAIMER,
    GeneratedImage,
    SamplingRequest,
    StepPreview,
    StoredImage,
)
from dermaflux.domain.sweep import Sweep
from dermaflux.provenance import expected_of
from dermaflux.services import records
from dermaflux.services.behind import OneBehind
from dermaflux.services.generating import Generating
from dermaflux.services.job_events import record_of, tell_loading
from dermaflux.services.resuming import pace_key
from dermaflux.services.spreadsheet import inert
from dermaflux.services.sweep_sheet import SheetCell, sheet_png
from dermaflux.services.wiring import EXPORTS

if TYPE_CHECKING:
    from dermaflux.jobs import Job, JobContext
    from dermaflux.jobs.worker import Handler

SWEEP = "sweep"
Event = TypeVar("Event")


class Sweeping(Generating):
    """Grids and strips in the queue."""

    def submit_sweep(self, user: str, sweep: Sweep) -> records.GenerationJob:
        """Queue a sweep. Raises InvalidRequest, ModelNotAvailable or QueueFull at once."""
        sweep = replace(sweep, base=self.resolve(replace(sweep.base, num_images=1, candidates=1)))
        self._worker()
        return record_of(self._queue().submit(user, SWEEP, sweep.to_dict(), sweep.num_cells, _pace_of(sweep)))

    def monotonicity(self, asked: Sequence[float], found: Sequence[float | None]) -> float | None:
        """Spearman's correlation of what was asked with what was found, -1..1; None where fewer than 3 were found."""
        import numpy as np

        from dermaflux.evaluation.adherence import spearman

        known = [(a, f) for a, f in zip(asked, found, strict=True) if f is not None]
        pairs = np.array(known, dtype=float).reshape(-1, 2)
        return spearman(pairs[:, 0], pairs[:, 1])

    def export_sweep(self, job_id: str) -> tuple[Path, Path]:
        """The finished cells of a sweep as one PNG sheet and one CSV table, in the exports folder.

        Raises DataNotFound for no such job, InvalidRequest where nothing is finished, StorageNotWritable.
        """
        job = self.job(job_id)
        if job.sweep is None:
            raise DataNotFound("That job is no grid and no strip. Draw one first.")
        sweep = Sweep.from_dict(job.sweep)
        images = [self.image(image_id) for image_id in job.image_ids]
        if not images:
            raise InvalidRequest("No cell is finished yet, so there is nothing to export. Wait for the first.")
        folder = self.prepare_folder(self.settings.data_dir / EXPORTS)
        sheet, table = (folder / f"sweep-{job_id}.{ending}" for ending in ("png", "csv"))
        cells = [SheetCell.of(stored, self.stored_picture(stored.image_id)) for stored in images]
        self.write_whole(sheet, sheet_png(sweep, cells))
        self.write_whole(table, _table(sweep, images).encode())
        return sheet, table

    def _handlers(self) -> "dict[str, Handler]":
        return {**super()._handlers(), SWEEP: self._do_sweep}

    def _do_sweep(self, job: "Job", context: "JobContext") -> None:
        sweep = Sweep.from_dict(job.payload)
        with OneBehind() as behind:
            for index, cell in enumerate(sweep.cells()):
                behind.check()
                if context.should_stop():
                    raise Cancelled("The sweep was stopped. Cells finished before are kept.")
                if (known := self._drawn_before(cell)) is not None:
                    keep = partial(self._show, known.image_id, index, context)
                else:
                    begin = partial(self.generate, cell, context.should_stop, tell_loading(context))
                    drawn = _last(_naming(sweep.title(index), begin), index, context, behind)
                    keep = partial(self._keep, drawn, job, context)
                behind.put(partial(_end_cell, sweep, keep, index, context))

    def _drawn_before(self, cell: SamplingRequest) -> StoredImage | None:
        return self._store().drawn_before(expected_of(cell, self._generator().identity(cell), cell.seed))


def _pace_of(sweep: Sweep) -> str:
    """Sweeps along the same axes, of like images: apart from plain jobs, since cells found again take no time."""
    return "/".join((SWEEP, *map(str, sweep.axes), pace_key(sweep.base)))


def _last(
    events: Iterator[StepPreview | GeneratedImage], index: int, context: "JobContext", behind: OneBehind
) -> GeneratedImage:
    """The image of a cell, after its previews were shown in its place."""
    from dermaflux.jobs import Update

    placed: StepPreview | GeneratedImage | None = None
    for event in events:
        behind.check()
        placed = replace(event, image_index=index)
        if isinstance(placed, StepPreview):
            context.publish(Update(key=index, data=placed))
    assert isinstance(placed, GeneratedImage), "a request of one image ends with it"
    return placed


def _end_cell(sweep: Sweep, keep: Callable[[], None], index: int, context: "JobContext") -> None:
    """Keep a cell and say so, while the next one is drawn."""
    with _named(sweep.title(index)):
        keep()
    context.progress(index + 1, sweep.num_cells)


def _naming(title: str, begin: Callable[[], Iterator[Event]]) -> Iterator[Event]:
    with _named(title):
        yield from begin()


@contextmanager
def _named(title: str) -> Iterator[None]:
    """Whatever ends a cell says which: else who drew 64 would have to guess."""
    try:
        yield
    except Cancelled:
        raise
    except DermaFluxError as error:
        error.args = (f"{title}: {error}",)
        raise


def _table(sweep: Sweep, images: Sequence[StoredImage]) -> str:
    """One line a cell: where it stands, how it was made, what was found."""
    text = io.StringIO()
    rows = [
        {str(axis): _moved(cell, str(axis)) for axis in sweep.axes} | _facts(stored)
        for cell, stored in zip(sweep.cells(), images, strict=False)
    ]
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _moved(cell: SamplingRequest, axis: str) -> Any:
    if axis == "num_colours":
        return len(cell.spec.colours) if cell.spec else None
    return getattr(cell, axis) if hasattr(cell, axis) else getattr(cell.spec, axis)


def _facts(stored: StoredImage) -> dict[str, Any]:
    made, found = stored.generated, records.assessment_of(stored)
    return {
        "image_id": stored.image_id,
        "sha256": stored.sha256,
        "seed_used": made["seed"],
        "steps_used": made["steps"],
        "guidance_used": made["guidance_scale"],
        "model": made["model"],
        "adapter": made["adapter"],
        "measured_asymmetry": found.measurement.asymmetry,
        "measured_border": found.measurement.border,
        "measured_num_colours": found.measurement.num_colours,
        "malignant": found.prediction.malignant,
        "operating_point": found.prediction.threshold,
        "refused": found.measurement.refused or found.prediction.refused,
        "caption": inert(str(made["caption"])),
        "statement": DISCLAIMER,
    }
