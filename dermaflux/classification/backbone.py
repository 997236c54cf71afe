"""The first stages of a timm network, up to a stride of 16: what the ViT's tokens and the descriptor are made from.

It knows no weights; `training/imagenet.py` has some.
"""

from typing import Any

import timm
from torch import nn

_STRIDE_16 = 3  # which of timm's feature maps, counted from stride 2


def stages_to_stride_16(name: str) -> tuple[nn.Module, int]:
    """The network, pictures (B, 3, H, W) to a list of one map (B, C, H/16, W/16), and C."""
    network: Any = timm.create_model(name, features_only=True, out_indices=(_STRIDE_16,))
    last = network.feature_info[_STRIDE_16]
    # timm keeps, and computes, the stages after the last one that is read: in EfficientNets most of the weights.
    network.blocks = network.blocks[: last["stage"]]
    return network, last["num_chs"]
