"""A disk of its own, small, real, full or read-only: a clear error, nothing corrupt, and it goes on with space.

Where no file system may be mounted these skip; `test_database` then still has the limits on the size of files.
"""

import contextlib
import os
import subprocess
from pathlib import Path

import pytest

from dermaflux.curation.database import downgrade, migrate, open_engine
from dermaflux.curation.export import export_dataset
from dermaflux.curation.export_records import ExportRequest
from dermaflux.curation.file_health import FileHealth
from dermaflux.curation.health import check_database
from dermaflux.curation.image_pool import ImagePool, sha256_of
from dermaflux.curation.store import CurationStore
from dermaflux.domain.errors import StorageNotWritable
from dermaflux.jobs import JobQueue, JobState

DISK_BYTES = 4 << 20
FULL = r"(disk is full|No space left on device).*[Ff]ree|[Ff]ree.*space"


class Disk:
    """A mounted file system that can be filled to the last byte, emptied again, and made read-only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, left_bytes: int = 0) -> None:
        with self._filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))
        os.truncate(self._filler, self._filler.stat().st_size - left_bytes)

    def free(self) -> None:
        self._filler.unlink()

    def remount(self, mode: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{mode}", str(self.folder)], check=True)


@pytest.fixture
def disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mounting, capture_output=True, text=True)
    except OSError as error:
        pytest.skip(f"no file system can be mounted here: {error}")
    if done.returncode:
        pytest.skip(f"no file system may be mounted here: {done.stderr.strip()}")
    yield Disk(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def engine(disk):
    """Only SQLite lies on a disk of ours."""
    engine = open_engine(f"sqlite:///{disk.folder / 'data' / 'dermaflux.db'}")
    migrate(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine, disk):
    return CurationStore(engine, disk.folder / "images")


def assert_sound(engine, store):
    checks = (*check_database(engine), *FileHealth(engine, store.pool).check())
    assert [check for check in checks if not check.ok] == []


def test_verdicts_on_a_full_disk_are_refused_or_kept_and_go_on_when_there_is_space(
    disk, engine, filled, image_ids, says
):
    before = filled.decisions("first")
    disk.fill(left_bytes=64 << 10)
    kept = []
    with pytest.raises(StorageNotWritable, match=FULL):
        for turn in range(5000):
            kept.append(filled.decide(says(image_ids[turn % 6], "reject", "bob", note="x" * 1500)))
    assert filled.decisions("first") == before + tuple(kept)
    disk.free()
    assert_sound(engine, filled)
    kept.append(filled.decide(says(image_ids[0], "accept", "bob")))
    assert filled.decisions("first") == before + tuple(kept)


def test_an_image_on_a_full_disk_is_refused_whole(disk, engine, filled, sample):
    disk.fill(left_bytes=4096)
    num_images = filled.page().total
    with pytest.raises(StorageNotWritable, match=FULL):
        filled.add_image(sample(50))
    assert filled.page().total == num_images
    assert not [file.name for file in filled.pool.files() if file.is_partial]
    disk.free()
    assert_sound(engine, filled)
    assert Path(filled.add_image(sample(50)).path).is_file()


@pytest.mark.parametrize("layout", ["imagefolder", "parquet", "webdataset", "dicom"])
def test_an_export_to_a_full_disk_leaves_the_earlier_one(disk, filled, tmp_path, layout):
    wanted = ExportRequest(dataset="first", format=layout, folder=disk.folder / "out")
    earlier = export_dataset(filled, wanted).manifest_sha256
    names = sorted(path.name for path in disk.folder.iterdir())
    disk.fill(left_bytes=8192)
    with pytest.raises(StorageNotWritable, match=FULL):
        export_dataset(filled, wanted)
    disk.free()
    assert sorted(path.name for path in disk.folder.iterdir()) == names
    assert sha256_of((disk.folder / "out" / "manifest.json").read_bytes()) == earlier
    assert export_dataset(filled, wanted).manifest_sha256 == earlier


def test_a_migration_on_a_full_disk_changes_nothing(disk, engine, filled, image_ids):
    downgrade(engine, "0001")
    engine.dispose()
    disk.fill()
    with pytest.raises(StorageNotWritable, match=FULL):
        migrate(engine)
    disk.free()
    assert [check.name for check in check_database(engine) if not check.ok] == ["schema"]
    migrate(engine)
    assert_sound(engine, filled)
    assert filled.counts("first").accept == 4


def test_jobs_on_a_full_disk_are_refused_and_go_on(disk, engine):
    queue = JobQueue(engine, max_waiting=10**6)
    first = queue.submit("ann", "generate", {}, 1)
    disk.fill(left_bytes=32 << 10)
    submitted = [first]
    with pytest.raises(StorageNotWritable, match="space"):
        for _ in range(5000):
            submitted.append(queue.submit("ann", "generate", {"caption": "x" * 1500}, 1))
    assert len(queue.list("ann", limit=10_000)) == len(submitted)
    disk.free()
    assert queue.claims.take("worker").id == first.id
    queue.claims.finish(first.id, "worker", JobState.DONE)
    assert queue.state(first.id) is JobState.DONE


def test_a_read_only_disk_is_refused_by_name_and_works_when_it_is_not(disk, engine, filled, image_ids, says):
    engine.dispose()
    disk.remount("ro")
    try:
        with pytest.raises(StorageNotWritable, match="cannot be written"):
            open_engine(str(engine.url))
        with pytest.raises(StorageNotWritable, match=r"read-only|could not be written"):
            filled.decide(says(image_ids[0], "reject"))
        with pytest.raises(StorageNotWritable, match="Read-only"):
            ImagePool(disk.folder / "images").write(b"new", sha256_of(b"new"))
        with pytest.raises(StorageNotWritable, match=r"could not be read|Read-only"):
            export_dataset(filled, ExportRequest(dataset="first", format="dicom", folder=disk.folder / "out"))
    finally:
        engine.dispose()
        disk.remount("rw")
    assert filled.decide(says(image_ids[0], "reject")).sequence == 7
    assert_sound(engine, filled)
