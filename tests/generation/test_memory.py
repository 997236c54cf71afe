"""What fits where: on sizes alone, then on the headers and bytes of a tiny pipeline."""

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.generation.memory import (
    FP8,
    INT8,
    NF4,
    PRESETS,
    WHOLE,
    Keeps,
    Room,
    choose_plan,
    plan_of,
)
from dermaflux.generation.model_files import ModelFiles
from dermaflux.generation.weight_sizes import PartSize

GB = 1e9
BF16 = 2
ALL_FORMATS = {WHOLE, FP8, INT8, NF4}
# FLUX.1-dev in bfloat16: 23.8 GB of transformer, 9.5 of T5 (a fifth of it in `wo` and the embedding), .25 and .17.
FLUX = {
    "transformer": PartSize(in_layers=11_830_000_000, elsewhere=70_000_000, largest_block=340_000_000),
    "text_encoder_2": PartSize(in_layers=3_620_000_000, elsewhere=1_130_000_000, largest_block=193_000_000),
    "text_encoder": PartSize(elsewhere=125_000_000),
    "vae": PartSize(elsewhere=85_000_000),
}


def free(gpu_gb, machine_gb=64):
    return Room(gpu_bytes=gpu_gb * GB, host_bytes=machine_gb * GB)


@pytest.mark.parametrize(
    ("free_gb", "preset", "transformer", "t5", "keeps"),
    [
        (8, "8gb", WHOLE, WHOLE, Keeps.BLOCKS),
        (11, "12gb", NF4, NF4, Keeps.ONE_PART),
        (12, "12gb", NF4, NF4, Keeps.ONE_PART),
        (16, "16gb", NF4, NF4, Keeps.ALL_BUT_T5),
        (24, "24gb", FP8, NF4, Keeps.ALL),
        (32, "48gb", WHOLE, WHOLE, Keeps.ALL_BUT_T5),
        (48, "48gb", WHOLE, WHOLE, Keeps.ALL_BUT_T5),
        (80, "80gb", WHOLE, WHOLE, Keeps.ALL),
        (141, "80gb", WHOLE, WHOLE, Keeps.ALL),
    ],
)
def test_what_flux_dev_gets_by_itself(free_gb, preset, transformer, t5, keeps):
    plan = choose_plan(FLUX, BF16, free(free_gb), installed=ALL_FORMATS)
    assert (plan.preset, plan.transformer, plan.t5, plan.keeps) == (preset, transformer, t5, keeps)
    assert plan.gpu_bytes <= free_gb * GB
    assert plan == choose_plan(FLUX, BF16, free(free_gb), preset, ALL_FORMATS)


def test_each_preset_fits_the_gpu_it_is_named_after_and_takes_less_than_the_one_above_it_of_its_kind():
    taken = {preset.name: plan_of(preset, FLUX, BF16, ALL_FORMATS).gpu_bytes / GB for preset in PRESETS}
    assert all(needed <= float(name.removesuffix("gb")) for name, needed in taken.items())
    assert list(taken.values()) == sorted(taken.values(), reverse=True)
    assert taken["80gb"] == pytest.approx(1.15 * 33.7, rel=0.01)  # whole weights and the decoding of 1024 px


def test_without_the_libraries_weights_stay_whole():
    assert choose_plan(FLUX, BF16, free(24), installed={WHOLE}).preset == "8gb"
    assert choose_plan(FLUX, BF16, free(24), installed={WHOLE, INT8, NF4}).precision == "int8, T5 nf4"
    assert choose_plan(FLUX, BF16, free(32), installed={WHOLE}).preset == "48gb"
    with pytest.raises(ModelNotAvailable, match=r"memory preset 16gb.*pip install bitsandbytes"):
        choose_plan(FLUX, BF16, free(24), "16gb", {WHOLE})


def test_what_does_not_fit_says_what_why_and_what_would():
    with pytest.raises(ModelNotAvailable, match=r"33\.7 GB of weights.*needs 5\.5 GB on the GPU, where 5\.0 GB.*nano"):
        choose_plan(FLUX, BF16, free(5), installed=ALL_FORMATS)
    with pytest.raises(ModelNotAvailable, match=r"memory preset 48gb.*29\.3 GB.*24\.0 GB are free.*auto or 24gb"):
        choose_plan(FLUX, BF16, free(24), "48gb", ALL_FORMATS)
    with pytest.raises(InvalidRequest, match=r"'12 GB' is not known\. Choose auto, 8gb, 12gb, .* or 80gb"):
        choose_plan(FLUX, BF16, free(24), "12 GB", ALL_FORMATS)
    with pytest.raises(ModelNotAvailable, match=r"needs 33\.7 GB in the machine, which has 32\.0 GB\. .*nano"):
        choose_plan(FLUX, BF16, free(7, machine_gb=32), installed=ALL_FORMATS)
    # Where blocks are so large that streaming them is no way out, nf4 may still be one.
    lumpy = FLUX | {"transformer": PartSize(in_layers=11_830_000_000, largest_block=6_000_000_000)}
    with pytest.raises(ModelNotAvailable, match=r"preset 16gb would fit: pip install bitsandbytes"):
        choose_plan(lumpy, BF16, free(16), installed={WHOLE})


def test_a_small_model_stays_whole_on_a_small_gpu():
    nano = {name: PartSize(in_layers=1_000_000, elsewhere=1_000_000) for name in FLUX}
    assert choose_plan(nano, BF16, free(2), installed=ALL_FORMATS).preset == "80gb"


def test_the_table_in_the_docs_is_this_one():
    rows = re.findall(r"\| `(\d+gb)` \|.*\| ([\d.]+) GB \| ([\d.]+) GB \|", Path("docs/flux.md").read_text())
    plans = [plan_of(preset, FLUX, BF16, ALL_FORMATS) for preset in PRESETS]
    assert rows == [(p.preset, f"{p.gpu_bytes / GB:.1f}", f"{p.host_bytes / GB:.1f}") for p in plans]


def test_sizes_are_read_off_the_headers(saved_nano):
    from safetensors.torch import load_file

    sizes = ModelFiles(folder=saved_nano).sizes()
    for name, size in sizes.items():
        weights = [t for path in (saved_nano / name).glob("*.safetensors") for t in load_file(path).values()]
        assert size.num_bytes(BF16) == BF16 * sum(t.numel() for t in weights)
    assert sizes["transformer"].in_layers > sizes["transformer"].elsewhere
    assert sizes["text_encoder_2"].in_layers > 0 and sizes["text_encoder"].in_layers == 0
    (saved_nano.parent / "damaged.safetensors").write_bytes(b"\xff" * 40)
    damaged = ModelFiles(folder=saved_nano, transformer_file=saved_nano.parent / "damaged.safetensors")
    assert damaged.sizes()["transformer"] == PartSize()


def test_on_a_gpu_what_is_free_chooses_and_what_there_is_at_all_refuses(monkeypatch, caplog):
    import torch

    from dermaflux.generation import placement as module

    on_gpu = module.Placement(device=torch.device("cuda"), dtype=torch.bfloat16)
    monkeypatch.setattr(module.os, "sysconf", lambda name: 64_000_000 if name == "SC_PAGE_SIZE" else 1000)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (23 * GB, 25 * GB))
    caplog.set_level("INFO")
    plan = module.plan_for(FLUX, on_gpu)
    assert plan.preset == "24gb" and f"{plan}, of 23.0 GB that are free" in caplog.text
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda _: SimpleNamespace(total_memory=25 * GB))
    module.check_room(FLUX, on_gpu)
    with pytest.raises(ModelNotAvailable, match=r"needs 29\.3 GB on the GPU, where 25\.0 GB"):
        module.check_room(FLUX, on_gpu, "48gb")
    with pytest.raises(ModelNotAvailable, match=r"takes 34 GB on the GPU, but 23 GB are free"):
        module.whole_plan(FLUX, on_gpu)
