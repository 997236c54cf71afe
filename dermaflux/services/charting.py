"""A map of what lies near what: stored images and a set of real pictures, as the classifier sees them, on a plane.

Vectors are those of the probe, so that a real picture is described once for both.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dermaflux.domain.lesion import Diagnosis, choice
from dermaflux.domain.records import StoredImage
from dermaflux.services.filtering import Words
from dermaflux.services.grouping import Grouping
from dermaflux.services.probing import Probing, Source
from dermaflux.services.real_pictures import RealPictures, read_real
from dermaflux.services.records import ProbeStep

if TYPE_CHECKING:
    from dermaflux.evaluation.projection import Method

MAX_POINTS = 5000
MAX_REAL = 1500
_SEED = 0
_SPLIT = "train"


@dataclass(frozen=True, slots=True, kw_only=True)
class MapPoint:
    """One picture on the plane, x and y from 0 to 1. kind: a verdict, undecided, or real; image_id None: real."""

    x: float
    y: float
    kind: str
    diagnosis: str
    image_id: str | None


class Charting(Grouping, Probing):
    """Raises ModelNotAvailable without the classifier, DataNotFound for real pictures that are not there."""

    def map_points(
        self, dataset: str, words: Words, viewer: str, real: str | None = None, method: str = "pca"
    ) -> "Iterator[ProbeStep | tuple[MapPoint, ...]]":
        """Tell how far it is, then answer. At most MAX_POINTS images and MAX_REAL real pictures, drawn by chance."""
        from dermaflux.evaluation.projection import Method

        chosen = choice("method", method, Method)
        images = self._as_seen(dataset, self.grid_ids(dataset, words, viewer, MAX_POINTS), viewer)
        if real is None:
            yield from self._mapped(images, [], chosen)
            return
        yield ProbeStep(doing="Reading pictures", done=0, total=0)
        with read_real(self.real_set(real), _SPLIT, MAX_REAL, _SEED) as pictures:
            yield from self._mapped(images, _real_sources(pictures), chosen)

    def _mapped(
        self, images: Sequence[StoredImage], real: Sequence[Source], method: "Method"
    ) -> "Iterator[ProbeStep | tuple[MapPoint, ...]]":
        import numpy as np

        from dermaflux.evaluation.projection import on_plane

        sources = [*(self._stored_source(image) for image in images), *real]
        if not sources:
            yield ()
            return
        vectors = yield from self._described(sources, None)
        yield ProbeStep(doing="Laying out the map", done=0, total=0)
        places = on_plane(np.array([vectors[source.key] for source in sources]), method)
        yield tuple(
            MapPoint(
                x=round(float(x), 4),
                y=round(float(y), 4),
                kind=_kind(image),
                diagnosis=str(source.diagnosis),
                image_id=image.image_id if image else None,
            )
            for (x, y), source, image in zip(places, sources, [*images, *(None for _ in real)], strict=True)
        )

    def _stored_source(self, image: StoredImage) -> Source:
        spec = image.generated.get("spec")
        return Source(
            key=image.sha256,
            load=lambda: self.stored_picture(image.image_id),
            diagnosis=Diagnosis(spec["diagnosis"]) if spec else Diagnosis.BENIGN,
        )


def _real_sources(pictures: RealPictures) -> list[Source]:
    return [
        Source(
            key=hashlib.sha256(pictures.content(picture)).hexdigest(),
            load=lambda picture=picture: pictures.load(picture).convert("RGB"),
            diagnosis=picture.diagnosis or Diagnosis.BENIGN,
        )
        for picture in pictures.pictures
    ]


def _kind(image: StoredImage | None) -> str:
    if image is None:
        return "real"
    return str(image.verdict) if image.verdict else "undecided"
