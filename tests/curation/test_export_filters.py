"""Which images an export takes: each filter alone and together, counted, always the same; the figures of the card."""

import json
from dataclasses import replace

import pytest
from PIL import Image

from dermaflux.curation.export import export_dataset
from dermaflux.curation.export_figures import Tally
from dermaflux.curation.export_records import ExportRequest
from dermaflux.curation.judgements import pseudonym
from dermaflux.domain.errors import Cancelled, InvalidRequest
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Verdict


def export(store, folder, on_step=None, **more):
    request = ExportRequest(dataset="first", format="imagefolder", folder=folder, **more)
    return export_dataset(store, request, on_step)


def rows_of(folder):
    return [json.loads(line) for line in (folder / "train" / "metadata.jsonl").read_text().splitlines()]


def card_of(folder):
    return " ".join((folder / "README.md").read_text().split())


def test_other_verdicts_come_along_when_they_are_asked_for_and_say_so(filled, tmp_path):
    report = export(filled, tmp_path / "out", verdicts=(Verdict.ACCEPT, "unsure"))
    assert report.num_images == 5
    assert sorted(row["verdict"] for row in rows_of(tmp_path / "out")) == ["accept"] * 4 + ["unsure"]
    assert export(filled, tmp_path / "rejects", verdicts=(Verdict.REJECT,)).num_images == 1


def test_least_agreement_counts_the_reviewers_who_accepted(filled, says, image_ids, tmp_path):
    filled.decide(says(image_ids[0], "accept", "bob"))
    filled.decide(says(image_ids[1], "unsure", "bob"))
    report = export(filled, tmp_path / "out", min_agreement=1.0)
    assert report.num_images == 3 and report.left_out == {"under the least agreement": 1}
    assert export(filled, tmp_path / "half", min_agreement=0.5).num_images == 4
    filled.undo("first", "bob")
    assert export(filled, tmp_path / "undone", min_agreement=1.0).num_images == 4
    assert "| under the least agreement | 1 |" in card_of(tmp_path / "out")


def test_named_images_stay_behind_by_id_or_by_hash(filled, image_ids, tmp_path):
    by_hash = filled.get(image_ids[1]).sha256
    report = export(filled, tmp_path / "out", without={image_ids[0], by_hash, "unknown"})
    assert report.left_out == {"excluded by name": 2}
    assert not {row["sha256"] for row in rows_of(tmp_path / "out")} & {by_hash, filled.get(image_ids[0]).sha256}


@pytest.fixture
def with_a_twin(filled, sample, says):
    """The four accepted images, a smooth one, and the smooth one again with a hardly visible change."""
    small = sample(50, Diagnosis.DF).image.resize((6, 6)).resize((64, 64), Image.Resampling.BICUBIC)
    for shade in (0, 2):
        made = replace(sample(50 + shade, Diagnosis.DF), image=small.point(lambda value, shade=shade: value + shade))
        filled.decide(says(filled.add_image(made).image_id))
    return filled


def test_near_duplicates_leave_one_whichever_way_they_came_in(with_a_twin, tmp_path):
    assert export(with_a_twin, tmp_path / "all").num_images == 6
    report = export(with_a_twin, tmp_path / "out", duplicate_bits=2)
    assert report.num_images == 5 and report.left_out == {"near-duplicate": 1}
    twins = sorted(row["sha256"] for row in rows_of(tmp_path / "all") if row["diagnosis"] == "df")
    assert [row["sha256"] for row in rows_of(tmp_path / "out") if row["diagnosis"] == "df"] == twins[:1]


def test_looking_for_duplicates_can_be_stopped(with_a_twin, tmp_path):
    def stop(done, total):
        assert done == 0
        raise Cancelled("Stopped.")

    with pytest.raises(Cancelled):
        export(with_a_twin, tmp_path / "out", stop, duplicate_bits=2)
    assert not (tmp_path / "out").exists()


def test_the_cap_keeps_the_first_by_content_hash_of_each_diagnosis(filled, tmp_path):
    report = export(filled, tmp_path / "out", max_per_diagnosis=1)
    assert report.diagnoses == {"mel": 1, "nv": 1, "vasc": 1}
    assert report.left_out == {"over the cap of its diagnosis": 1}
    melanomas = sorted(i.sha256 for i in filled.accepted("first") if i.generated["spec"]["diagnosis"] == "mel")
    assert [row["sha256"] for row in rows_of(tmp_path / "out") if row["diagnosis"] == "mel"] == melanomas[:1]


def test_filters_work_together_and_each_image_is_counted_once(with_a_twin, image_ids, tmp_path):
    with_a_twin.assess(image_ids[1], memorised=True)
    choice = {"without": {image_ids[0], image_ids[1]}, "duplicate_bits": 2, "max_per_diagnosis": 1}
    report = export(with_a_twin, tmp_path / "a", **choice)
    assert report.left_out == {"memorised": 1, "excluded by name": 1, "near-duplicate": 1}
    assert report.num_images == 3
    assert export(with_a_twin, tmp_path / "b", **choice).manifest_sha256 == report.manifest_sha256
    for reason in report.left_out:
        assert f"| {reason} | 1 |" in card_of(tmp_path / "a")


def test_filters_that_leave_nothing_say_what_they_did(filled, image_ids, tmp_path):
    with pytest.raises(InvalidRequest, match="4 excluded by name"):
        export(filled, tmp_path / "out", without=set(image_ids))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong",
    [{"min_agreement": 1.5}, {"duplicate_bits": 64}, {"duplicate_bits": -1}, {"max_per_diagnosis": 0},
     {"verdicts": ()}, {"verdicts": ("maybe",)}],
)  # fmt: skip
def test_a_filter_that_cannot_be_is_refused(tmp_path, wrong):
    with pytest.raises(InvalidRequest):
        ExportRequest(dataset="first", format="imagefolder", folder=tmp_path, **wrong)


def test_the_card_has_the_seven_cs_with_the_figures_of_the_set(store, sample, assessed, says, tmp_path):
    store.create_dataset("first")
    for seed, asked in enumerate((0.0, 0.5, 1.0, 1.5, 2.0) * 2):
        found = assessed(asymmetry=min(2.0, asked + 0.6 * (seed % 2)), malignant=0.25)
        image_id = store.add_image(sample(seed, asymmetry=asked), found).image_id
        for reviewer in ("ada", "bob"):
            store.decide(says(image_id, "accept" if reviewer == "ada" or seed > 1 else "unsure", reviewer))
    export(store, tmp_path / "out")
    card = card_of(tmp_path / "out")
    for name in ("Congruence", "Coverage", "Constraint", "Completeness", "Compliance", "Comprehension", "Consistency"):
        assert f"## {name} " in card
    assert "| asymmetry | 0.90 | 70 % (step 0.5) | 10 |" in card
    assert "| border | not known | 100 % (step 2) | 10 |" in card
    assert "| asymmetry | 1.5 | 2 |" in card and "| mel | melanoma | 10 |" in card
    assert "refused were 0 of 10 (0 %)" in card and "malignant: 0.25" in card
    assert "2 reviewers judged 10 images of the dataset: 10 accepted" in card
    assert "on one image: 0.80 over 10 images" in card and "alpha of the verdicts: -0.06 over 10 images" in card


def test_refusals_are_counted_and_leave_no_figure(store, sample, says, assessed, tmp_path):
    store.create_dataset("first")
    refused = replace(
        assessed().measurement, asymmetry=None, border=None, colours=(), num_colours=None, refused="It is blank."
    )
    found = replace(assessed(), measurement=refused)
    store.decide(says(store.add_image(sample(1), found).image_id))
    export(store, tmp_path / "out")
    assert "refused were 1 of 1 (100 %)" in card_of(tmp_path / "out")
    assert "| asymmetry | not known | not known (step 0.5) | 0 |" in card_of(tmp_path / "out")


def test_nobody_judging_together_leaves_agreement_unknown(filled, tmp_path):
    export(filled, tmp_path / "out")
    assert "1 reviewer judged 6 images of the dataset: 4 accepted, 1 rejected, 1 unsure" in card_of(tmp_path / "out")
    assert "on one image: not known (0 images have" in card_of(tmp_path / "out")
    assert Tally().adherence("border").spearman is None


def test_a_pseudonym_is_stable_and_stays_when_it_comes_back():
    first = pseudonym("set", "ada")
    assert first == pseudonym("set", "ada") != pseudonym("other", "ada")
    assert pseudonym("other", first) == first and "ada" not in first
