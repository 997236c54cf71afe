"""The parquet layout: shards with the PNGs embedded, typed as `datasets` types them.

It streams one shard at a time; `datasets` is imported on use, since it is heavy.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dermaflux.curation.export_rows import COLUMNS, ExportPlan, ExportRow, shards

DATA_FILES = "data/{split}-*.parquet"
_TYPES = {"string": "string", "bool": "bool", "float": "float64", "int": "int64"}


def write(rows: Iterator[ExportRow], folder: Path, plan: ExportPlan) -> None:
    """Write `data/train-00000-of-0000N.parquet` ..."""
    import pyarrow
    import pyarrow.parquet

    (folder / "data").mkdir()
    schema = _features().arrow_schema
    for number, shard in shards(rows, plan):
        name = f"{plan.split.value}-{number:05d}-of-{plan.num_shards:05d}.parquet"
        records = [
            {"image": {"bytes": row.png, "path": f"{row.key}.png"}} | dict(row.fields) for row in shard
        ]
        table = pyarrow.Table.from_pylist(records, schema=schema)
        # Small row groups: a reader of the hub's viewer fetches no more than it shows.
        pyarrow.parquet.write_table(table, folder / "data" / name, row_group_size=100)


def _features() -> Any:
    from datasets import Features, Image, List, Value

    columns: dict[str, Any] = {"image": Image()}
    for name, kind in COLUMNS.items():
        columns[name] = List(Value("string")) if kind == "strings" else Value(_TYPES[kind])
    return Features(columns)
