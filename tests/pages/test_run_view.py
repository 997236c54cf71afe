"""What a page says of a run that may have learned its pictures by heart."""

from dataclasses import replace

import pytest

from dermaflux.services.training_records import RunReport, TrainingRun
from pages.components.run_view import head_html, list_value, probes_html

RUN = TrainingRun(
    run_id="lora/a", kind="lora", name="a", owner="", state="running", since="", seconds=5, why="", note="", step=40,
    num_steps=60, product=None, settings={},
)  # fmt: skip
ROUND = {
    "step": 40, "memorisation_min": 0.03, "memorisation_median": 0.2, "memorisation_share": 1 / 14,
    "memorisation_threshold": 0.055, "memorisation_held_out": 0.18,
}  # fmt: skip


def probe(distance, is_copy):
    return {
        "asked": {"diagnosis": "df", "asymmetry": 0, "border": 0, "num_colours": 1}, "malignant": 0.1, "jpeg": "",
        "measured": {"asymmetry": 0, "border": 0, "num_colours": 1, "refused": None},
        "nearest": {"distance": distance, "is_copy": is_copy},
    }  # fmt: skip


@pytest.fixture
def report():
    history = [{"step": 20, "gap": 0.001}, {**ROUND, "gap": 0.02}]
    return RunReport(run=RUN, history=history, probes=[probe(0.03, True), probe(0.3, False)], probes_step=40, log="")


def test_a_run_says_what_it_found_and_warns_in_words(report):
    head = head_html(report, None)
    assert "nearest <b>0.030</b>, median 0.200; 7% below 0.055" in head and "<b>+0.0200</b> (+0.0010 at first)" in head
    assert "is-warning" not in head and not list_value([RUN], None)["runs"][0]["warning"]
    warned = replace(RUN, note="1 of 14 <may> be copied.")
    assert 'is-warning">1 of 14 &lt;may&gt; be copied.' in head_html(replace(report, run=warned), None)
    assert list_value([warned], None)["runs"][0]["warning"] == "may copy"


def test_each_sample_says_how_near_it_comes(report):
    shown = probes_html(report)
    assert shown.count("May be a copy: 0.030") == 1 and shown.count("is-copy") == 1
    assert "0.300 to the nearest training picture" in shown


def test_runs_from_before_are_shown_as_ever(report):
    old = {name: value for name, value in probe(0, False).items() if name != "nearest"}
    assert "training picture" not in probes_html(replace(report, probes=[old]))
    assert "Probe samples to" not in head_html(replace(report, history=[{"step": 1, "loss": 1.0}]), None)
