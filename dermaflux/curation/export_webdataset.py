"""The WebDataset layout: tar shards with `KEY.png` and `KEY.json` next to each other.

Tar headers carry no time, user or group, so that equal images give equal shards.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path

from dermaflux.curation.export_rows import ExportPlan, ExportRow, shards

DATA_FILES = "data/{split}-*.tar"


def write(rows: Iterator[ExportRow], folder: Path, plan: ExportPlan) -> None:
    """Write `data/train-000000.tar` ..."""
    (folder / "data").mkdir()
    for number, shard in shards(rows, plan):
        with tarfile.open(folder / "data" / f"{plan.split.value}-{number:06d}.tar", "w") as archive:
            for row in shard:
                _add(archive, f"{row.key}.json", json.dumps(dict(row.fields)).encode())
                _add(archive, f"{row.key}.png", row.png)


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size = len(content)
    archive.addfile(entry, io.BytesIO(content))
