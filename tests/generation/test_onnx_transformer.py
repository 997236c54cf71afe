"""onnxruntime in the place of torch: the same pictures, adapters merged, nothing stale, int8 only where checked."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dermaflux.domain.errors import InvalidRequest, StorageNotWritable
from dermaflux.domain.records import SamplingRequest
from dermaflux.generation import Generator, ModelCatalogue, choose_placement, load_pipeline
from dermaflux.generation.adapters import Adapter, layer_sizes
from dermaflux.generation.denoising import denoise, draw_noise
from dermaflux.generation.facts import FACTS_FILE
from dermaflux.generation.guidance import Guidance
from dermaflux.generation.onnx_transformer import export_name, with_onnx
from dermaflux.generation.prompts import PromptEncoder
from dermaflux.provenance import from_generated

BASE = "the hash of nano"
CAPTION = "a dermoscopic image of a melanoma with dark brown and red colours"


def sample(pipe, size_px=64, *, empty=True) -> np.ndarray:
    encode = PromptEncoder(pipe, 24).encode
    guidance = Guidance(caption=encode(CAPTION), empty=encode("") if empty else None, scale=2.0)
    return list(denoise(pipe, guidance, draw_noise(pipe, 1, size_px), size_px, 3))[-1].latents.numpy()


def relative_error(found, expected) -> float:
    return float(np.linalg.norm(found - expected) / np.linalg.norm(expected))


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    return tmp_path_factory.mktemp("onnx")


@pytest.fixture(scope="module")
def exact(pipe, exports):
    return with_onnx(pipe, BASE, (), exports, int8=False)


@pytest.mark.slow
@pytest.mark.parametrize("size_px", [64, 96])
def test_fp32_gives_the_latents_of_torch_at_any_size(pipe, exact, size_px):
    assert relative_error(sample(exact, size_px), sample(pipe, size_px)) < 1e-5


@pytest.mark.slow
def test_one_export_serves_a_batch_of_one_text_too(pipe, exact):
    assert relative_error(sample(exact, empty=False), sample(pipe, empty=False)) < 1e-5


@pytest.mark.slow
def test_guidance_that_a_transformer_was_distilled_on_acts(saved_foreign, exports):
    entry = ModelCatalogue().model(str(saved_foreign))
    pipe = load_pipeline(entry, choose_placement("cpu"))
    fast = with_onnx(pipe, "foreign", (), exports, int8=False)
    assert relative_error(sample(fast, empty=False), sample(pipe, empty=False)) < 1e-5


@pytest.mark.slow
def test_int8_stays_near_and_keeps_what_reads_and_writes_the_picture_exact(pipe, exports):
    import onnx

    fast = with_onnx(pipe, BASE, (), exports, int8=True)
    assert 0 < relative_error(sample(fast), sample(pipe)) < 0.1
    graph = onnx.load(exports / f"{export_name(BASE, (), int8=True)}.onnx").graph
    kinds = [node.op_type for node in graph.node]
    assert kinds.count("MatMulInteger") > 8 and {"MatMul", "Gemm"} & {*kinds}
    floats = {weight.name for weight in graph.initializer if weight.data_type == onnx.TensorProto.FLOAT}
    whole = [n for n in graph.node if n.op_type in ("MatMul", "Gemm") and {*n.input} & floats]
    assert len(whole) >= 3  # x_embedder, context_embedder, proj_out; norm_out's layer is a modulation


@pytest.mark.slow
def test_what_is_asked_twice_is_computed_once(pipe, exports):
    fast = with_onnx(pipe, BASE, (), exports, int8=False)
    modulations = fast.transformer._modulations
    calls, compute = [], modulations._compute
    modulations._compute = lambda *row: calls.append(row) or compute(*row)
    sample(fast)
    once = len(calls)
    sample(fast)
    assert once == len(calls) == 2 * 3  # two texts, three steps


def test_the_name_of_an_export_tells_weights_adapters_and_strength_apart(tmp_path):
    file = tmp_path / "a.safetensors"
    save_file({"x": torch.zeros(1)}, file)
    adapter = Adapter.of_file(file)
    names = {
        export_name("base", (), int8=True),
        export_name("base", (), int8=False),
        export_name("other base", (), int8=True),
        export_name("base", (adapter,), int8=True),
        export_name("base", (replace(adapter, weight=0.5),), int8=True),
    }
    assert len(names) == 5


def test_a_folder_that_cannot_be_written_is_named(pipe, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageNotWritable, match="DERMAFLUX_PRECISION=auto"):
        with_onnx(pipe, "x", (), tmp_path / "file" / "onnx", int8=False)


def test_int8_is_for_cpus():
    assert choose_placement("cpu", "int8").dtype == torch.float32
    with pytest.raises(InvalidRequest, match="int8 is for CPUs"):
        choose_placement("meta", "int8")


@pytest.mark.slow
def test_requests_use_int8_where_it_was_checked_and_exact_arithmetic_with_an_adapter(broken_nano, tmp_path):
    """broken_nano is a copy to change: here it says of itself that int8 was checked."""
    facts = json.loads((broken_nano / FACTS_FILE).read_text())
    (broken_nano / FACTS_FILE).write_text(json.dumps(facts | {"int8_checked": True}))
    catalogue = ModelCatalogue(broken_nano.parent)
    torch_only = Generator.load("nano", catalogue=catalogue, device="cpu")
    fast = Generator(catalogue, device="cpu", precision="int8", exports_dir=tmp_path / "onnx")
    sizes = layer_sizes(torch_only._loaded.pipe.transformer)
    name = "transformer_blocks.0.attn.to_q"
    rows, columns = sizes[name]
    adapter = tmp_path / "one.safetensors"
    save_file({f"transformer.{name}.lora_A.weight": torch.randn(4, columns) * 0.2,
               f"transformer.{name}.lora_B.weight": torch.randn(rows, 4) * 0.2}, adapter)  # fmt: skip

    def picture(generator, **change):
        return [*generator.stream(SamplingRequest(caption=CAPTION, num_steps=2, seed=1, **change))][-1]

    made = picture(fast)
    assert made.identity.precision == "int8" and from_generated(made).precision == "int8"
    assert np.abs(np.asarray(made.image, float) - np.asarray(picture(torch_only).image, float)).mean() < 8
    adapted = picture(fast, adapter=str(adapter))
    assert adapted.identity.precision == "" and from_generated(adapted).precision is None
    exact = np.asarray(picture(torch_only, adapter=str(adapter)).image, float)
    assert np.abs(np.asarray(adapted.image, float) - exact).max() <= 1
    assert np.array_equal(np.asarray(picture(fast).image), np.asarray(made.image))
    assert len([*(tmp_path / "onnx").glob("*.onnx")]) == 2
