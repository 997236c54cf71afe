import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from dermaflux.curation.records import DecisionRequest, ImageFilter, Order
from dermaflux.domain.errors import DataNotFound, ImageNotReadable, InvalidRequest
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Verdict
from dermaflux.provenance import from_generated, png_bytes, read_provenance


def test_an_image_is_kept_with_its_record(store, sample, assessed):
    made = sample(7)
    stored = store.add_image(made, assessed(), job_id="j")
    path = Path(stored.path)
    assert path.name == f"{stored.sha256}.png" and path.parent.name == stored.sha256[:2]
    assert read_provenance(path).to_dict() == stored.generated
    assert stored.generated["seed"] == 7 and stored.generated["synthetic"] is True
    assert stored.assessment == assessed().to_dict() and stored.job_id == "j" and stored.verdict is None
    assert store.get(stored.image_id) == stored
    with Image.open(io.BytesIO(store.read_png(stored.image_id))) as picture:
        assert picture.tobytes() == made.image.tobytes()


def test_the_same_content_is_one_row_even_when_made_again_later(store, sample, assessed):
    first = store.add_image(sample(1), assessed(), job_id="a")
    assert store.add_image(sample(1), job_id="b") == first
    assert store.add_image(store.read_png(first)) == first
    assert store.page().total == 1
    assert store.add_image(sample(2)).image_id > first.image_id


def test_only_images_with_an_honest_record_get_in(store, sample):
    with pytest.raises(ImageNotReadable):
        store.add_image(b"nothing")
    plain = io.BytesIO()
    sample().image.save(plain, "PNG")
    with pytest.raises(DataNotFound, match="no DermaFlux record"):
        store.add_image(plain.getvalue())
    assert store.page().total == 0


def test_a_lost_file_is_made_again_and_a_changed_one_is_seen(store, sample):
    stored = store.add_image(sample(3))
    content = Path(stored.path).read_bytes()
    Path(stored.path).unlink()
    with pytest.raises(DataNotFound, match="gone"):
        store.read_png(stored)
    assert store.add_image(sample(3)) == stored
    assert Path(stored.path).read_bytes() == content
    Path(stored.path).write_bytes(content[:-1])
    with pytest.raises(ImageNotReadable, match="changed"):
        store.read_png(stored.image_id)


def test_no_temporary_file_is_left(store, sample):
    store.add_image(sample(3))
    assert [p.suffix for p in store.pool.folder.rglob("*") if p.is_file()] == [".png"]


def test_an_assessment_can_follow_later(store, sample, assessed):
    stored = store.add_image(sample(1))
    assert stored.assessment == {}
    assert store.page(filters=ImageFilter(malignant_probability=(0.0, 1.0))).total == 0
    store.assess(stored.image_id, assessed(malignant=0.9))
    assert store.page(filters=ImageFilter(malignant_probability=(0.8, 1.0))).total == 1
    assert store.assess(stored.image_id, memorised=True).assessment == assessed(malignant=0.9).to_dict()
    assert store.page(filters=ImageFilter(memorised=True)).total == 1


@pytest.mark.parametrize("odd", ["", "\ud800", "\0", "\U0001f52c", "\\u0000"])
def test_a_hand_written_caption_has_no_spec_and_may_hold_anything(store, sample, odd):
    made = sample(1)
    made = replace(made, request=replace(made.request, spec=None, caption="etwas Braunes " + odd))
    stored = store.add_image(png_bytes(made.image, from_generated(made)))
    assert stored.generated["spec"] is None
    assert store.get(stored.image_id).generated["caption"] == "etwas Braunes " + odd
    assert store.page(filters=ImageFilter(text="BRAUNES")).total == 1


def test_what_is_not_there_says_so(store, says, sample):
    with pytest.raises(DataNotFound, match="no image"):
        store.get("x")
    with pytest.raises(DataNotFound, match="none yet"):
        store.counts("first")
    store.create_dataset("other")
    with pytest.raises(DataNotFound, match="There are: other"):
        store.page("first")
    with pytest.raises(DataNotFound, match="no image"):
        store.decide(says("x", dataset="other"))
    assert store.verify_chain().num_decisions == 0


@pytest.mark.parametrize("name", ["", " ", ".hidden", "a/b", "a\n", "ü", "end.", "x" * 65, "..", "-a"])
def test_bad_dataset_names_are_refused(store, name):
    if name == "a\n":
        name = "a\nb"
    with pytest.raises(InvalidRequest, match="letters, digits"):
        store.create_dataset(name)


def test_datasets_are_listed_and_unique(store):
    store.create_dataset("b set", owner="ada", description="rare ones")
    store.create_dataset("A-1.2_x")
    assert [d.name for d in store.datasets()] == ["A-1.2_x", "b set"]
    with pytest.raises(InvalidRequest, match="already"):
        store.create_dataset("B SET")
    with pytest.raises(InvalidRequest, match="already"):
        store.create_dataset("B SET", exist_ok=True)
    assert store.create_dataset("b set", exist_ok=True).owner == "ada"


def test_many_can_make_sure_of_a_dataset_at_once(store):
    with ThreadPoolExecutor(8) as pool:
        made = set(pool.map(lambda n: store.create_dataset("same", owner=str(n), exist_ok=True), range(16)))
    assert len(made) == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"verdict": "maybe"},
        {"realism": 0},
        {"realism": 6},
        {"realism": True},
        {"realism": 2.5},
        {"reviewer": "  "},
        {"reviewer": "x" * 101},
        {"tags": ("",)},
        {"tags": ("x" * 65,)},
        {"tags": tuple(map(str, range(21)))},
        {"note": "x" * 2001},
        {"note": "a\0b"},
        {"reviewer": "a\ud800"},
    ],
)
def test_bad_decisions_are_refused(wrong):
    good = {"dataset": "first", "image_id": "i", "reviewer": "ada", "verdict": "accept"}
    with pytest.raises(InvalidRequest):
        DecisionRequest(**(good | wrong))


def test_a_decision_comes_back_as_it_was_given(store, image_ids, says):
    made = store.decide(says(image_ids[0], "reject", realism=2, tags=("hair", " hair "), note="ruler ¼"))
    assert made.verdict is Verdict.REJECT and made.realism == 2 and made.tags == ("hair",) and made.note == "ruler ¼"
    assert made.sequence == 1 and made.undoes is None and made.previous_hash == "0" * 64
    assert store.decisions("first", image_ids[0]) == (made,)
    assert store.get(image_ids[0], "first").verdict is Verdict.REJECT
    assert store.get(image_ids[0]).verdict is None


def test_undo_goes_back_one_by_one(store, image_ids, says):
    store.decide(says(image_ids[0], "accept"))
    store.decide(says(image_ids[1], "reject"))
    last = store.decide(says(image_ids[0], "unsure"))
    undone = store.undo("first", "ada")
    assert undone.undoes == last.decision_id and undone.verdict is None and undone.image_id == image_ids[0]
    assert store.get(image_ids[0], "first").verdict is Verdict.ACCEPT
    store.undo("first", "ada")
    assert store.get(image_ids[1], "first").verdict is None
    store.decide(says(image_ids[2], "accept"))
    store.undo("first", "ada")
    store.undo("first", "ada")
    assert store.counts("first").decided == 0
    with pytest.raises(InvalidRequest, match="left to undo"):
        store.undo("first", "ada")
    assert len(store.decisions("first")) == 8 and store.verify_chain().intact


def test_undo_is_ones_own_and_of_one_dataset(store, image_ids, says):
    store.create_dataset("second")
    store.decide(says(image_ids[0]))
    store.decide(says(image_ids[0], dataset="second"))
    store.decide(says(image_ids[1], reviewer="bob"))
    assert store.undo("first", "ada").image_id == image_ids[0]
    assert store.counts("second").accept == 1 and store.counts("first").accept == 1
    with pytest.raises(InvalidRequest):
        store.undo("first", "ada")


def test_several_reviewers_come_to_one_verdict(store, image_ids, says):
    one = image_ids[0]
    store.decide(says(one, "unsure", "ada"))
    assert store.get(one, "first").verdict is Verdict.UNSURE
    store.decide(says(one, "accept", "bob"))
    assert store.get(one, "first").verdict is Verdict.ACCEPT
    store.decide(says(one, "reject", "cem"))
    assert store.get(one, "first").verdict is Verdict.REJECT
    assert store.counts("first", "bob").accept == 1 and store.counts("first").reject == 1
    assert store.page("first", ImageFilter(reviewer="bob", verdict="accept")).total == 1
    assert store.page("first", ImageFilter(reviewer="bob", undecided=True)).total == 5
    store.undo("first", "cem")
    assert store.get(one, "first").verdict is Verdict.ACCEPT


@pytest.mark.parametrize("reviewer", [None, "ada", "bob"])
def test_the_undecided_are_counted_as_they_are_listed_under_every_filter(store, image_ids, says, reviewer):
    for image_id in image_ids[:3]:
        store.decide(says(image_id, "accept", "ada"))
    for diagnoses in ((), ("mel",), ("nv",), ("mel", "nv", "bkl", "df", "vasc", "bcc", "akiec")):
        page = store.page("first", ImageFilter(undecided=True, reviewer=reviewer, diagnoses=diagnoses))
        assert page.total == len(page.images)
    assert store.page("first", ImageFilter(undecided=True, reviewer="bob")).total == len(image_ids)


def test_counts(filled):
    counts = filled.counts("first")
    assert (counts.accept, counts.reject, counts.unsure, counts.undecided) == (4, 1, 1, 0)
    assert filled.counts("first", "bob").undecided == 6


def test_accepted_are_ordered_by_content(filled, image_ids):
    hashes = [image.sha256 for image in filled.accepted("first")]
    assert hashes == sorted(hashes) and len(hashes) == 4
    assert set(filled.accepted_ids("first")) == set(image_ids[:4])


def ids(page):
    return [image.image_id for image in page.images]


def test_pages_by_cursor_and_by_offset(filled, image_ids):
    first = filled.page("first", limit=4)
    assert ids(first) == image_ids[::-1][:4] and first.total == 6
    second = filled.page("first", limit=4, after=first.next_after)
    assert ids(second) == image_ids[1::-1] and second.next_after is None
    assert ids(filled.page("first", offset=4, limit=4)) == ids(second)
    oldest = filled.page("first", ImageFilter(order=Order.OLDEST), limit=2)
    assert ids(oldest) == image_ids[:2]
    following = filled.page("first", ImageFilter(order=Order.OLDEST), limit=2, after=oldest.next_after)
    assert ids(following) == image_ids[2:4]
    assert [image.verdict for image in first.images] == [Verdict.UNSURE, Verdict.REJECT, *[Verdict.ACCEPT] * 2]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        (ImageFilter(verdict="accept"), [0, 1, 2, 3]),
        (ImageFilter(verdict="reject"), [4]),
        (ImageFilter(undecided=True), []),
        (ImageFilter(diagnoses=(Diagnosis.MEL, Diagnosis.NV)), [0, 1, 3, 4]),
        (ImageFilter(diagnoses=(Diagnosis.NV,), verdict="accept"), [1]),
        (ImageFilter(asymmetry=(1.5, 2.0), num_colours=(2, 2), border=(6, 6)), [0, 1, 2, 3, 4, 5]),
        (ImageFilter(measured_asymmetry=(1.5, 2.0)), []),
        (ImageFilter(measured_border=(5, 5), measured_num_colours=(1, 1)), [0, 1, 2, 3, 4, 5]),
        (ImageFilter(model="nano", job_id="job"), [0, 1, 2, 3, 4, 5]),
        (ImageFilter(model="flux-dev"), []),
        (ImageFilter(text="Melanoma photo"), [0, 3]),
        (ImageFilter(text="100%_"), []),
        (ImageFilter(memorised=False), []),
    ],
)
def test_filters(filled, image_ids, filters, expected):
    page = filled.page("first", filters)
    assert [image_ids.index(i) for i in ids(page)] == expected[::-1]
    assert page.total == len(expected)


def test_bad_pages_and_filters_are_refused(filled):
    for bad in ({"limit": 0}, {"limit": 501}, {"offset": -1}):
        with pytest.raises(InvalidRequest):
            filled.page("first", **bad)
    with pytest.raises(InvalidRequest, match="dataset"):
        filled.page(None, ImageFilter(verdict="accept"))
    with pytest.raises(InvalidRequest):
        ImageFilter(verdict="accept", undecided=True)
    with pytest.raises(InvalidRequest):
        ImageFilter(diagnoses=("wart",))
