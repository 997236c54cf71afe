"""Kill -9 at random moments loses nothing acknowledged; and the trial that says so would see a loss."""

import os
import subprocess
import sys

import pytest

from benchmarks.crash_safety import Acknowledged

RUN = "import os, sys; os.environ['TRANSFORMERS_VERBOSITY'] = 'error'; "
SABOTAGED = (
    RUN
    + """
import sqlite3, tempfile
from pathlib import Path
from benchmarks.crash_safety import Trial
if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name), seed=1)
        database = sqlite3.connect(Path(name) / "data" / "dermaflux.db")
        database.execute("DELETE FROM current_decisions")
        database.execute("DELETE FROM decisions WHERE sequence = (SELECT max(sequence) FROM decisions)")
        path, = database.execute("SELECT path FROM images LIMIT 1").fetchone()
        database.commit()
        (Path(name) / "data" / "images" / path).unlink()
        trial.round("accept")
        print("\\n".join(trial.problems))
"""
)


def run(repository, *arguments):
    return subprocess.run(
        [sys.executable, *arguments], cwd=repository, env=os.environ | {"PYTHONPATH": str(repository)},
        capture_output=True, text=True, timeout=280,
    )  # fmt: skip


@pytest.mark.long
@pytest.mark.slow
def test_nothing_acknowledged_is_lost_by_kills(repository):
    done = run(repository, "-m", "benchmarks.crash_safety", "--rounds", "12", "--seed", "3")
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "12 kills" in done.stdout


@pytest.mark.long
@pytest.mark.slow
def test_a_loss_is_seen(repository, tmp_path):
    script = tmp_path / "sabotaged.py"
    script.write_text(SABOTAGED)
    done = run(repository, str(script))
    assert "verdicts of ada were lost" in done.stdout, done.stdout + done.stderr[-3000:]
    assert "1 of 24 files are missing" in done.stdout and "verdicts: " in done.stdout


def heard(*words):
    kept = Acknowledged()
    for said in words:
        kept.hear(said)
    return kept


@pytest.mark.parametrize(
    ("words", "found", "problem"),
    [
        ([("said", "ada", "i", "accept")], [("ada", "i", "accept")], None),
        ([("said", "ada", "i", "accept")], [], "lost"),
        ([("said", "ada", "i", "accept")], [("ada", "i", "reject")], "lost"),
        ([("said", "ada", "i", "accept")], [("ada", "i", "accept"), ("ada", "j", "reject")], "nobody gave"),
        (
            [("said", "ada", "i", "accept"), ("intends", "ada", "j", "reject")],
            [("ada", "i", "accept"), ("ada", "j", "reject")],
            None,
        ),
        (
            [("said", "ada", "i", "accept"), ("intends", "ada", None, None)],
            [("ada", "i", "accept"), ("ada", "i", None)],
            None,
        ),
        (
            [("said", "ada", "i", "accept"), ("intends", "ada", "j", "reject")],
            [("ada", "i", "accept"), ("ada", "j", "accept")],
            "nobody gave",
        ),
    ],
)
def test_what_was_in_flight_may_be_there_or_not_and_nothing_else(words, found, problem):
    problems = heard(*words).verdict_problems(found)
    assert (not problems) if problem is None else (problem in problems[0])
