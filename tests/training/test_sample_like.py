"""Samples that follow real pictures: each asks for what its picture was measured to show, and none is made twice."""

from collections import Counter

from dermaflux.domain.caption import parse
from dermaflux.domain.records import Split
from dermaflux.provenance import read_provenance
from training.nano_data import load_captioned, load_specs
from training.sample_like import LikeConfig, requests_like, write_samples


def test_each_request_asks_for_a_lesion_of_the_split_once(drawn_ham):
    specs = load_specs(drawn_ham, drawn_ham / "measured.csv", Split.TRAIN)
    everything = load_captioned(drawn_ham, drawn_ham / "measured.csv", Split.TRAIN, 64).specs
    assert specs
    assert all(spec in everything for spec in specs)
    requests = list(requests_like(specs, LikeConfig(num_images=3, seed=40)))
    assert [request.seed for request in requests] == [40, 41, 42]
    assert not Counter(request.spec for request in requests) - Counter(specs)
    assert all(parse(request.caption).diagnosis == request.spec.diagnosis for request in requests)
    assert len(list(requests_like(specs, LikeConfig(num_images=10_000)))) == len(specs)


def test_what_is_there_is_kept_and_every_picture_says_what_it_is(drawn_ham, tmp_path):
    specs = load_specs(drawn_ham, drawn_ham / "measured.csv", Split.TRAIN)
    config = LikeConfig(num_images=2, num_steps=1, out=tmp_path)
    requests = list(requests_like(specs, config))
    (tmp_path / "000001.png").write_bytes(b"kept")
    write_samples(config, requests)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["000000.png", "000001.png"]
    assert (tmp_path / "000001.png").read_bytes() == b"kept"
    assert read_provenance(tmp_path / "000000.png").spec == requests[0].spec
