"""Contrast on a tiny real pipeline: what is pushed, from what, and that nothing else changes."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import GeneratedImage, SamplingRequest
from dermaflux.generation.denoising import denoise, draw_noise
from dermaflux.generation.guidance import Guidance, Push
from dermaflux.generation.prompts import PromptEncoder

SPEC = LesionSpec(asymmetry=0, border=8, colours=("red", "black"), diagnosis="mel")
REQUEST = SamplingRequest(caption=compose(SPEC), spec=SPEC, num_steps=3, seed=11, guidance_scale=1.0, contrast_scale=0)


def one(generator, request):
    (made,) = [e for e in generator.stream(request) if isinstance(e, GeneratedImage)]
    return np.asarray(made.image, dtype=float)


def states(pipe, guidance, num_steps=1):
    return [step.latents for step in denoise(pipe, guidance, draw_noise(pipe, 3, 64), 64, num_steps)]


def test_the_push_is_the_difference_of_two_velocities_times_its_scale(pipe):
    encode = PromptEncoder(pipe, 24).encode
    texts = {name: encode(name) for name in ("round", "jagged", "round wording")}
    noise = draw_noise(pipe, 3, 64)
    moved = {
        name: states(pipe, Guidance(caption=text, empty=None, scale=1.0))[0] - noise for name, text in texts.items()
    }
    push = Push(away_from=texts["jagged"], scale=3.0)
    pushed = states(pipe, Guidance(caption=texts["round"], empty=None, scale=1.0, pushes=(push,)))[0] - noise
    expected = moved["round"] + 3 * (moved["round"] - moved["jagged"])
    assert torch.allclose(pushed, expected, atol=1e-4)
    other = Guidance(caption=texts["round wording"], empty=None, scale=1.0, plain=texts["round"], pushes=(push,))
    expected = moved["round wording"] + 3 * (moved["round"] - moved["jagged"])
    assert torch.allclose(states(pipe, other)[0] - noise, expected, atol=1e-4)


def test_several_pushes_take_turns_and_are_as_strong_together(pipe):
    encode = PromptEncoder(pipe, 24).encode
    pushes = (Push(away_from=encode("jagged"), scale=2.0), Push(away_from=encode("benign"), scale=0.5))
    guidance = Guidance(caption=encode("round"), empty=None, scale=1.0, pushes=pushes)
    turns = [guidance.push_at(step) for step in range(4)]
    assert [(turn.away_from is pushes[i % 2].away_from, turn.scale) for i, turn in enumerate(turns)] == [
        (True, 4.0), (True, 1.0), (True, 4.0), (True, 1.0),
    ]  # fmt: skip


def test_contrast_changes_the_picture_only_where_there_is_an_opposite(generator):
    plain = one(generator, REQUEST)
    assert not np.array_equal(plain, one(generator, replace(REQUEST, contrast_scale=5.0)))
    free = replace(REQUEST, spec=None)
    assert np.array_equal(one(generator, free), one(generator, replace(free, contrast_scale=5.0)))


@pytest.mark.parametrize("scale", [0.0, 6.0])
def test_the_same_request_with_contrast_gives_the_same_pixels(generator, scale):
    asked = replace(REQUEST, contrast_scale=scale, guidance_scale=2.0)
    assert np.array_equal(one(generator, asked), one(generator, asked))
