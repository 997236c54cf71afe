"""The raw answers of a reader study as one zip: answers.csv, study.json with the key, results.json, README.txt.

The same study gives the same bytes. It knows no role; who calls it has asked.
"""

import csv
import io
import json
import zipfile
from dataclasses import asdict
from typing import Any

from dermaflux.curation.study_records import ItemKind, StudiedAnswer, StudyItem
from dermaflux.domain.records import DISCLAIMER
from dermaflux.evaluation.reader_study_report import ReaderStudyReport
from dermaflux.services.spreadsheet import inert
from dermaflux.services.study_report import StudyRecords

COLUMNS = (
    "reader", "position", "item_id", "kind", "truth", "diagnosis", "answer", "confidence", "lesion_answer",
    "browser_ms", "server_ms", "num_pauses", "zoomed", "answered_at",
)  # fmt: skip
_MOMENT = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold: the bytes depend on the study alone
_README = f"""{DISCLAIMER}
This study also shows real pictures; none is in this archive.

answers.csv   one line an answer. kind: real, synthetic, repeat (the second showing of a picture), check (an
              instructed card). truth: what the picture is, or what the card asked for. browser_ms: from paint to
              answer without pauses; server_ms: from the answer before, with network and pauses.
study.json    how the study was done, and the key: every item with its origin and hashes.
results.json  the figures as the app shows them to the owner.

The names of the readers are personal data: pass them on only as far as the readers agreed.
"""


def zip_of(records: StudyRecords, report: ReaderStudyReport) -> bytes:
    """The archive."""
    files = {
        "README.txt": _README,
        "answers.csv": _answers(records),
        "study.json": _json(_study(records)),
        "results.json": _json({"statement": DISCLAIMER, **report.to_dict()}),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name, _MOMENT), text.encode(), zipfile.ZIP_DEFLATED)
    return out.getvalue()


def _answers(records: StudyRecords) -> str:
    items = {item.item_id: item for item in records.items}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(_line(one, items) for one in records.answers)
    return text.getvalue()


def _line(one: StudiedAnswer, items: dict[str, StudyItem]) -> tuple[Any, ...]:
    item, answer = items[one.item_id], one.answer
    return (
        inert(one.reader), answer.position, item.item_id, item.kind, _truth(item, items), item.diagnosis or "",
        answer.source, answer.confidence, answer.lesion or "", answer.browser_ms, one.server_ms, answer.num_pauses,
        int(answer.zoomed), one.answered_at,
    )  # fmt: skip


def _truth(item: StudyItem, items: dict[str, StudyItem]) -> str:
    if item.wanted:
        return f"{item.wanted[0]} {item.wanted[1]}"
    shown = items[item.repeats] if item.repeats else item
    return str(ItemKind(shown.kind))


def _study(records: StudyRecords) -> dict[str, Any]:
    study = records.study
    return {
        "statement": DISCLAIMER,
        "name": study.name,
        "owner": study.owner,
        "created_at": study.created_at,
        "closed_at": study.closed_at,
        "seed": study.seed,
        "plan": study.plan.to_dict(),
        "sources": study.sources,
        "readers": [asdict(reader) for reader in records.readers],
        "items": [asdict(item) for item in records.items],
    }


def _json(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
