"""The imagefolder layout: `train/*.png` and `train/metadata.jsonl`, as `datasets` and our training read it.

The PNGs are copied byte by byte, so that they keep their provenance.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from dermaflux.curation.export_rows import ExportPlan, ExportRow

DATA_FILES = "{split}/**"


def write(rows: Iterator[ExportRow], folder: Path, plan: ExportPlan) -> None:
    """Write every image and one JSON line for it."""
    part = folder / plan.split.value
    part.mkdir()
    with (part / "metadata.jsonl").open("w", encoding="utf-8") as lines:
        for row in rows:
            name = f"{row.key}.png"
            (part / name).write_bytes(row.png)
            lines.write(json.dumps({"file_name": name} | dict(row.fields), ensure_ascii=True) + "\n")
