"""Two tiny pipelines with random weights, saved as a user would have them: a nano and one with a real VAE."""

import shutil
from pathlib import Path

import pytest
import torch

CAPTION = "a dermoscopic image of a melanoma with dark brown and red colours"
CORPUS = [
    CAPTION,
    "a benign nevus with an even border and light brown colour, on the back of a woman of forty years",
    "an asymmetric malignant lesion with black, white and blue-grey colours and an irregular border",
]


def build_tiny(seed: int = 0):
    from dermaflux.generation.nano import NanoConfig, build_nano_pipeline

    torch.manual_seed(seed)
    pipe = build_nano_pipeline(
        NanoConfig(
            num_double_blocks=1,
            num_single_blocks=1,
            num_heads=2,
            head_dim=32,
            t5_width=64,
            t5_layers=1,
            clip_width=64,
            clip_layers=1,
            vocabulary=300,
            text_tokens=24,
        ),
        CORPUS,
    )
    pipe.vae.fit(torch.rand(4, 3, 64, 64) * 2 - 1)
    # Fresh Flux weights hardly answer to text or time; louder ones make every difference visible.
    with torch.no_grad():
        for parameter in pipe.transformer.parameters():
            if parameter.ndim > 1:
                parameter.mul_(1.5)
    return pipe


def save(pipe, folder: Path) -> Path:
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


@pytest.fixture(scope="session")
def saved_nano(tmp_path_factory) -> Path:
    """An assets folder that holds a tiny `nano` with its facts."""
    from dermaflux.generation.facts import PipelineFacts, save_facts

    assets = tmp_path_factory.mktemp("assets")
    folder = save(build_tiny(), assets / "nano")
    save_facts(
        folder,
        PipelineFacts(
            size_px=64, num_steps=5, guidance_scale=2.0, text_tokens=24, licence="test only"
        ),
    )
    return folder


@pytest.fixture(scope="session")
def saved_foreign(tmp_path_factory) -> Path:
    """A FluxPipeline of somebody else: AutoencoderKL, distilled guidance, no dermaflux.json."""
    from diffusers import AutoencoderKL, FluxTransformer2DModel

    pipe = build_tiny(seed=1)
    pipe.register_modules(
        vae=AutoencoderKL(
            block_out_channels=(8, 8, 8, 8),
            down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4,
            latent_channels=16,
            norm_num_groups=4,
            layers_per_block=1,
            use_quant_conv=False,
            use_post_quant_conv=False,
            scaling_factor=0.36,
            shift_factor=0.11,
        ),
        transformer=FluxTransformer2DModel.from_config(
            pipe.transformer.config, guidance_embeds=True
        ),
    )
    return save(pipe, tmp_path_factory.mktemp("foreign") / "flux")


@pytest.fixture
def broken_nano(saved_nano, tmp_path) -> Path:
    """A copy of the nano folder to damage."""
    return Path(shutil.copytree(saved_nano, tmp_path / "nano"))


@pytest.fixture(scope="session")
def catalogue(saved_nano):
    from dermaflux.generation import ModelCatalogue

    return ModelCatalogue(saved_nano.parent)


@pytest.fixture(scope="session")
def generator(catalogue):
    """One loaded generator; a test that puts an adapter on it need not take it off."""
    from dermaflux.generation import Generator

    return Generator.load("nano", catalogue=catalogue, device="cpu")


@pytest.fixture(scope="session")
def pipe(catalogue):
    """A pipeline of its own, for tests that reach into it."""
    from dermaflux.generation import choose_placement, load_pipeline

    return load_pipeline(catalogue.model("nano"), choose_placement("cpu"))
