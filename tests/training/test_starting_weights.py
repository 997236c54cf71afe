"""What a run begins with: the same weights from each door, their scale of pictures, and errors in words."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from dermaflux.classification.architecture import Architecture
from dermaflux.classification.calibration import Calibration
from dermaflux.classification.checkpoint import CheckpointFacts, save_checkpoint
from dermaflux.classification.preprocessing import InputFacts
from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from training.starting_weights import first_network

TINY = Architecture(name="test_vit", size_px=64, num_classes=3)


def first(architecture=TINY, pretrained=False, weights=None, seed=0):
    return first_network(architecture, drop_path=0.0, pretrained=pretrained, weights=weights, seed=seed)


def test_from_scratch_the_seed_decides():
    one, same, other = (first(seed=seed).network.state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, same[name]) for name, value in one.items())
    assert not torch.equal(one["patch_embed.proj.weight"], other["patch_embed.proj.weight"])
    assert first().mean is None


@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_local_file_of_timm_is_read_and_its_head_replaced(tmp_path, suffix):
    source = replace(TINY, num_classes=1000).build()
    path = tmp_path / f"weights.{suffix}"
    if suffix == "pth":
        torch.save(source.state_dict(), path)
    else:
        save_file(source.state_dict(), path)
    start = first(pretrained=True, weights=path)
    assert torch.equal(start.network.blocks[0].attn.qkv.weight, source.blocks[0].attn.qkv.weight)
    assert start.network.head.weight.shape[0] == 3
    assert start.mean == (0.5, 0.5, 0.5)


def _checkpoint(folder, architecture, classes):
    network = architecture.build()
    facts = CheckpointFacts(
        architecture=architecture, inputs=InputFacts(size_px=64, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6)),
        class_names=classes, calibration=Calibration(temperature=1.0, biases=(0.0,) * len(classes)), threshold=0.5,
    )  # fmt: skip
    save_checkpoint(folder, network, facts)
    return network


def test_an_earlier_run_is_gone_on_from_also_with_other_classes(tmp_path):
    earlier = _checkpoint(tmp_path, replace(TINY, num_classes=2), ("nv", "mel"))
    start = first(weights=tmp_path)
    assert torch.equal(start.network.blocks[0].attn.qkv.weight, earlier.blocks[0].attn.qkv.weight)
    assert start.network.head.weight.shape[0] == 3
    assert (start.mean, start.std) == ((0.1, 0.2, 0.3), (0.4, 0.5, 0.6))


def test_what_does_not_go_together_says_so(tmp_path):
    with pytest.raises(ModelNotAvailable, match=r"config\.json"):
        first(weights=tmp_path)
    _checkpoint(tmp_path, replace(TINY, num_classes=2), ("nv", "mel"))
    with pytest.raises(InvalidRequest, match="Use one model"):
        first(replace(TINY, name="test_vit2"), weights=tmp_path)
    with pytest.raises(ModelNotAvailable, match="does not exist"):
        first(weights=tmp_path / "none.safetensors")
    save_file({"nothing": torch.zeros(1)}, tmp_path / "odd.safetensors")
    with pytest.raises(ModelNotAvailable, match=r"lacks \d+ weights of test_vit"):
        first(weights=tmp_path / "odd.safetensors")
    with pytest.raises(InvalidRequest, match="has no pretrained weights"):
        first(Architecture(name="stem_vit_tiny", size_px=64, num_classes=3), pretrained=True)
    with pytest.raises(InvalidRequest, match="is a file"):
        first(Architecture(name="lite0_vit", size_px=64, num_classes=3), weights=tmp_path / "odd.safetensors")
