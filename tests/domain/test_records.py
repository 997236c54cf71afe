"""Requests check themselves and survive JSON; refusals carry no numbers."""

import json

import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import Measurement, Prediction, SamplingRequest


def test_a_request_survives_json_with_and_without_a_spec():
    spec = LesionSpec(asymmetry=1, border=2, colours=("red",), diagnosis="bcc", sex="male")
    for request in (SamplingRequest(caption="a"), SamplingRequest(caption="a", spec=spec, seed=3, size_px=128)):
        assert SamplingRequest.from_dict(json.loads(json.dumps(request.to_dict()))) == request


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"caption": " "}, "caption is empty"),
        ({"caption": "x" * 5000}, "longer than"),
        ({"num_images": 0}, "num_images is 0"),
        ({"num_images": 1000}, "num_images is 1000"),
        ({"seed": -1}, "seed is -1"),
        ({"num_steps": 0}, "num_steps is 0"),
        ({"guidance_scale": float("inf")}, "guidance_scale is inf"),
        ({"size_px": 130}, "multiple of 16"),
        ({"size_px": 4096}, "size_px is 4096"),
    ],
)
def test_a_request_outside_its_range_is_refused_by_name(change, why):
    with pytest.raises(InvalidRequest, match=why):
        SamplingRequest(**({"caption": "a lesion"} | change))


def test_refusals_are_null_in_json():
    measured = Measurement(refused="the lesion touches the frame").to_dict()
    assert measured["asymmetry"] is None
    assert measured["colours"] is None
    assert Prediction(refused="blank").to_dict()["malignant"] is None
