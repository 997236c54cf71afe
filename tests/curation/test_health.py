"""What the examination of the store finds, on SQLite and PostgreSQL, and that its repairs lose nothing."""

import os
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from dermaflux.curation.database import downgrade, open_engine
from dermaflux.curation.file_health import ORPHAN_KEPT_SECONDS, PARTIAL_KEPT_SECONDS, FileHealth
from dermaflux.curation.health import check_database
from dermaflux.curation.health_records import Repair
from dermaflux.curation.image_pool import QUARANTINE
from dermaflux.curation.remote_pool import open_pool
from dermaflux.curation.store import CurationStore


def no_model(_image_id):
    return None


def outcome(checks):
    return {check.name: check.ok for check in checks}


def wrong(checks):
    return {check.name: check for check in checks if not check.ok}


def age(path, seconds):
    os.utime(path, (time.time() - seconds,) * 2)
    return path


@pytest.fixture
def files(engine, filled, tmp_path) -> FileHealth:
    (tmp_path / "exports").mkdir()
    return FileHealth(engine, filled.pool, [tmp_path / "exports", tmp_path / "not there"])


def test_a_sound_store_passes_every_check(engine, files):
    assert outcome(check_database(engine)) == dict.fromkeys(
        ["database", "schema", "references", "decisions", "verdicts"], True
    )
    told = []
    checks = files.check(lambda done, total: told.append((done, total)))
    assert outcome(checks) == dict.fromkeys(["images", "orphans", "partials"], True)
    assert told == [(done, 6) for done in range(1, 7)] and "6 rows" in checks[0].says


def test_an_old_schema_is_found_and_nothing_is_concluded_from_it(engine, filled):
    downgrade(engine, "0001")
    checks = check_database(engine)
    assert outcome(checks) == {"database": True, "schema": False}
    assert checks[1].repair is Repair.SCHEMA and "0001" in checks[1].says


def test_a_newer_schema_has_no_repair(engine):
    with engine.begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    (found,) = wrong(check_database(engine)).values()
    assert found.repair is None and "Update the program" in found.says


def test_a_changed_decision_is_found_and_has_no_repair(engine, filled):
    with engine.begin() as connection:
        connection.execute(text("UPDATE decisions SET note = 'forged' WHERE sequence = 2"))
    (found,) = wrong(check_database(engine)).values()
    assert (found.name, found.repair) == ("decisions", None) and "Decision 2" in found.says


def test_derived_verdicts_that_are_wrong_are_made_anew(engine, filled):
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM image_verdicts WHERE verdict = 'reject'"))
    (found,) = wrong(check_database(engine)).values()
    assert (found.name, found.repair) == ("verdicts", Repair.VERDICTS)
    filled.rebuild_verdicts()
    assert wrong(check_database(engine)) == {}


def test_rows_that_point_at_nothing_are_found(engine, filled, image_ids, database_kind):
    off = "SET session_replication_role = replica" if database_kind == "postgresql" else "PRAGMA foreign_keys=OFF"
    with engine.connect() as connection:
        connection.connection.cursor().execute(off)  # outside a transaction, where SQLite would not hear it
        connection.execute(text("DELETE FROM datasets"))
        connection.commit()
        connection.invalidate()
    found = wrong(check_database(engine))["references"]
    assert "decisions -> datasets" in found.items and found.repair is None


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True, scope="session")
def test_a_damaged_file_is_found_and_not_touched(engine, filled, database_url):
    engine.dispose()
    path = Path(database_url.removeprefix("sqlite:///"))
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    path.write_bytes(content)
    damaged = open_engine(database_url)
    (found,) = check_database(damaged)
    damaged.dispose()
    assert not found.ok and "estore a backup" in found.says and "\n" not in found.says
    assert path.read_bytes() == content


def test_a_lost_and_a_changed_file_are_found_by_name(filled, files, image_ids):
    lost, changed = (Path(filled.get(image_id).path) for image_id in image_ids[:2])
    lost.unlink()
    changed.write_bytes(changed.read_bytes()[:-1] + b"!")
    found = wrong(files.check())["images"]
    assert found.repair is Repair.FILES and "2 of 6" in found.says
    assert set(found.items) == {f"{path.parent.name}/{path.name}" for path in (lost, changed)}


def test_what_cannot_be_made_again_stays_as_it_is(filled, files, image_ids):
    lost, changed = (Path(filled.get(image_id).path) for image_id in image_ids[:2])
    lost.unlink()
    changed.write_bytes(b"changed")
    assert files.restore(lambda image_id: b"other pixels") == (0, 2)
    assert changed.read_bytes() == b"changed" and not lost.exists()


def test_a_file_is_restored_from_quarantine_or_made_again(filled, files, image_ids):
    first, second = (filled.get(image_id) for image_id in image_ids[:2])
    contents = {image.image_id: Path(image.path).read_bytes() for image in (first, second)}
    filled.pool.quarantine(str(Path(first.path).relative_to(filled.pool.folder)))
    Path(second.path).write_bytes(b"changed")
    assert files.restore({second.image_id: contents[second.image_id]}.get) == (2, 0)
    assert wrong(files.check()) == {}
    kept = filled.pool.folder / QUARANTINE / Path(second.path).relative_to(filled.pool.folder)
    assert kept.read_bytes() == b"changed"  # the damaged one is kept beside, for whoever wants to know


def test_a_file_lost_elsewhere_is_restored_from_the_cache(engine, sample, tmp_path):
    pool = open_pool(f"memory://{tmp_path.name}", tmp_path / "cache")
    store = CurationStore(engine, pool)
    stored = store.add_image(sample(1))
    pool._fs.rm_file(pool._at(f"{stored.sha256[:2]}/{stored.sha256}.png"))
    files = FileHealth(engine, pool)
    assert set(wrong(files.check())) == {"images"}
    assert files.restore(no_model) == (1, 0)
    assert wrong(files.check()) == {}


def test_orphans_move_to_quarantine_and_stay_readable(filled, files):
    orphan = age(_put(filled.pool.folder / "ab" / f"{'ab' * 32}.png"), ORPHAN_KEPT_SECONDS + 5)
    _put(filled.pool.folder / "cd" / f"{'cd' * 32}.png")  # written a moment ago: its row may follow
    found = wrong(files.check())["orphans"]
    assert found.items == (f"ab/{orphan.name}",) and found.repair is Repair.ORPHANS
    assert files.quarantine_orphans() == 1 and not orphan.exists()
    assert (filled.pool.folder / QUARANTINE / "ab" / orphan.name).read_bytes() == b"x"
    assert wrong(files.check()) == {} and files.quarantine_orphans() == 0


def test_only_old_partial_files_and_drafts_are_removed(filled, files, tmp_path):
    old = age(_put(filled.pool.folder / "ab" / ".old.partial"), PARTIAL_KEPT_SECONDS + 5)
    young = _put(filled.pool.folder / "ab" / ".young.partial")
    draft = _put(tmp_path / "exports" / ".draft" / "set" / "image.png")
    for path in (draft, draft.parent, draft.parent.parent):
        age(path, PARTIAL_KEPT_SECONDS + 5)
    growing = _put(tmp_path / "exports" / ".growing" / "image.png")
    age(growing.parent, PARTIAL_KEPT_SECONDS + 5)
    finished = age(_put(tmp_path / "exports" / "set.zip"), PARTIAL_KEPT_SECONDS + 5)
    assert len(wrong(files.check())["partials"].items) == 2
    assert files.remove_partials() == 2
    assert not old.exists() and not (tmp_path / "exports" / ".draft").exists()
    assert young.exists() and growing.exists() and finished.exists()
    assert wrong(files.check()) == {}


def _put(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path
