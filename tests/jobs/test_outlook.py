"""When jobs begin and end, worked out by hand."""

from hypothesis import given
from hypothesis import strategies as st

from dermaflux.jobs import Forecast, JobState
from dermaflux.jobs.outlook import OpenJob, Outlook


def job(name, parts, seconds=1.0, crew=""):
    state = JobState.RUNNING if crew else JobState.WAITING
    return OpenJob(id=name, user="ann", state=state, done=0, total=parts, crew=crew, seconds_per_part=seconds)


def foretold(crews, *jobs):
    running = tuple(job for job in jobs if job.crew)
    waiting = tuple(job for job in jobs if not job.crew)
    found = Outlook(running=running, waiting=waiting, paused=(), crews=crews).forecasts()
    return {name: (forecast.begins_in, forecast.ends_in) for name, forecast in found.items()}


def test_jobs_of_one_process_slow_each_other_and_those_of_two_do_not():
    both = job("short", 2, crew="a"), job("long", 6, crew="a")
    assert foretold({"a": 2}, *both) == {"short": (0, 4), "long": (0, 8)}
    apart = job("short", 2, crew="a"), job("long", 6, crew="b")
    assert foretold({"a": 1, "b": 1}, *apart) == {"short": (0, 2), "long": (0, 6)}


def test_whoever_waits_begins_where_a_place_is_free_first_and_slows_those_beside_it():
    line = job("first", 2, crew="a"), job("second", 4, crew="a"), job("third", 1)
    # first: done at 4; then second (2 s left) and third share: third ends after 2 s, second after 1 s more.
    assert foretold({"a": 2}, *line) == {"first": (0, 4), "second": (0, 7), "third": (4, 6)}
    assert foretold({"a": 2, "b": 1}, *line)["third"] == (0, 1)


def test_a_job_of_unknown_pace_takes_a_place_and_its_share():
    line = job("known", 2, crew="a"), job("strange", 9, None, crew="a"), job("next", 1)
    assert foretold({"a": 2}, *line) == {"known": (0, 4), "strange": (0, None), "next": (4, 6)}
    assert foretold({"a": 1}, job("strange", 9, None), job("next", 1)) == {"strange": (0, None), "next": (None, None)}


def test_without_a_worker_it_is_as_if_there_were_one():
    assert foretold({}, job("only", 3), job("next", 1)) == {"only": (0, 3), "next": (3, 4)}
    assert foretold({}, job("orphan", 3, crew="gone"), job("next", 1)) == {"orphan": (0, 3), "next": (3, 4)}


@given(
    st.lists(st.integers(0, 20), min_size=1, max_size=12),
    st.dictionaries(st.sampled_from("abc"), st.integers(1, 4), min_size=1),
)
def test_nobody_overtakes_in_beginning_and_a_process_ends_when_its_work_is_done(sizes, crews):
    line = [job(f"{place}", parts) for place, parts in enumerate(sizes)]
    times = list(foretold(crews, *line).values())
    assert [begins for begins, _ in times] == sorted(begins for begins, _ in times)
    last = max(ends for _, ends in times)
    assert sum(sizes) / len(crews) <= last + 1e-9 and last <= sum(sizes) + 1e-9
    assert all(ends - begins >= parts - 1e-9 for (begins, ends), parts in zip(times, sizes, strict=True))


def test_a_forecast_is_given_for_every_open_job_but_those_at_rest():
    rests = OpenJob(id="rests", user="ann", state=JobState.PAUSED, done=0, total=1, seconds_per_part=1.0)
    outlook = Outlook(running=(), waiting=(job("only", 1),), paused=(rests,), crews={"a": 1})
    assert outlook.forecasts() == {"only": Forecast(begins_in=0, ends_in=1)}
