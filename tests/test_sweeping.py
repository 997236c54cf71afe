"""Grids and strips as jobs on a tiny pipeline: streamed, stored, found again, stopped, tried again, exported."""

import csv
import io

import pytest
from PIL import Image

from dermaflux.domain.errors import DataNotFound, InvalidRequest, ModelNotAvailable, QuotaExceeded
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import SamplingRequest
from dermaflux.domain.roles import Role, Visitor
from dermaflux.domain.sweep import AxisValues, Sweep
from dermaflux.provenance import read_provenance
from dermaflux.services import Services
from dermaflux.services.records import Ended, Finished, Loading, Preview
from dermaflux.settings import Settings

SPEC = LesionSpec(asymmetry=1, border=4, colours=("light brown", "dark brown"), diagnosis="mel")


@pytest.fixture
def settings(tiny_models, tmp_path):
    return Settings(models_dir=tiny_models, data_dir=tmp_path / "data", device="cpu")


@pytest.fixture
def services(settings):
    with Services(settings) as services:
        services.start()
        yield services


def grid(services, rows=(0, 2), columns=(5, 6), **fields):
    base = SamplingRequest(caption=services.compose_caption(SPEC), spec=SPEC, num_steps=2, **fields)
    return Sweep(
        base=base,
        rows=AxisValues(axis="asymmetry", values=tuple(rows)),
        columns=AxisValues(axis="seed", values=tuple(columns)),
    )


def run(services, sweep, user="ann"):
    job = services.submit_sweep(user, sweep)
    return job, list(services.follow(job.job_id))


def finished(events):
    return {event.image_index: event.stored for event in events if isinstance(event, Finished)}


def test_a_grid_draws_every_cell_with_its_own_record(services):
    job, events = run(services, grid(services))
    assert events[-1] == Ended(job_id=job.job_id, state="done", error=None)
    assert any(isinstance(event, Loading) for event in events)
    assert {event.image_index for event in events if isinstance(event, Preview)} == {0, 1, 2, 3}
    found = finished(events)
    for index, cell in enumerate(Sweep.from_dict(job.sweep).cells()):
        record = read_provenance(found[index].path)
        assert (record.seed, record.spec, record.caption) == (cell.seed, cell.spec, cell.caption)
    assert services.job(job.job_id).request["seed"] == 0  # the request that is moved


def test_how_long_a_sweep_takes_is_foretold_from_the_one_before(services):
    ann = Visitor(name="ann", role=Role.CURATOR)
    run(services, grid(services))
    services.submit_sweep("ann", grid(services, columns=(7, 8, 9)))
    assert services.queue_view(ann).mine[0].ends_in is not None


def test_a_finished_cell_is_found_again_and_not_drawn(services, monkeypatch):
    _, first = run(services, grid(services))
    drawn = []
    draw = services.generate
    monkeypatch.setattr(services, "generate", lambda asked, *rest: drawn.append(asked) or draw(asked, *rest))
    _, second = run(services, grid(services, columns=(6, 7)), user="ben")
    assert [(cell.spec.asymmetry, cell.seed) for cell in drawn] == [(0, 7), (2, 7)]
    before, after = finished(first), finished(second)
    assert [after[0].image_id, after[2].image_id] == [before[1].image_id, before[3].image_id]


def test_an_image_of_an_ordinary_job_serves_as_a_cell_but_not_one_of_other_settings(services, monkeypatch):
    sweep = grid(services, rows=(1,), columns=(5, 6))
    plain = services.submit_generation("ann", sweep.cells()[0])
    (stored,) = finished(services.follow(plain.job_id)).values()
    drawn = []
    draw = services.generate
    monkeypatch.setattr(services, "generate", lambda asked, *rest: drawn.append(asked.seed) or draw(asked, *rest))
    _, events = run(services, sweep)
    assert drawn == [6] and finished(events)[0].image_id == stored.image_id
    run(services, grid(services, rows=(1,), columns=(5,), guidance_scale=1.0))
    assert drawn == [6, 5]


def test_a_file_that_is_gone_is_drawn_again(services):
    _, events = run(services, grid(services, rows=(1,), columns=(5,)))
    services.image_path(finished(events)[0].image_id).unlink()
    _, again = run(services, grid(services, rows=(1,), columns=(5,)))
    assert services.stored_picture(finished(again)[0].image_id).size == (64, 64)


def test_a_stopped_grid_keeps_its_cells_and_goes_on_when_tried_again(services):
    sweep = grid(services, rows=(0, 1, 2), columns=tuple(range(10)))
    job = services.submit_sweep("ann", sweep)
    for event in services.follow(job.job_id):
        if isinstance(event, Finished) and event.image_index == 1:
            services.cancel(job.job_id)
    kept = services.job(job.job_id)
    assert kept.state == "cancelled" and 2 <= len(kept.image_ids) < 30
    services.retry(job.job_id)
    events = list(services.follow(job.job_id))
    assert len(finished(events)) == 30
    assert services.job(job.job_id).image_ids[: len(kept.image_ids)] == kept.image_ids


def test_the_cell_that_ends_a_grid_is_named(services, monkeypatch):
    draw = services.generate

    def fails_once(cell, *rest):
        if (cell.spec.asymmetry, cell.seed) == (2, 5):
            raise ModelNotAvailable("The file is gone. Reinstall the model.")
        return draw(cell, *rest)

    monkeypatch.setattr(services, "generate", fails_once)
    _, events = run(services, grid(services))
    assert set(finished(events)) == {0, 1}
    assert events[-1].state == "failed"
    assert events[-1].error == "asymmetry 2 · seed 5: The file is gone. Reinstall the model."


def test_the_sheet_and_the_table_of_a_grid(services):
    job, events = run(services, grid(services))
    sheet, table = services.export_sweep(job.job_id)
    with Image.open(sheet) as picture:
        assert picture.width > 2 * 160 and "Not a medical device" in picture.text["Description"]
    rows = list(csv.DictReader(io.StringIO(table.read_text())))
    assert [(row["asymmetry"], row["seed"]) for row in rows] == [("0.0", "5"), ("0.0", "6"), ("2.0", "5"), ("2.0", "6")]
    assert [row["image_id"] for row in rows] == [finished(events)[i].image_id for i in range(4)]
    assert "Not a medical device" in rows[0]["statement"]


def test_a_strip_has_one_row_and_a_sheet_with_its_curve(services):
    base = SamplingRequest(caption="c", spec=SPEC, num_steps=2)
    job, events = run(services, Sweep(base=base, columns=AxisValues(axis="num_colours", values=(1, 3, 6))))
    assert [len(stored.generated["spec"]["colours"]) for _, stored in sorted(finished(events).items())] == [1, 3, 6]
    sheet, table = services.export_sweep(job.job_id)
    assert [row["num_colours"] for row in csv.DictReader(io.StringIO(table.read_text()))] == ["1", "3", "6"]
    with Image.open(sheet) as picture:
        assert picture.width >= 3 * 160


def test_only_a_sweep_with_a_finished_cell_is_exported(services):
    job = services.submit_generation("ann", SamplingRequest(caption="a mole", num_steps=1))
    with pytest.raises(DataNotFound, match="no grid"):
        services.export_sweep(job.job_id)


def test_every_cell_counts_against_the_quota(tiny_models, tmp_path):
    limited = Settings(models_dir=tiny_models, data_dir=tmp_path / "data", device="cpu", max_images_per_user=3)
    with Services(limited) as services, pytest.raises(QuotaExceeded, match="asks for 4 more"):
        services.submit_sweep("ann", grid(services))


def test_how_steadily_a_figure_follows(services):
    assert services.monotonicity((0, 1, 2, 3), (0.1, 0.2, None, 0.9)) == pytest.approx(1)
    assert services.monotonicity((0, 1, 2), (0.3, 0.2, 0.1)) == pytest.approx(-1)
    assert services.monotonicity((0, 1), (0.3, 0.2)) is None


def test_a_record_gives_the_request_that_draws_it_again_and_nothing_else_does(services):
    _, events = run(services, grid(services, rows=(2,), columns=(9,)))
    stored = finished(events)[0]
    asked = services.request_of_record(stored.generated)
    assert (asked.seed, asked.spec.asymmetry, asked.num_steps, asked.model) == (9, 2, 2, "nano")
    for broken in ({}, {"synthetic": True}, {**stored.generated, "seed": "seven"}, {**stored.generated, "caption": 5}):
        with pytest.raises(InvalidRequest):
            services.request_of_record(broken)
