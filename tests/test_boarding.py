"""Virtual boards through the services and the grid's handlers: counts are those of the filters, for whoever may see."""

import gradio as gr
import pytest
from PIL import Image

from dermaflux.domain.errors import InvalidRequest, NotAllowed
from dermaflux.domain.lesion import Diagnosis, LesionSpec
from dermaflux.domain.records import (
    Assessment,
    GeneratedImage,
    Measurement,
    ModelIdentity,
    Prediction,
    SamplingRequest,
)
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services import Services
from dermaflux.settings import Settings
from pages.curate_grid import GridActions
from pages.curate_reviews import ReviewPlanActions

ANN, CURA = Visitor(name="ann", role=Role.REVIEWER), Visitor(name="cura", role=Role.CURATOR)


class KnownUsers(Services):
    """Two users and what they may."""

    def visitor(self, name):
        return {"ann": ANN, "cura": CURA}[name]


def made(seed):
    diagnosis = (Diagnosis.MEL, Diagnosis.NV)[seed % 2]
    spec = LesionSpec(asymmetry=1, border=2, colours=("red",), diagnosis=diagnosis)
    generated = GeneratedImage(
        image=Image.new("RGB", (64, 64), (seed, 120, 100)), image_index=0, seed=seed, seconds=1.0,
        request=SamplingRequest(caption="a mole", spec=spec, seed=seed, num_steps=8, size_px=64),
        identity=ModelIdentity(model="nano", model_sha256="a" * 64),
    )  # fmt: skip
    measured = Measurement(asymmetry=1, border=2, num_colours=1, mask_area=0.3)
    return generated, Assessment(measurement=measured, prediction=Prediction(malignant=0.9, threshold=0.5))


@pytest.fixture
def services(tmp_path):
    """Six images; on the first of them two reviewers disagree, in an open dataset and in a blinded one."""
    with KnownUsers(Settings(data_dir=tmp_path / "data")) as services:
        ids = [services._store().add_image(*made(seed)).image_id for seed in range(6)]
        for name, blinded in (("open", False), ("blinded", True)):
            services.create_dataset(name)
            services.set_review_plan(name, reviewers_per_image=2, blinded=blinded)
            for image_id, reviewer, verdict in (
                (ids[0], "bob", "accept"), (ids[0], "cem", "reject"), (ids[1], "bob", "unsure"),
            ):  # fmt: skip
                services.decide(name, image_id, reviewer, verdict)
        yield services


def asked(services, name, dataset, words):
    event = gr.EventData(None, {"seq": 1, "words": words, "after": None})
    return GridActions(services).ask(dataset, event, gr.Request(username=name))


@pytest.mark.parametrize("dataset", ["open", "blinded", "not made yet"])
@pytest.mark.parametrize("visitor", [ANN, CURA])
def test_a_board_shows_as_many_images_as_it_says(services, dataset, visitor):
    boards = services.virtual_boards(dataset, visitor)
    shown = [asked(services, visitor.name, dataset, dict(board.words))["total"] for board in boards]
    assert shown == [board.number for board in boards]
    assert sum(board.number for board in boards if "verdict" in board.words) == 6
    assert {"diagnoses": ["mel"]} in [board.words for board in boards]
    assert {"diagnoses": ["bcc"]} not in [board.words for board in boards]


def test_where_reviewers_disagree_is_for_who_may_compare_them(services):
    def told(dataset, visitor):
        boards = services.virtual_boards(dataset, visitor)
        return [board.number for board in boards if "reviewers_agree" in board.words]

    assert told("open", ANN) == told("open", CURA) == told("blinded", CURA) == [1]
    assert told("blinded", ANN) == told("not made yet", CURA) == []
    for agree in (True, False):
        refused = asked(services, "ann", "blinded", {"reviewers_agree": agree})
        assert (refused["cards"], refused["total"]) == ([], 0)
        assert "only curators" in refused["empty"]
        with pytest.raises(NotAllowed):
            services.check_words("blinded", {"reviewers_agree": agree}, ANN)
    services.check_words("blinded", {"reviewers_agree": None}, ANN)
    with pytest.raises(InvalidRequest, match="true, false or nothing"):
        services.save_filter("ann", "odd", {"reviewers_agree": "no"})


def test_a_blinded_reviewer_is_not_told_how_many_disputes_wait(services):
    def note(name, dataset):
        return ReviewPlanActions(services).show(dataset, gr.Request(username=name))[-1]

    assert "One dispute waits" in note("ann", "open")
    assert "dispute" not in note("ann", "blinded")
    assert "One dispute waits" in note("cura", "blinded")
