"""Writes the blocks of a Flux transformer as an ONNX file, with its adapters merged in, in fp32 or int8.

One export serves every size, text length and batch. int8: weights of the linear layers inside the blocks, their inputs
quantised as they come; what reads and writes the picture (`x_embedder`, `norm_out`, `proj_out`) and the modulations
stay in fp32, since errors there are seen at once. It knows no cache and no session.
"""

import copy
import logging
import shutil
import warnings
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor, nn
from torch.export import Dim

from dermaflux.generation.modulations import Given, adaptive_norms

INPUTS = ("latents", "text", "modulations", "image_ids", "text_ids")
FORMAT = 1  # raise it when an export of the same model would come out different
_EXAMPLE_IMAGE_TOKENS, _EXAMPLE_TEXT_TOKENS = 16, 8


class Blocks(nn.Module):
    """A transformer whose modulations come from outside: latents (B, N, C), text (B, T, D), modulations (B, W)."""

    def __init__(self, transformer: Any) -> None:
        super().__init__()
        transformer.time_text_embed = _Nothing()
        self.transformer = transformer
        norms = [*adaptive_norms(transformer)]
        self.widths: list[int] = [norm.linear.out_features for norm in norms]
        self.given = [Given() for _ in norms]
        for norm, given in zip(norms, self.given, strict=True):
            norm.linear = given

    def forward(
        self, latents: Tensor, text: Tensor, modulations: Tensor, image_ids: Tensor, text_ids: Tensor
    ) -> Tensor:
        """The velocity (B, N, C)."""
        for given, part in zip(self.given, modulations.split(self.widths, dim=1), strict=True):
            given.value = part
        return self.transformer(
            hidden_states=latents, timestep=modulations[:, 0], pooled_projections=text[:, 0],
            encoder_hidden_states=text, txt_ids=text_ids, img_ids=image_ids, return_dict=False,
        )[0]  # fmt: skip


class _Nothing(nn.Module):
    """Stands in for the embedding of time and pooled text, which nothing reads any more."""

    def forward(self, timestep: Tensor, *_: Tensor) -> Tensor:
        return timestep


def merged(transformer: FluxTransformer2DModel) -> FluxTransformer2DModel:
    """A copy whose adapters are added to its weights, each as strongly as it acts now."""
    plain = copy.deepcopy(transformer)
    if getattr(plain, "peft_config", None):
        plain.fuse_lora(adapter_names=plain.active_adapters())
        plain.unload_lora()
    return plain.eval()


def export_blocks(transformer: FluxTransformer2DModel, path: Path, *, int8: bool) -> None:
    """Write the blocks of a transformer without adapters (`merged`) to a file; the transformer is used up.

    The file appears whole or not at all.
    """
    partial = path.with_suffix(".partial")
    with TemporaryDirectory() as folder:
        exact = Path(folder) / "exact.onnx"
        _write_exact(transformer, exact)
        if int8:
            _quantise(exact, partial)
        else:
            shutil.copyfile(exact, partial)
    partial.replace(path)


def _write_exact(transformer: FluxTransformer2DModel, path: Path) -> None:
    config: Any = transformer.config
    blocks = Blocks(transformer).eval()
    example = (
        torch.zeros(2, _EXAMPLE_IMAGE_TOKENS, config.in_channels),
        torch.zeros(2, _EXAMPLE_TEXT_TOKENS, config.joint_attention_dim),
        torch.zeros(2, sum(blocks.widths)),
        torch.zeros(_EXAMPLE_IMAGE_TOKENS, 3),
        torch.zeros(_EXAMPLE_TEXT_TOKENS, 3),
    )
    batch, image, text = Dim("batch"), Dim("image_tokens"), Dim("text_tokens")
    shapes = ({0: batch, 1: image}, {0: batch, 1: text}, {0: batch}, {0: image}, {0: text})
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")  # the exporter's own, about its inside
        program = torch.onnx.export(
            blocks, example, dynamo=True, dynamic_shapes=shapes, input_names=INPUTS, output_names=["velocity"],
            verbose=False,
        )  # fmt: skip
    assert program is not None
    program.save(path)


def _quantise(exact: Path, path: Path) -> None:
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    graph = onnx.load(exact).graph
    weights = {weight.name for weight in graph.initializer}
    chosen = [
        node.name
        for node in graph.node
        if node.op_type in ("MatMul", "Gemm") and weights & {*node.input} and "transformer_blocks" in _scope(node)
    ]
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)  # it asks for a pre-processing that the exporter has done
    try:
        quantize_dynamic(exact, path, nodes_to_quantize=chosen, weight_type=QuantType.QInt8)
    finally:
        root.setLevel(before)


def _scope(node: Any) -> str:
    """In which module of the network a node was made, as the exporter notes it."""
    return next((p.value for p in node.metadata_props if p.key == "pkg.torch.onnx.name_scopes"), "")
