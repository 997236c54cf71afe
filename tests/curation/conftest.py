"""A real, migrated store, on SQLite and on PostgreSQL in turn, and images to put into it."""

import random
from pathlib import Path

import pytest
from PIL import Image

from dermaflux.curation.records import DecisionRequest
from dermaflux.curation.store import CurationStore, open_engine
from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import Colour, Diagnosis, LesionSpec
from dermaflux.domain.records import (
    Assessment,
    GeneratedImage,
    Measurement,
    ModelIdentity,
    Prediction,
    SamplingRequest,
)


def _sample(seed=0, diagnosis=Diagnosis.MEL, asymmetry=1.5, size_px=64, licence="CC-BY-NC-4.0"):
    spec = LesionSpec(
        asymmetry=asymmetry, border=6.0, colours=(Colour.RED, Colour.DARK_BROWN), diagnosis=diagnosis, age=60.0
    )
    image = Image.frombytes("RGB", (size_px, size_px), random.Random(seed).randbytes(size_px * size_px * 3))
    request = SamplingRequest(
        caption=compose(spec), spec=spec, seed=seed, num_steps=8, guidance_scale=2.0, size_px=size_px
    )
    identity = ModelIdentity(model="nano", model_sha256="a" * 64, licence=licence)
    return GeneratedImage(image=image, image_index=0, seed=seed, request=request, identity=identity, seconds=0.5)


def _assessment(asymmetry=1.0, malignant=0.7):
    measurement = Measurement(
        asymmetry=asymmetry,
        border=5.0,
        colours=(Colour.RED,),
        num_colours=1,
        colour_score=1.2,
        mask_area=0.3,
        raw={"axis": 0.4},
    )
    prediction = Prediction(
        malignant=malignant, diagnosis={"mel": 0.6, "nv": 0.4}, threshold=0.5, model_sha256="b" * 64
    )
    return Assessment(measurement=measurement, prediction=prediction)


def _decision(image_id, verdict="accept", reviewer="ada", dataset="first", **more):
    return DecisionRequest(dataset=dataset, image_id=image_id, reviewer=reviewer, verdict=verdict, **more)


@pytest.fixture(scope="session")
def sample():
    """Makes a finished sample: sample(seed, diagnosis, asymmetry, size_px, licence)."""
    return _sample


@pytest.fixture(scope="session")
def assessed():
    """Makes an assessment: assessed(asymmetry, malignant)."""
    return _assessment


@pytest.fixture(scope="session")
def says():
    """Makes a decision request: says(image_id, verdict, reviewer, dataset, realism=..., tags=..., note=...)."""
    return _decision


@pytest.fixture
def database_url(new_database, tmp_path: Path):
    """A database at the newest schema, SQLite and PostgreSQL in turn."""
    with new_database(tmp_path / "data") as url:
        yield url


@pytest.fixture
def engine(database_url):
    engine = open_engine(database_url)
    yield engine
    engine.dispose()


@pytest.fixture
def store(engine, tmp_path):
    return CurationStore(engine, tmp_path / "data" / "images")


@pytest.fixture
def image_ids(store):
    """Six images of three diagnoses (mel, nv, vasc, mel, nv, vasc) and an empty dataset 'first'."""
    store.create_dataset("first", owner="ada")
    kinds = (Diagnosis.MEL, Diagnosis.NV, Diagnosis.VASC)
    return [store.add_image(_sample(i, kinds[i % 3]), _assessment(), "job").image_id for i in range(6)]


@pytest.fixture
def filled(store, image_ids):
    """The six images judged by ada: four accepted, one rejected, one unsure."""
    for image_id, verdict in zip(image_ids, ("accept",) * 4 + ("reject", "unsure"), strict=True):
        store.decide(_decision(image_id, verdict, realism=4))
    return store
