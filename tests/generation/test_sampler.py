import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from dermaflux.domain.errors import Cancelled, InvalidRequest, ModelNotAvailable
from dermaflux.domain.records import GeneratedImage, SamplingRequest, StepPreview
from dermaflux.generation import Generator

CAPTION = "a dermoscopic image of a melanoma with dark brown and red colours"
REQUEST = SamplingRequest(caption=CAPTION, num_steps=4, seed=11)


def images_of(events) -> list[GeneratedImage]:
    return [event for event in events if isinstance(event, GeneratedImage)]


def one(generator, request) -> np.ndarray:
    (made,) = images_of(generator.stream(request))
    return np.asarray(made.image, dtype=float)


def test_a_stream_equals_the_diffusers_pipeline_itself(generator, pipe):
    for guidance in (1.0, 3.0):
        expected = pipe(
            CAPTION,
            negative_prompt="",
            true_cfg_scale=guidance,
            height=64,
            width=64,
            num_inference_steps=4,
            max_sequence_length=24,
            generator=torch.Generator("cpu").manual_seed(11),
        ).images[0]
        made = one(generator, replace(REQUEST, guidance_scale=guidance))
        # The two halves of true guidance run in one batch here: equal but for rounding at a grey level's edge.
        assert np.abs(made - np.asarray(expected, dtype=float)).max() <= (
            0 if guidance == 1.0 else 1
        )


def test_a_distilled_pipeline_with_a_real_vae_equals_diffusers_too(saved_foreign, catalogue):
    from dermaflux.generation import choose_placement, load_pipeline

    expected = load_pipeline(catalogue.model(str(saved_foreign)), choose_placement("cpu"))(
        CAPTION,
        guidance_scale=2.5,
        height=64,
        width=64,
        num_inference_steps=3,
        generator=torch.Generator("cpu").manual_seed(5),
    ).images[0]
    foreign = Generator.load(str(saved_foreign), catalogue=catalogue, device="cpu")
    request = SamplingRequest(
        caption=CAPTION,
        model=str(saved_foreign),
        num_steps=3,
        guidance_scale=2.5,
        size_px=64,
        seed=5,
    )
    assert np.array_equal(one(foreign, request), np.asarray(expected))


def test_the_same_request_gives_the_same_pixels_and_other_seeds_others(generator):
    first, again = one(generator, REQUEST), one(generator, REQUEST)
    assert np.array_equal(first, again)
    assert not np.array_equal(first, one(generator, replace(REQUEST, seed=12)))
    assert not np.array_equal(first, one(generator, replace(REQUEST, caption="a benign nevus")))
    assert not np.array_equal(first, one(generator, replace(REQUEST, guidance_scale=5.0)))


def test_image_i_of_a_request_is_the_single_image_of_seed_plus_i(generator):
    batch = images_of(generator.stream(replace(REQUEST, num_images=3)))
    assert [(made.image_index, made.seed) for made in batch] == [(0, 11), (1, 12), (2, 13)]
    for made in batch:
        assert np.array_equal(
            np.asarray(made.image), one(generator, replace(REQUEST, seed=made.seed))
        )


def test_every_image_carries_its_resolved_request_and_the_identity_of_its_weights(
    generator, saved_nano
):
    from dermaflux.generation.weights import sha256_of_folder

    (made,) = images_of(generator.stream(SamplingRequest(caption=CAPTION, seed=3)))
    assert (made.request.num_steps, made.request.guidance_scale, made.request.size_px) == (
        5,
        2.0,
        64,
    )
    assert made.image.size == (64, 64) and made.image.mode == "RGB"
    assert made.identity.model == "nano" and made.identity.licence == "test only"
    assert (
        made.identity.model_sha256 == sha256_of_folder(saved_nano) and made.identity.adapter is None
    )
    assert made.seconds > 0
    # A request made of the record alone makes the image again.
    again = SamplingRequest.from_dict(made.request.to_dict())
    assert np.array_equal(one(generator, replace(again, seed=made.seed)), np.asarray(made.image))


def test_one_preview_a_step_and_late_ones_approach_the_image(generator):
    events = list(generator.stream(replace(REQUEST, num_steps=8, num_images=2)))
    for index in (0, 1):
        steps = [e for e in events if isinstance(e, StepPreview) and e.image_index == index]
        assert [(e.step, e.num_steps) for e in steps] == [(i, 8) for i in range(1, 9)]
        final = np.asarray(images_of(events)[index].image, dtype=float)
        away = [np.abs(np.asarray(e.image, dtype=float) - final).mean() for e in steps]
        assert away[-1] < 0.51  # the last estimate is the image, but for rounding
        assert away[-2] < away[3] < away[0]
    kinds = [type(event) for event in events]
    assert kinds == ([StepPreview] * 8 + [GeneratedImage]) * 2


def test_stop_is_honoured_within_one_step_and_keeps_finished_images(generator):
    seen = []

    def should_stop():
        return len(seen) == 4 + 1 + 2  # the first image and two steps of the second

    with pytest.raises(Cancelled):
        for event in generator.stream(replace(REQUEST, num_images=3), should_stop):
            seen.append(event)
    assert len(images_of(seen)) == 1
    assert (seen[-1].image_index, seen[-1].step) == (1, 2)
    assert one(generator, REQUEST).shape == (64, 64, 3)  # and it is ready for the next


def test_a_stream_stopped_before_its_start_samples_nothing(generator):
    with pytest.raises(Cancelled):
        next(iter(generator.stream(REQUEST, lambda: True)))


def test_closing_a_stream_frees_the_generator_for_the_next(generator):
    stream = generator.stream(replace(REQUEST, num_images=8))
    next(stream)
    stream.close()
    assert np.array_equal(one(generator, REQUEST), one(generator, REQUEST))


def test_streams_of_two_threads_take_turns_and_do_not_disturb_each_other(generator):
    alone = [one(generator, replace(REQUEST, seed=seed)) for seed in (1, 2)]
    together: dict[int, np.ndarray] = {}
    threads = [
        threading.Thread(
            target=lambda seed=seed: together.update(
                {seed: one(generator, replace(REQUEST, seed=seed))}
            )
        )
        for seed in (1, 2)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert np.array_equal(together[1], alone[0]) and np.array_equal(together[2], alone[1])


def test_a_waiting_stream_can_be_stopped(generator):
    first = generator.stream(REQUEST)
    next(first)
    stopped = threading.Event()
    failure = []

    def wait_for_a_turn():
        try:
            next(generator.stream(REQUEST, stopped.is_set))
        except Cancelled as error:
            failure.append(error)

    thread = threading.Thread(target=wait_for_a_turn)
    thread.start()
    time.sleep(0.05)
    stopped.set()
    thread.join(10)
    assert len(failure) == 1 and len(images_of(first)) == 1


def test_gradients_stay_on_for_the_caller_between_previews(generator):
    stream = generator.stream(REQUEST)
    next(stream)
    assert torch.is_grad_enabled()
    stream.close()


def test_mistakes_are_said_before_anything_is_sampled(generator, catalogue):
    for change, error in (
        ({"model": "nanoo"}, InvalidRequest),
        ({"model": "/no/such/folder"}, ModelNotAvailable),
        ({"adapter": "no-such"}, InvalidRequest),
        ({"adapter": "/no/such.safetensors"}, ModelNotAvailable),
    ):
        with pytest.raises(error):
            generator.stream(replace(REQUEST, **change))
    with pytest.raises(InvalidRequest, match="multiple of 16"):
        replace(REQUEST, size_px=72)


@pytest.mark.slow
def test_a_failed_load_leaves_a_clear_error_and_a_working_generator(generator, broken_nano):
    (broken_nano / "vae" / "diffusion_pytorch_model.safetensors").write_bytes(b"gone")
    with pytest.raises(ModelNotAvailable, match="damaged"):
        next(generator.stream(replace(REQUEST, model=str(broken_nano))))
    assert one(generator, REQUEST).shape == (64, 64, 3)


@pytest.mark.slow
def test_a_request_for_another_model_exchanges_it(catalogue, saved_nano, saved_foreign):
    generator = Generator(catalogue, device="cpu")
    small = replace(REQUEST, num_steps=1, size_px=64)
    first = one(generator, small)
    other = one(generator, replace(small, model=str(saved_foreign)))
    assert not np.array_equal(first, other)
    assert np.array_equal(one(generator, small), first)


def test_text_longer_than_the_encoders_is_cut_not_refused(generator):
    made = one(generator, replace(REQUEST, caption="dark brown melanoma " * 90, num_steps=1))
    assert np.isfinite(made).all()
    assert np.isfinite(
        one(generator, replace(REQUEST, caption="Läsion \U0001f600 漢字", num_steps=1))
    ).all()


def test_a_repeated_caption_skips_the_text_encoders(catalogue):
    generator = Generator.load("nano", catalogue=catalogue, device="cpu")
    calls = []
    generator._loaded.pipe.text_encoder_2.register_forward_hook(lambda *_: calls.append(1))
    for seed in range(3):
        one(generator, replace(REQUEST, seed=seed, num_steps=1))
    assert len(calls) == 2  # the caption and the empty prompt, once each


def test_sizes_other_than_the_default_and_warm_up(generator):
    generator.warm_up()
    (made,) = images_of(generator.stream(replace(REQUEST, size_px=96, num_steps=1)))
    assert made.image.size == (96, 96)


def test_weights_that_give_no_finite_picture_are_reported(catalogue):
    generator = Generator.load("nano", catalogue=catalogue, device="cpu")
    with torch.no_grad():
        generator._loaded.pipe.transformer.proj_out.weight.fill_(float("nan"))
    with pytest.raises(ModelNotAvailable, match="no finite picture"):
        list(generator.stream(REQUEST))


@pytest.mark.slow
def test_unload_gives_the_memory_back_and_the_next_stream_loads_again(catalogue):
    generator = Generator.load("nano", catalogue=catalogue, device="cpu")
    before = one(generator, REQUEST)
    generator.unload()
    assert generator._loaded is None
    assert np.array_equal(one(generator, REQUEST), before)


def test_previews_are_small_pictures(generator):
    preview = next(generator.stream(replace(REQUEST, size_px=320, num_steps=1)))
    assert isinstance(preview.image, Image.Image) and preview.image.size == (256, 256)
