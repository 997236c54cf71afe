"""The line of speed options: read, checked, written back; what of it belongs into the record of an image."""

from dataclasses import replace

import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.speed import NO_SPEED, Speed, parse_speed


def test_off_by_default_but_for_the_memory_of_captions():
    assert parse_speed("") == NO_SPEED and not NO_SPEED.changes_network and NO_SPEED.prompt_cache
    assert NO_SPEED.record(with_adapters=False) == ""


def test_a_line_is_read_and_written_back():
    speed = parse_speed(" compile , first_block_cache=0.12,attention,channels_last ,prompt_cache=8")
    assert speed == Speed(
        compile=True, first_block_cache=0.12, attention="auto", channels_last=True, prompt_cache=8
    )  # fmt: skip
    assert speed.text == "compile,attention=auto,channels_last,first_block_cache=0.12,prompt_cache=8"
    assert parse_speed(speed.text) == speed
    assert parse_speed("hotswap").hotswap == 64 and parse_speed("hotswap=128,batch").batch == 4


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("compil", "Did you mean compile?"),
        ("zzzz", r"Choose among compile, cuda_graphs, attention, .*prompt_cache\."),
        ("compile,compile", "stands there twice"),
        ("compile=1", "takes no value"),
        ("first_block_cache=much", "'much', not a number"),
        ("batch=2.5", "'2.5', not a whole number. Write for example batch=4"),
        ("batch=0", "outside 1 to 64"),
        ("first_block_cache=nan", "outside 0 to 1"),
        ("attention=flash9", "Choose auto, flash3, cudnn, native"),
        ("first_block_cache,taylorseer", "exclude each other"),
        ("first_block_cache,batch=4", "depend on its neighbours"),
        ("taylorseer,cuda_graphs", "recorded graph"),
        ("compile,cuda_graphs", "compiles already"),
        ("fuse_qkv,hotswap", "without effect"),
        ("fuse_qkv,fp8", "cannot be fused"),
    ],
)
def test_what_cannot_be_had_is_refused_in_words(line, said):
    with pytest.raises(InvalidRequest, match=said):
        parse_speed(line)


def test_the_record_leaves_out_what_changes_no_pixel():
    speed = Speed(compile=True, fuse_qkv=True, batch=8, prompt_cache=99)
    assert speed.record(with_adapters=False) == "compile,fuse_qkv"
    assert speed.record(with_adapters=True) == "compile"
    assert not replace(NO_SPEED, batch=8, prompt_cache=0).changes_network
