"""The words that name adapters and their weights."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermaflux.domain.blend import AdapterUse, parse_blend
from dermaflux.domain.errors import InvalidRequest


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_nothing_is_no_adapter(nothing):
    assert parse_blend(nothing) == ()


def test_names_files_and_repositories_with_and_without_weights():
    text = "rare:0.5, /lora/a b.safetensors ,owner/name/file.safetensors:-1"
    assert parse_blend(text, 2.0) == (
        AdapterUse(name="rare", weight=1.0),
        AdapterUse(name="/lora/a b.safetensors", weight=2.0),
        AdapterUse(name="owner/name/file.safetensors", weight=-2.0),
    )


names = st.text("abcdefghijklmnopqrstuvwxyz-_./", min_size=1).filter(lambda name: name.strip())


@given(st.dictionaries(names, st.floats(-4, 4), min_size=1, max_size=8))
def test_what_is_written_is_read_back(weights):
    text = ",".join(f"{name}:{weight!r}" for name, weight in weights.items())
    assert {use.name: use.weight for use in parse_blend(text)} == weights


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("rare:strong", "not a number"),
        ("rare:", "not a number"),
        ("rare:nan", "not a number"),
        ("rare:5", "outside -4 to 4"),
        ("rare,rare:0.5", "named twice"),
        ("rare,,sharp", "leaves a name out"),
        (":0.5", "leaves a name out"),
        (",".join("abcdefghi"), "8 at most"),
    ],
)
def test_what_cannot_be_is_refused_in_words(text, said):
    with pytest.raises(InvalidRequest, match=said):
        parse_blend(text)
