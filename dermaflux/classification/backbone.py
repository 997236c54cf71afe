"""The first stages of a timm network: what the ViT's tokens, the descriptor and the study's probe are made from.

It knows no weights; `training/imagenet.py` has some.
"""

from typing import Any

import timm
from torch import nn


def first_stages(name: str, strides: tuple[int, ...] = (16,)) -> tuple[nn.Module, tuple[int, ...]]:
    """The network, pictures (B, 3, H, W) to a list of one map (B, C, H/stride, W/stride) a stride, and each C.

    strides: powers of two, rising.
    """
    indices = tuple(stride.bit_length() - 2 for stride in strides)  # timm counts its maps from stride 2
    network: Any = timm.create_model(name, features_only=True, out_indices=indices)
    last = network.feature_info[indices[-1]]
    # timm keeps, and computes, the stages after the last one that is read: in EfficientNets most of the weights.
    network.blocks = network.blocks[: last["stage"]]
    return network, tuple(network.feature_info[index]["num_chs"] for index in indices)
