"""Evaluations as real processes of the command line, and the reports they leave, through the services."""

import json
import time

import pytest

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest
from dermaflux.domain.roles import Role, Visitor
from dermaflux.services import Services
from dermaflux.services.report_records import EvaluationRequest
from dermaflux.settings import Settings

ANN, BEN = (Visitor(name=name, role=Role.CURATOR) for name in ("ann", "ben"))


@pytest.fixture
def services(tmp_path, tiny_models):
    with Services(Settings(data_dir=tmp_path / "data", models_dir=tiny_models)) as services:
        yield services


def accept(services, diagnosis, seed):
    from PIL import Image

    spec = LesionSpec(asymmetry=1, border=4, colours=("dark brown",), diagnosis=diagnosis)
    drawn = GeneratedImage(
        image=Image.new("RGB", (16, 16), (seed, 0, 0)), image_index=0, seed=seed, seconds=1,
        request=SamplingRequest(caption="a lesion", spec=spec, seed=seed, num_steps=1, guidance_scale=1, size_px=64),
        identity=ModelIdentity(model="nano", model_sha256="a" * 64, licence="test"),
    )  # fmt: skip
    services.decide("mine", services._store().add_image(drawn).image_id, "ann", "accept")


def ended(services, visitor):
    deadline = time.monotonic() + 240
    while (run := services.evaluations(visitor)[0]).state == "running":
        assert time.monotonic() < deadline, run
        time.sleep(0.3)
    return run


@pytest.mark.slow
def test_coverage_of_a_dataset_becomes_a_report_that_only_its_owner_sees(services):
    accept(services, "mel", 1)
    accept(services, "nv", 2)
    started = services.start_evaluation("ann", EvaluationRequest(kind="coverage", dataset="mine"))
    assert started.state == "running" and started.report_id is None
    with pytest.raises(InvalidRequest, match="under way on this machine"):
        services.start_evaluation("ben", EvaluationRequest(kind="coverage", dataset="mine"))
    run = ended(services, ANN)
    assert run.state == "done", run.why
    (choice,) = services.reports(ANN, "coverage")
    assert services.report(ANN, choice.report_id)["num_synthetic"] == 2
    assert services.reports(ANN, "quality") == () and services.reports(BEN, "coverage") == ()
    for deed, named in ((services.report, choice.report_id), (services.stop_evaluation, run.run_id)):
        with pytest.raises(DataNotFound):
            deed(BEN, named)


@pytest.mark.slow
def test_a_mistake_is_told_in_the_words_of_the_command(services):
    services.start_evaluation("ann", EvaluationRequest(kind="coverage", dataset="nowhere"))
    run = ended(services, ANN)
    assert run.state == "failed" and run.report_id is None
    assert "Exit code 2" in run.why and "nowhere" in run.why


def test_what_is_not_chosen_is_asked_for(services):
    for request, words in (
        (EvaluationRequest(kind="beauty"), "no evaluation 'beauty'"),
        (EvaluationRequest(kind="quality"), "Choose the dataset"),
    ):
        with pytest.raises(InvalidRequest, match=words):
            services.start_evaluation("ann", request)
    with pytest.raises(DataNotFound, match="No real pictures are known"):
        services.start_evaluation("ann", EvaluationRequest(kind="classifier"))


def test_a_report_made_elsewhere_is_told_by_what_it_says_and_a_damaged_one_hides_no_other(services):
    folder = services.settings.data_dir / "reports"
    folder.mkdir(parents=True)
    (folder / "a-broken.json").write_text("{")
    (folder / "b-list.json").write_text("[1]")
    (folder / "classifier-of-june.json").write_text(json.dumps({"reliability": [], "figures": {}}))
    (choice,) = services.reports(BEN, "classifier", "coverage", "quality")
    assert (choice.kind, choice.title) == ("classifier", "classifier-of-june")
    with pytest.raises(DataNotFound):
        services.report(BEN, "reports/../dermaflux")


def test_studies_are_found_and_torn_lines_left_out(services):
    folder = services.settings.data_dir / "studies" / "june"
    folder.mkdir(parents=True)
    (folder / "results.jsonl").write_text('{"model": "vit"}\n{"model": "v')
    (study,) = (study for study in services.augmentation_studies() if study.name == "june")
    assert study.num_cells == 1 and study.differences == ()
    (folder / "differences.json").write_text('{"differences": [{"arm": "flow:1"}]}')
    (study,) = (study for study in services.augmentation_studies() if study.name == "june")
    assert study.differences == ({"arm": "flow:1"},)
    (folder / "differences.json").write_text("{")
    (study,) = (study for study in services.augmentation_studies() if study.name == "june")
    assert (study.num_cells, study.differences) == (1, ()), "a damaged file hides no study"
