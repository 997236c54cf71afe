"""The colour map of previews on own pictures, through the command's own function."""

import json

import numpy as np
import pytest
from PIL import Image

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from training.fit_latent_rgb import FitConfig, fit


@pytest.fixture
def pictures(tmp_path):
    rng, folder = np.random.default_rng(0), tmp_path / "pictures" / "inner"
    folder.mkdir(parents=True)
    for number in range(24):
        coarse = rng.integers(0, 256, (3, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((96, 72), Image.Resampling.BICUBIC).save(folder / f"{number}.png")
    (folder / "broken.jpg").write_bytes(b"no picture")
    return folder.parent


def flux_folder(tmp_path):
    """A pipeline with a VAE of several layers."""
    import torch
    from diffusers import AutoencoderKL

    from tests.generation.conftest import build_tiny, save

    pipe = build_tiny(seed=1)
    torch.manual_seed(2)
    pipe.register_modules(
        vae=AutoencoderKL(
            block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=16, norm_num_groups=4, layers_per_block=1,
            use_quant_conv=False, use_post_quant_conv=False, scaling_factor=0.36, shift_factor=0.11,
        )
    )  # fmt: skip
    return save(pipe, tmp_path / "flux")


def test_the_map_lies_beside_the_model_and_fits_other_pictures_better_than_the_plain_one(tmp_path, pictures, caplog):
    from dermaflux.generation import ModelCatalogue, choose_placement, load_pipeline
    from dermaflux.generation.latent_rgb import load_latent_rgb, map_of
    from dermaflux.generation.model_files import locate

    folder = flux_folder(tmp_path)
    caplog.set_level("INFO")
    path = fit(FitConfig(model=str(folder), images=pictures, size_px=64, device="cpu"))
    assert path == folder / "latent_rgb.json" and np.shape(json.loads(path.read_text())["weight"]) == (16, 3)
    assert not list(folder.glob(".*")) and "left out: broken.jpg" in caplog.text
    told = next(line for line in caplog.messages if line.startswith("fitted on"))
    assert told.startswith("fitted on 21 pictures; on 3 others")
    entry = ModelCatalogue().model(str(folder))
    used = map_of(load_pipeline(entry, choose_placement("cpu")).vae, "cpu", locate(entry), None)
    assert used.weight.tolist() == load_latent_rgb(folder).weight.tolist()


def test_what_no_map_can_be_fitted_to_is_refused(tmp_path, pictures):
    with pytest.raises(InvalidRequest, match="decoded exactly"):
        fit(FitConfig(model="nano", images=pictures))
    for broken in (pictures / "inner").glob("1*.png"):
        broken.unlink()
    folder = flux_folder(tmp_path)
    with pytest.raises(DataNotFound, match=r"holds \d+ pictures .* needs 20"):
        fit(FitConfig(model=str(folder), images=pictures))
    assert not (folder / "latent_rgb.json").exists()
    with pytest.raises(InvalidRequest, match="multiple of 16"):
        FitConfig(model="nano", images=pictures, size_px=100)
