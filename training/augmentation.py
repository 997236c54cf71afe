"""Random views of whole frames, batched in torch: crop, squeeze, turn, colour, and mixing of pairs.

All chance comes from the generator passed in, so a step can be drawn again. It knows no network and no
label beyond the target vectors it mixes.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.transforms import v2

# Shape suffixes: B batch, C channels, H height, W width, K classes.


@dataclass(frozen=True, slots=True, kw_only=True)
class AugmentConfig:
    """How far pictures are changed. Shares and probabilities 0..1, angles in degrees."""

    min_scale: float = 0.4
    """Smallest crop, as a share of the frame's area at full height."""
    squeeze: tuple[float, float] = (0.8, 1.3334)
    """Range of the crop's width / height; 4:3 is a whole frame squeezed to a square."""
    rotation_degrees: float = 20.0
    brightness: float = 0.15
    contrast: float = 0.2
    saturation: float = 0.25
    white_balance: float = 0.06
    mixup_probability: float = 0.3
    mixup_alpha: float = 0.3
    cutmix_probability: float = 0.1
    randaugment_ops: int = 0
    """RandAugment before the crop: how many of its operations a picture goes through; 0 none."""
    randaugment_magnitude: int = 9
    """How strong they are, 0..30."""

    def __post_init__(self) -> None:
        """Raise ValueError naming the field outside its range."""
        if not 0 < self.min_scale <= 1:
            raise ValueError(f"min_scale is {self.min_scale}; it must lie in (0, 1]")
        if self.mixup_probability + self.cutmix_probability > 1:
            raise ValueError("mixup_probability and cutmix_probability exceed 1 together")
        if self.randaugment_ops < 0 or not 0 <= self.randaugment_magnitude <= 30:
            raise ValueError("randaugment_ops must be 0 or more and randaugment_magnitude within 0..30")

    @property
    def mixes(self) -> bool:
        """Whether pairs of pictures may be mixed."""
        return self.mixup_probability + self.cutmix_probability > 0

    @classmethod
    def none(cls) -> "AugmentConfig":
        """Whole frames, only turned and mirrored: a lesion has no upright position."""
        return cls(
            min_scale=1.0, squeeze=(1.0, 1.0), rotation_degrees=0.0, brightness=0.0, contrast=0.0, saturation=0.0,
            white_balance=0.0, mixup_probability=0.0, cutmix_probability=0.0,
        )  # fmt: skip


def randaugmented(frames_BHWC: Tensor, config: AugmentConfig) -> Tensor:
    """uint8 frames, each through `randaugment_ops` random operations (Cubuk 2020, arXiv 1909.13719).

    torchvision draws from torch's global generator; seed it.
    """
    if not config.randaugment_ops:
        return frames_BHWC
    change = v2.RandAugment(config.randaugment_ops, config.randaugment_magnitude)
    return torch.stack([change(frame.permute(2, 0, 1)).permute(1, 2, 0) for frame in frames_BHWC])


def random_views(frames_BHWC: Tensor, size_px: int, config: AugmentConfig, rng: torch.Generator) -> Tensor:
    """uint8 frames (B, H, W, 3) as random square views (B, 3, size, size), float 0..1."""
    batch, height, width = frames_BHWC.shape[:3]
    theta = _affine(batch, (height, width), config, rng).to(frames_BHWC.device)
    x_BCHW = frames_BHWC.permute(0, 3, 1, 2).to(torch.float32)
    grid = functional.affine_grid(theta, [batch, 3, size_px, size_px], align_corners=False)
    seen = functional.grid_sample(x_BCHW, grid, padding_mode="reflection", align_corners=False)
    return _recoloured(seen / 255.0, config, rng)


def mixed(x_BCHW: Tensor, targets_BK: Tensor, config: AugmentConfig, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Pictures and targets of a batch, mixed with their neighbours by mixup or cutmix, or left alone.

    Sources: mixup arXiv 1710.09412, cutmix arXiv 1905.04899.
    """
    draw, beta, row, column = torch.rand(4, generator=rng).tolist()
    if draw < config.mixup_probability:
        share = 1.0 - 0.5 * beta ** (1.0 / max(config.mixup_alpha, 1e-3))
        x_BCHW = share * x_BCHW + (1 - share) * x_BCHW.roll(1, 0)
    elif draw < config.mixup_probability + config.cutmix_probability:
        x_BCHW, share = _cut(x_BCHW, 0.5 * beta, (row, column))
    else:
        return x_BCHW, targets_BK
    return x_BCHW, share * targets_BK + (1 - share) * targets_BK.roll(1, 0)


def _cut(x_BCHW: Tensor, area: float, corner: tuple[float, float]) -> tuple[Tensor, float]:
    size = x_BCHW.shape[-1]
    side = round(size * math.sqrt(area))
    top, left = (round(place * (size - side)) for place in corner)
    out = x_BCHW.clone()
    out[:, :, top : top + side, left : left + side] = x_BCHW.roll(1, 0)[:, :, top : top + side, left : left + side]
    return out, 1.0 - (side / size) ** 2


def _affine(batch: int, frame_px: tuple[int, int], config: AugmentConfig, rng: torch.Generator) -> Tensor:
    """(B, 2, 3) maps from the square view to the frame, both in -1..1."""
    height, width = frame_px

    def uniform(low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(batch, generator=rng)

    crop_height = height * uniform(config.min_scale, 1.0).sqrt()
    ratio = torch.exp(uniform(math.log(config.squeeze[0]), math.log(config.squeeze[1])))
    crop_width = torch.minimum(crop_height * ratio, torch.tensor(float(width)))
    centre_x = uniform(-1, 1) * (1 - crop_width / width)
    centre_y = uniform(-1, 1) * (1 - crop_height / height)
    turns = torch.randint(0, 4, (batch,), generator=rng) * (math.pi / 2)
    angle = turns + uniform(-1, 1) * math.radians(config.rotation_degrees)
    mirror = torch.randint(0, 2, (batch,), generator=rng) * 2.0 - 1.0
    cos, sin = angle.cos(), angle.sin()
    # The view is mirrored, turned, then stretched over the crop.
    scale_x, scale_y = crop_width / width, crop_height / height
    rows = [
        torch.stack([scale_x * cos * mirror, -scale_x * sin, centre_x], dim=1),
        torch.stack([scale_y * sin * mirror, scale_y * cos, centre_y], dim=1),
    ]
    return torch.stack(rows, dim=1)


def _recoloured(x_BCHW: Tensor, config: AugmentConfig, rng: torch.Generator) -> Tensor:
    batch = len(x_BCHW)

    def factor(spread: float, channels: int = 1) -> Tensor:
        draw = torch.rand(batch, channels, 1, 1, generator=rng) * 2 - 1
        return torch.exp(draw * spread).to(x_BCHW.device)

    gain = factor(config.brightness) * factor(config.white_balance, 3)
    x_BCHW = x_BCHW * gain
    middle = x_BCHW.mean(dim=(1, 2, 3), keepdim=True)
    x_BCHW = middle + (x_BCHW - middle) * factor(config.contrast)
    grey = x_BCHW.mean(dim=1, keepdim=True)
    return (grey + (x_BCHW - grey) * factor(config.saturation)).clamp_(0, 1)
