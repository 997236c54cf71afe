"""Opens the database of the product and brings its schema up to date: SQLite by default, PostgreSQL by URL.

It knows engines, transactions and migrations, and turns their failures into our errors; it knows no table.
Every transaction on SQLite begins IMMEDIATE, so that reading before writing cannot fail with "locked";
a reader opts out with the execution option in `READS_ONLY`.
"""

import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from dermaflux.domain.errors import StorageNotWritable
from dermaflux.transactions import READS_ONLY_OPTION

log = logging.getLogger(__name__)

READS_ONLY = {READS_ONLY_OPTION: True}
BUSY_TIMEOUT_MS = 5000
MIGRATION_TIMEOUT_MS = 60_000
_WRITE_LOCK_KEY = 0x6465726D  # PostgreSQL advisory lock of all writers of the decision chain
_MIGRATIONS = Path(__file__).parent / "migrations"


def open_engine(url: str) -> Engine:
    """An engine for a database URL such as `sqlite:///data/dermaflux.db`; the folder is made when missing.

    Raises StorageNotWritable when the URL cannot be understood or its place cannot be written.
    """
    try:
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            return _open_sqlite(parsed)
        return create_engine(parsed, pool_pre_ping=True)
    except (ArgumentError, NoSuchModuleError) as error:
        raise StorageNotWritable(
            f"{url!r} is not a database URL ({error}). Write sqlite:///FILE or postgresql+psycopg://..."
        ) from error
    except ModuleNotFoundError as error:
        raise StorageNotWritable(
            f"The driver for {parsed.drivername} is not installed ({error}). "
            "Install it (pip install 'psycopg[binary]'), or use sqlite:///FILE."
        ) from error


def migrate(engine: Engine, revision: str = "head") -> None:
    """Bring the schema to a revision (upwards), one process at a time; nothing is done when it is there.

    All or nothing: a migration that fails leaves the database as it was. Raises StorageNotWritable.
    """
    _run_alembic(engine, lambda config: command.upgrade(config, revision))


def downgrade(engine: Engine, revision: str) -> None:
    """Take the schema back to an earlier revision, all or nothing. Raises StorageNotWritable."""
    _run_alembic(engine, lambda config: command.downgrade(config, revision))


def head_revision() -> str | None:
    """The newest schema revision this version of the program knows."""
    return ScriptDirectory(str(_MIGRATIONS)).get_current_head()


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Turn a failing database or disk into StorageNotWritable; `what` completes 'could not ...'."""
    try:
        yield
    except DBAPIError as error:
        raise StorageNotWritable(f"The database could not {what}: {_reason(error.orig)}") from error
    except OSError as error:
        raise StorageNotWritable(
            f"The storage could not {what} ({error.strerror or error}). Check the free space and the permissions "
            f"of {error.filename or 'the data folder'}."
        ) from error


def lock_writers(connection: Connection) -> None:
    """Let one transaction append at a time. On SQLite BEGIN IMMEDIATE has done so already."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _WRITE_LOCK_KEY})


def _open_sqlite(url: URL) -> Engine:
    if url.database in (None, "", ":memory:"):
        # Each thread would see a database of its own, and a restart would lose every decision.
        raise StorageNotWritable(f"{url} names no file, so nothing would be kept. Write sqlite:///FILE.")
    if not url.database.startswith("file:"):
        _check_place(Path(url.database))
    engine = create_engine(url, pool_size=10, max_overflow=30)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # we begin transactions ourselves, see _begin_sqlite
    connection.execute(f"PRAGMA busy_timeout={BUSY_TIMEOUT_MS}")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute("PRAGMA synchronous=FULL")  # NORMAL may lose the last verdicts when the power goes
    connection.execute("PRAGMA cache_size=-65536")
    connection.execute("PRAGMA secure_delete=ON")  # who was forgotten is not to be found in free pages
    if connection.execute("PRAGMA query_only").fetchone()[0] == 0:
        connection.execute("PRAGMA journal_mode=WAL")


def _begin_sqlite(connection: Connection) -> None:
    reads_only = connection.get_execution_options().get(READS_ONLY_OPTION, False)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _check_place(file: Path) -> None:
    folder = file.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageNotWritable(
            f"The data folder {folder} cannot be made ({error.strerror}). Choose another place."
        ) from error
    for place in (folder, file):
        if place.exists() and not os.access(place, os.W_OK, effective_ids=os.access in os.supports_effective_ids):
            raise StorageNotWritable(
                f"{place} cannot be written by this user. Change its permissions or choose another data folder."
            )


def _run_alembic(engine: Engine, step: Any) -> None:
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    with storage_errors("be opened or brought up to date"), engine.connect() as connection:
        sqlite = connection.dialect.name == "sqlite"
        if sqlite:
            # Changing a table copies it, which foreign keys would forbid; no pragma works inside a transaction.
            _pragmas(connection, "OFF", MIGRATION_TIMEOUT_MS)
        try:
            with connection.begin():
                lock_writers(connection)
                config.attributes["connection"] = connection
                step(config)
                _check_references(connection)
        except CommandError as error:
            raise StorageNotWritable(
                f"The database has a schema this version does not know ({error}). It was written by a newer "
                "DermaFlux: update the program or choose another database."
            ) from error
        finally:
            if sqlite:
                _pragmas(connection, "ON", BUSY_TIMEOUT_MS)


def _pragmas(connection: Connection, foreign_keys: str, busy_timeout_ms: int) -> None:
    raw = connection.connection.driver_connection
    assert raw is not None
    raw.execute(f"PRAGMA foreign_keys={foreign_keys}")
    raw.execute(f"PRAGMA busy_timeout={busy_timeout_ms}")


def _check_references(connection: Connection) -> None:
    if connection.dialect.name != "sqlite":
        return
    if broken := connection.exec_driver_sql("PRAGMA foreign_key_check").first():
        raise StorageNotWritable(
            f"The schema change would leave {broken[0]} pointing at missing {broken[2]}; nothing was changed. "
            "Restore a backup of the database."
        )


def _reason(error: BaseException | None) -> str:
    message = " ".join(str(error).split()).rstrip(".") or "no reason given"
    advice = {
        "readonly": "The file or its folder is read-only: change the permissions or choose another place.",
        "unable to open": "The place does not exist or may not be used: choose another one.",
        "locked": "Another program holds it; close that program and try again.",
        "full": "The disk is full: free some space and try again.",
        "disk I/O error": "The disk is full or failing: free some space, check it, and try again.",
        "not a database": "The file is no SQLite database: choose another one or restore a backup.",
        "malformed": "The file is damaged: restore a backup.",
    }
    found = next((text for sign, text in advice.items() if sign in message), "Check the database and try again.")
    return f"{message}. {found}"
