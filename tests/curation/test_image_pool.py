"""The pool of image files in a folder, in memory, and in S3 (moto's server speaks its protocol): one behaviour."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from dermaflux.curation.export import export_dataset
from dermaflux.curation.export_records import ExportRequest
from dermaflux.curation.image_pool import ImagePool, pool_name, sha256_of
from dermaflux.curation.remote_pool import RemoteImagePool, open_pool
from dermaflux.curation.store import CurationStore
from dermaflux.domain.errors import DataNotFound, ImageNotReadable, StorageNotWritable

CONTENT = b"the bytes of an image"
SHA256 = sha256_of(CONTENT)
NAME = pool_name(SHA256)
REMOTE = ("memory", "s3")


@pytest.fixture(scope="module")
def s3_url():
    """An S3 server with a bucket, the way a deployment names it: by the variables of AWS."""
    server_module = pytest.importorskip("moto.server")
    pytest.importorskip("s3fs")
    with pytest.MonkeyPatch.context() as patch:
        server = server_module.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        server.start()
        host, port = server.get_host_and_port()
        patch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
        patch.setenv("AWS_ACCESS_KEY_ID", "test")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "test")
        patch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        patch.setenv("NO_PROXY", "127.0.0.1")
        fsspec.get_filesystem_class("s3").clear_instance_cache()  # it remembers a server by its arguments alone
        fsspec.filesystem("s3", skip_instance_cache=True).makedirs("bucket", exist_ok=True)
        yield "s3://bucket"
        server.stop()


@pytest.fixture(params=["local", *REMOTE])
def url(request, tmp_path):
    if request.param == "local":
        return str(tmp_path / "images")
    root = request.getfixturevalue("s3_url") if request.param == "s3" else "memory://"
    return f"{root}/{uuid.uuid4().hex}"


@pytest.fixture
def pool(url, tmp_path) -> ImagePool:
    return open_pool(url, tmp_path / "cache")


only_remote = pytest.mark.parametrize("url", REMOTE, indirect=True)


def replace_in(url, content):
    """Change the stored file behind the pool's back."""
    with fsspec.open(f"{url}/{NAME}", "wb") as file:
        file.write(content)


def delete_in(url):
    filesystem, root = fsspec.core.url_to_fs(url)
    filesystem.invalidate_cache()
    filesystem.rm(f"{root}/{NAME}")


def test_what_is_written_is_read_back_from_anywhere(pool, url, tmp_path):
    assert pool.write(CONTENT, SHA256) == NAME and pool.write(CONTENT, SHA256) == NAME
    assert pool.has(NAME) and pool.read(NAME, SHA256) == CONTENT
    elsewhere = open_pool(url, tmp_path / "another machine")
    assert elsewhere.read(NAME, SHA256) == CONTENT
    assert elsewhere.path(NAME).read_bytes() == CONTENT
    assert [(f.name, f.num_bytes, f.is_partial) for f in elsewhere.files()] == [(NAME, len(CONTENT), False)]


def test_a_path_is_a_readable_file_on_this_machine_once_it_was_brought_here(pool, url, tmp_path):
    pool.write(CONTENT, SHA256)
    elsewhere = open_pool(url, tmp_path / "another machine")
    elsewhere.bring_here([SHA256, SHA256, "0" * 64])
    assert elsewhere.path(NAME).is_absolute() and elsewhere.path(NAME).read_bytes() == CONTENT
    assert not elsewhere.path(pool_name("0" * 64)).exists()


def test_a_new_pool_is_empty(pool):
    assert list(pool.files()) == [] and not pool.has(NAME)
    with pytest.raises(DataNotFound, match="gone"):
        pool.read(NAME, SHA256)


def test_content_under_a_wrong_hash_is_refused(pool):
    with pytest.raises(DataNotFound):
        pool.write(CONTENT, "0" * 64)
    assert list(pool.files()) == []


def test_a_changed_file_is_never_handed_out(pool, url, tmp_path):
    pool.write(CONTENT, SHA256)
    replace_in(url, CONTENT[:-1] + b"?")
    elsewhere = open_pool(url, tmp_path / "another machine")
    with pytest.raises(ImageNotReadable, match="changed"):
        elsewhere.read(NAME, SHA256)
    with pytest.raises(ImageNotReadable, match="changed"):
        pool.read_original(NAME, SHA256)


def test_a_file_that_was_cut_off_is_written_again(pool, url):
    pool.write(CONTENT, SHA256)
    replace_in(url, CONTENT[:5])
    pool.write(CONTENT, SHA256)
    assert pool.read_original(NAME, SHA256) == CONTENT


def test_quarantine_keeps_the_file_out_of_sight(pool, url):
    pool.write(CONTENT, SHA256)
    kept = pool.quarantine(NAME)
    assert not pool.has(NAME) and list(pool.files()) == []
    with fsspec.open(f"{url}/{kept}") as file:
        assert file.read() == CONTENT
    pool.write(CONTENT, SHA256)
    pool.remove(NAME)
    pool.remove(NAME)
    assert not pool.has(NAME)


def test_many_threads_write_and_fetch_at_once(pool, url, tmp_path):
    contents = [bytes([i]) * 1000 for i in range(24)]
    hashes = [sha256_of(content) for content in contents]
    with ThreadPoolExecutor(6) as threads:
        list(threads.map(pool.write, contents * 2, hashes * 2))
    elsewhere = open_pool(url, tmp_path / "another machine")
    elsewhere.bring_here(hashes)
    assert [elsewhere.path(pool_name(h)).read_bytes() for h in hashes] == contents
    assert len(list(pool.files())) == 24


@only_remote
def test_a_damaged_cache_is_mended(pool):
    pool.write(CONTENT, SHA256)
    pool.path(NAME).write_bytes(b"damaged")
    assert pool.read(NAME, SHA256) == CONTENT
    assert pool.path(NAME).read_bytes() == CONTENT


@only_remote
def test_a_file_lost_there_is_not_hidden_by_the_cache(pool, url):
    pool.write(CONTENT, SHA256)
    delete_in(url)
    assert not pool.has(NAME) and pool.read(NAME, SHA256) == CONTENT
    with pytest.raises(DataNotFound, match="gone"):
        pool.read_original(NAME, SHA256)
    pool.write(CONTENT, SHA256)
    assert pool.read_original(NAME, SHA256) == CONTENT


@pytest.mark.parametrize("database_kind", ["sqlite"], indirect=True, scope="session")
def test_the_store_keeps_shows_and_exports_images_from_any_pool(engine, pool, url, sample, says, tmp_path):
    store = CurationStore(engine, pool)
    store.create_dataset("first")
    stored = [store.add_image(sample(i)) for i in range(3)]
    for image in stored:
        store.decide(says(image.image_id))
    elsewhere = CurationStore(engine, open_pool(url, tmp_path / "another machine"))
    for image in (*elsewhere.page("first").images, elsewhere.get(stored[0].image_id)):
        assert sha256_of(Path(image.path).read_bytes()) == image.sha256
    assert elsewhere.add_image(sample(1)).image_id == stored[1].image_id
    report = export_dataset(elsewhere, ExportRequest(dataset="first", format="imagefolder", folder=tmp_path / "out"))
    assert report.num_images == 3
    elsewhere.pool.remove(pool_name(stored[2].sha256))
    assert elsewhere.add_image(sample(2)).image_id == stored[2].image_id
    assert pool.has(pool_name(stored[2].sha256))


def test_a_folder_or_file_url_needs_no_cache(tmp_path):
    for url in (str(tmp_path / "a"), f"file://{tmp_path / 'b'}"):
        pool = open_pool(url, tmp_path / "cache")
        assert not isinstance(pool, RemoteImagePool)
        pool.write(CONTENT, SHA256)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


@pytest.mark.parametrize("url", ["nosuch://a/b", "memory://", "://x"])
def test_a_url_that_is_none_is_refused(url, tmp_path):
    with pytest.raises(StorageNotWritable, match=r"no place for images|names no folder"):
        open_pool(url, tmp_path)


def test_a_missing_driver_is_named(tmp_path):
    with pytest.raises(StorageNotWritable, match=r"driver for gs:// is not installed"):
        open_pool("gs://bucket/images", tmp_path)


def test_a_bucket_that_is_not_there_is_refused_and_not_made(s3_url, tmp_path):
    with pytest.raises(StorageNotWritable, match="s3://elsewhere/images could not be used"):
        open_pool("s3://elsewhere/images", tmp_path)
    assert fsspec.filesystem("s3", skip_instance_cache=True).ls("") == ["bucket"]


def test_nothing_is_written_unless_it_is_tried(url, tmp_path):
    pool = open_pool(url, tmp_path / "cache", try_writing=False)
    assert list(pool.files()) == [] and not (tmp_path / "cache").exists()


def test_a_server_that_is_not_there_is_said_so(s3_url, tmp_path, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    fsspec.get_filesystem_class("s3").clear_instance_cache()  # it remembers a connection by its arguments alone
    with pytest.raises(StorageNotWritable, match=r"could not be used .*127\.0\.0\.1:9") as caught:
        open_pool("s3://bucket/away", tmp_path)
    fsspec.get_filesystem_class("s3").clear_instance_cache()
    assert "\n" not in str(caught.value)
