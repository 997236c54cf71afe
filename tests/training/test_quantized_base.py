"""A base in 4 bits and an optimiser in 8, with the real library, on a tiny real pipeline."""

import sys
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.generation import choose_placement, load_pipeline
from dermaflux.generation.adapters import Adapter, wear
from dermaflux.generation.catalogue import entry_of_folder
from training.flux_velocity import flux_velocity
from training.lora_config import PRESETS
from training.quantized_base import to_nf4
from training.train_flux_lora import train


@pytest.fixture
def run(drawn_ham, tiny_models, tmp_path):
    return replace(
        PRESETS["smoke"][1], name="four-bits", base=str(tiny_models / "nano"), models_dir=tiny_models,
        data_dir=drawn_ham, measured=drawn_ham / "measured.csv", runs_dir=tmp_path, size_px=64, diagnoses=(),
        precision="fp32", device="cpu", base_format="nf4", text_format="nf4", optimizer="adamw8bit",
        gradient_checkpointing=True,
    )  # fmt: skip


def tiny(tiny_models):
    entry = entry_of_folder(tiny_models / "nano", name="tiny")
    return load_pipeline(entry, choose_placement("cpu", "float32"))


def test_the_base_in_four_bits_is_nearly_the_base_at_an_eighth_of_the_size(tiny_models):
    transformer = tiny(tiny_models).transformer
    config = transformer.config
    torch.manual_seed(0)
    inputs = (
        torch.randn(2, config.in_channels // 4, 8, 8),
        torch.tensor([0.3, 0.8]),
        torch.randn(2, 8, config.joint_attention_dim),
        torch.randn(2, config.pooled_projection_dim),
    )
    layer = transformer.single_transformer_blocks[0].proj_mlp
    whole_bytes = layer.weight.nbytes
    with torch.no_grad():
        before = flux_velocity(transformer, *inputs)
        assert to_nf4(transformer, torch.device("cpu")) == 20
        after = flux_velocity(transformer, *inputs)
    assert 0 < float((after - before).norm() / before.norm()) < 0.2
    assert transformer.single_transformer_blocks[0].proj_mlp.weight.nbytes == whole_bytes / 8


@pytest.mark.slow
def test_a_lora_learned_on_four_bits_fits_the_whole_base(run, tiny_models):
    path = train(run)
    pipe = tiny(tiny_models)
    assert wear(pipe, [Adapter.of_file(path)]) == len(load_file(path))
    assert (run.folder / "probes-000004.png").is_file()


def test_without_the_library_the_run_says_what_to_install(tiny_models, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(ModelNotAvailable, match="pip install bitsandbytes"):
        to_nf4(tiny(tiny_models).transformer, torch.device("cpu"))
