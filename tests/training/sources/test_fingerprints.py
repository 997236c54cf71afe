"""Pictures are described once, as long as their file stays the same; a broken one says why."""

import os
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from dermaflux.domain.errors import DataNotFound, StorageNotWritable
from dermaflux.domain.lesion import Diagnosis
from training.sources import describing
from training.sources.describing import Describer
from training.sources.fingerprints import Fingerprint, FingerprintCache, describe
from training.sources.reading import SourceRow
from training.sources.roots import FileState, ManyRoots, Root, in_set


def described(folder, root, *names):
    rows = iter([SourceRow(image_id=name, picture=name, diagnosis=Diagnosis.NV) for name in names])
    with FingerprintCache(folder / "fingerprints.db") as cache:
        batches = Describer(cache=cache).batches(root, rows)
        return [print_ for batch in batches for _, print_ in batch]


def test_a_fingerprint_forgets_the_file_and_knows_the_picture(tree):
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8))
    root = tree({"a.png": image, "b.bmp": image, "c.png": 3, "broken.png": b"no picture"})
    a, b, c, broken, missing = describe(root, ["a.png", "b.bmp", "c.png", "broken.png", "none.png"], None)
    assert a == b
    assert (a.width, a.height, len(a.thumb), len(a.sha256), a.vector) == (40, 30, 256, 64, b"")
    assert c.sha256 != a.sha256
    assert "broken.png cannot be read" in broken
    assert "none.png is not in" in missing


def test_an_unchanged_file_is_not_decoded_again(tree, tmp_path, monkeypatch):
    root = tree({"a.png": 1, "b.png": 2, "broken.png": b"no picture"}, tmp_path / "set")
    asked = []
    real = describing.describe
    monkeypatch.setattr(
        describing, "describe", lambda root, names, folder: asked.append(list(names)) or real(root, names, folder)
    )
    first = described(tmp_path, root, "a.png", "b.png", "broken.png")
    tree({"b.png": 5}, root)
    os.utime(root / "b.png", ns=(1, 1))
    again = described(tmp_path, root, "a.png", "b.png", "none.png")
    assert asked == [["a.png", "b.png", "broken.png"], ["b.png"]]
    assert again[0] == first[0]
    assert again[1].sha256 != first[1].sha256
    assert "none.png is not in" in again[2]


def test_the_cache_keeps_every_bit_and_asks_again_for_another_descriptor(tmp_path):
    state = FileState(size=3, mtime_ns=4)
    kept = Fingerprint(sha256="f" * 64, phash=2**64 - 5, width=1, height=2, thumb=bytes(256), vector=b"v")
    with FingerprintCache(tmp_path / "sub" / "fingerprints.db") as cache:
        cache.keep([("a", state, kept)], "one")
        assert cache.known("a", state, "one") == kept
        assert cache.known("a", state, "other") is None
        assert cache.known("a", state, "") == replace(kept, vector=b"")
        assert cache.known("a", FileState(size=3, mtime_ns=5), "one") is None


def test_a_cache_that_cannot_be_used_says_so(tmp_path):
    (tmp_path / "fingerprints.db").write_bytes(b"no database at all, but long enough to be looked at" * 30)
    with pytest.raises(StorageNotWritable, match="--cache"):
        FingerprintCache(tmp_path / "fingerprints.db")



def test_pictures_of_several_roots_and_archives_are_read_by_name(tree, tmp_path):
    root = tree({"a.png": 1}, tmp_path / "one")
    other = tmp_path / "two"
    other.mkdir()
    with zipfile.ZipFile(other / "set.zip", "w") as archive:
        archive.write(root / "a.png", "images/a.png")
    pictures = ManyRoots({"one": root, "two": other})
    assert pictures.read("one:a.png") == pictures.read(in_set("two", "set.zip!images/a.png"))
    assert not pictures.has("two:set.zip!images/b.png")
    assert not pictures.has("one:other.zip!a.png")
    with pytest.raises(DataNotFound, match="No folder was given for the set 'three'"):
        pictures.read("three:a.png")
    state = Root(other).state("set.zip!images/a.png")
    assert state == FileState(size=(root / "a.png").stat().st_size, mtime_ns=(other / "set.zip").stat().st_mtime_ns)
    with pytest.raises(DataNotFound):
        Root(root).state("none.png")
