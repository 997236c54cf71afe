"""Many reviewers write at once, from several processes; then it is checked that no verdict was lost or doubled.

    python -m benchmarks.concurrent_review [--reviewers 20] [--seconds 60] [--pause-seconds 0] [--url URL]

Each reviewer is a thread that decides on the version it has seen: some requests are sent twice, some verdicts are
taken back, some images come as assignments. pause-seconds is the mean time between two verdicts of one reviewer.
Without --url: SQLite in a temporary folder. The database of a URL is migrated and filled; give an empty one.
"""

import argparse
import multiprocessing
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from dermaflux.curation.records import MAX_PAGE, Decision, DecisionRequest
from dermaflux.curation.review_records import ReviewPlan
from dermaflux.curation.store import CurationStore, migrate, open_engine
from dermaflux.domain.errors import InvalidRequest, StaleDecision
from dermaflux.domain.identifiers import new_id
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest, Verdict

DATASET = "many reviewers"
REVIEWERS_PER_IMAGE = 5
SENT_TWICE, TAKEN_BACK, ASSIGNED = 0.1, 0.05, 0.2  # shares of the turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Office:
    """Who reviews where and for how long. PNGs lie in `folder`."""

    url: str
    folder: Path
    num_reviewers: int = 20
    num_processes: int = 4
    num_images: int = 300
    seconds: float = 60.0
    pause_seconds: float = 0.0


@dataclass(slots=True)
class Told:
    """What reviewers were told: ids of the events acknowledged (by kind), latencies, how often they were stale."""

    verdicts: list[str] = field(default_factory=list)
    undos: list[str] = field(default_factory=list)
    doubled: int = 0
    stale: int = 0
    verdict_ms: list[float] = field(default_factory=list)
    assignment_ms: list[float] = field(default_factory=list)

    def add(self, other: "Told") -> None:
        """Take over what others were told."""
        self.verdicts += other.verdicts
        self.undos += other.undos
        self.doubled += other.doubled
        self.stale += other.stale
        self.verdict_ms += other.verdict_ms
        self.assignment_ms += other.assignment_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What is found in the database afterwards, against what the reviewers were told.

    lost: decisions acknowledged but not in the chain; doubled: in the chain more often than acknowledged.
    """

    told: Told
    lost: int
    doubled: int
    chain_problem: str | None


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the reviewers and print one table; exit code 1 when a verdict was lost or doubled."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviewers", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--pause-seconds", type=float, default=0.0)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--url", help="database; without it SQLite in a temporary folder")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        office = Office(
            url=chosen.url or f"sqlite:///{Path(name) / 'dermaflux.db'}",
            folder=Path(name),
            num_reviewers=chosen.reviewers,
            num_processes=chosen.processes,
            seconds=chosen.seconds,
            pause_seconds=chosen.pause_seconds,
        )
        outcome = review_at_once(office)
    _print(outcome, chosen.seconds)
    if outcome.lost or outcome.doubled or outcome.chain_problem:
        sys.exit(1)


def _print(outcome: Outcome, seconds: float) -> None:
    told = outcome.told
    _line("what", "figure")
    _line("verdicts acknowledged, a second", f"{len(told.verdicts)}, {len(told.verdicts) / seconds:.0f}")
    _line("undos; requests sent twice; refused as stale", f"{len(told.undos)}; {told.doubled}; {told.stale}")
    _line("verdict, read and stored", _percentiles(told.verdict_ms))
    _line("ten assignments", _percentiles(told.assignment_ms))
    _line("lost; doubled", f"{outcome.lost}; {outcome.doubled}")
    _line("chain", outcome.chain_problem or "intact")


def review_at_once(office: Office) -> Outcome:
    """Let reviewers decide from several processes on an empty database, then compare it with what they were told."""
    store = _open(office)
    _fill(store, office)
    told = Told()
    # Processes of their own, not forks: a connection must not be shared.
    with ProcessPoolExecutor(office.num_processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        for part in pool.map(_work, [office] * office.num_processes, range(office.num_processes)):
            told.add(part)
    try:
        return _compare(store, told)
    finally:
        store.close()


def _fill(store: CurationStore, office: Office) -> None:
    engine = open_engine(office.url)
    migrate(engine)
    engine.dispose()
    store.create_dataset(DATASET)
    store.set_review_plan(DATASET, ReviewPlan(reviewers_per_image=REVIEWERS_PER_IMAGE))
    for seed in range(office.num_images):
        store.add_image(_sample(seed))


def _compare(store: CurationStore, told: Told) -> Outcome:
    in_chain = Counter(decision.decision_id for decision in store.decisions(DATASET))
    acknowledged = Counter(told.verdicts + told.undos)
    return Outcome(
        told=told,
        # A Counter's difference keeps what one has more of than the other.
        lost=(acknowledged - in_chain).total(),
        doubled=(in_chain - acknowledged).total(),
        chain_problem=store.verify_chain().problem,
    )


def _open(office: Office) -> CurationStore:
    return CurationStore(open_engine(office.url), office.folder / "images")


def _work(office: Office, process: int) -> Told:
    """One process: a thread for each of its reviewers, one store for all."""
    store, told = _open(office), Told()
    until = time.monotonic() + office.seconds
    mine = range(process, office.num_reviewers, office.num_processes)
    with ThreadPoolExecutor(len(mine)) as pool:
        for part in pool.map(lambda number: _review(store, number, until, office.pause_seconds), mine):
            told.add(part)
    store.close()
    return told


def _review(store: CurationStore, number: int, until: float, pause_seconds: float) -> Told:
    rng, told, reviewer = random.Random(number), Told(), f"reviewer {number}"
    images = [image.image_id for image in store.page(limit=MAX_PAGE).images]
    assigned: list[str] = []
    while time.monotonic() < until:
        if rng.random() < ASSIGNED and not assigned:
            started = time.perf_counter()
            assigned = [given.image.image_id for given in store.next_assignments(DATASET, reviewer)]
            told.assignment_ms.append(_ms_since(started))
        _decide(store, reviewer, assigned.pop() if assigned else rng.choice(images), rng, told)
        if rng.random() < TAKEN_BACK:
            _undo(store, reviewer, told)
        time.sleep(2 * pause_seconds * rng.random())
    return told


def _decide(store: CurationStore, reviewer: str, image_id: str, rng: random.Random, told: Told) -> None:
    started = time.perf_counter()
    request = DecisionRequest(
        dataset=DATASET,
        image_id=image_id,
        reviewer=reviewer,
        verdict=rng.choice(tuple(Verdict)),
        expected_version=store.get(image_id, DATASET).version,
        request_id=new_id(),
    )
    try:
        made = store.decide(request)
    except StaleDecision:
        told.stale += 1
        return
    told.verdict_ms.append(_ms_since(started))
    told.verdicts.append(made.decision_id)
    if rng.random() < SENT_TWICE:
        told.doubled += 1
        _check_same(made, store.decide(request))


def _check_same(first: Decision, again: Decision) -> None:
    if first != again:
        raise AssertionError(f"A request sent twice was answered by {first.decision_id} and {again.decision_id}.")


def _undo(store: CurationStore, reviewer: str, told: Told) -> None:
    try:
        told.undos.append(store.undo(DATASET, reviewer).decision_id)
    except InvalidRequest:
        return  # nothing left to undo


def _sample(seed: int) -> GeneratedImage:
    picture = Image.frombytes("RGB", (8, 8), random.Random(seed).randbytes(8 * 8 * 3))
    return GeneratedImage(
        image=picture.resize((64, 64)),
        image_index=0,
        seed=seed,
        request=SamplingRequest(caption="a mole", seed=seed, num_steps=8, size_px=64),
        identity=ModelIdentity(model="nano", model_sha256="a" * 64, licence="CC-BY-NC-4.0"),
        seconds=1.0,
    )


def _ms_since(started: float) -> float:
    return 1000 * (time.perf_counter() - started)


def _percentiles(times_ms: Sequence[float]) -> str:
    if len(times_ms) < 2:
        return "none"
    ranked = statistics.quantiles(times_ms, n=100)
    return f"p50 {ranked[49]:.1f} ms, p95 {ranked[94]:.1f} ms, worst {max(times_ms):.1f} ms"


def _line(what: str, figure: str) -> None:
    sys.stdout.write(f"| {what} | {figure} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
