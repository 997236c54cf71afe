"""Services end to end on a tiny pipeline: jobs, events, store, verdicts, export; and what happens when things fail."""

import contextlib
import inspect
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from PIL import Image

from dermaflux.domain.errors import (
    DataNotFound,
    InvalidRequest,
    ModelNotAvailable,
    QueueFull,
    StaleDecision,
    StorageNotWritable,
)
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import GeneratedImage, Measurement, SamplingRequest, StepPreview
from dermaflux.provenance import read_provenance, verify
from dermaflux.services import Services
from dermaflux.services.records import Ended, Finished, Preview
from dermaflux.services.wiring import Once
from dermaflux.settings import Settings

SPEC = LesionSpec(asymmetry=1.5, border=6, colours=("light brown", "dark brown"), diagnosis="mel")


def request(services, **fields):
    return SamplingRequest(caption=services.compose_caption(SPEC), spec=SPEC, **fields)


def found(asymmetry):
    return Measurement(asymmetry=asymmetry, border=6.0, colours=SPEC.colours, num_colours=2)


@pytest.fixture
def settings(tiny_models, tmp_path):
    return Settings(models_dir=tiny_models, data_dir=tmp_path / "data", device="cpu")


@pytest.fixture
def services(settings):
    with Services(settings) as services:
        yield services


def test_once_builds_once_for_many_threads_and_tries_again_after_a_failure():
    built, started = [], threading.Barrier(8)

    def build():
        time.sleep(0.02)
        built.append(1)
        if len(built) == 1:
            raise DataNotFound("the first try fails")
        return object()

    once, found = Once(build), []

    def ask():
        started.wait()
        with contextlib.suppress(DataNotFound):
            found.append(once())

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 2
    assert len(found) == 7
    assert len(set(map(id, found))) == 1


def test_construction_opens_nothing(settings):
    Services(settings).close()
    assert not settings.data_dir.exists()


def test_a_variation_words_the_same_lesion_differently_but_repeatably(services):
    plain = services.compose_caption(SPEC)
    variations = {services.compose_caption(SPEC, n) for n in range(8)}
    assert plain == services.compose_caption(SPEC)
    assert services.compose_caption(SPEC, 5) == services.compose_caption(SPEC, 5)
    assert len(variations) > 3


def test_the_default_model_comes_first_with_its_own_defaults(services):
    first = services.models()[0]
    assert (first.name, first.size_px, first.num_steps, first.available) == ("nano", 64, 3, True)
    assert [m.name for m in services.models()][1:] == ["flux-dev", "flux-schnell"]


def test_generating_without_the_store_streams_previews_and_repeats_its_pixels(services):
    events = list(services.generate(request(services, num_images=2, seed=7)))
    assert [type(e) for e in events] == [StepPreview, StepPreview, StepPreview, GeneratedImage] * 2
    again = [e for e in services.generate(request(services, seed=8)) if isinstance(e, GeneratedImage)]
    assert again[0].image.tobytes() == events[-1].image.tobytes()


def test_of_several_candidates_the_closest_is_kept_with_its_own_seed(services, monkeypatch):
    refused = Measurement(refused="The lesion touches the frame.")
    answers = iter([refused, found(0.2), found(1.4), refused, refused, refused])
    monkeypatch.setattr(services, "measure", lambda image: next(answers))  # an untrained pipeline draws no lesions
    events = list(services.generate(request(services, num_images=2, seed=10, candidates=3)))
    kept = [e for e in events if isinstance(e, GeneratedImage)]
    assert [(e.image_index, e.seed) for e in kept] == [(0, 12), (1, 13)]
    assert all((e.request.candidates, e.request.num_images, e.request.seed) == (3, 2, 10) for e in kept)
    previews = [(e.image_index, e.step, e.num_steps) for e in events if isinstance(e, StepPreview)]
    assert previews == [(index, step, 9) for index in (0, 1) for step in range(1, 10)]


def test_a_chosen_image_says_of_how_many(services):
    job = services.submit_generation("ann", request(services, candidates=2, seed=5))
    stored = next(e.stored for e in services.follow(job.job_id) if isinstance(e, Finished))
    assert stored.generated["chosen_from"] == 2
    assert stored.generated["seed"] in (5, 6)


def test_free_text_cannot_be_close_to_anything(services):
    asked = SamplingRequest(caption="a mole like no other", candidates=2)
    with pytest.raises(InvalidRequest, match="free text"):
        services.submit_generation("ann", asked)


def test_equal_requests_write_equal_files(services, tmp_path):
    made = next(e for e in services.generate(request(services, seed=3)) if isinstance(e, GeneratedImage))
    first, second = tmp_path / "a", tmp_path / "b"
    paths = [services.write_generated(made, services.prepare_folder(folder)) for folder in (first, second)]
    assert paths[0].name == paths[1].name
    assert paths[0].read_bytes() == paths[1].read_bytes()
    assert verify(paths[0])
    assert read_provenance(paths[0]).spec == SPEC


def test_a_job_streams_previews_then_stored_and_judged_images(services):
    services.start()
    job = services.submit_generation("ann", request(services, num_images=2, seed=11))
    events = list(services.follow(job.job_id))
    finished = [e for e in events if isinstance(e, Finished)]
    assert any(isinstance(e, Preview) for e in events)
    assert [e.image_index for e in finished] == [0, 1]
    assert events[-1] == Ended(job_id=job.job_id, state="done", error=None)
    for event in finished:
        assert verify(services.image_path(event.stored.image_id))
        assert event.stored.assessment == event.assessment.to_dict()
        assert event.stored.job_id == job.job_id
    assert services.job(job.job_id).done == 2


def test_following_again_after_a_restart_shows_what_was_finished(settings):
    with Services(settings) as services:
        job = services.submit_generation("ann", request(services, num_images=2))
        before = [e.stored for e in services.follow(job.job_id) if isinstance(e, Finished)]
    with Services(settings) as services:
        events = list(services.follow(job.job_id))
        assert [e.stored for e in events[:-1]] == before
        assert [e.image_index for e in events[:-1]] == [0, 1]
        assert events[-1].state == "done"


def test_a_second_follower_that_comes_late_sees_every_image(services):
    job = services.submit_generation("ann", request(services, num_images=3))
    list(services.follow(job.job_id))
    late = [e.image_index for e in services.follow(job.job_id) if isinstance(e, Finished)]
    assert late == [0, 1, 2]


@pytest.mark.slow
def test_stopping_frees_the_worker_and_keeps_what_is_finished(services):
    job = services.submit_generation("ann", request(services, num_images=64, num_steps=50))
    events = services.follow(job.job_id)
    seen = [next(e for e in events if isinstance(e, Finished))]
    services.cancel(job.job_id)
    seen += list(events)
    assert seen[-1].state == "cancelled"
    finished = [e for e in seen if isinstance(e, Finished)]
    assert 1 <= len(finished) < 64
    assert services.job(job.job_id).image_ids == tuple(e.stored.image_id for e in finished)
    after = services.submit_generation("ann", request(services, seed=99))
    assert list(services.follow(after.job_id))[-1].state == "done"


def test_a_request_for_what_is_not_there_is_refused_before_it_waits(services):
    with pytest.raises(InvalidRequest, match="bano"):
        services.submit_generation("ann", request(services, model="bano"))
    with pytest.raises(InvalidRequest, match="nope"):
        services.submit_generation("ann", request(services, adapter="nope"))
    with pytest.raises(DataNotFound):
        services.follow("no-such-job")


def test_a_full_queue_refuses(settings):
    with Services(settings.model_copy(update={"max_waiting": 1})) as services:
        first = services.submit_generation("ann", request(services, num_images=64, num_steps=100))
        next(e for e in services.follow(first.job_id) if isinstance(e, Preview))
        second = services.submit_generation("ann", request(services))
        with pytest.raises(QueueFull):
            services.submit_generation("ann", request(services))
        services.cancel(second.job_id)
        services.cancel(first.job_id)


def test_verdicts_are_stored_counted_undone_and_exported(services, tmp_path):
    job = services.submit_generation("ann", request(services, num_images=3))
    ids = [e.stored.image_id for e in services.follow(job.job_id) if isinstance(e, Finished)]
    assert services.counts("mine").undecided == 3
    assert services.page("mine", verdict="accept").images == ()
    assert services.page("mine", verdict="undecided").total == 3
    assert services.decide("mine", ids[0], "ann", "accept").verdict == "accept"
    assert services.decide("mine", ids[1], "ann", "reject", realism=2, note="blurred").verdict == "reject"
    assert services.datasets() == ("mine",)
    assert services.undo("mine", "ann").verdict is None
    counts = services.counts("mine")
    assert (counts.accept, counts.reject, counts.undecided) == (1, 0, 2)
    assert [i.image_id for i in services.page("mine", verdict="accept").images] == [ids[0]]
    told = []
    report = services.export("mine", "imagefolder", tmp_path / "out", lambda done, total: told.append((done, total)))
    assert report.num_images == 1
    assert told[-1] == (1, 1)
    packed = services.export_zip("mine", "imagefolder")
    assert packed.name == "mine-imagefolder.zip"
    assert packed.read_bytes() == services.export_zip("mine", "imagefolder").read_bytes()
    assert [p.name for p in packed.parent.iterdir()] == [packed.name]


@pytest.mark.slow
def test_first_verdicts_at_the_same_moment_make_one_dataset(services):
    job = services.submit_generation("ann", request(services, num_images=4))
    ids = [e.stored.image_id for e in services.follow(job.job_id) if isinstance(e, Finished)]
    for attempt in range(5):
        name, start = f"race {attempt}", threading.Barrier(len(ids))

        def decide(image_id, name=name, start=start):
            start.wait()
            return services.decide(name, image_id, image_id, "accept").verdict

        with ThreadPoolExecutor(len(ids)) as pool:
            assert list(pool.map(decide, ids)) == ["accept"] * len(ids)
        assert services.counts(name).accept == len(ids)


def test_a_verdict_on_no_image_makes_no_dataset(services):
    with pytest.raises(DataNotFound):
        services.decide("mine", "no-such-image", "ann", "accept")
    assert services.datasets() == ()


def test_an_unknown_verdict_names_the_choices(services):
    with pytest.raises(InvalidRequest, match="accept, reject, unsure"):
        services.decide("mine", "x", "ann", "maybe")


def test_a_blinded_review_from_assignment_to_settlement(services):
    job = services.submit_generation("ann", request(services, num_images=2))
    ids = [e.stored.image_id for e in services.follow(job.job_id) if isinstance(e, Finished)]
    services.create_dataset("mine")
    services.set_review_plan("mine", reviewers_per_image=2, blinded=True)
    assert services.review_plan("mine").blinded
    for reviewer, verdict in (("ann", "accept"), ("bob", "reject")):
        for given in services.next_assignments("mine", reviewer):
            assert services.renew_assignments("mine", reviewer) > 0
            seen = given.image.version
            shown = services.decide("mine", given.image.image_id, reviewer, verdict, expected_version=seen)
            assert shown.verdict == verdict, "nobody sees more than his own verdict before both are in"
            if reviewer == "ann":
                assert services.image(shown.image_id, "mine", "bob").verdict is None
                assert services.counts("mine", viewer="bob").undecided == 2
                assert services.page("mine", verdict="accept", viewer="bob").images == ()
    with pytest.raises(StaleDecision, match="bob said reject"):
        services.decide("mine", ids[0], "cem", "accept", expected_version=0)
    services.give_back_assignments("mine", "ann")
    assert services.agreement("mine").num_images == services.num_disputes("mine") == 2
    first = services.disputes("mine")[0].image
    settled = services.adjudicate("mine", first.image_id, "cem", "accept", expected_version=first.version)
    assert settled.verdict == "accept"
    assert services.num_disputes("mine") == 1
    assert services.undo("mine", "cem").verdict == "reject"


def test_a_missing_model_is_refused_in_words(settings, tmp_path):
    with Services(settings.model_copy(update={"models_dir": tmp_path / "none"})) as services:
        with pytest.raises(ModelNotAvailable, match="nano"):
            services.submit_generation("ann", request(services))
        with pytest.raises(ModelNotAvailable):
            services.classify(Image.new("RGB", (64, 64)))


def test_an_image_is_kept_where_the_judges_are_not_installed(settings, tiny_models, tmp_path):
    bare = tmp_path / "models"
    bare.mkdir()
    (bare / "nano").symlink_to(tiny_models / "nano")
    with Services(settings.model_copy(update={"models_dir": bare})) as services:
        job = services.submit_generation("ann", request(services))
        finished = [e for e in services.follow(job.job_id) if isinstance(e, Finished)]
        assert finished[0].assessment.measurement.refused
        assert finished[0].assessment.prediction.refused


def test_a_data_folder_that_cannot_be_written_is_one_clear_line(settings, tmp_path):
    (tmp_path / "file").write_text("in the way")
    services = Services(settings.model_copy(update={"data_dir": tmp_path / "file" / "data"}))
    with pytest.raises(StorageNotWritable, match="cannot be written") as caught:
        services.start()
    assert "\n" not in str(caught.value)
    services.close()


def test_no_part_of_the_services_hides_another_by_its_name():
    """Services joins many classes: whoever defines a name that a later one has too must hand the call on to it."""
    defined: dict[str, list[type]] = {}
    for part in Services.__mro__[1:-1]:
        for name in vars(part):
            if not name.startswith("__"):
                defined.setdefault(name, []).append(part)
    hidden = [
        f"{part.__name__}.{name}"
        for name, parts in defined.items()
        for part in parts[:-1]
        if f"super().{name}(" not in inspect.getsource(vars(part)[name])
    ]
    assert hidden == []
