"""How large a model's weights are, and in what they are stored, off the headers of its safetensors files.

It loads no weights and no torch.
"""

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from dermaflux.domain.errors import ModelNotAvailable

# The lists of blocks of a Flux transformer and of a T5 encoder, under diffusers' and under BFL's names.
TRANSFORMER_BLOCKS = ("transformer_blocks", "single_transformer_blocks")
BLOCK_LISTS = (*TRANSFORMER_BLOCKS, "encoder.block")
_BLOCK = re.compile(
    rf"(?:^|\.)({'|'.join(map(re.escape, (*BLOCK_LISTS, 'double_blocks', 'single_blocks')))})\.\d+\.(?P<inside>.+)"
)
# T5 casts what comes in to this weight's own format (transformers keeps it whole too); the embedding is no layer.
KEPT_WHOLE = re.compile(r".*\.(wo|relative_attention_bias)")
_MAX_HEADER_BYTES = 100_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredWeight:
    """A weight as it lies in a file: its format in the words of safetensors (BF16, F8_E4M3, ...) and its shape."""

    dtype: str
    shape: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PartSize:
    """How many numbers a network has: in the linear layers of its blocks, which may be held in few bits, and elsewhere.

    largest_block: how many of both its largest block has.
    """

    in_layers: int = 0
    elsewhere: int = 0
    largest_block: int = 0

    def num_bytes(self, bytes_a_number: float, bytes_in_layers: float | None = None) -> float:
        """What it takes in memory; bytes_in_layers where the layers of the blocks are held in another format."""
        each = bytes_a_number if bytes_in_layers is None else bytes_in_layers
        return self.in_layers * each + self.elsewhere * bytes_a_number


def read_header(path: Path) -> dict[str, StoredWeight]:
    """The weights that a safetensors file holds, by name. Raises ModelNotAvailable for anything else."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if not 2 <= length <= min(_MAX_HEADER_BYTES, path.stat().st_size):
                raise ValueError("no header")
            header = json.loads(file.read(length))
        return {
            name: StoredWeight(dtype=str(facts["dtype"]), shape=tuple(map(int, facts["shape"])))
            for name, facts in header.items()
            if name != "__metadata__"
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelNotAvailable(f"{path} is damaged or not safetensors: {error}. Reinstall the model.") from error


def part_size(paths: Iterable[Path]) -> PartSize:
    """The size of a network that lies in these files; nothing for a file that is not readable: the loader says why."""
    in_layers, elsewhere, blocks = 0, 0, {}
    for path in paths:
        try:
            weights = read_header(path)
        except ModelNotAvailable:
            continue
        for name, weight in weights.items():
            num = math.prod(weight.shape)
            block = _BLOCK.search(name)
            if block and name.endswith(".weight") and is_layer(block["inside"], weight.shape):
                in_layers += num
            else:
                elsewhere += num
            if block:
                which = name[: block.start("inside")]
                blocks[which] = blocks.get(which, 0) + num
    return PartSize(in_layers=in_layers, elsewhere=elsewhere, largest_block=max(blocks.values(), default=0))


def is_layer(inside: str, shape: tuple[int, ...]) -> bool:
    """Whether the weight of that name inside a block, in that shape, is one of those that may be held in few bits."""
    return len(shape) == 2 and not KEPT_WHOLE.fullmatch(f".{inside.removesuffix('.weight')}")
