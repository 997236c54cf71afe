"""Quotas, the disk budget, purging and forgetting, through services and from the command line."""

import io
import sys

import pytest
from PIL import Image

from dermaflux.__main__ import main
from dermaflux.domain.errors import QuotaExceeded
from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import SamplingRequest
from dermaflux.services import Services
from dermaflux.services.limits import DiskBudget, check_quota, folder_bytes
from dermaflux.services.records import Finished
from dermaflux.settings import Settings

SPEC = LesionSpec(asymmetry=1, border=4, colours=("red",), diagnosis="mel")


@pytest.fixture
def deployment(tmp_path, tiny_models, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DERMAFLUX_MODELS_DIR", str(tiny_models))
    return tmp_path


def make(services, user, num_images=1, seed=0):
    request = SamplingRequest(caption=services.compose_caption(SPEC), spec=SPEC, num_images=num_images, seed=seed)
    job = services.submit_generation(user, request)
    return [event.stored.image_id for event in services.follow(job.job_id) if isinstance(event, Finished)]


def test_a_user_keeps_no_more_images_than_allowed_and_others_are_not_held_back(deployment):
    with Services(Settings(max_images_per_user=3)) as services:
        assert len(make(services, "ann", 2)) == 2
        with pytest.raises(QuotaExceeded, match="ann keeps 2 of at most 3 images and asks for 2 more"):
            make(services, "ann", 2, seed=10)
        assert len(make(services, "ann", 1, seed=20)) == 1
        assert len(make(services, "bob", 3, seed=30)) == 3


def test_images_that_are_promised_count_as_well():
    check_quota("ann", kept=2, asked=1, limit=3)
    check_quota("ann", kept=10**6, asked=10**6, limit=None)
    with pytest.raises(QuotaExceeded):
        check_quota("ann", kept=3, asked=1, limit=3)


def test_near_the_budget_there_is_a_warning_and_at_it_nothing_new(tmp_path):
    (tmp_path / "a").write_bytes(bytes(850))
    assert DiskBudget(tmp_path, None).use() is None
    roomy, near, full = (DiskBudget(tmp_path, n * 1e-9) for n in (1000, 900, 800))
    use = roomy.use()
    assert use is not None
    assert (use.used_bytes, use.share, use.warning) == (850, 0.85, None)
    near.check()
    assert "DERMAFLUX_DISK_BUDGET_GB" in (near.use().warning or "")
    with pytest.raises(QuotaExceeded, match="Nothing new is made"):
        full.check()


def test_work_is_refused_before_it_is_begun_when_the_disk_budget_is_used_up(deployment):
    with Services(Settings(disk_budget_gb=1e-6)) as services:
        services.start()
        assert folder_bytes(deployment / "data") > 1000
        with pytest.raises(QuotaExceeded):
            make(services, "ann")
        assert services.jobs("ann") == ()


@pytest.mark.slow
def test_what_was_rejected_is_purged_when_it_was_agreed_to(deployment, capsys, monkeypatch):
    with Services(Settings.load()) as services:
        first, second = make(services, "ann", 2)
        services.decide("set", first, "ann", "reject")
        services.decide("set", second, "ann", "accept")
    assert main(["purge"]) == 2
    assert "--rejected-after-days" in capsys.readouterr().err
    assert main(["purge", "--rejected-after-days", "1", "--yes"]) == 0
    assert "No image was rejected" in capsys.readouterr().out
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))  # not a terminal: nobody can be asked
    assert main(["purge", "--rejected-after-days", "0"]) == 2
    assert "Nothing was removed" in capsys.readouterr().err
    assert main(["purge", "--rejected-after-days", "0", "--yes"]) == 0
    assert "1 images were removed" in capsys.readouterr().out
    with Services(Settings.load()) as services:
        assert [image.image_id for image in services.page("set").images] == [second]
        assert len(list((deployment / "data" / "images").rglob("*.png"))) == 1
        with Image.open(services.image_path(second)) as picture:
            assert picture.size == (64, 64)


def test_the_daily_purge_takes_what_the_settings_say(deployment):
    with Services(Settings()) as services:
        first, second = make(services, "ann", 2)
        services.decide("set", first, "ann", "reject")
    with Services(Settings(purge_rejected_after_days=30)) as services:
        services.start()
        assert services.page("set").total == 2
    with Services(Settings(purge_rejected_after_days=0)) as services:
        services.start()
        assert [image.image_id for image in services.page("set").images] == [second]


def test_a_forgotten_user_is_gone_from_the_command_line_too(deployment, capsys):
    with Services(Settings.load()) as services:
        own, shared = make(services, "ann", 2)
        services.decide("set", own, "ann", "accept", note="seen by Ann")
        services.decide("set", shared, "bob", "accept")
    assert main(["forget", "ann"]) == 2
    assert main(["forget", "ann", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "1 jobs and 1 images were removed, 1 images that others judged stay" in said
    assert "1 decisions are now anonymous" in said
    with Services(Settings.load()) as services:
        assert services.jobs("ann") == ()
        assert [image.image_id for image in services.page("set").images] == [shared]
    content = b"".join(path.read_bytes() for path in (deployment / "data").glob("dermaflux.db*"))
    assert b"seen by Ann" not in content
