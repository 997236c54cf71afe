"""Builds each capability once, on first use, under a lock. The only place that knows both Settings and capabilities.

Building Wiring opens nothing and imports nothing heavy; torch comes with the first model, the database with `start`.
"""

import json
import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Generic, NamedTuple, Self, TypeVar

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation import zero_gpu
from dermaflux.services.pictures import prepare_folder, write_whole
from dermaflux.settings import Settings
from dermaflux.uncollected import uncollected

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from dermaflux.classification import LesionClassifier, LesionDescriptor
    from dermaflux.classification.training_vectors import TrainingVectors
    from dermaflux.curation.image_pool import ImagePool
    from dermaflux.curation.store import CurationStore
    from dermaflux.generation import Generator, ModelCatalogue
    from dermaflux.measurement.measurer import Measurer

log = logging.getLogger(__name__)

Built = TypeVar("Built")
EXPORTS = "exports"  # in the data folder: zips for download
ONNX_EXPORTS = "onnx"  # in the data folder: transformers for onnxruntime, colour maps of previews; may be deleted
RUNS = "runs"  # in the data folder: training runs, by kind and name
JUDGING = "judging.json"  # in the data folder: which run's classifier judges, when it is not the embedded one
IMAGE_CACHE = "image-cache"  # in the data folder: copies of images that are kept elsewhere; may be deleted


class Once(Generic[Built]):
    """A thing that is built when it is first asked for, once, however many threads ask."""

    def __init__(self, build: Callable[[], Built]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._thing: Built | None = None

    def __call__(self) -> Built:
        """The thing; a failure to build raises and is tried again by the next caller."""
        with self._lock:
            if self._thing is None:
                self._thing = self._build()
            return self._thing

    def renew(self) -> None:
        """Forget the thing, so that the next caller builds it anew; who holds the old one may go on with it."""
        with self._lock:
            self._thing = None

    @property
    def is_built(self) -> bool:
        """Whether anyone has asked yet."""
        return self._thing is not None


class KnownTraining(NamedTuple):
    """The vectors of the training pictures and the distance under which an image copies one; None where not known."""

    given: "tuple[TrainingVectors, float] | None"


class Wiring:
    """The parts of one deployment. `start` opens the storage, `close` gives everything back."""

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings.load()
        self._generator = Once(self._build_generator)
        self._measurer = Once(self._build_measurer)
        self._classifier = Once(self._build_classifier)
        self._descriptor = Once(self._build_descriptor)
        self._training_vectors = Once(self._build_training_vectors)
        self._engine = Once(self._build_engine)
        self._store = Once(self._build_store)

    def start(self) -> None:
        """Open and migrate the storage. Raises StorageNotWritable in one line."""
        self._store()
        if zero_gpu.is_lent():  # before anything imports torch, and before the app is launched
            zero_gpu.join()
            generator = self._generator()
            generator.prepare(self.settings.model, compile_ahead=self.settings.compile_ahead)  # type: ignore[union-attr]

    def close(self) -> None:
        """Give the storage back. Nothing may be used afterwards."""
        if self._engine.is_built:
            self._engine().dispose()

    def __enter__(self) -> Self:
        """For `with`: nothing is opened until it is used."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()

    def catalogue(self) -> "ModelCatalogue":
        """The models and adapters on offer; reads small files only."""
        from dermaflux.generation import ModelCatalogue

        settings = self.settings
        return ModelCatalogue(settings.models_dir, settings.data_dir / RUNS / "lora", settings.preview_vae)

    def judging_run(self) -> str | None:
        """The training run (KIND/NAME) whose classifier judges, None for the embedded one."""
        try:
            run = json.loads((self.settings.data_dir / JUDGING).read_text(encoding="utf-8"))["run"]
        except (FileNotFoundError, ValueError, KeyError):
            return None
        return run if run and (self.settings.data_dir / RUNS / run / "model").is_dir() else None

    def judge_with(self, run: str | None) -> None:
        """Judge with the classifier of a training run, or with the embedded one, from now on and after a restart.

        Raises ModelNotAvailable when it cannot be loaded; the earlier one then stays.
        """
        from dermaflux.classification import LesionClassifier

        if run is not None:
            LesionClassifier.from_folder(self.settings.data_dir / RUNS / run / "model", self._judging_device())
        write_whole(self.settings.data_dir / JUDGING, json.dumps({"run": run}).encode())
        self._classifier.renew()

    def classifier_folder(self) -> Path:
        """Where the classifier that judges lies."""
        run = self.judging_run()
        return self.settings.data_dir / RUNS / run / "model" if run else self.settings.models_dir / "classifier"

    def _build_generator(self) -> "Generator":
        with uncollected():
            if zero_gpu.is_lent():
                from dermaflux.generation.lent_generator import LentGenerator as Generator
            else:
                from dermaflux.generation import Generator

        return Generator(
            self.catalogue(),
            device=self.settings.device,
            precision=self.settings.precision,
            memory=self.settings.memory,
            exports_dir=self.settings.data_dir / ONNX_EXPORTS,
            speed=self.settings.chosen_speed,
        )

    def _build_measurer(self) -> "Measurer":
        from dermaflux.measurement.measurer import Measurer

        return Measurer.from_folder(self.settings.models_dir)

    def _build_classifier(self) -> "LesionClassifier":
        from dermaflux.classification import LesionClassifier

        return LesionClassifier.from_folder(self.classifier_folder(), self._judging_device())

    def _build_descriptor(self) -> "LesionDescriptor":
        from dermaflux.classification import LesionDescriptor

        return LesionDescriptor.load(self.settings.models_dir / "descriptor", self._judging_device())

    def _build_training_vectors(self) -> "KnownTraining":
        from dermaflux.classification.training_vectors import VECTORS_NAME, TrainingVectors

        folder = self.settings.models_dir / "descriptor"
        if not (folder / VECTORS_NAME).is_file():  # then the descriptor need not be loaded either
            return KnownTraining(None)
        try:
            descriptor = self._descriptor()
            vectors = TrainingVectors.load(folder, descriptor.sha256)
        except ModelNotAvailable as error:
            log.warning("images are not compared with training pictures: %s", error)
            return KnownTraining(None)
        threshold = descriptor.copy_distance
        return KnownTraining(None if vectors is None or threshold is None else (vectors, threshold))

    def _judging_device(self) -> str:
        return self.settings.device if self.settings.device.startswith("cuda") else "cpu"

    def _build_engine(self) -> "Engine":
        from dermaflux.curation.store import migrate, open_engine

        prepare_folder(self.settings.data_dir)
        engine = open_engine(self.settings.resolved_database_url)
        migrate(engine)
        return engine

    def _build_store(self) -> "CurationStore":
        from dermaflux.curation.store import CurationStore

        return CurationStore(self._engine(), self._open_pool())

    def _open_pool(self, *, try_writing: bool = True) -> "ImagePool":
        from dermaflux.curation.remote_pool import open_pool

        cache = self.settings.data_dir / IMAGE_CACHE
        return open_pool(self.settings.resolved_images_url, cache, try_writing=try_writing)
