"""Batched augmentation for the segmenter: one geometry for image and mask, then colour, light and blur.

Also draws lesions with exact jagged outlines and blank skin, since expert masks are smooth and no
real picture is empty. Pure functions of tensors and a generator; it knows no model and no file.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional

DRAWN_SHARE = 0.06
BLANK_SHARE = 0.02
_HARMONICS = 12


def augment(
    images_B3HW: Tensor,
    masks_B1HW: Tensor,
    size_px: tuple[int, int],
    generator: torch.Generator,
) -> tuple[Tensor, Tensor]:
    """Random views of a batch at (height, width): floats in 0..1, masks 0 or 1.

    Any rotation, flip, zoom from 1.25 times the frame to a third of it (so that lesions touch the edge), light and
    white balance, blur, noise, dark corners; a few pictures are replaced by drawn or blank skin.
    """
    grid = _random_grid(images_B3HW, size_px, generator)
    images = functional.grid_sample(
        images_B3HW, grid, padding_mode="reflection", align_corners=False
    )
    masks = functional.grid_sample(masks_B1HW, grid, padding_mode="reflection", align_corners=False)
    images, masks = _with_drawn(images, masks, generator)
    images, masks = _dark_corners(
        _blurred(_recoloured(images, generator), generator), masks, generator
    )
    noise = torch.randn(images.shape, generator=generator) * 0.02 * _rand(len(images), generator)
    return (images + noise).clamp(0, 1), (masks > 0.5).float()


def _rand(count: int, generator: torch.Generator) -> Tensor:
    return torch.rand(count, 1, 1, 1, generator=generator)


def _between(low: float, high: float, count: int, generator: torch.Generator) -> Tensor:
    return low + (high - low) * torch.rand(count, generator=generator)


def _random_grid(images: Tensor, size_px: tuple[int, int], generator: torch.Generator) -> Tensor:
    count, _, height, width = images.shape
    out_height, out_width = size_px
    angle = _between(0, 2 * math.pi, count, generator)
    # half of the views stay upright at the frame's own aspect, as pictures come in use
    upright = torch.rand(count, generator=generator) < 0.5
    angle = torch.where(upright, torch.zeros(()), angle)
    zoom = torch.exp(_between(math.log(0.35), math.log(1.25), count, generator))
    zoom = torch.where(torch.rand(count, generator=generator) < 0.35, torch.ones(()), zoom)
    stretch = torch.exp(_between(-0.15, 0.15, count, generator))
    flip = torch.where(torch.rand(count, generator=generator) < 0.5, 1.0, -1.0)
    fit = min(width / out_width, height / out_height)  # output pixel -> input pixels at zoom 1
    span_x = zoom * stretch * fit * out_width / width
    span_y = zoom / stretch * fit * out_height / height
    aspect = height / width
    theta = torch.zeros(count, 2, 3)
    theta[:, 0, 0] = flip * span_x * angle.cos()
    theta[:, 0, 1] = -span_y * angle.sin() * aspect
    theta[:, 1, 0] = flip * span_x * angle.sin() / aspect
    theta[:, 1, 1] = span_y * angle.cos()
    theta[:, 0, 2] = _between(-1, 1, count, generator) * (1 - span_x).clamp(min=0.08)
    theta[:, 1, 2] = _between(-1, 1, count, generator) * (1 - span_y).clamp(min=0.08)
    return functional.affine_grid(theta, [count, 3, out_height, out_width], align_corners=False)


def _recoloured(images: Tensor, generator: torch.Generator) -> Tensor:
    count = len(images)
    gains = torch.exp(0.08 * torch.randn(count, 3, 1, 1, generator=generator))
    light = torch.exp(0.15 * torch.randn(count, 1, 1, 1, generator=generator))
    gamma = torch.exp(0.2 * torch.randn(count, 1, 1, 1, generator=generator))
    images = (images * gains * light).clamp(1e-3, 1) ** gamma
    grey = images.mean(dim=1, keepdim=True)
    images = grey + (images - grey) * (0.5 + _rand(count, generator))
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (mean + (images - mean) * (0.7 + 0.6 * _rand(count, generator))).clamp(0, 1)


def _blurred(images: Tensor, generator: torch.Generator) -> Tensor:
    if torch.rand((), generator=generator) < 0.6:
        return images
    soft = functional.avg_pool2d(images, 3, stride=1, padding=1, count_include_pad=False)
    return images + (soft - images) * _rand(len(images), generator)


def _dark_corners(
    images: Tensor, masks: Tensor, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    count, _, height, width = images.shape
    y, x = _centred_axes(height, width)
    radius = torch.sqrt(x**2 + y**2)[None, None]
    edge = 0.85 + 0.6 * _rand(count, generator)
    dark = torch.sigmoid((radius - edge) * (10 + 60 * _rand(count, generator)))
    used = (_rand(count, generator) < 0.15).float() * (0.5 + 0.5 * _rand(count, generator))
    # what lies under the black corner is no longer visible lesion
    return images * (1 - dark * used), masks * (dark * used < 0.5)


def _centred_axes(height: int, width: int) -> tuple[Tensor, Tensor]:
    half = min(height, width) / 2
    y = (torch.arange(height) + 0.5 - height / 2)[:, None] / half
    x = (torch.arange(width) + 0.5 - width / 2)[None] / half
    return y, x


def _with_drawn(images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    chance = torch.rand(len(images), generator=generator)
    rows = torch.nonzero(chance < DRAWN_SHARE + BLANK_SHARE)[:, 0]
    if len(rows) == 0:
        return images, masks
    drawn, outlines = _drawn_lesions(len(rows), images.shape[-2:], generator)
    blank = (chance[rows] < BLANK_SHARE)[:, None, None, None]
    skin = drawn[:, 1]
    images, masks = images.clone(), masks.clone()
    images[rows] = torch.where(blank, skin, drawn[:, 0])
    masks[rows] = torch.where(blank, torch.zeros(()), outlines)
    return images, masks


def _drawn_lesions(
    count: int, size_px: tuple[int, int] | torch.Size, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Lesions with wavy outlines: (count, 2, 3, H, W), lesion on skin and skin alone, and masks."""
    height, width = size_px
    y, x = _centred_axes(height, width)
    x = x[None] - _between(-0.3, 0.3, count, generator)[:, None, None]
    y = y[None] - _between(-0.3, 0.3, count, generator)[:, None, None]
    angle = torch.atan2(y, x)
    order = torch.arange(2, 2 + _HARMONICS)
    size = 0.25 * torch.rand(count, 1, generator=generator) ** 2
    waves = torch.randn(count, _HARMONICS, generator=generator) * size / order**0.5
    shift = 2 * math.pi * torch.rand(count, _HARMONICS, generator=generator)
    cosines = torch.cos(angle[:, None] * order[None, :, None, None] + shift[..., None, None])
    outline = 1 + (waves[..., None, None] * cosines).sum(dim=1)
    radius = _between(0.25, 0.9, count, generator)[:, None, None] * outline
    inside = (radius - torch.sqrt(x**2 + y**2))[:, None]
    softness = 0.005 + 0.08 * _rand(count, generator) ** 2
    alpha = torch.sigmoid(inside / softness)
    skin = torch.tensor([0.82, 0.62, 0.55]) + 0.1 * torch.randn(count, 3, generator=generator)
    depth = 0.25 + 0.6 * torch.rand(count, 1, generator=generator)
    tint = 1 + 0.12 * torch.randn(count, 3, generator=generator)
    skin = _textured(skin[..., None, None].expand(-1, -1, height, width), 0.03, generator)
    lesion = _textured(skin * ((1 - depth) * tint)[..., None, None], 0.08, generator)
    both = torch.stack([skin + (lesion - skin) * alpha, skin], dim=1)
    return both.clamp(0, 1), (inside > 0).float()


def _textured(images: Tensor, strength: float, generator: torch.Generator) -> Tensor:
    coarse = torch.randn(len(images), 1, 6, 8, generator=generator) * strength
    return images + functional.interpolate(
        coarse, images.shape[-2:], mode="bilinear", align_corners=False
    )
