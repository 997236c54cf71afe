"""No handler does for a visitor what their role does not cover: every registered one is called, private or not.

A new handler that changes something needs no line here. One that only shows things belongs into OPEN_TO_VIEWERS; one
that neither reads nor writes anything kept belongs into PURE. Both lists name what exists, so neither can rot.
"""

import gc
import inspect
import warnings

import gradio as gr
import pytest
from gradio.helpers import special_args

from dermaflux.domain.errors import NotAllowed
from dermaflux.domain.records import SamplingRequest
from dermaflux.services import Services
from dermaflux.settings import Settings
from pages.review import may_judge
from pages.shell import build_app

# Gradio leaves its event loop to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]
PASSWORD = "correct horse battery"
EVENT = {
    "image_id": "x", "verdict": "accept", "remix": False, "record": "{}", "name": "x.png", "id": "x", "ids": ["x"],
    "key": "x", "keep": "x", "seq": 1, "dataset": "none", "entries": [{"image_id": "x", "verdict": "accept"}],
    "words": {}, "after": None, "job_id": "x", "action": "show", "deed": "show", "place": 0,
}  # fmt: skip
# They answer from what they are given alone (sliders to caption, catalogue to defaults, one line of text).
PURE = {
    "GenerateActions.follow_controls",
    "GenerateActions.note_caption",
    "GenerateActions.compose_anew",
    "GenerateActions.reword",
    "GenerateActions.set_controls",
    "GenerateActions.use_defaults",
    "probe_panel.<locals>.<lambda>",
    "idle_stop",
    "stopped",
    "_not_looked",
    "_not_drawn",
    "_how_to_fill",
    "SweepActions.offer_values",
    "StripActions.offer_values",
    "_new_study.<locals>.<lambda>",
    "wire_reuse.<locals>.<lambda>",
    "_set_timers",
    "_export_failed",
    "_export_stopped",
    "_import_failed",
}
OPEN_TO_VIEWERS = {
    "Greeting.header",
    "Greeting.disk_note",
    "GenerateActions.follow",
    "GenerateActions.adapters_on_offer",
    "SweepActions.follow",
    "StripActions.follow",
    "ReuseActions.from_image",
    "ReuseActions.from_record",
    "QueueActions.refresh",
    "QueueActions.show",  # of their own jobs
    "wire_picker.<locals>.choices",
    "DatasetActions.counts",
    "GridActions.ask",
    "GridActions.choices",
    "GridActions.counts",
    "GridActions.enlarge",
    "GridActions.save",  # their own filters
    "GridActions.forget",
    "GridActions.show",
    "GroupActions.find",
    "MapActions.draw",
    "MapActions.pick",
    "MapActions.real_sets",
    "CoverageActions.real_sets",
    "CoverageActions.show",
    "BoardActions.open",
    "BoardActions.show",
    "ReviewPlanActions.show",
    "StudyActions.studies",
    "StudyActions.results",  # of their own studies
    "StudyFormActions.offers",
    "TrainActions.choices",
    "TrainActions.choose",
    "TrainActions.choose_kind",
    "TrainActions.choose_preset",
    "TrainActions.compare",
    "TrainActions.cost",
    "TrainActions.refresh",
    "EvaluateActions.choices",
    "EvaluateActions.fit",
    "EvaluateActions.refresh",
    "EvaluateActions.standing",
    "EvaluateActions.studies",
    "EvaluateActions.study",
    "EvaluateActions.shower.<locals>.show",
    "wire_downloads.<locals>.asked",
    "ReviewActions.counts",
    "ReviewActions.saliency",
    "ReviewActions.enlarge",
    "ProbeActions.choices",
    "Endpoints.compose_caption",
    "Endpoints.classify_sample",
    "Endpoints.measure_sample",
    "Endpoints.explain_sample",
    "AccountActions.show",
    "AccountActions.change_password",  # their own
    "AccountActions.issue_key",  # in their own name and role
    "AccountActions.end_key",
}


@pytest.fixture(scope="module")
def services(tmp_path_factory):
    with Services(Settings(data_dir=tmp_path_factory.mktemp("roles") / "data", auth="local")) as services:
        for name, role in (("root", "admin"), ("look", "viewer"), ("rev", "reviewer"), ("cura", "curator")):
            services.add_account(name, role, PASSWORD)
        yield services


@pytest.fixture(scope="module")
def let_go():
    """What Gradio leaves behind is collected here, and not in the middle of a later test that would be blamed."""
    yield
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.fixture(scope="module")
def handlers(let_go, services):
    """Every registered handler by its name; a handler may be registered many times."""
    found = {}
    for block_fn in build_app(services).fns.values():
        if block_fn.fn is not None:
            fn = getattr(block_fn.fn, "func", block_fn.fn)  # of a partial
            name = f"{type(getattr(fn, '__self__', None)).__name__}.{fn.__name__}"
            found[fn.__qualname__ if name.startswith("NoneType") else name] = block_fn
    return found


def test_progress_that_is_hidden_is_kept_on_no_part_of_the_page(handlers):
    """Each part that has a status is looked up anew at every message of every handler."""
    hidden = [handler for handler in handlers.values() if handler.show_progress == "hidden"]
    assert len(hidden) > 50
    assert all(handler.get_config()["show_progress_on"] == [] for handler in hidden)


def call(block_fn, name):
    """What a handler answers a log-in name (None: nobody) when it is called as an endpoint with empty inputs."""
    arguments = [{}] if block_fn.inputs_as_dict else [None] * len(block_fn.inputs)
    request, event = gr.Request(username=name), gr.EventData(None, dict(EVENT))
    filled, *_ = special_args(block_fn.fn, inputs=arguments, request=request, event_data=event)
    answer = block_fn.fn(*filled)
    return next(answer) if inspect.isgenerator(answer) else answer


def refusal(block_fn, name):
    """How a handler refused a visitor for who they are, None when it did not."""
    try:
        answer = call(block_fn, name)
    except gr.Error as error:
        said = error.message
    except Exception:
        return None  # it went on, and stumbled over the empty inputs
    else:  # what is asked all the time says it in band
        parts = answer if isinstance(answer, tuple) else (answer,)
        said = str([vars(part) if isinstance(part, gr.HTML) else part for part in parts])
    return said if any(words in said for words in ("may not", "Nobody is logged in", "no user")) else None


def test_the_lists_name_what_exists(handlers):
    assert set(handlers) >= PURE | OPEN_TO_VIEWERS
    assert not PURE & OPEN_TO_VIEWERS


def test_a_viewer_changes_nothing(handlers):
    allowed = {name for name, block_fn in handlers.items() if refusal(block_fn, "look") is None}
    assert allowed == PURE | OPEN_TO_VIEWERS


def test_nobody_sees_anything(handlers):
    for who in (None, "", "stranger"):
        let_in = {name for name, block_fn in handlers.items() if refusal(block_fn, who) is None}
        assert let_in == PURE


@pytest.mark.parametrize(
    ("role", "deeds"),
    [
        ("rev", {"DatasetActions.export", "Endpoints.export", "ProbeActions.probe", "Endpoints.probe"}),
        ("cura", {f"AccountActions.{deed}" for deed in ("add", "change_role", "reset_password", "disable", "enable")}),
    ],
)
def test_each_role_is_refused_what_the_next_one_may(handlers, role, deeds):
    refused = {name for name, block_fn in handlers.items() if refusal(block_fn, role)}
    assert deeds <= refused
    assert not {"GenerateActions.submit", "Endpoints.generate", "ReviewActions.undo"} & refused


def test_a_reviewer_judges_in_a_dataset_but_begins_none(services):
    services.create_dataset("there")
    request = gr.Request(username="rev")
    assert may_judge(services, request, "there").name == "rev"
    with pytest.raises(NotAllowed, match="begin the new dataset 'new'"):
        may_judge(services, request, "new")
    assert may_judge(services, gr.Request(username="cura"), "new").name == "cura"


def test_a_job_is_followed_and_stopped_by_its_owner_only(services, handlers):
    """The browser remembers a job; somebody else may have logged in there since."""
    from dermaflux.jobs import JobQueue

    request = SamplingRequest(caption="a mole", seed=1).to_dict()
    job = JobQueue(services._engine()).submit("rev", "generate", request, 1)
    actions = handlers["GenerateActions.follow"].fn.__self__
    shown = {name: next(actions.follow(job.id, "d", gr.Request(username=name)))[0] for name in ("cura", "rev")}
    assert "a mole" in str(shown["rev"]) or shown["rev"]["job"]
    assert shown["cura"] == gr.skip()
    actions.stop(job.id, gr.Request(username="cura"))
    assert services.job(job.id).state == "waiting"
    actions.stop(job.id, gr.Request(username="rev"))
    assert services.job(job.id).state == "cancelled"
