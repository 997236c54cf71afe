"""Near-duplicates, the map and the coverage planner over a real store and the embedded models' small stand-ins."""

import random
from dataclasses import replace

import pytest
from PIL import Image

from dermaflux.domain.caption import compose
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Diagnosis, LesionSpec, SkinTone, typical_colours
from dermaflux.domain.records import (
    Assessment,
    GeneratedImage,
    Measurement,
    ModelIdentity,
    Prediction,
    SamplingRequest,
)
from dermaflux.services import Services
from dermaflux.services.planning import NOT_KNOWN, Wanted
from dermaflux.settings import Settings

REVIEWER = "ann"


def picture(seed):
    return Image.frombytes("RGB", (6, 6), random.Random(seed).randbytes(108)).resize((64, 64))


def made(seed, image, *, measured=1.0, tone=None):
    """A melanoma of asymmetry 1, found to have `measured`."""
    spec = LesionSpec(
        asymmetry=1, border=4, colours=typical_colours(2, Diagnosis.MEL), diagnosis=Diagnosis.MEL, skin_tone=tone
    )
    generated = GeneratedImage(
        image=image, image_index=0, seed=seed, seconds=0.1,
        request=SamplingRequest(caption=compose(spec), spec=spec, seed=seed, num_steps=4, size_px=64),
        identity=ModelIdentity(model="nano", model_sha256="a" * 64),
    )  # fmt: skip
    found = Measurement(asymmetry=measured, border=4.0, colours=spec.colours, num_colours=2, mask_area=0.3)
    return generated, Assessment(measurement=found, prediction=Prediction(malignant=0.9, threshold=0.5))


@pytest.fixture
def services(tmp_path, tiny_models, repository):
    """Tiny models, but the embedded descriptor: the calibrated distance is its own."""
    models = tmp_path / "assets" / "models"
    models.mkdir(parents=True)
    for part in tiny_models.iterdir():
        embedded = repository / "assets" / "models" / part.name
        (models / part.name).symlink_to(embedded if part.name == "descriptor" else part)
    (models.parent / "measurement").symlink_to(tiny_models.parent / "measurement")
    with Services(Settings(models_dir=models, data_dir=tmp_path / "data")) as services:
        services.create_dataset("set")
        yield services


def add(services, *args, **more):
    return services._store().add_image(*made(*args, **more)).image_id


def last(events):
    *_, answer = events
    return answer


def test_the_best_of_a_group_is_kept_for_a_reason_and_the_rest_comes_back_together(services):
    one, other = picture(1), picture(2)
    far, near = add(services, 1, one, measured=2.0), add(services, 2, one, measured=1.0)
    alone = add(services, 3, other)
    (group,) = last(services.duplicate_groups("set", {"image_ids": [far, near]}, REVIEWER))
    assert [image.image_id for image in group.images] == [near, far]
    assert "closest to its request" in group.reason
    with pytest.raises(InvalidRequest):
        services.keep_best("set", REVIEWER, near, [near], "b")
    assert services.keep_best("set", REVIEWER, near, [far], "b") == 1
    assert services.own_verdicts("set", REVIEWER, [far])[far].tags == ("near-duplicate",)
    assert last(services.duplicate_groups("set", {"image_ids": [far, near]}, REVIEWER)) == ()
    services.undo_together("set", REVIEWER)
    assert services.counts("set").undecided == 3
    assert alone not in {image.image_id for image in group.images}


def test_what_was_said_to_be_no_duplicate_makes_no_group(services):
    same = picture(1)
    ids = [add(services, seed, same) for seed in range(3)]
    assert len(last(services.duplicate_groups("set", {}, REVIEWER))[0].images) == 3
    with pytest.raises(InvalidRequest, match="100 at most"):
        services.say_distinct([str(number) for number in range(101)], REVIEWER)
    services.say_distinct(ids, REVIEWER)
    assert last(services.duplicate_groups("set", {}, REVIEWER)) == ()
    ids.append(add(services, 9, same))  # a new one hangs together with each of them
    assert len(last(services.duplicate_groups("set", {}, "bob"))[0].images) == 4


def test_the_map_holds_every_image_once_with_its_verdict_and_the_real_ones_apart(services, tmp_path):
    ids = [add(services, seed, picture(seed)) for seed in range(5)]
    services.decide("set", ids[0], REVIEWER, "accept")
    real = tmp_path / "real"
    real.mkdir()
    for seed in (7, 8):
        picture(seed).save(real / f"{seed}.png")
    services.import_real(real, "mine")
    points = last(services.map_points("set", {}, REVIEWER, "mine"))
    assert {p.image_id: p.kind for p in points if p.image_id} == dict.fromkeys(ids, "undecided") | {ids[0]: "accept"}
    assert [p.kind for p in points if p.image_id is None] == ["real", "real"]
    assert all(0 <= p.x <= 1 and 0 <= p.y <= 1 for p in points)
    again = last(services.map_points("set", {}, REVIEWER, "mine"))
    assert again == points
    with pytest.raises(InvalidRequest, match="method"):
        last(services.map_points("set", {}, REVIEWER, None, "umap"))


def test_the_planner_counts_what_was_measured_by_standing_and_queue(services):
    ids = [add(services, 1, picture(1), measured=1.4), add(services, 2, picture(2), measured=0.1, tone=SkinTone.V)]
    services.decide("set", ids[0], REVIEWER, "accept")
    table = services.coverage_table("set", REVIEWER, "asymmetry")
    by_level = {level: table.cells["mel", level] for level in table.columns}
    assert (by_level["1.5"].accepted, by_level["0"].undecided, by_level["1"].accepted) == (1, 1, 0)
    tones = services.coverage_table("set", REVIEWER, "skin_tone")
    assert (tones.cells["mel", NOT_KNOWN].accepted, tones.cells["mel", "V"].undecided) == (1, 1)
    only = services.coverage_table("set", REVIEWER, "asymmetry", "V")
    assert (only.cells["mel", "1.5"].accepted, only.cells["mel", "0"].pending) == (0, 1)


def test_a_cell_is_filled_by_a_job_of_ones_own_that_counts_as_pending(services, monkeypatch):
    wanted = Wanted(diagnosis="df", attribute="border", level="8", skin_tone="VI", num_images=3)
    with monkeypatch.context() as patch:
        patch.setattr(services, "_worker", lambda: None)  # the job stays in the queue
        job = services.fill_cell(REVIEWER, wanted)
    spec = LesionSpec.from_dict(job.request["spec"])
    assert (spec.diagnosis, spec.border, spec.asymmetry, spec.skin_tone) == ("df", 8, 1, "VI")

    def queued(user):
        return services.coverage_table("set", user, "border", "VI").cells["df", "8"].pending

    assert (queued(REVIEWER), queued("bob")) == (3, 0)
    with pytest.raises(InvalidRequest, match="no level"):
        services.fill_cell(REVIEWER, replace(wanted, level=NOT_KNOWN))
    with pytest.raises(InvalidRequest, match="num_images"):
        services.fill_cell(REVIEWER, replace(wanted, num_images=65))


def test_real_pictures_are_measured_once_and_a_stop_keeps_what_is_done(services, tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    for seed in range(3):
        picture(seed).save(real / f"{seed}.png")
    (real / "metadata.csv").write_text("file_name,diagnosis\n0.png,mel\n1.png,mel\n2.png,nv\n")
    services.import_real(real, "mine")
    counting = services.measure_real("mine", None)
    for _ in range(3):  # two pictures are done when the third is announced
        next(counting)
    counting.close()
    assert services.coverage_table("set", REVIEWER, "asymmetry", None, "mine").num_real == 2
    assert last(services.measure_real("mine", None)).done == 3
    table = services.coverage_table("set", REVIEWER, "asymmetry", None, "mine")
    assert table.num_real == 3
    assert sum(cell.real for (diagnosis, _), cell in table.cells.items() if diagnosis == "mel") == 2
