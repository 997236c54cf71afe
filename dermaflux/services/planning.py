"""The coverage planner: what a dataset holds and lacks by diagnosis, attribute level and skin tone, and how to fill it.

Levels are those measured on the pictures; skin tones of synthetic images are the requested ones, those of real
pictures estimates. What is still in the queue counts by its request.
"""

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from dermaflux.checksums import content_id
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import HAM_DIAGNOSES, Diagnosis, LesionSpec, SkinTone, choice
from dermaflux.domain.records import MAX_SEED, SamplingRequest, Verdict
from dermaflux.services.browsing import Browsing
from dermaflux.services.evaluating import Evaluating
from dermaflux.services.generating import Generating
from dermaflux.services.probing import Probing
from dermaflux.services.real_facts import RealFact, RealFacts
from dermaflux.services.real_pictures import read_real
from dermaflux.services.records import GenerationJob, ProbeStep

REAL_FACTS = "real-facts"  # in the data folder: may be deleted, and is then measured again
NOT_KNOWN = "not known"
ATTRIBUTES = ("asymmetry", "border", "num_colours", "skin_tone")
_OPEN = ("waiting", "running", "paused")
_SEED = 0

Place = tuple[str, str]  # diagnosis, column


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageCell:
    """How many pictures stand in one cell. pending: generated and undecided, or still in the visitor's own queue."""

    real: int
    accepted: int
    undecided: int
    queued: int

    @property
    def pending(self) -> int:
        """Undecided and queued."""
        return self.undecided + self.queued


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageTable:
    """Cells by (diagnosis, column). `num_real`: how many pictures of the real set are measured."""

    attribute: str
    columns: tuple[str, ...]
    diagnoses: tuple[Diagnosis, ...]
    cells: Mapping[Place, CoverageCell]
    num_real: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """A cell to be filled: so many images of a diagnosis at a level of an attribute, of a skin tone or of any."""

    diagnosis: str
    attribute: str
    level: str
    skin_tone: str | None
    num_images: int


class Planning(Generating, Evaluating, Browsing, Probing):
    """Raises DataNotFound, InvalidRequest, and what generating raises."""

    def coverage_table(
        self, dataset: str, viewer: str, attribute: str, skin_tone: str | None = None, real: str | None = None
    ) -> CoverageTable:
        """Count a dataset beside a set of real pictures, as far as that has been measured. skin_tone None: all."""
        _check_attribute(attribute)
        tone = None if skin_tone is None else choice("skin_tone", skin_tone, SkinTone)
        stored = self._stored(dataset, viewer, attribute, tone)
        known = list(self._real_facts(real).read().values()) if real else []
        counts = {
            "accepted": stored[Verdict.ACCEPT],
            "undecided": stored[None],
            "queued": self._queued(viewer, attribute, tone),
            "real": _counted((f.diagnosis, _of_fact(f, attribute), 1) for f in known if _is(f, attribute, tone)),
        }
        columns = (*_levels(attribute), NOT_KNOWN)
        return CoverageTable(
            attribute=attribute,
            columns=columns,
            diagnoses=HAM_DIAGNOSES,
            num_real=len(known),
            cells={
                (str(diagnosis), column): CoverageCell(
                    **{name: number[str(diagnosis), column] for name, number in counts.items()}
                )
                for diagnosis in HAM_DIAGNOSES
                for column in columns
            },
        )

    def measure_real(self, real: str, max_images: int | None) -> Iterator[ProbeStep]:
        """Measure pictures of a real set that are not measured yet; a stop keeps what is done.

        At most max_images of the set, the same ones every time. Raises DataNotFound.
        """
        facts = self._real_facts(real)
        known = facts.read()
        with read_real(self.real_set(real), "train", max_images, _SEED) as pictures:
            for done, picture in enumerate(pictures.pictures):
                yield ProbeStep(doing="Measuring real pictures", done=done, total=len(pictures.pictures))
                if picture.name in known:
                    continue
                image = pictures.load(picture).convert("RGB")
                measured, tone = self.measure(image), self.skin_tone(image)
                facts.add(RealFact(
                    name=picture.name, diagnosis=str(picture.diagnosis) if picture.diagnosis else None,
                    skin_tone=str(tone) if tone else None, asymmetry=measured.asymmetry, border=measured.border,
                    num_colours=measured.num_colours,
                ))  # fmt: skip
            yield ProbeStep(doing="Measuring real pictures", done=len(pictures.pictures), total=len(pictures.pictures))

    def spec_of(self, wanted: Wanted) -> LesionSpec:
        """The lesion a cell asks for: its own level, every other slider in the middle. Raises InvalidRequest."""
        from dermaflux.evaluation.adherence import middle_spec, moved_spec

        _check_attribute(wanted.attribute)
        if wanted.level not in _levels(wanted.attribute):
            raise InvalidRequest(f"{wanted.level!r} is no level that can be asked for. Choose another cell.")
        spec = middle_spec(choice("diagnosis", wanted.diagnosis, Diagnosis))
        if wanted.attribute == "skin_tone":
            return replace(spec, skin_tone=SkinTone(wanted.level))
        spec = moved_spec(spec, wanted.attribute, float(wanted.level))
        return replace(spec, skin_tone=choice("skin_tone", wanted.skin_tone, SkinTone)) if wanted.skin_tone else spec

    def fill_cell(self, user: str, wanted: Wanted) -> GenerationJob:
        """Queue the images that a cell asks for, with a new seed. Raises as `submit_generation`."""
        spec, seed = self.spec_of(wanted), random.randrange(MAX_SEED // 2)
        request = SamplingRequest(
            caption=self.compose_caption(spec, seed), spec=spec, num_images=wanted.num_images, seed=seed,
            model=self.settings.model, adapter=self.settings.adapter,
        )  # fmt: skip
        return self.submit_generation(user, request)

    def _stored(
        self, dataset: str, viewer: str, attribute: str, tone: SkinTone | None
    ) -> Mapping[Verdict | None, Counter[Place]]:
        by_tone = attribute == "skin_tone"
        found = self._store().cell_counts(self._existing(dataset), "asymmetry" if by_tone else attribute, viewer)
        return {
            verdict: _counted(
                (c.diagnosis, c.skin_tone if by_tone else _level(attribute, c.level), c.number)
                for c in found
                if c.verdict is verdict and (by_tone or tone is None or c.skin_tone == tone)
            )
            for verdict in (Verdict.ACCEPT, None)
        }

    def _queued(self, user: str, attribute: str, tone: SkinTone | None) -> Counter[Place]:
        number: Counter[Place] = Counter()
        for job in self.jobs(user, limit=100):
            spec = SamplingRequest.from_dict(job.request).spec if job.state in _OPEN and job.sweep is None else None
            if spec and (attribute == "skin_tone" or tone is None or spec.skin_tone == tone):
                number[str(spec.diagnosis), _of_spec(spec, attribute)] += job.total - job.done
        return number

    def _real_facts(self, real: str) -> RealFacts:
        segmenter = content_id(self.settings.models_dir / "segmenter")
        return RealFacts(self.settings.data_dir / REAL_FACTS, self.real_set(real).name, segmenter)


def _counted(found: Iterable[tuple[str | None, str | None, int]]) -> Counter[Place]:
    number: Counter[Place] = Counter()
    for diagnosis, column, count in found:
        number[diagnosis or NOT_KNOWN, column or NOT_KNOWN] += count
    return number


def _check_attribute(attribute: str) -> None:
    if attribute not in ATTRIBUTES:
        raise InvalidRequest(f"{attribute!r} is nothing to plan by. Choose one of: {', '.join(ATTRIBUTES)}.")


def _levels(attribute: str) -> tuple[str, ...]:
    from dermaflux.evaluation.coverage import LEVELS

    return tuple(SkinTone) if attribute == "skin_tone" else tuple(f"{level:g}" for level in LEVELS[attribute])


def _level(attribute: str, value: float | None) -> str:
    from dermaflux.evaluation.coverage import level_name

    return NOT_KNOWN if value is None else level_name(attribute, value)


def _of_spec(spec: LesionSpec, attribute: str) -> str:
    if attribute == "skin_tone":
        return str(spec.skin_tone) if spec.skin_tone else NOT_KNOWN
    return _level(attribute, len(spec.colours) if attribute == "num_colours" else getattr(spec, attribute))


def _of_fact(fact: RealFact, attribute: str) -> str | None:
    return fact.skin_tone if attribute == "skin_tone" else _level(attribute, getattr(fact, attribute))


def _is(fact: RealFact, attribute: str, tone: SkinTone | None) -> bool:
    return attribute == "skin_tone" or tone is None or fact.skin_tone == tone
