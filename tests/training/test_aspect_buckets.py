"""Shapes of equal area, and drawing from several as from one."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from training.aspect_buckets import Buckets, bucket_shapes, nearest_shape
from training.lora_cache import Examples, Texts


@given(st.integers(2, 64).map(lambda n: 16 * n))
def test_shapes_fit_the_area_come_in_pairs_and_include_the_square(size_px):
    shapes = bucket_shapes(size_px)
    assert (size_px, size_px) in shapes
    for width, height in shapes:
        assert width % 16 == 0 and height % 16 == 0
        assert width * height <= size_px**2 < (width + 16) * (height + 16)
        assert max(width, height) <= 2 * min(width, height)
        assert (height, width) in shapes


def test_a_picture_goes_where_it_loses_least():
    shapes = bucket_shapes(512)
    assert nearest_shape(shapes, 600, 450) == (592, 432)
    assert nearest_shape(shapes, 450, 600) == (432, 592)
    assert nearest_shape(shapes, 1000, 990) == (512, 512)
    assert nearest_shape(shapes, 5000, 100) == max(shapes, key=lambda shape: shape[0] / shape[1])


def examples(count, rows, columns, weight):
    return Examples(
        mean=torch.zeros(count, 1, 4, rows, columns), sd=None, captions=(("",),) * count,
        weights=torch.full((count,), weight),
        texts=Texts(tokens=torch.zeros(1, 2, 3), pooled=torch.zeros(1, 3), rows={"": 0}),
    )  # fmt: skip


def test_buckets_are_drawn_by_the_weight_of_their_pictures_and_a_batch_has_one_shape():
    buckets = Buckets((examples(30, 2, 4, 1.0), examples(10, 4, 2, 1.0)))
    assert len(buckets) == 40
    generator = torch.Generator().manual_seed(0)
    wide = [buckets.draw(3, 0.1, generator).data.shape == (3, 4, 2, 4) for _ in range(600)]
    assert sum(wide) / len(wide) == pytest.approx(0.75, abs=0.05)
    assert [len(batch.data) for batch in buckets.first(8)] == [6, 2]


def test_a_single_bucket_draws_as_its_examples_do():
    part = examples(5, 2, 2, 1.0)
    ours, theirs = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    Buckets((part,)).draw(4, 0.5, ours)
    part.draw(4, 0.5, theirs)
    assert torch.equal(ours.get_state(), theirs.get_state())
