"""Captions as the model reads them: the pipeline's own embeddings, the cut told by the text that it leaves out."""

import logging

import pytest
import torch

from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import LesionSpec, typical_colours
from dermaflux.generation.nano import NanoConfig, build_nano_pipeline
from dermaflux.generation.prompts import PromptEncoder

SPEC = LesionSpec(asymmetry=1, border=0, colours=typical_colours(6, "nv"), diagnosis="nv", age=55, sex="female",
                  site="lower extremity", skin_tone="III")  # fmt: skip
LONG = compose(SPEC)
NUM_TOKENS = 24


@pytest.fixture(scope="module")
def pipe():
    torch.manual_seed(0)
    size = NanoConfig(
        num_double_blocks=1, num_single_blocks=1, num_heads=1, head_dim=32, t5_width=64, t5_layers=1, clip_width=64,
        clip_layers=1, vocabulary=500, text_tokens=NUM_TOKENS,
    )  # fmt: skip
    return build_nano_pipeline(size, [LONG, "a benign nevus"])


@pytest.mark.parametrize("caption", ["", "a mole", LONG])
def test_the_embedding_is_the_pipelines_own_and_no_library_warns(pipe, caption, caplog):
    with caplog.at_level(logging.WARNING), torch.no_grad():
        found = PromptEncoder(pipe, NUM_TOKENS).encode(caption)
        assert not [record for record in caplog.records if not record.name.startswith("dermaflux.")]
        tokens, pooled, ids = pipe.encode_prompt(caption, None, max_sequence_length=NUM_TOKENS)
    assert torch.equal(found.tokens, tokens) and torch.equal(found.pooled, pooled) and torch.equal(found.ids, ids)


def test_what_is_left_out_is_the_end_of_the_caption_and_is_logged(pipe, caplog):
    encoder = PromptEncoder(pipe, NUM_TOKENS)
    left_out = encoder.encode(LONG).left_out
    assert LONG.endswith(left_out) and "skin is of type III" in left_out
    kept = LONG.removesuffix(left_out).strip()
    assert len(pipe.tokenizer_2(kept).input_ids) <= NUM_TOKENS < len(pipe.tokenizer_2(LONG).input_ids)
    assert [record.getMessage() for record in caplog.records if left_out in str(record.args)]
    assert encoder.encode(kept).left_out == "" and encoder.encode("").left_out == ""
