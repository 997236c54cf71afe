"""Copies of a real database in use, and what comes back from them."""

import sqlite3

import pytest

from dermaflux.curation.backup import Backup
from dermaflux.domain.errors import StorageNotWritable
from dermaflux.services import Services
from dermaflux.settings import Settings


@pytest.fixture
def place(tmp_path):
    images = tmp_path / "disk" / "images"
    (images / "ab").mkdir(parents=True)
    (images / "ab" / "one.png").write_bytes(b"one")
    database = sqlite3.connect(tmp_path / "disk" / "dermaflux.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("CREATE TABLE verdicts (what TEXT)")
    yield database, Backup(tmp_path / "disk" / "dermaflux.db", images, tmp_path / "volume"), images
    database.close()


def restored(tmp_path, name="new"):
    backup = Backup(tmp_path / name / "dermaflux.db", tmp_path / name / "images", tmp_path / "volume")
    found = backup.restore()
    rows = sqlite3.connect(tmp_path / name / "dermaflux.db").execute("SELECT what FROM verdicts").fetchall()
    return found, [what for (what,) in rows], sorted(p.name for p in (tmp_path / name / "images").glob("*/*"))


def test_what_is_in_the_write_ahead_log_comes_back_too(place, tmp_path):
    database, backup, _ = place
    database.execute("INSERT INTO verdicts VALUES ('accept')")  # in the log, not yet in the file
    assert backup.save()
    assert restored(tmp_path) == (True, ["accept"], ["one.png"])


def test_nothing_new_is_nothing_to_copy(place):
    database, backup, _ = place
    assert backup.save() and not backup.save()
    database.execute("INSERT INTO verdicts VALUES ('reject')")
    assert backup.save()


def test_a_database_that_is_there_is_never_overwritten(place, tmp_path):
    database, backup, _ = place
    backup.save()
    database.execute("INSERT INTO verdicts VALUES ('later')")
    assert not backup.restore()
    assert database.execute("SELECT what FROM verdicts").fetchall() == [("later",)]


def test_a_damaged_copy_is_passed_over_for_the_one_before(place, tmp_path):
    database, backup, _ = place
    database.execute("INSERT INTO verdicts VALUES ('first')")
    backup.save()
    database.execute("INSERT INTO verdicts VALUES ('second')")
    backup.save()
    newest = max((tmp_path / "volume" / "database").glob("*.db"))
    newest.write_bytes(newest.read_bytes()[:600])
    assert restored(tmp_path)[1] == ["first"]


def test_purged_pictures_go_from_the_volume_with_the_next_copy(place, tmp_path):
    database, backup, images = place
    backup.save()
    (images / "ab" / "one.png").unlink()
    database.execute("INSERT INTO verdicts VALUES ('purged')")
    backup.save()
    assert list((tmp_path / "volume" / "images").glob("*/*.png")) == []


def test_a_volume_that_cannot_be_written_is_said_so(place, tmp_path):
    _, backup, _ = place
    (tmp_path / "volume").write_text("")
    with pytest.raises(StorageNotWritable, match="copied to the volume"):
        backup.save()


def test_a_space_that_starts_anew_has_its_data_again(tmp_path):
    def settings(name):
        return Settings(data_dir=tmp_path / name, volume_dir=tmp_path / "volume", backup_minutes=60)

    first = Services(settings("first"))
    first.start()
    first.create_dataset("rare lesions")
    first.close()  # the last copy
    second = Services(settings("second"))
    second.start()
    assert second.datasets() == ("rare lesions",)
    second.close()
