"""How near a new image comes to a training picture: from the vectors' file to the card, on tiny models."""

import shutil

import numpy as np
import pytest
from PIL import Image

from dermaflux.classification.training_vectors import TrainingVectors
from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.domain.records import Assessment, SamplingRequest
from dermaflux.services import Services
from dermaflux.services.records import Finished
from dermaflux.settings import Settings
from pages.components.card_view import stored_card


@pytest.fixture
def models(tiny_models, tmp_path):
    """The tiny models with a descriptor of their own, whose threshold is wide."""
    folder = tmp_path / "assets" / "models"
    folder.mkdir(parents=True)
    for path in tiny_models.iterdir():
        if path.name != "descriptor":
            (folder / path.name).symlink_to(path)
    (folder.parent / "measurement").symlink_to(tiny_models.parent / "measurement")
    shutil.copytree(tiny_models / "descriptor", folder / "descriptor")
    config = folder / "descriptor" / "config.json"
    config.write_text(config.read_text().rstrip().removesuffix("}").rstrip() + ', "copy_distance": 0.05}')
    return folder


def noise(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (64, 64, 3), np.uint8))


def test_the_nearest_picture_is_found_with_its_distance(tmp_path):
    known = TrainingVectors(vectors=np.eye(3, 4, dtype=np.float32), image_ids=["a", "b", "c"])
    known.save(tmp_path, "of this one", "test")
    loaded = TrainingVectors.load(tmp_path, "of this one")
    assert loaded.nearest(np.array([0, 0.6, 0.8, 0], np.float32)) == (pytest.approx(0.2, abs=1e-3), "c")
    with pytest.raises(ModelNotAvailable, match="another descriptor"):
        TrainingVectors.load(tmp_path, "of another")
    assert TrainingVectors.load(tmp_path / "nowhere", "any") is None
    next(tmp_path.glob("*.safetensors")).write_bytes(b"broken")
    with pytest.raises(ModelNotAvailable, match="damaged"):
        TrainingVectors.load(tmp_path, "of this one")


@pytest.mark.slow
def test_a_copy_is_flagged_on_its_card_and_in_the_store_and_other_images_are_not(models, tmp_path):
    with Services(Settings(models_dir=models, data_dir=tmp_path / "data", device="cpu")) as services:
        services.start()
        described = services._descriptor().embed([noise(1), noise(2)])
        TrainingVectors(vectors=described, image_ids=["P1", "P2"]).save(
            models / "descriptor", services._descriptor().sha256, "test"
        )
        copy = services.nearest_training(noise(2))
        assert (copy.image_id, copy.is_copy) == ("P2", True) and copy.distance < 0.01
        job = services.submit_generation("ann", SamplingRequest(caption="a mole", num_steps=1))
        (event,) = [e for e in services.follow(job.job_id) if isinstance(e, Finished)]
        nearest = Assessment.from_dict(event.stored.assessment).nearest
        card = stored_card(event.stored, key="0", title="t", picture="data:")["nearest"]
        assert card["flag"] is nearest.is_copy and nearest.image_id in card["text"]
        page = services.page("none yet", filters=None)
        assert page.total == 1


def test_without_the_vectors_nothing_is_said(tiny_models, tmp_path):
    with Services(Settings(models_dir=tiny_models, data_dir=tmp_path / "data", device="cpu")) as services:
        assert services.nearest_training(noise(1)) is None
