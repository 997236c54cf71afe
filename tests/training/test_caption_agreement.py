"""Contradictions and rates, on readings and measurements that are known."""

import pytest

from dermaflux.domain.records import Measurement
from training.caption_agreement import caption_report, contradictions, told
from training.caption_lines import CaptionLine
from training.caption_reading import read_description


def measured(asymmetry=0.1, border=0.5, colours=("dark brown",)):
    return Measurement(asymmetry=asymmetry, border=border, colours=colours)


@pytest.mark.parametrize(
    ("text", "found", "expected"),
    [
        ("It is perfectly symmetrical.", measured(asymmetry=0.5), ()),  # one level apart
        ("It is perfectly symmetrical.", measured(asymmetry=0.9), ("asymmetry: 0 stated, 1 measured",)),
        ("It is asymmetrical.", measured(asymmetry=0.1), ("asymmetry: 1 to 2 stated, 0 measured",)),
        ("It is asymmetrical.", measured(asymmetry=0.5), ()),
        ("Its border is smooth.", measured(border=3), ("border: 0 stated, 4 measured",)),
        ("It is brown.", measured(), ()),
        ("It is black.", measured(), ("colours: black named, not measured", "colours: dark brown measured, not named")),
        ("It is light brown to dark brown.", measured(), ("colours: light brown named, not measured",)),
        ("It stands out.", measured(), ()),
        ("It is black.", Measurement(refused="touches the frame"), ()),
    ],
)
def test_contradictions(text, found, expected):
    assert contradictions(read_description(text), found) == expected


def line(i, text, found, **changes):
    reading = read_description(text)
    facts = {"image_id": f"p{i}", "model": "m", "revision": "", "prompt": "blind", "seconds": 2.0, "raw": text}
    facts |= {"caption": text, "reading": reading, "measured": found, "contradictions": contradictions(reading, found)}
    return CaptionLine(**facts | changes)


def test_the_report_counts_what_can_be_counted():
    lines = [
        line(0, "It is perfectly symmetrical and dark brown.", measured(0.0)),
        line(1, "It is moderately asymmetrical and black.", measured(0.9), num_diagnostic=1),
        line(2, "It is extremely asymmetrical.", measured(0.2)),
        line(3, "It is black.", Measurement(refused="blank")),
        line(4, "", measured(), caption=None, reading=None, measured=None, refused="The answer declines."),
    ]
    report = caption_report(lines)
    assert (report.num_pictures, report.num_captions, report.refused) == (5, 4, {"The answer declines.": 1})
    assert (report.asymmetry.num_measured, report.asymmetry.num_stated) == (3, 3)
    assert report.asymmetry.spearman == pytest.approx(0.5)  # ranks 1 2 3 against 1 3 2
    assert report.asymmetry.within_one_level == pytest.approx(2 / 3)
    assert report.border.num_stated == 0 and report.border.spearman is None
    assert (report.named_and_measured, report.measured_and_named) == (0.5, 0.5)
    assert report.contradicted == pytest.approx(2 / 3)
    assert (report.talk_of_diagnosis, report.seconds_per_picture) == (0.25, 2.0)
    assert "asymmetry: stated in 3 of 3, within a level 67%, Spearman 0.50" in told(report)
    assert "1 without: The answer declines." in told(report)


def test_a_report_of_nothing_has_no_figures():
    report = caption_report([])
    assert report.contradicted is None and report.asymmetry.within_one_level is None
    assert "within a level -, Spearman -" in told(report)
