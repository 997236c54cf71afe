"""Describes lesion pictures by a vision-language model: `python -m training.captioning PRESET [--field value ...]`.

    python -m training.captioning llama --pictures my_pictures
    python -m training.captioning sglang --url http://localhost:30000/v1 --concurrency 32

One line a picture in runs/captions/NAME/captions.jsonl: the caption, what it states, and where that contradicts what
is measured. Stopped or killed, the same command goes on; no picture is asked about twice. See docs/captioning.md.
"""

import json
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace

import tyro
from tqdm import tqdm

from dermaflux.domain.caption import Labelled, parse
from dermaflux.domain.errors import (
    Cancelled,
    DataNotFound,
    DermaFluxError,
    InvalidCaption,
    InvalidRequest,
    ModelNotAvailable,
)
from dermaflux.measurement.measurer import Measurer
from training.caption_agreement import CaptionReport, caption_report, contradictions, told
from training.caption_lines import CaptionFile, CaptionLine, open_captions
from training.caption_reading import read_description
from training.caption_text import UnusableAnswer, caption_of_answer, description_of, prompt_for
from training.captioner import Answer, Captioner, Question
from training.captioning_config import PRESETS, CaptioningRun
from training.dataset import LesionDataset, load_folder, load_ham10000
from training.lesion_records import LesionRecord, without_masks
from training.program import program
from training.run_status import claim_folder, recorded
from training.stopping import stop_between_steps
from training.whole_files import write_whole

log = logging.getLogger(__name__)
FILE, REPORT = "captions.jsonl", "report.json"


def caption_pictures(run: CaptioningRun) -> CaptionReport:
    """Describe all pictures of a run that have no line yet, and write the report over all lines.

    Raises InvalidRequest when the folder holds a run of other settings or weights, DataNotFound or ModelNotAvailable
    when what it needs is not there. Stopped, it first keeps the answers that are under way.
    """
    pictures = open_pictures(run)
    _claim(run)
    with (
        recorded(run.folder),
        open_captions(run.folder / FILE, retry_refused=run.retry_refused) as captions,
        stop_between_steps() as stop,
    ):
        todo = [i for i, record in enumerate(pictures.records) if record.image_id not in captions.lines]
        log.info("%d pictures, %d to describe", len(pictures), len(todo))
        if todo:
            _Work(run, pictures, captions).describe(todo, stop)
        report = caption_report(captions.lines.values())
        write_whole(run.folder / REPORT, json.dumps(report.to_dict(), indent=2) + "\n")
        if left := sum(record.image_id not in captions.lines for record in pictures.records):
            raise Cancelled(f"Stopped with {left} of {len(pictures)} pictures left; the same command goes on.")
    return report


def open_pictures(run: CaptioningRun) -> LesionDataset:
    """The pictures of the run's splits and classes, masks forgotten. Raises DataNotFound when there is none."""
    data = load_ham10000(run.data_dir, run.archive_px) if run.pictures is None else load_folder(run.pictures)
    for row in data.rejected:
        log.warning("line %d of the table is left out: %s", row.line, row.reason)
    part = data.where(lambda r: r.split in run.splits and (not run.diagnoses or r.diagnosis in run.diagnoses))
    records = [without_masks(record) for record in part.records][: run.limit]
    if not records:
        raise DataNotFound(f"There is no picture of split {', '.join(run.splits)} with these classes. Ask for others.")
    name, count = Counter(record.image_id for record in records).most_common(1)[0]
    if count > 1:
        raise InvalidRequest(f"{count} pictures are called {name}. Tell them apart by a column image_id in the table.")
    return LesionDataset(records, data.source)


def captioner_for(run: CaptioningRun) -> Captioner:
    """The model that a run names, ready to be asked. What a backend alone needs is imported with it."""
    if run.url:
        from training.endpoint_captioner import Endpoint, EndpointCaptioner

        log.info("the pictures are sent to %s", run.url)
        endpoint = Endpoint(
            url=run.url, model=run.model, key=_key(run.key_variable), concurrency=run.concurrency,
            timeout_s=run.timeout_s, num_retries=run.num_retries,
        )  # fmt: skip
        return EndpointCaptioner(endpoint, run.sampling, revision=run.revision or "", max_side_px=run.max_side_px)
    from dermaflux.generation.placement import choose_placement
    from training.local_captioner import LocalCaptioner, locate_captioner

    return LocalCaptioner(
        locate_captioner(run.model, run.revision),
        choose_placement(run.device, run.precision),
        run.sampling,
        batch_size=run.batch_size,
        max_side_px=run.max_side_px,
    )


def _claim(run: CaptioningRun) -> None:
    """Refuse a folder of other settings; one in which nothing was described yet, as after a typing error, is free."""
    path = run.folder / FILE
    if not path.is_file() or path.stat().st_size == 0:
        (run.folder / "config.json").unlink(missing_ok=True)
    claim_folder(run.folder, run.identity())


def line_of(run: CaptioningRun, answer: Answer, lesion: Labelled, measurer: Measurer, revision: str) -> CaptionLine:
    """The line of one answer: cleaned, labelled from the table, read, and held against the measurement."""
    line = CaptionLine(
        image_id=answer.question.image_id, model=run.model, revision=revision, prompt=run.prompt,
        seconds=answer.seconds, raw=answer.text, refused=answer.failed,
    )  # fmt: skip
    if answer.text is None:
        return line
    try:
        found = description_of(answer.text, run.prompt, is_cut_off=answer.is_cut_off)
        caption = caption_of_answer(found.text, lesion)
        reading = read_description(found.text)
        if reading.is_empty:
            raise UnusableAnswer("The answer states nothing of asymmetry, border or colours.")
    except UnusableAnswer as error:
        return replace(line, refused=str(error))
    measured = measurer.measure(answer.question.image)
    try:
        spec = parse(caption)
    except InvalidCaption:  # prose, as nearly always
        spec = reading.spec(lesion)
    return replace(
        line, caption=caption, reading=reading, spec=spec, measured=measured, num_diagnostic=found.num_diagnostic,
        contradictions=contradictions(reading, measured),
    )  # fmt: skip


class _Work:
    """A run under way: pictures in, lines out."""

    def __init__(self, run: CaptioningRun, pictures: LesionDataset, captions: CaptionFile) -> None:
        self._run = run
        self._pictures = pictures
        self._captions = captions
        self._measurer = Measurer.from_folder(run.models_dir)
        self._captioner = captioner_for(run)
        self._records = {record.image_id: record for record in pictures.records}
        self._failures_in_a_row = 0
        if others := {line.revision for line in captions.lines.values()} - {self._captioner.revision}:
            raise InvalidRequest(
                f"{captions.path} was made by other weights ({others.pop()}, now {self._captioner.revision}). Choose "
                "another --name."
            )

    def describe(self, todo: list[int], stop: Callable[[], bool]) -> None:
        """Ask about the pictures until all are done or a stop is asked for; answers under way are kept."""
        with tqdm(total=len(todo), desc="captions", unit="picture", mininterval=2) as bar:
            for answer in self._captioner.answers(self._questions(todo, stop)):
                record = self._records[answer.question.image_id]
                self._keep(line_of(self._run, answer, record, self._measurer, self._captioner.revision))
                bar.update()

    def _questions(self, todo: list[int], stop: Callable[[], bool]) -> Iterator[Question]:
        for index in todo:
            if stop():
                return
            record = self._pictures.records[index]
            try:
                image, _, _ = self._pictures[index]
            except DermaFluxError as error:
                self._keep(self._unreadable(record, error))
                continue
            yield Question(image_id=record.image_id, image=image, prompt=prompt_for(self._run.prompt, record))

    def _unreadable(self, record: LesionRecord, error: DermaFluxError) -> CaptionLine:
        return CaptionLine(
            image_id=record.image_id, model=self._run.model, revision=self._captioner.revision,
            prompt=self._run.prompt, seconds=0.0, refused=str(error),
        )  # fmt: skip

    def _keep(self, line: CaptionLine) -> None:
        self._captions.append(line)
        self._failures_in_a_row = 0 if line.raw is not None else self._failures_in_a_row + 1
        if line.refused:
            log.warning("%s has no caption: %s", line.image_id, line.refused)
        if self._failures_in_a_row >= self._run.max_failures_in_a_row:
            raise ModelNotAvailable(
                f"{self._failures_in_a_row} pictures in a row got no answer, the last because: {line.refused} Mend "
                "that, then go on with --retry-refused."
            )


def _key(variable: str) -> str:
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise InvalidRequest(f"The key in {variable} holds characters that no key has. Set it anew.")
    return key


@program
def main() -> None:
    """The command line: a preset and fields to change."""
    run = tyro.extras.overridable_config_cli(PRESETS, prog="python -m training.captioning")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells of every request
    sys.stdout.write(f"{told(caption_pictures(run))}in {run.folder / FILE}\n")


if __name__ == "__main__":
    sys.exit(main())
