"""Feature models from this machine: real classes of transformers and torchvision with random weights."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from dermaflux.classification.feature_extractor import FeatureExtractor
from dermaflux.domain.errors import ModelNotAvailable


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)) for _ in range(3)]


@pytest.fixture(scope="module")
def dinov2(tmp_path_factory):
    from transformers import BitImageProcessor, Dinov2Config, Dinov2Model

    folder = tmp_path_factory.mktemp("dinov2")
    torch.manual_seed(0)
    config = Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=28, patch_size=14)
    Dinov2Model(config).save_pretrained(folder)
    size = {"height": 28, "width": 28}
    BitImageProcessor(size={"shortest_edge": 28}, crop_size=size).save_pretrained(folder)
    return folder


def check(found, images, width):
    assert found.shape == (len(images), width)
    assert found.dtype == np.float32
    assert np.allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 1e-4


def test_a_folder_of_transformers(dinov2, images):
    from transformers import AutoImageProcessor, Dinov2Model

    found = FeatureExtractor.load(dinov2).embed(images)
    check(found, images, 32)
    pixels = AutoImageProcessor.from_pretrained(dinov2)(images=images, return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        by_hand = Dinov2Model.from_pretrained(dinov2).eval()(pixels).pooler_output
    assert np.allclose(found, torch.nn.functional.normalize(by_hand, dim=1), atol=1e-5)


def test_a_clip_gives_its_projected_image_features(tmp_path, images):
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel

    small = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    vision = small | {"image_size": 32, "patch_size": 16}
    CLIPModel(CLIPConfig(text_config=small, vision_config=vision, projection_dim=24)).save_pretrained(tmp_path)
    CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    check(FeatureExtractor.load(tmp_path).embed(images), images, 24)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_file_of_inception(tmp_path, images, suffix):
    from torchvision.models import inception_v3

    file = tmp_path / f"inception{suffix}"
    state = inception_v3(weights=None, init_weights=False).state_dict()
    torch.save(state, file) if suffix == ".pth" else save_file(state, file)
    check(FeatureExtractor.load(file).embed(images), images, 2048)


def test_what_is_not_there_incomplete_or_another_kind_is_refused(dinov2, tmp_path):
    with pytest.raises(ModelNotAvailable, match="does not exist"):
        FeatureExtractor.load(tmp_path / "none")
    with pytest.raises(ModelNotAvailable, match="holds no vision model"):
        FeatureExtractor.load(tmp_path)
    (tmp_path / "other.pth").write_bytes(b"\x80\x04nonsense")
    with pytest.raises(ModelNotAvailable, match="Inception"):
        FeatureExtractor.load(tmp_path / "other.pth")
    for path in dinov2.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    state = load_file(tmp_path / "model.safetensors")
    gone = next(key for key in state if "attention" in key)
    save_file({k: v for k, v in state.items() if k != gone}, tmp_path / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelNotAvailable, match=r"1 weights are missing"):
        FeatureExtractor.load(tmp_path)
