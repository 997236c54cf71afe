"""Many reviewers in several processes at once, a few seconds on each database; the benchmark does it for a minute."""

import pytest

from benchmarks.concurrent_review import Office, review_at_once


@pytest.mark.slow
def test_no_verdict_is_lost_or_doubled_when_many_write_at_once(empty_database, tmp_path):
    with empty_database(tmp_path) as url:
        office = Office(url=url, folder=tmp_path, num_reviewers=8, num_processes=2, num_images=20, seconds=1.5)
        outcome = review_at_once(office)
    assert outcome.told.verdicts
    assert (outcome.lost, outcome.doubled, outcome.chain_problem) == (0, 0, None)
