"""What a card and the board show of records and events."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import (
    Assessment,
    Measurement,
    Prediction,
    SamplingRequest,
    StoredImage,
    Verdict,
)
from dermaflux.services.records import Ended, Finished, Paused, Preview, Skipped, Waiting
from pages.components.card_view import stored_card
from pages.components.job_view import JobView
from pages.followed_jobs import paced

SPEC = LesionSpec(asymmetry=1.5, border=6, colours=("red", "black"), diagnosis="mel")
ASSESSMENT = Assessment(
    measurement=Measurement(
        asymmetry=1.0, border=4.0, colours=("red",), num_colours=1, mask_area=0.3
    ),
    prediction=Prediction(
        malignant=0.7, threshold=0.4, diagnosis={"nv": 0.3, "mel": 0.6, "bcc": 0.1}
    ),
)
REFUSED = Assessment(
    measurement=Measurement(refused="blank"), prediction=Prediction(refused="blank")
)


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "image.png"
    Image.new("RGB", (16, 16), "brown").save(path)
    return StoredImage(
        image_id="i1",
        sha256="ab" * 32,
        path=str(path),
        job_id="j1",
        created_at="2027-01-02T03:04:05+00:00",
        generated={
            "spec": SPEC.to_dict(),
            "caption": "c",
            "seed": 7,
            "steps": 3,
            "size_px": 16,
            "model": "nano",
        },
        assessment=ASSESSMENT.to_dict(),
    )


def card(stored):
    return stored_card(stored, key="0", title="t", picture="data:")


def test_a_card_sets_the_request_beside_what_was_measured(stored):
    shown = card(stored)
    asymmetry, border = shown["attributes"]
    assert (asymmetry["requested"], asymmetry["measured"]) == (1.5, 1.0)
    assert (border["requested"], border["measured"], border["max"]) == (6, 4.0, 8)
    assert shown["colours"]["requested"] == ["red", "black"]
    assert shown["colours"]["measured"] == ["red"]


def test_the_likeliest_diagnosis_comes_first_and_agreement_is_stated(stored):
    prediction = card(stored)["prediction"]
    assert [name for name, _ in prediction["top"]] == [
        "Melanoma",
        "Melanocytic nevus",
        "Basal cell carcinoma",
    ]
    assert prediction["agrees"] is True


def test_a_refusal_shows_its_reason_and_no_number(stored):
    shown = card(replace(stored, assessment=REFUSED.to_dict()))
    assert shown["refused"] == "blank"
    assert [a["measured"] for a in shown["attributes"]] == [None, None]
    assert shown["colours"]["measured"] is None
    assert shown["prediction"] == {"refused": "blank"}


def test_free_text_leaves_the_request_blank(stored):
    shown = card(replace(stored, generated={**stored.generated, "spec": None}))
    assert shown["colours"]["requested"] is None
    assert shown["prediction"]["agrees"] is None


def test_an_image_that_was_never_assessed_still_shows(stored):
    assert card(replace(stored, assessment={}))["prediction"] is None


@pytest.fixture
def view():
    return JobView(SamplingRequest(caption="c", spec=SPEC, num_images=2, seed=7, num_steps=3))


def preview(step):
    return Preview(
        job_id="j", image_index=0, step=step, num_steps=3, image=Image.new("RGB", (600, 600))
    )


def test_every_value_is_new_so_that_only_differences_are_sent(view):
    before = view.value()
    view.apply(preview(1))
    assert before["cards"][0]["state"] == "waiting"
    assert view.value()["cards"][0]["state"] == "sampling"


def test_a_card_is_sent_as_text_that_stays_the_same_while_the_card_does(view):
    before = view.packed()
    view.apply(preview(1))
    after = view.packed()
    assert json.loads(after["cards"][0])["step"] == 1 and before["cards"][0] != after["cards"][0]
    assert before["cards"][1] == after["cards"][1]
    assert after["job"] == view.value()["job"]


def test_previews_that_follow_too_fast_are_left_out_and_nothing_else_is(stored):
    done = Finished(job_id="j", image_index=0, stored=stored, assessment=ASSESSMENT)
    events = [preview(1), preview(2), done, preview(3), done]
    assert list(paced(iter(events))) == [events[0], done, done]


def test_previews_of_images_drawn_together_are_shown_in_turn(monkeypatch):
    clock = iter(number * 0.1 for number in range(10_000))
    monkeypatch.setattr("pages.followed_jobs.time.monotonic", lambda: 100 + next(clock))
    steps = [replace(preview(step), image_index=index) for step in range(1, 20) for index in range(3)]
    shown = [event.image_index for event in paced(iter(steps))]
    assert shown[:3] == [0, 1, 2]
    assert len(shown) < len(steps) / 2
    assert max(map(shown.count, range(3))) - min(map(shown.count, range(3))) <= 1
    skipped = Skipped(job_id="j", image_index=0)
    rest = [replace(preview(step), image_index=index) for step in range(1, 20) for index in (1, 2)]
    after = list(paced(iter([*steps[:3], skipped, *rest])))
    assert skipped in after and len(after) > len(rest) / 3, "what was skipped holds up the others no more"


def test_a_preview_is_a_small_jpeg(view):
    view.apply(preview(1))
    uri = view.value()["cards"][0]["preview"]
    assert uri.startswith("data:image/jpeg;base64,") and len(uri) < 30_000


def test_a_finished_image_carries_its_own_lossless_picture_and_its_verdict(view, stored):
    accepted = replace(stored, verdict=Verdict.ACCEPT)
    view.apply(Finished(job_id="j", image_index=0, stored=accepted, assessment=ASSESSMENT))
    shown = view.value()
    assert shown["cards"][0]["picture"].startswith("data:image/png;base64,")
    assert shown["cards"][0]["verdict"] == "accept"
    assert shown["job"]["fraction"] == 0.5


def test_an_ended_job_keeps_what_was_finished_and_says_why_it_ended(view, stored):
    view.apply(Finished(job_id="j", image_index=1, stored=stored, assessment=ASSESSMENT))
    view.apply(Ended(job_id="j", state="failed", error="No room left."))
    shown = view.value()
    assert view.ended
    assert [shown_card["image_id"] for shown_card in shown["cards"]] == ["i1"]
    assert (shown["job"]["title"], shown["job"]["note"]) == ("Failed", "No room left.")


def test_a_skipped_image_is_dealt_with_and_its_card_stays(stored):
    view = JobView(SamplingRequest(caption="c", spec=SPEC, num_images=3, seed=7, num_steps=3), skippable="j")
    view.apply(preview(2))
    assert view.value()["cards"][0]["skippable"] == "j"
    view.apply(Skipped(job_id="j", image_index=0))
    shown = view.value()
    assert (shown["cards"][0]["state"], shown["cards"][0]["status"]) == ("skipped", "Skipped")
    assert shown["cards"][0]["preview"] is None
    assert (shown["job"]["title"], shown["job"]["note"]) == ("Sampling image 2 of 3", "0 of 3 done · 1 skipped")
    view.apply(Finished(job_id="j", image_index=1, stored=stored, assessment=ASSESSMENT))
    view.apply(Paused(job_id="j", done=2, total=3))
    assert view.value()["job"]["note"] == "1 of 3 done · 1 skipped · resume it in the queue"
    view.apply(Skipped(job_id="j", image_index=2))
    view.apply(Ended(job_id="j", state="done"))
    ended = view.value()
    assert [card["state"] for card in ended["cards"]] == ["skipped", "done", "skipped"]
    assert (ended["job"]["note"], ended["job"]["fraction"]) == ("1 of 3 images · 2 skipped", 1.0)


def test_the_time_that_is_left_is_measured_anew_after_a_skip(monkeypatch):
    now = [100.0]
    monkeypatch.setattr("pages.components.job_view.time.monotonic", lambda: now[0])
    view = JobView(SamplingRequest(caption="c", spec=SPEC, num_images=4, num_steps=10))

    def step(index, step, at):
        now[0] = at
        view.apply(Preview(job_id="j", image_index=index, step=step, num_steps=10, image=Image.new("RGB", (8, 8))))

    step(0, 1, 100.0)
    step(0, 6, 105.0)
    view.apply(Skipped(job_id="j", image_index=0))
    step(1, 5, 110.0)  # half an image in five seconds: two and a half are left
    assert view.value()["job"]["note"] == "0 of 4 done · 1 skipped · about 25 s left"


def test_waiting_says_how_many_are_ahead(view):
    view.apply(Waiting(job_id="j", ahead=2))
    assert view.value()["job"]["note"] == "2 requests ahead"
