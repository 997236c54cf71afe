"""The file of captions loses no whole line and doubles none, wherever a kill tears it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import Measurement
from training.caption_lines import CaptionLine, load_captions, open_captions, read_lines
from training.caption_reading import Reading, Stated


def line(image_id, **changes):
    facts = {"image_id": image_id, "model": "m", "revision": "r", "prompt": "blind", "seconds": 0.5, "raw": "É black."}
    return CaptionLine(**facts | {"caption": f"Here is {image_id}."} | changes)


FULL = line(
    "full",
    reading=Reading(asymmetry=Stated(low=1, high=2), colours=(frozenset({"black"}),)),
    spec=LesionSpec(asymmetry=1, border=2, colours=("black",), diagnosis="nv"),
    measured=Measurement(asymmetry=0.3, border=1.0, colours=("black", "red")),
    num_diagnostic=2,
    contradictions=("colours: red measured, not named",),
)


def write(path, *lines):
    with open_captions(path) as captions:
        for one in lines:
            captions.append(one)


def test_a_line_is_read_back_as_it_was(tmp_path):
    refused = line("bad", caption=None, raw=None, refused="No answer within 2 s.")
    write(tmp_path / "c.jsonl", FULL, refused)
    assert read_lines(tmp_path / "c.jsonl") == {"full": FULL, "bad": refused}
    first = json.loads((tmp_path / "c.jsonl").read_text().splitlines()[0])
    assert first["measured"] == {"asymmetry": 0.3, "border": 1.0, "colours": ["black", "red"], "refused": None}


@settings(max_examples=25)
@given(data=st.data())
def test_torn_at_any_byte_the_whole_lines_stay_and_the_rest_is_written_once(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("torn") / "c.jsonl"
    names = [f"é{i}" for i in range(4)]
    write(path, *map(line, names))
    whole = path.read_bytes()
    kept = whole[: data.draw(st.integers(0, len(whole)))]
    path.write_bytes(kept)
    with open_captions(path) as captions:
        assert list(captions.lines) == names[: kept.count(b"\n")]
        for name in names:
            if name not in captions.lines:
                captions.append(line(name))
    assert path.read_bytes() == whole


def test_a_second_line_of_a_picture_is_refused(tmp_path):
    path = tmp_path / "c.jsonl"
    with open_captions(path) as captions:
        captions.append(line("a"))
        with pytest.raises(InvalidRequest, match="has a caption"):
            captions.append(line("a"))
    path.write_text(path.read_text() * 2)
    with pytest.raises(InvalidRequest, match=r"Line 2 .* second one of a"):
        read_lines(path)


def test_two_runs_do_not_write_one_file(tmp_path):
    with (
        open_captions(tmp_path / "c.jsonl"),
        pytest.raises(InvalidRequest, match="Another run"),
        open_captions(tmp_path / "c.jsonl"),
    ):
        pass
    with open_captions(tmp_path / "c.jsonl"):
        pass


@pytest.mark.parametrize("broken", ["{}", "[1]", "nonsense", '{"image_id": "a"}', "\x00\x00"])
def test_a_broken_line_is_named_and_nothing_is_lost(tmp_path, broken):
    path = tmp_path / "c.jsonl"
    write(path, line("a"))
    text = path.read_text() + broken + "\n" + line("b").to_json() + "\n"
    path.write_text(text)
    with pytest.raises(InvalidRequest, match="Line 2"), open_captions(path):
        pass
    assert path.read_text() == text


def test_a_line_with_neither_caption_nor_reason_is_broken(tmp_path):
    with pytest.raises(ValueError, match="either a caption or the reason"):
        CaptionLine.from_json(line("a", caption=None).to_json())


def test_with_retry_the_refused_are_to_be_asked_again(tmp_path):
    path = tmp_path / "c.jsonl"
    write(path, line("a"), line("b", caption=None, refused="Status 500."), line("c"))
    with open_captions(path) as captions:
        assert list(captions.lines) == ["a", "b", "c"]
    with open_captions(path, retry_refused=True) as captions:
        assert list(captions.lines) == ["a", "c"]
        captions.append(line("b"))
    assert list(read_lines(path)) == ["a", "c", "b"]


def test_for_training_only_captions_come_and_by_wish_only_consistent_ones(tmp_path):
    path = tmp_path / "c.jsonl"
    write(path, line("a"), line("b", caption=None, refused="declines"), FULL)
    assert load_captions(path) == {"a": "Here is a.", "full": "Here is full."}
    assert list(load_captions(path, max_contradictions=0)) == ["a"]
    with pytest.raises(DataNotFound, match="does not exist"):
        load_captions(tmp_path / "none.jsonl")
    write(tmp_path / "d.jsonl", line("b", caption=None, refused="declines"))
    with pytest.raises(DataNotFound, match="no usable caption"):
        load_captions(tmp_path / "d.jsonl")
