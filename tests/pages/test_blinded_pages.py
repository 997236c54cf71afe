"""What two visitors of a blinded dataset see, by the handlers of the pages."""

import gradio as gr
import pytest
from PIL import Image

from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest
from dermaflux.services import Services
from dermaflux.settings import Settings
from pages.curate_grid import GridActions
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


def shown_to(services, name, verdict="accept"):
    """The cards of the grid and the counts, as one visitor sees them."""
    visitor = gr.Request(username=name)
    question = gr.EventData(None, {"seq": 1, "words": {"verdict": verdict}, "after": None})
    page = GridActions(services).ask("blinded", question, visitor)
    cards = [(card["verdict"], card["version"], card["realism"]) for card in page["cards"]]
    return cards, page["total"], ReviewActions(services).counts("blinded", visitor)


def test_a_page_shows_a_visitor_his_own_verdict_and_others_only_when_all_are_in(services, image_id):
    nothing = shown_to(services, "bob")
    services.decide("blinded", image_id, "ann", "accept", realism=4)
    assert [card[0] for card in shown_to(services, "ann")[0]] == ["accept"]
    assert shown_to(services, "bob") == nothing
    services.decide("blinded", image_id, "bob", "accept", realism=2)
    ann, bob, cem = (shown_to(services, name) for name in ("ann", "bob", "cem"))
    assert ann[1:] == bob[1:] == cem[1:] != nothing[1:]
    assert (ann[0][0][2], bob[0][0][2], cem[0][0][2]) == (4, 2, None)  # a rating stays one's own


def test_history_choices_and_sorting_tell_nothing_of_others_before_all_are_in(services, image_id):
    services.decide("blinded", image_id, "ann", "reject", realism=1, tags=("ink",))
    actions, bob = GridActions(services), gr.Request(username="bob")
    facts = actions.enlarge("blinded", gr.EventData(None, {"image_id": image_id}), bob).props["facts"]
    assert facts["history"] == []
    choices = actions.choices("blinded", bob).props["choices"]
    assert (choices["reviewers"], choices["tags"]) == ([], [])
    by_realism = gr.EventData(None, {"seq": 1, "words": {"order": "most realistic"}, "after": None})
    assert actions.ask("blinded", by_realism, bob)["cards"] == []
