"""The probe over HTTP and its table: refusals in words, an answer in the end, the same names for programs."""

import numpy as np
import pytest
from gradio_client.exceptions import AppError
from PIL import Image

from dermaflux.evaluation.classifier_metrics import Interval
from dermaflux.evaluation.probe_report import ClassRecall, Difference, ProbeReport
from pages.probe_panel import _table

SPEC = {"asymmetry": 1, "border": 4, "colours": ["dark brown"], "diagnosis": "mel"}


@pytest.fixture(scope="module")
def accepted(client):
    """A dataset with one accepted melanoma."""
    answer = client.predict(spec=SPEC, num_images=1, seed=3, api_name="/generate")
    client.predict(answer["images"][0]["image_id"], "accept", "probed", api_name="/decide")
    return "probed"


@pytest.fixture(scope="module")
def real(served):
    """A set of real pictures that the app knows by its name."""
    folder = served[1] / "real" / "clinic"
    folder.mkdir(parents=True)
    rng, rows = np.random.default_rng(0), ["file_name,diagnosis,split,lesion_id"]
    for row in range(40):
        pixels = rng.integers(0, 256, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{row}.png")
        rows.append(f"{row}.png,{('nv', 'mel')[row % 2]},{'train' if row < 16 else 'val'},L{row}")
    (folder / "metadata.csv").write_text("\n".join(rows) + "\n")
    return "clinic"


def test_without_real_pictures_the_way_to_get_some_is_named(client, accepted):
    with pytest.raises(AppError, match="import-real"):
        client.predict(accepted, api_name="/probe")


def test_the_probe_streams_what_it_does_and_ends_with_a_report(client, accepted, real):
    answers = list(client.submit(accepted, real, api_name="/probe"))
    assert {a["doing"] for a in answers[:-1]} >= {"Describing pictures", "Training heads"}
    report = answers[-1]
    assert report["state"] == "done" and "Not a medical device" in report["statement"]
    assert (report["num_real"], report["num_added"], report["num_held_out"]) == (16, 1, 24)
    assert set(report["classes"]) == {"mel", "nv"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("nobody",), "no dataset 'nobody'"), (("probed", "../.."), "no real pictures named"),
     (("probed", "clinic", 2), "num_real is 2")],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_in_words(client, accepted, real, arguments, words):
    with pytest.raises(AppError, match=words):
        client.predict(*arguments, api_name="/probe")


def test_the_table_marks_what_is_certain_and_escapes_names():
    def figure(low, high):
        return Difference(without=0.5, with_added=0.6, delta=Interval(value=(low + high) / 2, low=low, high=high))

    classes = {
        "mel": ClassRecall(recall=figure(-0.2, -0.1), num_held_out=10, num_added=0),
        "<b>": ClassRecall(recall=figure(-0.1, 0.1), num_held_out=10, num_added=5),
    }
    report = ProbeReport(
        balanced_accuracy=figure(0.05, 0.15), malignant_auc=figure(-0.1, 0.1), classes=classes, num_real=250,
        num_added=5, num_held_out=1000, num_lesions=700, num_draws=5, num_added_left_out=0, num_held_out_left_out=0,
    )  # fmt: skip
    shown = _table(report)
    assert shown.count("<tr>") == 5 and "<th>Malignant AUC</th>" in shown
    assert '<td class="is-up">+0.100 (+0.050, +0.150)</td><td>1,000</td><td>5</td>' in shown
    assert [shown.count(f'"{tone}"') for tone in ("is-up", "is-down", "is-open")] == [1, 1, 2]
    assert "<b>" not in shown
    assert "helps" in report.headline
