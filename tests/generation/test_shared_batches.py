"""Streams of several threads in one batch: the images of each are those drawn alone, whoever comes or goes."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from dermaflux.domain.errors import AdapterNotApplied, Cancelled, ModelNotAvailable
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import GeneratedImage, SamplingRequest, StepPreview
from dermaflux.domain.speed import Speed
from dermaflux.generation import Generator
from dermaflux.provenance import from_generated

MOLE = LesionSpec(asymmetry=0, border=1, colours=("light brown",), diagnosis="nv")
MELANOMA = LesionSpec(asymmetry=2, border=7, colours=("dark brown", "black", "red"), diagnosis="mel")
PLAIN = SamplingRequest(caption="a dark mole", num_steps=3, seed=7, guidance_scale=2.0)
WAIT = 60


@pytest.fixture
def shared(catalogue):
    return Generator(catalogue, device="cpu", speed=Speed(batch=3))


class Reader(threading.Thread):
    """Reads a stream to its end on a thread of its own."""

    def __init__(self, generator, request, should_stop=lambda: False):
        super().__init__(daemon=True)
        self.stream, self.events, self.error = generator.stream(request, should_stop), [], None
        self.start()

    def run(self):
        try:
            for event in self.stream:
                self.events.append(event)
        except Exception as error:
            self.error = error

    @property
    def images(self):
        self.join(WAIT)
        assert not self.is_alive()
        return [event for event in self.events if isinstance(event, GeneratedImage)]

    @property
    def batches(self):
        return [from_generated(image).batch for image in self.images]


def like_alone(generator, reader, request):
    """Whether the images are those of the request drawn alone, but for rounding."""
    alone = [event for event in generator.stream(request) if isinstance(event, GeneratedImage)]
    assert [(one.image_index, one.seed) for one in reader.images] == [(one.image_index, one.seed) for one in alone]
    away = [
        np.abs(np.asarray(one.image, dtype=float) - np.asarray(other.image)).max()
        for one, other in zip(reader.images, alone, strict=True)
    ]
    return max(away) <= 1


def test_other_captions_seeds_and_contrasts_share_a_batch_and_change_nothing(shared, generator, all_in_line):
    contrasted = [
        SamplingRequest(caption=f"a lesion, {spec.diagnosis}", spec=spec, num_steps=3, seed=seed, contrast_scale=3.0)
        for spec, seed in ((MOLE, 3), (MELANOMA, 40))
    ]
    with all_in_line(shared, 2):
        readers = [Reader(shared, request) for request in contrasted]
    assert [reader.batches for reader in readers] == [[2], [2]]
    assert all(map(like_alone, [generator] * 2, readers, contrasted))
    previews = [[e.step for e in reader.events if isinstance(e, StepPreview)] for reader in readers]
    assert previews == [[1, 2, 3]] * 2


def test_places_are_given_in_turn_and_the_spare_ones_to_whoever_has_more(shared, generator, all_in_line):
    many, one = replace(PLAIN, num_images=5), replace(PLAIN, caption="a red scar", seed=90)
    with all_in_line(shared, 2):
        readers = [Reader(shared, many), Reader(shared, one)]
    assert readers[1].batches == [3], "it need not wait for the five"
    assert readers[0].batches == [3, 3, 3, 3, 3]
    assert all(map(like_alone, [generator] * 2, readers, (many, one)))


def test_another_size_number_of_steps_or_guidance_waits_for_its_own_batch(shared, generator, all_in_line):
    asked = [PLAIN, *(replace(PLAIN, **other) for other in ({"size_px": 96}, {"num_steps": 2}, {"guidance_scale": 1}))]
    with all_in_line(shared, 4):
        readers = [Reader(shared, request) for request in asked]
    assert [reader.batches for reader in readers] == [[None]] * 4
    assert all(map(like_alone, [generator] * 4, readers, asked))


def test_who_leaves_in_the_middle_takes_nobody_along(shared, generator, all_in_line):
    leaves = threading.Event()
    staying = replace(PLAIN, seed=8)
    with all_in_line(shared, 2):
        leaver, reader = Reader(shared, replace(PLAIN, num_images=9), leaves.is_set), Reader(shared, staying)
        leaves.set()
    assert like_alone(generator, reader, staying)
    assert not leaver.images and isinstance(leaver.error, Cancelled)
    again = replace(PLAIN, seed=9)
    assert like_alone(generator, Reader(shared, again), again), "the line goes on"


def test_a_closed_stream_gives_up_its_places(shared):
    stream = shared.stream(replace(PLAIN, num_images=64, num_steps=20))
    next(stream)
    stream.close()
    assert Reader(shared, replace(PLAIN, num_steps=2)).batches == [None]


def test_what_cannot_be_drawn_fails_for_who_asked_and_nobody_else(shared, generator, tmp_path, all_in_line):
    broken = tmp_path / "broken.safetensors"
    save_file({"transformer.of_another_base.lora_A.weight": torch.zeros(4, 8)}, broken)
    with all_in_line(shared, 2):
        readers = [Reader(shared, replace(PLAIN, adapter=str(broken))), Reader(shared, PLAIN)]
    assert not readers[0].images and isinstance(readers[0].error, AdapterNotApplied)
    assert like_alone(generator, readers[1], PLAIN)


def test_a_failing_batch_fails_for_all_who_share_it_and_the_next_is_drawn(shared, generator, monkeypatch, all_in_line):
    def poisoned(*_args):
        raise ModelNotAvailable("no finite picture")

    with monkeypatch.context() as patch:
        patch.setattr("dermaflux.generation.drawing.denoise", poisoned)
        with all_in_line(shared, 2):
            readers = [Reader(shared, PLAIN), Reader(shared, replace(PLAIN, seed=8))]
        assert [reader.images or str(reader.error) for reader in readers] == ["no finite picture"] * 2
    assert like_alone(generator, Reader(shared, PLAIN), PLAIN)
