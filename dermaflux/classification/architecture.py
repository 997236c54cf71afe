"""The networks: the embedded ViT with a convolutional stem, and any timm model by name.

A plain patch embedding learns slowly from a few thousand pictures, so the embedded network reads its
tokens from convolutions (they help: Xiao et al., arXiv 2106.14881): the first stages of a network that can
be had pretrained, or a small residual stem. It knows no labels, pictures or files.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any

import timm
import torch
from timm.layers.attention import Attention
from timm.layers.hybrid_embed import HybridEmbed
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from dermaflux.classification.backbone import first_stages
from dermaflux.domain.errors import InvalidRequest


@dataclass(frozen=True, slots=True, kw_only=True)
class StemViT:
    """One size of the embedded network: what it reads its tokens from, at stride 16, then the ViT.

    `backbone` names a timm network, of which the stages up to stride 16 are taken; without one, widths and blocks
    are those of our own stem at stride 4, 8, 16.
    """

    backbone: str | None = None
    widths: tuple[int, int, int] = (0, 0, 0)
    blocks: tuple[int, int, int] = (0, 0, 0)
    dim: int
    depth: int
    num_heads: int


STEM_VITS: Mapping[str, StemViT] = MappingProxyType({
    "lite0_vit": StemViT(backbone="tf_efficientnet_lite0", dim=192, depth=4, num_heads=3),
    "stem_vit_small": StemViT(widths=(32, 64, 128), blocks=(1, 2, 2), dim=192, depth=4, num_heads=3),
    "stem_vit_tiny": StemViT(widths=(8, 16, 16), blocks=(0, 0, 0), dim=32, depth=2, num_heads=2),
})  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Architecture:
    """What is needed to build a network again: a name (ours or timm's), square input, class count."""

    name: str
    size_px: int
    num_classes: int

    def build(self, *, drop_path: float = 0.0, pretrained: bool = False, **options: Any) -> nn.Module:
        """The network, random or (timm names only) pretrained. Raises InvalidRequest for unknown names.

        options go to timm's create_model.
        """
        if self.name in STEM_VITS:
            return _stem_vit(self, STEM_VITS[self.name], drop_path)
        if not timm.is_model(self.name):
            near = ", ".join(timm.list_models(f"*{self.name.split('.')[0][:6]}*")[:5]) or "none alike"
            raise InvalidRequest(
                f"{self.name!r} is no model of ours ({', '.join(STEM_VITS)}) nor of timm ({near}). Choose one."
            )
        return _timm_model(self, options | {"pretrained": pretrained, "drop_path_rate": drop_path})


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut (He et al. 2016)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *_conv(width, width), nn.ReLU(inplace=True), *_conv(width, width)
        )
        self.act = nn.ReLU(inplace=True)

    def forward(self, x_BCHW: torch.Tensor) -> torch.Tensor:
        """Same shape in and out."""
        return self.act(x_BCHW + self.body(x_BCHW))


class ConvStem(nn.Sequential):
    """Pictures (B, 3, H, W) to features (B, C, H/16, W/16)."""

    def __init__(self, size: StemViT) -> None:
        first, layers = size.widths[0], []
        layers += [*_conv(3, first, stride=2), nn.ReLU(inplace=True)]
        before = first
        for width, count in zip(size.widths, size.blocks, strict=True):
            layers += [*_conv(before, width, stride=2), nn.ReLU(inplace=True)]
            layers += [ResidualBlock(width) for _ in range(count)]
            before = width
        super().__init__(*layers)


def _conv(fan_in: int, fan_out: int, stride: int = 1) -> tuple[nn.Module, nn.Module]:
    return nn.Conv2d(fan_in, fan_out, 3, stride, 1, bias=False), nn.BatchNorm2d(fan_out)


def _stem_vit(wanted: Architecture, size: StemViT, drop_path: float) -> VisionTransformer:
    if wanted.size_px % 16:
        raise InvalidRequest(f"size_px is {wanted.size_px}; {wanted.name} needs a multiple of 16.")
    network = VisionTransformer(
        img_size=wanted.size_px,
        patch_size=1,
        num_classes=wanted.num_classes,
        embed_dim=size.dim,
        depth=size.depth,
        num_heads=size.num_heads,
        drop_path_rate=drop_path,
        dynamic_img_size=True,  # training may begin on smaller views
        embed_layer=partial(HybridEmbed, backbone=_stem(size)),  # type: ignore[arg-type] - a factory
    )
    for module in network.modules():
        if isinstance(module, Attention):
            # For 49 tokens the fused kernel is a fifth slower to train on a CPU.
            module.fused_attn = False  # type: ignore[misc] - Final only for TorchScript
    return network


def _stem(size: StemViT) -> nn.Module:
    if size.backbone is None:
        return ConvStem(size)
    return first_stages(size.backbone)[0]


def _timm_model(wanted: Architecture, options: dict[str, Any]) -> nn.Module:
    known: dict[str, Any] = options | {"num_classes": wanted.num_classes}
    # ViTs are told their size and may begin on smaller views; others take any size and know no such option.
    sized: dict[str, Any] = known | {"img_size": wanted.size_px}
    flexible: dict[str, Any] = sized | {"dynamic_img_size": True}
    for told in (flexible, sized, known):
        try:
            return timm.create_model(wanted.name, **told)
        except TypeError:
            continue
    raise InvalidRequest(f"timm's {wanted.name} takes neither classes nor drop path. Choose another model.")
