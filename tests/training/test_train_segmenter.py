"""Training the segmenter: augmentation keeps image and mask aligned, runs resume exactly, presets are sound."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.measurement.segmenter import Segmenter, SegmenterConfig
from training.segmenter_augment import augment
from training.train_segmenter import (
    PRESETS,
    FrameArrays,
    SegmenterRun,
    export,
    segmentation_loss,
    train,
)


@pytest.fixture
def run(tmp_path: Path) -> SegmenterRun:
    return SegmenterRun(
        out_dir=tmp_path / "weights", run_dir=tmp_path / "run",
        network=SegmenterConfig(widths=(8, 16), area_px=32 * 48),
        epochs=2, batch_size=4, sizes_px=((32, 48),), precision="fp32", num_threads=1,
    )  # fmt: skip


@pytest.fixture(scope="module")
def frames() -> FrameArrays:
    rng = np.random.default_rng(0)
    y, x = np.indices((48, 64))
    images, masks = [], []
    for _ in range(12):
        centre, radius = rng.uniform((20, 18), (44, 30)), rng.uniform(8, 14)
        mask = np.hypot(x - centre[0], y - centre[1]) < radius
        image = np.where(mask[..., None], (110, 70, 60), (215, 170, 155)) + rng.normal(
            0, 5, (48, 64, 3)
        )
        images.append(image.clip(0, 255).astype(np.uint8))
        masks.append(mask.astype(np.uint8))
    return FrameArrays(images=np.stack(images), masks=np.stack(masks))


class StopAfter:
    """Raises KeyboardInterrupt on the n-th call, as Ctrl-C would."""

    def __init__(self, calls: int) -> None:
        self.left = calls

    def __call__(self, *args):
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt
        return augment(*args)


def test_image_and_mask_stay_aligned_under_augmentation() -> None:
    y, x = np.indices((96, 128))
    mask = torch.from_numpy((np.hypot(x - 64, y - 48) < 24).astype(np.float32))
    masks = mask.expand(64, 1, 96, 128).clone()
    images = masks.expand(-1, 3, -1, -1) * 0.8 + 0.1
    for size_px in ((96, 128), (64, 64)):
        views, outlines = augment(images, masks, size_px, torch.Generator().manual_seed(1))
        assert views.shape == (64, 3, *size_px)
        assert set(outlines.unique().tolist()) <= {0.0, 1.0}
        assert 0 <= views.min() <= views.max() <= 1
        bright = [_contrast(view, outline) for view, outline in zip(views, outlines, strict=True)]
        # drawn and blank pictures replace a few; in the others the mask is where the picture is bright
        assert np.mean(np.array(bright) > 0.15) > 0.8


def _contrast(view: torch.Tensor, outline: torch.Tensor) -> float:
    inside, outside = view[:, outline[0] > 0.5], view[:, outline[0] < 0.5]
    return float(inside.mean() - outside.mean()) if inside.numel() and outside.numel() else 0.0


def test_the_loss_is_lowest_for_the_true_mask() -> None:
    mask = torch.zeros(2, 1, 16, 16)
    mask[:, :, 4:12, 4:12] = 1
    right, wrong = (mask - 0.5) * 20, (0.5 - mask) * 20
    assert segmentation_loss(right, mask) < 0.01 < 5 < segmentation_loss(wrong, mask)


def test_a_run_learns_and_its_weights_can_be_served(run, frames) -> None:
    trainer = train(replace(run, epochs=14), frames, frames)
    export(trainer, "drawn")
    assert trainer.history[-1]["val_iou_median"] > 0.6
    facts = json.loads((run.out_dir / "config.json").read_text())
    assert facts["data"]["fingerprint"] == "drawn"
    assert "CC BY-NC" in facts["licence"]
    served = Segmenter.load(run.out_dir)
    assert served.config == run.network


def test_a_stopped_run_goes_on_exactly_where_it_was(run, frames, monkeypatch) -> None:
    whole = train(run, frames, frames)
    stopped = replace(run, run_dir=run.run_dir / "stopped")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.train_segmenter.augment", StopAfter(4))
        train(stopped, frames, frames)
    resumed = train(replace(stopped, resume=True), frames, frames)
    for name, value in whole.average.items():
        assert torch.equal(value, resumed.average[name]), name
    assert resumed.history == whole.history


def test_resuming_what_does_not_fit_is_refused(run, frames) -> None:
    with pytest.raises(DataNotFound, match="checkpoint"):
        train(replace(run, resume=True), frames, frames)
    train(run, frames, frames)
    with pytest.raises(InvalidRequest, match="steps"):
        train(replace(run, resume=True, epochs=3), frames, frames)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_presets_are_sound(name) -> None:
    text, preset = PRESETS[name]
    assert text
    assert preset.network.multiple_px == 16


@pytest.mark.parametrize("wrong", [{"precision": "fp8"}, {"epochs": 0}, {"sizes_px": ((30, 40),)}])
def test_bad_fields_are_named(wrong) -> None:
    with pytest.raises(InvalidRequest, match=next(iter(wrong))):
        SegmenterRun(**wrong)
