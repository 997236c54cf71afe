"""The small pipeline is a real FluxPipeline with vocabularies of its own."""

import pytest
import torch

from dermaflux.generation.nano import NanoConfig, build_nano_pipeline

CORPUS = [
    "This photo depicts a malignant lesion, melanoma. Here's a description of the mole: pronounced asymmetry.",
    "The photo depicts a benign lesion. Here is a description of the mole: smooth even border, evenly red.",
]
TINY = NanoConfig(num_double_blocks=1, num_single_blocks=1, num_heads=1, t5_width=64, clip_width=64, text_tokens=32)


@pytest.fixture(scope="module")
def pipeline():
    torch.manual_seed(0)
    built = build_nano_pipeline(TINY, CORPUS)
    built.vae.fit(torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1)
    built.set_progress_bar_config(disable=True)
    return built


def test_words_of_the_captions_are_whole_and_any_other_text_has_a_spelling(pipeline):
    tokens = pipeline.tokenizer_2.tokenize(CORPUS[0])
    assert "Ġmelanoma" in tokens
    spelled = pipeline.tokenizer_2("Zyx 日本 €", add_special_tokens=False).input_ids
    assert pipeline.tokenizer_2.unk_token_id not in spelled
    assert pipeline.tokenizer_2.decode(spelled).strip() == "zyx 日本 €"


def test_clip_pools_at_the_end_token(pipeline):
    ids = pipeline.tokenizer([CORPUS[0]], padding="max_length", truncation=True, return_tensors="pt").input_ids
    assert ids.shape == (1, 77)
    assert ids[0, 0] == pipeline.tokenizer.bos_token_id
    first_end = (ids[0] == pipeline.tokenizer.eos_token_id).nonzero()[0, 0]
    out = pipeline.text_encoder(ids)
    assert torch.allclose(out.pooler_output[0], out.last_hidden_state[0, first_end])


def test_it_samples_like_flux(pipeline):
    def sample(seed):
        generator = torch.Generator().manual_seed(seed)
        return pipeline(
            CORPUS[0],
            negative_prompt="",
            true_cfg_scale=2.0,
            height=32,
            width=48,
            num_inference_steps=2,
            max_sequence_length=32,
            generator=generator,
            output_type="pt",
        ).images

    first, again, other = sample(1), sample(1), sample(2)
    assert first.shape == (1, 3, 32, 48)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
