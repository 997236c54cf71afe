"""Jobs of several users at once in one process: their images are drawn together, and each keeps its own."""

from dataclasses import replace

import pytest

from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import SamplingRequest
from dermaflux.domain.sweep import AxisValues, Sweep
from dermaflux.provenance import read_provenance, verify
from dermaflux.services import Services
from dermaflux.services.records import Ended, Finished
from dermaflux.settings import Settings

SPEC = LesionSpec(asymmetry=1, border=4, colours=("light brown", "dark brown"), diagnosis="mel")


@pytest.fixture
def services(tiny_models, tmp_path):
    settings = Settings(models_dir=tiny_models, data_dir=tmp_path / "data", device="cpu", speed="batch=3")
    with Services(settings) as services:
        services.start()
        yield services


def images(services, job):
    events = list(services.follow(job.job_id))
    assert events[-1] == Ended(job_id=job.job_id, state="done", error=None)
    return [event.stored for event in events if isinstance(event, Finished)]


def test_jobs_of_two_users_and_a_grid_share_batches_and_keep_their_own_records(services, all_in_line):
    ann = SamplingRequest(caption=services.compose_caption(SPEC), spec=SPEC, num_steps=4, num_images=3, seed=10)
    ben = replace(ann, spec=replace(SPEC, asymmetry=2), caption="another mole", num_images=2, seed=50)
    rows = AxisValues(axis="asymmetry", values=(0, 2))
    with all_in_line(services._generator(), 3):
        jobs = [services.submit_generation("ann", ann), services.submit_generation("ben", ben)]
        jobs.append(services.submit_sweep("cy", Sweep(base=replace(ann, seed=90), columns=rows)))
    found = [images(services, job) for job in jobs]
    assert [len(each) for each in found] == [3, 2, 2]
    records = [[read_provenance(stored.path) for stored in each] for each in found]
    assert [[record.seed for record in each] for each in records] == [[10, 11, 12], [50, 51], [90, 90]]
    assert {record.caption for record in records[1]} == {"another mole"}
    assert [record.spec.asymmetry for record in records[2]] == [0, 2]
    assert [each[0].batch for each in records] == [3, 3, 3], "one image of each in the first batch"
    assert all(verify(stored.path) for each in found for stored in each)


def test_as_many_jobs_run_at_once_as_images_are_drawn_together(services, all_in_line):
    with all_in_line(services._generator(), 3) as until_all_stand:
        jobs = [
            services.submit_generation(user, SamplingRequest(caption="a mole", num_steps=2, seed=1))
            for user in ("ann", "ben", "cy", "dan")
        ]
        until_all_stand()
        assert services._queue().outlook({}).waiting[0].id == jobs[3].job_id
    assert all(len(images(services, job)) == 1 for job in jobs)
