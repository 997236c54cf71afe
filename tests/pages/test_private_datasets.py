"""A private dataset is nobody's but its owner's and the administrators', whichever way it is asked for."""

import gradio as gr
import pytest
from PIL import Image

from dermaflux.domain.errors import DermaFluxError
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services import Services
from dermaflux.settings import Settings
from pages.api import Endpoints
from pages.curate_boards import BoardActions
from pages.curate_coverage import CoverageActions
from pages.curate_grid import GridActions
from pages.curate_groups import GroupActions
from pages.curate_map import MapActions
from pages.curate_reviews import ReviewPlanActions
from pages.dataset_actions import DatasetActions
from pages.probe_panel import ProbeActions
from pages.review import ReviewActions

ROLES = {"ann": Role.CURATOR, "bob": Role.CURATOR, "vic": Role.VIEWER, "rev": Role.REVIEWER, "root": Role.ADMIN}
SECRET = "ann's own"
NAME = "anns-own"


@pytest.fixture
def services(tmp_path, monkeypatch):
    """Ann's private dataset with one accepted image; who has which role is told here, as accounts would."""
    with Services(Settings(data_dir=tmp_path / "data")) as services:
        monkeypatch.setattr(services, "visitor", lambda name: Visitor(name=name, role=ROLES[name]))
        services.new_dataset(services.visitor("ann"), NAME, SECRET, private=True)
        made = GeneratedImage(
            image=Image.new("RGB", (64, 64), (180, 120, 100)), image_index=0, seed=1, seconds=1.0,
            request=SamplingRequest(caption="a mole", seed=1, num_steps=8, size_px=64),
            identity=ModelIdentity(model="nano", model_sha256="a" * 64, licence="CC-BY-NC-4.0"),
        )  # fmt: skip
        image = services._store().add_image(made)
        services.decide(NAME, image.image_id, "ann", "accept")
        services.image_id = image.image_id
        yield services


def as_(name):
    return gr.Request(username=name)


def event(**data):
    return gr.EventData(None, data)


def verdict_on(services, name, dataset=NAME):
    entry = {"kind": "verdict", "image_id": services.image_id, "verdict": "reject"}
    return GridActions(services).send(event(seq="1", dataset=dataset, entries=[entry]), as_(name)).props["acks"]


def test_pickers_and_tables_name_it_to_its_owner_and_administrators_only(services):
    def seen(name):
        return NAME in {dataset.name for dataset in services.datasets_of(services.visitor(name))}

    assert NAME not in services.shared_datasets()
    assert [seen(name) for name in ROLES] == [True, False, False, False, True]
    table = BoardActions(services).show("other", as_("bob"))[0]
    assert NAME not in table
    assert SECRET.replace("'", "&#x27;") in BoardActions(services).show(NAME, as_("ann"))[0]


HANDLERS = {
    "counts": lambda s, who: ReviewActions(s).counts(NAME, who),
    "counts of the grid": lambda s, who: GridActions(s).counts(NAME, who),
    "counts of the set": lambda s, who: DatasetActions(s).counts(NAME, who),
    "undo": lambda s, who: ReviewActions(s).undo(NAME, who),
    "export": lambda s, who: next(DatasetActions(s).export(NAME, "imagefolder", who)),
    "import": lambda s, who: next(DatasetActions(s).take_in(NAME, "x.zip", who)),
    "probe": lambda s, who: next(ProbeActions(s).probe(NAME, None, 0, who)),
    "decide for programs": lambda s, who: Endpoints(s).decide(who, s.image_id, "reject", NAME),
    "undo for programs": lambda s, who: Endpoints(s).undo(who, NAME),
    "probe for programs": lambda s, who: next(Endpoints(s).probe(who, NAME)),
    "facts": lambda s, who: GridActions(s).enlarge(NAME, event(image_id=s.image_id), who),
    "choices": lambda s, who: GridActions(s).choices(NAME, who),
    "my next images": lambda s, who: GridActions(s).hand_out(NAME, who),
    "near-duplicates": lambda s, who: next(GroupActions(s).find(NAME, "all", who)),
    "map": lambda s, who: next(MapActions(s, GridActions(s)).draw(NAME, "", "pca", who)),
    "coverage": lambda s, who: CoverageActions(s).show(NAME, "asymmetry", "", "", who),
    "reviews": lambda s, who: ReviewPlanActions(s).show(NAME, who),
    "plan": lambda s, who: ReviewPlanActions(s).set_plan(NAME, 2, True, who),
    "rename": lambda s, who: BoardActions(s).save(NAME, "mine", "", False, who),
    "archive": lambda s, who: BoardActions(s).archive(NAME, who),
}  # fmt: skip


@pytest.mark.parametrize("handler", HANDLERS.values(), ids=HANDLERS.keys())
def test_no_handler_opens_it_for_another_curator(services, handler):
    with pytest.raises((gr.Error, DermaFluxError)) as refused:
        handler(services, as_("bob"))
    assert "no dataset" in str(refused.value)
    assert SECRET not in str(refused.value)
    assert services.counts(NAME, viewer="ann").accept == 1


def test_pages_and_verdicts_refuse_in_band(services):
    page = GridActions(services).ask(NAME, event(seq=1, words={}, after=None), as_("bob"))
    assert (page["cards"], page["total"]) == ([], 0)
    assert "no dataset" in page["empty"]
    assert "no dataset" in verdict_on(services, "bob")["problem"]
    assert services.counts(NAME, viewer="ann").accept == 1
    assert verdict_on(services, "root")["states"][services.image_id]["mine"] == "reject"


def test_roles_decide_who_judges_and_who_makes_datasets(services):
    assert "viewer" in verdict_on(services, "vic", "shared")["problem"]
    assert "begin the new dataset" in verdict_on(services, "rev", "shared")["problem"]
    with pytest.raises(gr.Error, match="make a dataset"):
        BoardActions(services).create("shared", "", False, as_("rev"))
    BoardActions(services).create("shared", "", False, as_("bob"))
    assert "problem" not in verdict_on(services, "rev", "shared")
    with pytest.raises(gr.Error, match="belongs to bob"):
        BoardActions(services).save("shared", "taken over", "", False, as_("ann"))
    with pytest.raises(gr.Error, match="set a review plan"):
        ReviewPlanActions(services).set_plan("shared", 2, True, as_("rev"))


def test_an_archived_dataset_is_not_offered_and_takes_no_verdict(services):
    BoardActions(services).archive(NAME, as_("ann"))
    assert NAME not in {dataset.name for dataset in services.datasets_of(services.visitor("ann"))}
    assert "archived" in verdict_on(services, "ann")["problem"]
    BoardActions(services).archive(NAME, as_("ann"))
    assert "problem" not in verdict_on(services, "ann")


def test_saved_filters_are_ones_own_and_checked(services):
    actions = GridActions(services)
    words = {"verdict": "undecided", "measured_border": [2, None], "text": "jagged"}
    assert actions.save(NAME, event(name="f", words=words), as_("ann")).props["choices"]["filters"][0]["words"] == words
    services.new_dataset(services.visitor("bob"), "bobs")
    assert actions.choices("bobs", as_("bob")).props["choices"]["filters"] == []
    for bad in ({"owner": "x"}, {"border": [3, 1]}, {"diagnoses": ["nope"]}, {"made_from": "May"}, {"agrees": "yes"}):
        with pytest.raises(gr.Error):
            actions.save(NAME, event(name="bad", words=bad), as_("ann"))
