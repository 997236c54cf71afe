"""The models that ship with the product: complete, small enough, and good for the path from words to a verdict."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors import safe_open

from dermaflux.domain.records import SamplingRequest
from dermaflux.generation import choose_placement, load_pipeline
from dermaflux.generation.adapters import Adapter, wear
from dermaflux.generation.catalogue import ModelCatalogue

REPOSITORY = Path(__file__).resolve().parents[1]
MODELS = REPOSITORY / "assets" / "models"
MAX_NANO_MB = 80

needs_nano = pytest.mark.skipif(
    not (MODELS / "nano" / "model_index.json").is_file() and not os.environ.get("CI"),
    reason="the embedded generator is not installed",
)


def dermaflux(*argv, cwd):
    done = subprocess.run(
        [sys.executable, "-m", "dermaflux", *argv],
        cwd=cwd, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, timeout=280,
    )  # fmt: skip
    return done


@needs_nano
def test_nano_is_within_its_size_and_ships_safetensors_in_small_shards_only():
    files = [path for path in (MODELS / "nano").rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < MAX_NANO_MB * 1e6
    assert {path.suffix for path in files if path.stat().st_size > 2e6} <= {".safetensors"}


@needs_nano
@pytest.mark.long
@pytest.mark.slow
def test_from_words_to_a_picture_that_can_be_measured_and_classified(tmp_path):
    lesion = ["--asymmetry", "1", "--border", "4", "--colours", "2", "--diagnosis", "nv"]
    done = dermaflux("generate", *lesion, "--num-images", "2", "--seed", "7", "--out", "out", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    first = sorted((tmp_path / "out").iterdir())
    assert len(first) == 2
    again = dermaflux("generate", *lesion, "--num-images", "2", "--seed", "7", "--out", "again", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert [p.read_bytes() for p in sorted((tmp_path / "again").iterdir())] == [p.read_bytes() for p in first]
    for verb in ("measure", "classify"):
        done = dermaflux(verb, "out", "--json", cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert len([json.loads(line) for line in done.stdout.splitlines()]) == 2


def test_a_mistake_on_the_real_command_line_is_one_line_and_code_2(tmp_path):
    done = dermaflux("generate", "--diagnosis", "nv", "--out", "out", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["fast", "rare"])
def test_every_embedded_adapter_acts_on_nano_in_full_and_says_where_it_comes_from(name):
    catalogue = ModelCatalogue()
    source = Path(catalogue.adapter(name).source)
    pipe = load_pipeline(catalogue.model("nano"), choose_placement("cpu", "float32"))
    with safe_open(source, "pt") as handle:
        facts, num_tensors = handle.metadata(), len(list(handle.keys()))
    assert wear(pipe, [Adapter.of_file(source)]) == num_tensors
    assert facts["dermaflux.base"] == "nano" and "NC" in facts["dermaflux.licence"]


def test_the_fast_adapter_draws_in_four_steps_without_guidance():
    found = ModelCatalogue().resolve(SamplingRequest(caption="a mole", adapter="fast"))
    assert (found.num_steps, found.guidance_scale, found.contrast_scale) == (4, 1.0, 0.0)
