"""What a grid's board and a strip's curves show of the events of their job."""

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
)
from dermaflux.domain.sweep import AxisValues, Sweep
from dermaflux.services.records import Ended, Finished, Loading
from pages.components.strip_curve import Curve, strip_curves, trend_words
from pages.components.sweep_view import SweepView

SPEC = LesionSpec(asymmetry=1.5, border=6, colours=("red", "black"), diagnosis="mel")
FOUND = Assessment(
    measurement=Measurement(asymmetry=1.0, border=4.0, colours=("red",), num_colours=1, mask_area=0.3),
    prediction=Prediction(malignant=0.7, threshold=0.4, diagnosis={"nv": 0.3, "mel": 0.7}),
)
SWEEP = Sweep(
    base=SamplingRequest(caption="c", spec=SPEC, num_steps=3),
    rows=AxisValues(axis="asymmetry", values=(0, 2)),
    columns=AxisValues(axis="diagnosis", values=("nv", "mel")),
)


@pytest.fixture
def stored(tmp_path):
    path = tmp_path / "image.png"
    Image.new("RGB", (16, 16), "brown").save(path)
    made = {"spec": SPEC.to_dict(), "caption": "c", "seed": 7, "steps": 3, "size_px": 16, "model": "nano"}
    return StoredImage(image_id="i1", sha256="ab" * 32, path=str(path), job_id="j",
                       created_at="2027-01-02T03:04:05+00:00", generated=made, assessment=FOUND.to_dict())  # fmt: skip


def finished(stored, index=2):
    return Finished(job_id="j", image_index=index, stored=stored, assessment=FOUND)


def test_cells_stand_under_headings_with_what_was_found(stored):
    view = SweepView(SWEEP, "j")
    view.apply(finished(stored))
    shown = view.value()
    assert shown["table"]["rows"] == ["0", "2"]
    assert shown["table"]["columns"] == ["melanocytic nevus", "melanoma"]
    cell = shown["cards"][2]
    assert cell["title"] == "asymmetry 2 · diagnosis melanocytic nevus"
    assert [(part["letter"], part["value"], part["moves"]) for part in cell["brief"]["measured"]] == [
        ("A", "1.0", True), ("B", "4.0", False), ("C", "1", False),
    ]  # fmt: skip
    assert (cell["brief"]["malignant"], cell["brief"]["over"]) == (0.7, True)
    assert cell["picture"].startswith("data:image/jpeg") and cell["is_thumbnail"]


def test_what_was_drawn_before_is_counted_and_what_was_not_keeps_its_place(stored):
    view = SweepView(SWEEP, "j")
    view.apply(finished(replace(stored, job_id="an earlier one")))
    assert "1 drawn before" in view.value()["job"]["note"]
    view.apply(Ended(job_id="j", state="cancelled"))
    assert view.value()["job"]["note"] == "1 of 4 images · 1 drawn before"
    assert [card["state"] for card in view.value()["cards"]] == ["missing", "missing", "done", "missing"]


def test_a_load_names_its_part():
    view = SweepView(SWEEP, "j")
    view.apply(Loading(job_id="j", doing="the T5 text encoder, 9.5 GB", done=3, total=5))
    assert view.value()["job"]["title"] == "Loading the model"
    assert view.value()["job"]["note"] == "the T5 text encoder, 9.5 GB, part 4 of 5"


def curves(malignant, rho=0.95, limit=0.3):
    probability = Curve(name="P(malignant)", found=malignant, highest=1.0, rho=rho, limit=limit)
    measured = Curve(name="Measured asymmetry", found=[0.1, None, 1.9], highest=2.0, rho=None, asked=[0, 1, 2])
    return strip_curves("asymmetry", ["0", "1", "2"], probability, measured)


def test_a_strip_says_the_trend_the_figures_and_where_the_operating_point_is_crossed():
    shown = curves([0.1, 0.2, 0.8])
    assert "P(malignant) along asymmetry from 0 to 2: rises steadily, 0.10 to 0.80; Spearman +0.95" in shown
    assert "crosses the operating point of 0.30 between 1 and 2" in shown
    assert "Not a diagnosis" in shown
    assert "Measured asymmetry along asymmetry from 0 to 2: too few values to say, 0.1 to 1.9." in shown


def test_a_refusal_leaves_a_gap_and_where_all_are_refused_words_say_so():
    whole, gap = curves([0.1, 0.2, 0.8]), curves([0.1, None, 0.8])
    assert whole.count("<circle") == gap.count("<circle") + 1
    assert gap.count('class="is-found"') == whole.count('class="is-found"') - 1
    assert curves([None, None, None]).count("refused on every image") == 1
    nothing = Curve(name="P", found=[None], highest=1.0, rho=None)
    said = strip_curves("asymmetry", ["0"], nothing, nothing)
    assert said.count("refused on every image") == 2 and "<svg" not in said


def test_names_are_escaped():
    hostile = Curve(name="<img src=x>", found=[0.5], highest=1.0, rho=None)
    assert "<img" not in strip_curves("<b>", ["<i>"], hostile, hostile)


@pytest.mark.parametrize(
    ("rho", "words"),
    [(1.0, "rises steadily"), (0.6, "rises mostly"), (-0.95, "falls steadily"), (0.2, "does not follow"),
     (None, "too few values to say")],
)  # fmt: skip
def test_trends_in_words(rho, words):
    assert trend_words(rho) == words
