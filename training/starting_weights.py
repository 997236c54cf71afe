"""The network a classifier run begins with: random, from ImageNet, from the hub, from a file, or an earlier checkpoint.

Whatever scale of pictures the weights expect comes with them. It knows no data set and no optimiser.
"""

import logging
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn

from dermaflux.classification.architecture import STEM_VITS, Architecture
from dermaflux.classification.checkpoint import CONFIG_NAME, load_checkpoint
from dermaflux.domain.errors import DermaFluxError, InvalidRequest, ModelNotAvailable
from training import imagenet

Scale = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """A network and the mean and deviation of each channel (0..1) its weights expect; None where they expect none."""

    network: nn.Module
    mean: Scale | None = None
    std: Scale | None = None


def first_network(
    architecture: Architecture, *, drop_path: float, pretrained: bool, weights: Path | None, seed: int
) -> Start:
    """Build the network; what the weights do not hold is drawn from `seed`.

    weights: a folder written by this trainer, or a file for a timm model. Raises InvalidRequest when the two do not go
    together, ModelNotAvailable when weights are missing or do not fit.
    """
    torch.manual_seed(seed)
    if weights is not None and weights.is_dir():
        return _from_checkpoint(architecture, drop_path, weights)
    if architecture.name in STEM_VITS:
        return _embedded(architecture, drop_path, pretrained, weights)
    if weights is None and not pretrained:
        return Start(network=architecture.build(drop_path=drop_path))
    return _from_timm(architecture, drop_path, weights)


def _embedded(architecture: Architecture, drop_path: float, pretrained: bool, weights: Path | None) -> Start:
    if weights is not None:
        raise InvalidRequest(
            f"{weights} is a file; {architecture.name} begins from a folder of an earlier run, or --pretrained."
        )
    network = architecture.build(drop_path=drop_path)
    if not pretrained:
        return Start(network=network)
    if STEM_VITS[architecture.name].backbone is None:
        raise InvalidRequest(f"{architecture.name} has no pretrained weights. Choose lite0_vit, or leave it out.")
    imagenet.start_from_imagenet(network.patch_embed.backbone)  # type: ignore[union-attr, arg-type] - a HybridEmbed
    return Start(network=network, mean=imagenet.MEAN, std=imagenet.STD)


def _from_checkpoint(architecture: Architecture, drop_path: float, folder: Path) -> Start:
    if not (folder / CONFIG_NAME).is_file():
        raise ModelNotAvailable(f"{folder} holds no {CONFIG_NAME}. Give the `model` folder of a classifier run.")
    earlier, facts = load_checkpoint(folder)
    if facts.architecture.name != architecture.name:
        raise InvalidRequest(f"{folder} is a {facts.architecture.name}, the run a {architecture.name}. Use one model.")
    network = architecture.build(drop_path=drop_path)
    known, wanted = earlier.state_dict(), network.state_dict()
    kept = {name: value for name, value in known.items() if value.shape == wanted[name].shape}
    head = {name for name in wanted if name.startswith(("head", "fc", "classifier"))}
    if misfits := sorted(set(wanted) - set(kept) - head):
        raise ModelNotAvailable(f"{misfits[0]} of {folder} has another shape than the run's. Use the same size_px.")
    network.load_state_dict(wanted | kept)
    return Start(network=network, mean=facts.inputs.mean, std=facts.inputs.std)  # type: ignore[arg-type] - three each


@contextmanager
def _said_by_timm() -> Iterator[list[str]]:
    """What timm logs while it loads weights: it says there, and only there, which ones were missing."""
    said: list[str] = []
    logger, handler = logging.getLogger("timm.models._builder"), logging.Handler()
    handler.emit = lambda record: said.append(record.getMessage())  # type: ignore[method-assign]
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield said
    finally:
        logger.setLevel(level)
        logger.removeHandler(handler)


def _missing(said: Sequence[str], network: nn.Module) -> list[str]:
    """The weights that were not in the file, the head left out: it is new for other classes."""
    heads: Any = network.pretrained_cfg["classifier"]  # type: ignore[index] - timm's, a name or several
    heads = (heads,) if isinstance(heads, str) else tuple(heads)
    lists = [re.search(r"^Missing keys \((.*)\) discovered", text) for text in said]
    names = [name for found in lists if found for name in found[1].split(", ")]
    return [name for name in names if name.rpartition(".")[0] not in heads]


def _from_timm(architecture: Architecture, drop_path: float, weights: Path | None) -> Start:
    overlay: dict[str, Any] = {"pretrained_cfg_overlay": {"file": str(weights)}} if weights else {}
    if weights is not None and not weights.is_file():
        raise ModelNotAvailable(f"{weights} does not exist. Give a weights file of {architecture.name}.")
    try:
        with _said_by_timm() as said:
            network = architecture.build(drop_path=drop_path, pretrained=True, **overlay)
        if missing := _missing(said, network):
            raise ModelNotAvailable(
                f"{weights or 'The file of the hub'} lacks {len(missing)} weights of {architecture.name}, first "
                f"{missing[0]}. Give a file of that model."
            )
    except DermaFluxError:
        raise
    except Exception as error:  # the hub's and the readers' errors share no class
        where = f"{weights} does not fit {architecture.name}" if weights else f"{architecture.name} cannot be fetched"
        reason = str(error).strip().splitlines()[0][:200]
        raise ModelNotAvailable(
            f"{where} ({reason}). Give another file by --weights, or train from scratch without --pretrained."
        ) from error
    config = timm.data.resolve_data_config({}, model=network)  # type: ignore[attr-defined]
    return Start(network=network, mean=tuple(config["mean"]), std=tuple(config["std"]))  # type: ignore[arg-type]
