"""Pictures that lie in several folders and in archives within them, under one way of naming.

`folder/a.jpg` is a file below a root, `set.zip!images/a.jpg` a member of an archive there; with several roots a name
begins with the set's: `ham10000:set.zip!images/a.jpg`. It knows no table.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dermaflux.domain.errors import DataNotFound
from training.pictures import PictureSource

_IN_ARCHIVE, _IN_SET = "!", ":"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """What changes when a file does: its bytes, and when it was written (for an archive's member, the archive)."""

    size: int
    mtime_ns: int


class Root:
    """One set's folder. Archives are opened when first read; every process opens its own."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sources: dict[str, PictureSource] = {}

    def has(self, name: str) -> bool:
        """Whether the picture is there."""
        archive, member = _parts(name)
        if archive and not (self.path / archive).is_file():
            return False
        return self._source(archive).has(member)

    def read(self, name: str) -> bytes:
        """The bytes of a picture. Raises DataNotFound when it is not there."""
        archive, member = _parts(name)
        return self._source(archive).read(member)

    def state(self, name: str) -> FileState:
        """Size and time of a picture. Raises DataNotFound when it is not there."""
        archive, member = _parts(name)
        try:
            found = (self.path / (archive or member)).stat()
        except OSError as error:
            raise DataNotFound(f"{name} is not in {self.path} ({error.strerror}).") from error
        size = self._source(archive).size_of(member) if archive else found.st_size
        return FileState(size=size, mtime_ns=found.st_mtime_ns)

    def _source(self, archive: str) -> PictureSource:
        return self._sources.setdefault(archive, PictureSource(self.path / archive))


class ManyRoots:
    """Pictures of several sets, each in its own folder; reads as a `PictureSource` does."""

    def __init__(self, roots: Mapping[str, Path]) -> None:
        self.roots = {name: Root(path) for name, path in roots.items()}

    def read(self, name: str) -> bytes:
        """The bytes of a picture. Raises DataNotFound when it is not there."""
        root, picture = self._of(name)
        return root.read(picture)

    def has(self, name: str) -> bool:
        """Whether the picture is there."""
        root, picture = self._of(name)
        return root.has(picture)

    def _of(self, name: str) -> tuple[Root, str]:
        source, _, picture = name.partition(_IN_SET)
        if source not in self.roots:
            raise DataNotFound(f"No folder was given for the set {source!r}. Given: {', '.join(self.roots)}.")
        return self.roots[source], picture


def in_set(source: str, picture: str) -> str:
    """How a picture of a set is named among several."""
    return f"{source}{_IN_SET}{picture}"


def _parts(name: str) -> tuple[str, str]:
    archive, bang, member = name.partition(_IN_ARCHIVE)
    return (archive, member) if bang else ("", name)
