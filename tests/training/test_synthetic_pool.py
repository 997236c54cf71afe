"""Pools drawn in batches: every class alike, the same pictures as the pipeline's own sampler gives, resumable."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import HAM_DIAGNOSES, LesionSpec
from dermaflux.domain.records import GeneratedImage, SamplingRequest
from dermaflux.generation import Generator
from dermaflux.provenance import read_provenance
from training.synthetic_pool import PoolConfig, even_specs, write_pool
from training.train_nano import PRESETS, train

SPECS = [LesionSpec(asymmetry=1, border=2, colours=("light brown",), diagnosis=d) for d in HAM_DIAGNOSES]


@pytest.fixture(scope="module", params=["flow", "epsilon"])
def pipeline(request, drawn_ham, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param)
    config = replace(
        PRESETS["smoke"][1], data_dir=drawn_ham, measured=drawn_ham / "measured.csv", runs_dir=folder / "runs",
        out=folder / "pipeline", num_steps=2, precision="fp32", objective=request.param,
    )  # fmt: skip
    return train(config)


@pytest.fixture
def config(pipeline, tmp_path):
    return PoolConfig(
        model=str(pipeline), num_images=3, num_steps=3, batch_size=2, device="cpu", precision="fp32", seed=5,
        out=tmp_path / "pool",
    )  # fmt: skip


def test_each_picture_says_what_it_shows_and_a_stopped_run_goes_on(config):
    write_pool(config, SPECS[:3])
    files = sorted(config.out.iterdir())
    assert [path.name for path in files] == ["000005.png", "000006.png", "000007.png"]
    records = [read_provenance(path) for path in files]
    assert [r.spec.diagnosis for r in records if r.spec] == [s.diagnosis for s in SPECS[:3]]
    assert records[0].model.endswith("(in batches)") and records[2].seed == 7
    pixels = [np.asarray(Image.open(path)) for path in files]
    assert pixels[0].shape == (64, 64, 3)
    files[1].unlink()
    write_pool(config, SPECS[:3])
    assert np.abs(np.asarray(Image.open(files[1])).astype(int) - pixels[1]).max() <= 1


@pytest.mark.parametrize("pipeline", ["flow"], indirect=True)
def test_a_flow_drawn_in_a_batch_is_what_the_app_draws(config):
    write_pool(config, SPECS[:2])
    path = config.out / "000006.png"
    request = replace(
        _request(path), model=config.model, num_steps=3, guidance_scale=config.guidance_scale, contrast_scale=0.0
    )
    events = Generator.load(config.model, device="cpu").stream(request)
    (image,) = [event.image for event in events if isinstance(event, GeneratedImage)]
    off = np.abs(np.asarray(image).astype(int) - np.asarray(Image.open(path)))
    assert off.max() <= 2


def _request(path: Path):
    record = read_provenance(path)
    return SamplingRequest(caption=record.caption, spec=record.spec, seed=record.seed, num_images=1, size_px=64)


def test_guidance_and_caption_change_the_picture(config):
    write_pool(config, SPECS[:1])
    write_pool(replace(config, guidance_scale=6.0, out=config.out / "more"), SPECS[:1])
    one, more = (np.asarray(Image.open(folder / "000005.png")) for folder in (config.out, config.out / "more"))
    assert not np.array_equal(one, more)


def test_the_diagnoses_come_in_turn_from_the_lesions_there_are():
    specs = [replace(s, asymmetry=a) for s in SPECS for a in (0.5, 1.5)]
    drawn = even_specs(specs, 15, seed=0)
    assert [s.diagnosis for s in drawn] == [HAM_DIAGNOSES[i % 7] for i in range(15)]
    assert {s.asymmetry for s in drawn} == {0.5, 1.5} and set(drawn) <= set(specs)
    assert drawn == even_specs(specs, 15, seed=0)
    with pytest.raises(InvalidRequest, match="shows df"):
        even_specs([s for s in specs if s.diagnosis != "df"], 7, seed=0)


@pytest.mark.parametrize("wrong", [{"num_images": 0}, {"precision": "fp8"}])
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(InvalidRequest, match=next(iter(wrong))):
        PoolConfig(**wrong)
