"""Does the accepted set help? Gathers and describes pictures, and lets `evaluation.probe` compare.

Only pictures that a draw needs are described, each once: vectors are kept in the data folder by content.
"""

import hashlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from dermaflux.checksums import content_id
from dermaflux.domain.errors import DataNotFound, InvalidRequest, ModelNotAvailable
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Verdict
from dermaflux.services.curating import REAL, Curating
from dermaflux.services.embedding_cache import EmbeddingCache
from dermaflux.services.real_pictures import RealPicture
from dermaflux.services.real_sides import RealSides, open_sides
from dermaflux.services.records import ProbeRequest, ProbeStep
from dermaflux.services.wiring import Once

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

    from dermaflux.evaluation.diversity import Labelled
    from dermaflux.evaluation.probe_report import ProbeReport

EMBEDDINGS = "embeddings"  # in the data folder: may be deleted, and is then computed again
_PLAIN = {Diagnosis.BENIGN, Diagnosis.MALIGNANT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A picture to be described: the hash of its file, how to get its pixels, and its diagnosis."""

    key: str
    load: "Callable[[], Image.Image]"
    diagnosis: Diagnosis


class Probing(Curating):
    """The probe over stored images and real pictures."""

    def real_sets(self) -> tuple[str, ...]:
        """The names of the sets of real pictures in the data folder: imported folders, and zips put there."""
        folder = self.settings.data_dir / REAL
        found = folder.iterdir() if folder.is_dir() else ()
        return tuple(
            sorted(p.name for p in found if not p.name.startswith(".") and (p.is_dir() or p.suffix == ".zip"))
        )

    def real_set(self, name: str | None = None) -> Path:
        """Where a set of real pictures lies, by its name; without a name the first. Raises DataNotFound."""
        known = self.real_sets()
        if not known:
            raise DataNotFound(
                "No real pictures are known here. Take some in: python -m dermaflux import-real FOLDER --name NAME"
            )
        if name and name not in known:
            raise DataNotFound(f"There are no real pictures named {name!r}. Known: {', '.join(known)}.")
        return self.settings.data_dir / REAL / (name or known[0])

    def probe(self, request: ProbeRequest) -> "Iterator[ProbeStep | ProbeReport]":
        """Tell how far it is, then answer. What was described is kept when the caller stops listening.

        Images flagged as copies of training pictures stay behind, as in exports. Raises DataNotFound (no such dataset,
        no usable real pictures), InvalidRequest (nothing accepted, nothing to compare), ModelNotAvailable.
        """
        import numpy as np

        from dermaflux.evaluation.probe import draw_rows, probe
        from dermaflux.evaluation.probe_report import ProbeOptions

        options = ProbeOptions(num_real=request.num_real, num_draws=request.num_draws, seed=request.seed)
        added = self._accepted_sources(request.dataset)
        with open_sides(request.real, request.split, request.held_out) as sides:
            diagnoses, lesions = zip(*((str(p.diagnosis), p.lesion_id) for p in sides.training), strict=True)
            draws = draw_rows(diagnoses, lesions, options)
            needed = sorted({int(row) for rows in draws for row in rows})
            yield ProbeStep(doing="Reading pictures", done=0, total=0)
            held_out = _real_sources(sides, sides.held_out)
            judging = {source.key for source in held_out}
            learned = dict(zip(needed, _real_sources(sides, [sides.training[row] for row in needed]), strict=True))
            learned = {row: source for row, source in learned.items() if source.key not in judging}
            if not learned:
                raise DataNotFound(f"Every training picture of {request.real} is also a held-out one. Mend its split.")
            vectors = yield from self._described([*learned.values(), *added, *held_out], request.features)
        yield ProbeStep(doing="Training heads", done=0, total=0)
        place = {row: index for index, row in enumerate(learned)}
        yield probe(
            _labelled(list(learned.values()), vectors),
            _labelled(_as_plain_as(added, sides.training), vectors),
            _labelled(held_out, vectors, [picture.lesion_id for picture in sides.held_out]),
            [np.array([place[int(row)] for row in rows if int(row) in place], dtype=int) for rows in draws],
            options,
        )

    def _described(
        self, sources: Sequence[Source], features: Path | None
    ) -> "Generator[ProbeStep, None, Mapping[str, np.ndarray]]":
        """The vectors of pictures by key, computed where they are not kept yet; the model is loaded only then."""
        model = features or self.classifier_folder()
        if not model.exists():
            raise ModelNotAvailable(f"The feature model {model} does not exist. Name its folder or file.")
        cache = EmbeddingCache(self.settings.data_dir / EMBEDDINGS / content_id(model)[:32])

        loaded = Once(lambda: self.embedder(features))

        def embed(rows: Sequence[int]) -> "np.ndarray":
            return loaded()([sources[row].load() for row in rows])

        for done, total in cache.fill([source.key for source in sources], embed):
            yield ProbeStep(doing="Describing pictures", done=done, total=total)
        return cache.vectors

    def _accepted_sources(self, dataset: str) -> list[Source]:
        """The accepted images that were asked to show a diagnosis."""
        candidates = self._store().candidates(dataset)
        accepted = [c for c in candidates if c.verdict is Verdict.ACCEPT and c.diagnosis and not c.memorised]
        if not accepted:
            raise InvalidRequest(f"No image with a diagnosis is accepted in {dataset} yet. Accept the good ones first.")
        return [
            Source(key=c.sha256, load=lambda i=c.image_id: self.stored_picture(i), diagnosis=Diagnosis(c.diagnosis))
            for c in accepted
        ]


def _real_sources(sides: RealSides, pictures: Sequence[RealPicture]) -> list[Source]:
    """Each picture's file is read for its hash; its pixels are decoded only where they are needed."""
    return [
        Source(
            key=hashlib.sha256(sides.pictures.content(picture)).hexdigest(),
            load=lambda picture=picture: sides.pictures.load(picture).convert("RGB"),
            diagnosis=picture.diagnosis or Diagnosis.BENIGN,
        )
        for picture in pictures
    ]


def _as_plain_as(added: Sequence[Source], real: Sequence[RealPicture]) -> list[Source]:
    """Where real pictures are only called benign or malignant, so are the added ones."""
    if not {picture.diagnosis for picture in real} <= _PLAIN:
        return list(added)
    plain = {True: Diagnosis.MALIGNANT, False: Diagnosis.BENIGN}
    return [replace(source, diagnosis=plain[source.diagnosis.is_malignant]) for source in added]


def _labelled(
    sources: Sequence[Source], vectors: "Mapping[str, np.ndarray]", lesion_ids: Sequence[str] = ()
) -> "Labelled":
    import numpy as np

    from dermaflux.evaluation.diversity import Labelled

    return Labelled(
        features=np.stack([vectors[source.key] for source in sources]).astype(np.float64),
        diagnoses=[str(source.diagnosis) for source in sources],
        groups=lesion_ids,
    )
