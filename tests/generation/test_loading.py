import json
import re

import pytest
import torch
from diffusers.models import modeling_utils
from safetensors.torch import load_file, save_file

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.generation import choose_placement, load_pipeline
from dermaflux.generation.catalogue import entry_of_folder
from dermaflux.generation.patch_autoencoder import PatchAutoencoder
from dermaflux.generation.weights import sha256_of_file, sha256_of_folder

CPU = ("cpu", "float32")
TRANSFORMER = "transformer/diffusion_pytorch_model.safetensors"


def load(folder, *, precision="auto"):
    return load_pipeline(entry_of_folder(folder, name="x"), choose_placement("cpu", precision))


def test_the_nano_loads_whole_in_float32_with_its_patch_autoencoder(saved_nano):
    pipe = load(saved_nano)
    assert isinstance(pipe.vae, PatchAutoencoder)
    assert (
        pipe.transformer.dtype
        == pipe.text_encoder.dtype
        == pipe.text_encoder_2.dtype
        == torch.float32
    )
    assert not pipe.transformer.training and not any(
        p.requires_grad for p in pipe.transformer.parameters()
    )
    stored = load_file(saved_nano / TRANSFORMER)
    for name, tensor in pipe.transformer.state_dict().items():
        assert torch.equal(tensor, stored[name].float())
    assert load(saved_nano, precision="bfloat16").transformer.dtype == torch.bfloat16


def test_a_foreign_flux_pipeline_loads(saved_foreign):
    assert type(load(saved_foreign).vae).__name__ == "AutoencoderKL"


def test_shards_are_read_side_by_side_and_as_strictly(broken_nano, saved_nano, monkeypatch):
    whole = load(saved_nano).transformer
    (broken_nano / TRANSFORMER).unlink()
    whole.save_pretrained(broken_nano / "transformer", max_shard_size="100KB")
    shards = sorted((broken_nano / "transformer").glob("*.safetensors"))
    assert len(shards) > 2
    side_by_side, before = [], modeling_utils._load_shard_files_with_threadpool

    def loaded(*args, **kwargs):
        side_by_side.append(len(kwargs["shard_files"] if "shard_files" in kwargs else args[0]))
        return before(*args, **kwargs)

    monkeypatch.setattr(modeling_utils, "_load_shard_files_with_threadpool", loaded)
    for name, tensor in load(broken_nano).transformer.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name])
    assert side_by_side[0] == len(shards) and not modeling_utils.HF_ENABLE_PARALLEL_LOADING
    tensors = load_file(shards[0])
    first = next(iter(tensors))
    save_file({k: v for k, v in tensors.items() if k != first}, shards[0], {"format": "pt"})
    with pytest.raises(ModelNotAvailable, match=rf"1 missing weights, the first {re.escape(first)}"):
        load(broken_nano)


def test_placement_words():
    assert choose_placement("cpu").dtype == torch.float32
    assert choose_placement("cpu", "bf16").dtype == torch.bfloat16
    with pytest.raises(InvalidRequest, match="device 'tpu9' is not known"):
        choose_placement("tpu9")
    with pytest.raises(InvalidRequest, match="precision 'float16' is not known"):
        choose_placement("cpu", "float16")
    with pytest.raises(ModelNotAvailable, match="not on this machine"):
        choose_placement("cuda:99")


@pytest.mark.parametrize("part", ["transformer", "vae", "tokenizer_2", "scheduler"])
def test_a_missing_component_is_named(broken_nano, part):
    (broken_nano / part).rename(broken_nano / "elsewhere")
    # The catalogue notices the transformer, the loader the rest.
    with pytest.raises(ModelNotAvailable, match=f"{part}.*Reinstall"):
        load(broken_nano)


def test_missing_and_left_over_weights_are_errors_not_log_lines(broken_nano):
    file = broken_nano / TRANSFORMER
    tensors = load_file(file)
    first, tensor = next(iter(tensors.items()))
    save_file({k: v for k, v in tensors.items() if k != first}, file, {"format": "pt"})
    with pytest.raises(ModelNotAvailable, match=first):
        load(broken_nano)
    save_file(tensors | {"from.another.model": tensor.clone()}, file, {"format": "pt"})
    with pytest.raises(
        ModelNotAvailable, match=r"1 unexpected weights, the first from\.another\.model"
    ):
        load(broken_nano)
    save_file(tensors | {first: torch.cat((tensor, tensor))}, file, {"format": "pt"})
    with pytest.raises(ModelNotAvailable, match="transformer"):
        load(broken_nano)


def test_missing_text_encoder_weights_are_errors_too(broken_nano):
    file = broken_nano / "text_encoder" / "model.safetensors"
    tensors = load_file(file)
    del tensors[next(iter(tensors))]
    save_file(tensors, file, {"format": "pt"})
    with pytest.raises(ModelNotAvailable, match=r"text_encoder .* has 1 missing weights"):
        load(broken_nano)


def test_cut_or_foreign_weight_files_are_called_damaged(broken_nano):
    file = broken_nano / TRANSFORMER
    whole = file.read_bytes()
    for damaged in (whole[: len(whole) // 2], b"not safetensors at all", b""):
        file.write_bytes(damaged)
        with pytest.raises(ModelNotAvailable, match="damaged or not safetensors"):
            load(broken_nano)
    file.unlink()
    (broken_nano / "transformer" / "diffusion_pytorch_model.bin").write_bytes(whole)
    with pytest.raises(ModelNotAvailable, match=r"holds no \.safetensors weights"):
        load(broken_nano)


def test_an_unknown_vae_class_is_refused(broken_nano):
    index = json.loads((broken_nano / "model_index.json").read_text())
    index["vae"] = ["diffusers", "AutoencoderFromTheFuture"]
    (broken_nano / "model_index.json").write_text(json.dumps(index))
    with pytest.raises(ModelNotAvailable, match="AutoencoderFromTheFuture, which is not known"):
        load(broken_nano)


def test_the_hash_follows_the_weights_and_nothing_else(broken_nano, saved_nano):
    assert sha256_of_folder(broken_nano) == sha256_of_folder(saved_nano)
    (broken_nano / "README.md").write_text("a card")
    before = sha256_of_folder(broken_nano)
    assert before == sha256_of_folder(saved_nano) and len(before) == 64
    file = broken_nano / TRANSFORMER
    tensors = load_file(file)
    first = next(iter(tensors))
    save_file(tensors | {first: tensors[first] + 1}, file, {"format": "pt"})
    assert sha256_of_folder(broken_nano) != before


def test_the_hash_of_a_hub_file_is_read_off_its_cache_name(tmp_path):
    name = "ab" * 32
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / name).write_bytes(b"weights")
    link = tmp_path / "model.safetensors"
    link.symlink_to(tmp_path / "blobs" / name)
    assert sha256_of_file(link) == name
