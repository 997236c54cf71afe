import contextlib
import os
import resource
import sqlite3
import tempfile
import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import inspect, text

from dermaflux.accounts.tables import Base as AccountsBase
from dermaflux.curation import database
from dermaflux.curation.database import READS_ONLY, downgrade, head_revision, migrate, open_engine
from dermaflux.curation.export import export_dataset
from dermaflux.curation.export_records import ExportFormat, ExportRequest
from dermaflux.curation.image_pool import ImagePool, sha256_of
from dermaflux.curation.store import CurationStore
from dermaflux.curation.tables import Base
from dermaflux.domain.errors import DermaFluxError, StorageNotWritable
from dermaflux.jobs.tables import Base as JobsBase

sqlite_only = pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True, scope="session")


MIGRATIONS = Path(database.__file__).parent / "migrations" / "versions"


def revision_of(engine):
    with engine.connect() as connection:
        return MigrationContext.configure(connection).get_current_revision()


def test_the_migrated_schema_is_what_all_mappings_say(engine):
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, [Base.metadata, JobsBase.metadata, AccountsBase.metadata]) == []


def test_migrating_again_changes_nothing(engine):
    assert revision_of(engine) == head_revision()
    migrate(engine)
    assert revision_of(engine) == head_revision()


@sqlite_only
def test_sqlite_is_set_up_for_many_readers_and_one_writer_and_syncs_every_commit(engine):
    with engine.connect() as connection:
        values = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "busy_timeout", "foreign_keys")
        }
    assert values == {"journal_mode": "wal", "synchronous": 2, "busy_timeout": 5000, "foreign_keys": 1}


@pytest.mark.parametrize("revision", sorted(path.name[:4] for path in MIGRATIONS.glob("0*.py")))
def test_going_down_to_any_revision_and_up_keeps_images_and_decisions(engine, filled, image_ids, revision):
    filled.undo("first", "ada")
    before = filled.counts("first"), filled.decisions("first"), filled.page("first")
    downgrade(engine, revision)
    assert revision_of(engine) == revision
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM decisions")).scalar() == 7
    migrate(engine)
    assert (filled.counts("first"), filled.decisions("first"), filled.page("first")) == before
    assert filled.verify_chain().intact


def test_going_all_the_way_down_leaves_nothing(engine):
    downgrade(engine, "base")
    assert inspect(engine).get_table_names() == ["alembic_version"]


def test_a_failing_migration_leaves_the_database_as_it_was(engine, filled):
    # A table that stands in the way of the last migration.
    downgrade(engine, "0002")
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE jobs (id TEXT)"))
    with pytest.raises(StorageNotWritable, match="already exists"):
        migrate(engine)
    assert revision_of(engine) == "0002"
    with engine.connect() as connection:
        kept = connection.execute(text("SELECT count(*) FROM image_verdicts WHERE verdict = 'accept'")).scalar()
    assert kept == 4


@pytest.fixture
def empty_database_url(empty_database, tmp_path):
    with empty_database(tmp_path / "data") as url:
        yield url


def test_many_starts_at_once_migrate_once(empty_database_url):
    failures = []

    def start():
        engine = open_engine(empty_database_url)
        try:
            migrate(engine)
        except DermaFluxError as error:
            failures.append(error)
        finally:
            engine.dispose()

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_a_database_of_a_later_version_is_refused(engine):
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StorageNotWritable, match="newer"):
        migrate(engine)


@pytest.mark.parametrize("url", ["nonsense", "nosuch://x", "postgresql+nodriver://h/db", "sqlite://"])
def test_a_url_that_is_none_says_so(url):
    with pytest.raises(StorageNotWritable, match=r"URL|driver|FILE"):
        open_engine(url)


def test_a_file_that_is_no_database_is_refused(tmp_path):
    (tmp_path / "a.db").write_text("These are my notes, and not a database at all. " * 50)
    engine = open_engine(f"sqlite:///{tmp_path / 'a.db'}")
    with pytest.raises(StorageNotWritable, match="no SQLite database"):
        migrate(engine)
    engine.dispose()


def test_a_folder_under_a_file_is_refused(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(StorageNotWritable, match="cannot be made"):
        open_engine(f"sqlite:///{tmp_path / 'file' / 'sub' / 'a.db'}")


@pytest.fixture
def unprivileged():
    """Root may write anywhere, so the checks on permissions run as somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    yield
    os.seteuid(0)


@pytest.fixture
def read_only_folder():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        sqlite3.connect(folder / "there.db").close()
        (folder / "there.db").touch()
        (folder / "there.db").chmod(0o444)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


@pytest.mark.parametrize("name", ["new.db", "there.db", "deeper/new.db"])
def test_a_read_only_folder_is_refused_with_its_name(read_only_folder, unprivileged, name):
    with pytest.raises(StorageNotWritable, match=str(read_only_folder)):
        open_engine(f"sqlite:///{read_only_folder / name}")


def test_a_read_only_image_folder_is_refused(read_only_folder, unprivileged):
    with pytest.raises(StorageNotWritable, match="write the image"):
        ImagePool(read_only_folder / "images").write(b"content", sha256_of(b"content"))


@contextlib.contextmanager
def small_files():
    """A full disk in small: no file may grow over 1000 bytes. No fixture: pytest itself writes to files between."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_an_image_that_does_not_fit_on_the_disk_leaves_nothing(tmp_path):
    content = b"x" * 5000
    with small_files(), pytest.raises(StorageNotWritable, match="write the image"):
        ImagePool(tmp_path / "images").write(content, sha256_of(content))
    assert [p for p in (tmp_path / "images").rglob("*") if p.is_file()] == []


def test_an_export_that_does_not_fit_leaves_nothing(filled, tmp_path):
    request = ExportRequest(dataset="first", format=ExportFormat.IMAGEFOLDER, folder=tmp_path / "out")
    with small_files(), pytest.raises(StorageNotWritable, match="write the export"):
        export_dataset(filled, request)
    assert not [p for p in tmp_path.iterdir() if p.name != "data"]


@sqlite_only
def test_a_read_only_database_is_refused(engine, filled, database_url, image_ids, says):
    path = database_url.removeprefix("sqlite:///")
    reader = open_engine(f"sqlite:///file:{path}?mode=ro&uri=true")
    store = CurationStore(reader, Path(path).parent / "images")
    assert store.counts("first").accept == 4
    with pytest.raises(StorageNotWritable, match="read-only"):
        store.decide(says(image_ids[0]))
    reader.dispose()


@pytest.mark.parametrize("database_kind", ["postgresql"], indirect=True, scope="session")
def test_a_postgresql_that_only_reads_is_refused(engine, filled, database_url, image_ids, says):
    reader = open_engine(f"{database_url}&options=-c default_transaction_read_only=on")
    store = CurationStore(reader, filled.pool)
    assert store.counts("first").accept == 4
    with pytest.raises(StorageNotWritable, match="read-only"):
        store.decide(says(image_ids[0]))
    reader.dispose()


def test_a_postgresql_that_is_not_there_is_said_so_in_a_line(tmp_path):
    pytest.importorskip("psycopg")
    engine = open_engine(f"postgresql+psycopg://postgres@/none?host={tmp_path}")
    with pytest.raises(StorageNotWritable, match="server") as caught:
        migrate(engine)
    assert "\n" not in str(caught.value)
    engine.dispose()


def test_readers_do_not_wait_for_a_writer(engine):
    reader = engine.execution_options(**READS_ONLY)
    with engine.begin() as writing:
        writing.execute(text("INSERT INTO datasets (id, name, owner, description, created_at, private) "
                             "VALUES ('1', 'n', 'o', '', '2030-01-01', false)"))
        with reader.begin() as reading:
            assert reading.execute(text("SELECT count(*) FROM datasets")).scalar() == 0
