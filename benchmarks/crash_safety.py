"""Kills the real services at random moments, starts them again, and counts what was lost.

    python -m benchmarks.crash_safety [--rounds 100] [--seed 0]

Each round a process generates, takes verdicts, exports or migrates (`crash_work`) until kill -9 ends it; then another
starts on what is left and looks. Everything lies in a temporary folder. Exit code 1 when anything was lost.
"""

import argparse
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

KINDS = {"generate": 2.5, "accept": 0.6, "export": 1.5, "schema": 1.2}  # killed up to so many seconds after it begins
_KILLED_BEFORE_IT_BEGINS = 0.1
_BEGIN_SECONDS = 120.0
_MENDABLE = ("orphans", "partials")


@dataclass(slots=True)
class Acknowledged:
    """What the store has said it keeps, over all rounds."""

    images: set[tuple[str, str]] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)
    events: dict[str, list[tuple[str, str | None]]] = field(default_factory=dict)
    intends: dict[str, tuple[str | None, str | None] | None] = field(default_factory=dict)
    exported: bool = False

    def hear(self, words: Sequence[Any]) -> None:
        """Note one thing a child said."""
        match words:
            case ("image", image_id, sha256):
                self.images.add((image_id, sha256))
            case ("job", job_id):
                self.jobs.add(job_id)
            case ("intends", reviewer, image_id, verdict):
                self.intends[reviewer] = (image_id, verdict)
            case ("said", reviewer, image_id, verdict):
                self.events.setdefault(reviewer, []).append((image_id, verdict))
                self.intends[reviewer] = None
            case ("exported", _):
                self.exported = True

    def verdict_problems(self, found: Sequence[tuple[str, str, str | None]]) -> list[str]:
        """Compare each reviewer's events with what was acknowledged; one that was in flight may be there or not."""
        problems = []
        for reviewer, said in self.events.items():
            there = [(image_id, verdict) for who, image_id, verdict in found if who == reviewer]
            more = there[len(said) :]
            if there[: len(said)] != said:
                problems.append(f"verdicts of {reviewer} were lost")
            elif len(more) > 1 or (more and not self._was_meant(reviewer, more[0])):
                problems.append(f"verdicts of {reviewer} that nobody gave")
            self.events[reviewer], self.intends[reviewer] = there, None
        return problems

    def _was_meant(self, reviewer: str, event: tuple[str, str | None]) -> bool:
        intent = self.intends.get(reviewer)
        return intent is not None and (intent == event or intent == (None, None) == (None, event[1]))


class Trial:
    """One deployment in a folder, killed round after round."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.tally: Counter[tuple[str, str]] = Counter()
        self.problems: list[str] = []
        self._folder = folder
        self._random = random.Random(seed)
        self._kept = Acknowledged()
        self._processes: ForkServerContext = multiprocessing.get_context("forkserver")
        self._processes.set_forkserver_preload(["benchmarks.crash_work"])
        for words in self._run("prepare", None):
            self._kept.hear(words)

    def round(self, kind: str) -> None:
        """Work, kill, start again, look."""
        for words in self._run(kind, self._random.uniform(0, KINDS[kind])):
            self._kept.hear(words)
            self.tally[kind, words[0]] += 1
        found = {words[0]: words[1:] for words in self._run("look", None)}
        problems = self._problems(found)
        self.problems += [f"after {kind}: {problem}" for problem in problems]
        self.tally[kind, "rounds"] += 1
        self.tally[kind, "problems"] += len(problems)
        if "jobs" in found:
            self.tally[kind, "resumed"] += found["jobs"][1]

    def _run(self, work: str, kill_after_seconds: float | None) -> list[tuple[Any, ...]]:
        from benchmarks import crash_work

        ours, theirs = self._processes.Pipe(duplex=False)
        target = getattr(crash_work, work)
        child = self._processes.Process(target=target, args=(self._folder, theirs, self._random.randrange(10**9)))
        child.start()
        theirs.close()
        heard: list[tuple[Any, ...]] = []
        early = kill_after_seconds is not None and self._random.random() < _KILLED_BEFORE_IT_BEGINS
        kill_at = time.monotonic() + (kill_after_seconds or 0.0) if early else None
        try:
            while kill_at is None or time.monotonic() < kill_at:
                if not ours.poll(_BEGIN_SECONDS if kill_at is None else max(kill_at - time.monotonic(), 0)):
                    break
                heard.append(ours.recv())
                if kill_after_seconds is not None and kill_at is None and heard[-1] == ("begun",):
                    kill_at = time.monotonic() + kill_after_seconds
            if kill_after_seconds is not None:
                child.kill()
            while True:
                heard.append(ours.recv())
        except EOFError:
            child.join()
        if kill_after_seconds is None and child.exitcode != 0:
            self.problems.append(f"{work} ended with {child.exitcode}")
        return heard

    def _problems(self, found: Mapping[str, Sequence[Any]]) -> list[str]:
        if "copy" not in found:
            return ["the start or the look failed"]
        kept, problems = self._kept, []
        if kept.images - set(found["images"][0]):
            problems.append("acknowledged images are gone")
        if kept.jobs - set(found["jobs"][0]):
            problems.append("acknowledged jobs are gone")
        if found["jobs"][2]:
            problems.append(f"jobs of the killed worker did not go on: {found['jobs'][2]}")
        problems += kept.verdict_problems(found["events"][0])
        problems += [f"{name}: {says}" for name, ok, says in found["checks"][0] if not ok and name not in _MENDABLE]
        export = found["exported"][0]
        if export and (export != "missing" or kept.exported):
            problems.append(f"export: {export}")
        problems += [f"zip: {problem}" for problem in found["zips"][1]]
        return problems + ([f"migration: {found['copy'][0]}"] if found["copy"][0] else [])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds and print one table; 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=100, help="how often to kill, over the four kinds in turn")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    chosen = parser.parse_args(arguments)
    os.environ |= {"TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}  # the tiny tokenizer's
    started = time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        trial = Trial(Path(name), chosen.seed)
        for number in range(chosen.rounds):
            trial.round(tuple(KINDS)[number % len(KINDS)])
            sys.stderr.write(f"\r{number + 1} of {chosen.rounds}")
    sys.stderr.write("\r")
    columns = ("rounds", "image", "said", "exported", "zipped", "migrated", "resumed", "problems")
    print(f"{'killed while it':<16}" + "".join(f"{column:>12}" for column in columns))
    for kind in KINDS:
        print(f"{kind:<16}" + "".join(f"{trial.tally[kind, column]:>12}" for column in columns))
    print(f"{chosen.rounds} kills in {time.perf_counter() - started:.0f} s, seed {chosen.seed}")
    for problem in trial.problems:
        print(problem)
    return 1 if trial.problems else 0


if __name__ == "__main__":
    sys.exit(main())
