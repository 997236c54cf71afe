"""What two visitors of a blinded dataset see, by the handlers of the pages."""

import gradio as gr
import pytest
from PIL import Image

from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest
from dermaflux.services import Services
from dermaflux.settings import Settings
from pages.dataset_actions import FIRST_PLACE, DatasetActions
from pages.review import ReviewActions


@pytest.fixture
def services(tmp_path):
    with Services(Settings(data_dir=tmp_path / "data")) as services:
        yield services


@pytest.fixture
def image_id(services):
    made = GeneratedImage(
        image=Image.new("RGB", (64, 64), (180, 120, 100)),
        image_index=0,
        seed=1,
        request=SamplingRequest(caption="a mole", seed=1, num_steps=8, size_px=64),
        identity=ModelIdentity(model="nano", model_sha256="a" * 64, licence="CC-BY-NC-4.0"),
        seconds=1.0,
    )
    services.create_dataset("blinded")
    services.set_review_plan("blinded", reviewers_per_image=2, blinded=True)
    return services._store().add_image(made).image_id


def shown_to(services, name):
    """The verdicts on the board, the place, and the counts, as one visitor sees them."""
    visitor = gr.Request(username=name)
    board, _, place, *_ = DatasetActions(services, page_size=12).first_page("blinded", "accept", visitor)
    return len(board["cards"]), place, ReviewActions(services).counts("blinded", visitor)


def test_a_page_shows_a_visitor_his_own_verdict_and_others_only_when_all_are_in(services, image_id):
    nothing = shown_to(services, "bob")
    services.decide("blinded", image_id, "ann", "accept")
    assert shown_to(services, "ann")[0] == 1
    assert shown_to(services, "bob") == nothing
    services.decide("blinded", image_id, "bob", "accept")
    assert shown_to(services, "bob") == shown_to(services, "ann") == shown_to(services, "cem") != nothing


def test_later_pages_are_blinded_as_the_first(services, image_id):
    services.decide("blinded", image_id, "ann", "accept")
    actions, bob = DatasetActions(services, page_size=12), gr.Request(username="bob")
    for page in (actions.later_page, actions.earlier_page):
        board, *_ = page("blinded", "accept", dict(FIRST_PLACE), bob)
        assert board["cards"] == []
