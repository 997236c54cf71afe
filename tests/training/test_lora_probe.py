"""What the probes say: by hand, and on a tiny real pipeline through the trainer."""

import json
from dataclasses import replace

import pytest
from accelerate.state import AcceleratorState
from PIL import Image

from dermaflux.domain.records import Measurement
from training.lora_config import PRESETS
from training.lora_probe import probe_figures, probe_specs
from training.train_flux_lora import train


def found(asymmetry, border, num_colours):
    return Measurement(asymmetry=asymmetry, border=border, num_colours=num_colours)


def test_the_probes_are_every_diagnosis_at_both_ends():
    specs = probe_specs()
    assert len(specs) == 14
    assert [s.diagnosis for s in specs[:7]] == [s.diagnosis for s in specs[7:]]
    assert {(s.asymmetry, s.border, len(s.colours)) for s in specs[:7]} == {(0, 0, 1)}
    assert {(s.asymmetry, s.border, len(s.colours)) for s in specs[7:]} == {(2, 8, 5)}


def test_the_figures_are_means_of_what_was_measured():
    refused = Measurement(refused="The lesion touches the frame.")
    asked = [spec.malignant for spec in probe_specs()]
    measured = [found(0.5, 2, 1)] * 6 + [refused] + [found(1.5, 6, 4)] * 7
    figures = probe_figures(measured, [0.9 if malignant else 0.1 for malignant in asked])
    assert (figures["probe_asymmetry_low"], figures["probe_asymmetry_high"]) == (0.5, 1.5)
    assert (figures["probe_border_high"], figures["probe_num_colours_high"]) == (6, 4)
    assert figures["probe_malignant_auc"] == 1
    assert figures["probe_refused"] == pytest.approx(1 / 14)
    silent = probe_figures([refused] * 14, [None, *[0.5] * 13])
    assert silent["probe_border_low"] is None and silent["probe_malignant_auc"] is None


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_run_writes_its_probes_beside_the_losses(drawn_ham, tiny_models, tmp_path, precision):
    run = replace(
        PRESETS["smoke"][1], base=str(tiny_models / "nano"), models_dir=tiny_models, data_dir=drawn_ham, size_px=64,
        measured=drawn_ham / "measured.csv", runs_dir=tmp_path, diagnoses=(), precision=precision, device="cpu",
    )  # fmt: skip
    AcceleratorState._reset_state()  # one precision a process, says accelerate
    train(run)
    AcceleratorState._reset_state()
    lines = [json.loads(line) for line in (run.folder / "history.jsonl").read_text().splitlines()]
    assert ["probe_refused" in line for line in lines] == [False, False, False, True]
    with Image.open(run.folder / "probes-000004.png") as sheet:
        assert sheet.height > 7 * 64
