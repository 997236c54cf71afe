"""What `crash_safety` kills: the real services at work, in processes of their own, and the look at what is left.

Each function runs in a child. It says over a pipe what it is about to do and what the store has acknowledged.
"""

import hashlib
import json
import random
import sqlite3
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from PIL import Image

import dermaflux.generation.sampler  # noqa: F401 - torch and diffusers, imported once for all children
from dermaflux.checksums import write_checksums
from dermaflux.curation.database import downgrade, migrate, open_engine
from dermaflux.curation.store import CurationStore
from dermaflux.domain.caption import compose
from dermaflux.domain.lesion import Colour, Diagnosis, LesionSpec
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest, Verdict
from dermaflux.generation.facts import PipelineFacts, save_facts
from dermaflux.generation.nano import NanoConfig, build_nano_pipeline
from dermaflux.services import Services
from dermaflux.services.records import Ended, Finished
from dermaflux.settings import Settings

DATASET = "crash"
USER = "ann"
REVIEWERS = ("ada", "bob")
SPEC = LesionSpec(
    asymmetry=1.0, border=4.0, colours=(Colour.LIGHT_BROWN, Colour.DARK_BROWN), diagnosis=Diagnosis.NV
)
_NUM_READY = 24
_WORKER_TIMEOUT_S = 2.0
_FORMATS = ("imagefolder", "webdataset", "parquet", "dicom")

Say = Callable[..., None]


def settings_of(folder: Path) -> Settings:
    """The deployment under test, all in one folder."""
    return Settings(
        data_dir=folder / "data", models_dir=folder / "models", device="cpu", max_waiting=1000,
        worker_timeout_s=_WORKER_TIMEOUT_S,
    )


def prepare(folder: Path, pipe: Connection, seed: int) -> None:
    """A store with ready samples, all accepted by the first reviewer, and a tiny untrained pipeline. Ends by itself."""
    say, noise = _sayer(pipe), random.Random(seed)
    _save_tiny_pipeline(folder / "models")
    with Services(settings_of(folder)) as services:
        services.start()
        store = services._store()
        identity = ModelIdentity(model="noise", model_sha256="0" * 64, licence="for tests only")
        for number in range(_NUM_READY):
            request = SamplingRequest(caption=compose(SPEC), spec=SPEC, seed=number, size_px=64)
            picture = Image.frombytes("RGB", (64, 64), noise.randbytes(64 * 64 * 3))
            made = GeneratedImage(
                image=picture, image_index=0, seed=number, request=request, identity=identity, seconds=0.0
            )
            stored = store.add_image(made)
            say("image", stored.image_id, stored.sha256)
            say("intends", REVIEWERS[0], stored.image_id, "accept")
            services.decide(DATASET, stored.image_id, REVIEWERS[0], "accept")
            say("said", REVIEWERS[0], stored.image_id, "accept")


def generate(folder: Path, pipe: Connection, seed: int) -> None:
    """Job after job; each finished image is acknowledged when a follower is told of it."""
    say, seeds = _sayer(pipe), random.Random(seed)
    with Services(settings_of(folder)) as services:
        services.start()
        say("begun")
        while True:
            request = SamplingRequest(caption=compose(SPEC), spec=SPEC, num_images=4, seed=seeds.randrange(10**6))
            job = services.submit_generation(USER, request)
            say("job", job.job_id)
            for event in services.follow(job.job_id):
                if isinstance(event, Finished):
                    say("image", event.stored.image_id, event.stored.sha256)


def accept(folder: Path, pipe: Connection, seed: int) -> None:
    """Two reviewers at once, verdict after verdict and now and then an undo."""
    say = _sayer(pipe)
    with Services(settings_of(folder)) as services:
        services.start()
        image_ids = [image.image_id for image in services.page(DATASET, limit=200).images]
        say("begun")
        threads = [
            threading.Thread(target=_review, args=(services, reviewer, image_ids, say, seed)) for reviewer in REVIEWERS
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


def export(folder: Path, pipe: Connection, seed: int) -> None:
    """Export after export to the same folder in every format, and zips for download."""
    say, choice = _sayer(pipe), random.Random(seed)
    with Services(settings_of(folder)) as services:
        services.start()
        say("begun")
        while True:
            report = services.export(DATASET, choice.choice(_FORMATS), folder / "exported")
            say("exported", report.manifest_sha256)
            services.export_zip(DATASET, choice.choice(_FORMATS))
            say("zipped")


def schema(folder: Path, pipe: Connection, seed: int) -> None:
    """Down and up again through every migration, on a copy of the database: going down drops the jobs."""
    say = _sayer(pipe)
    with closing(sqlite3.connect(folder / "data" / "dermaflux.db")) as source:
        (folder / "copy.db").unlink(missing_ok=True)
        with closing(sqlite3.connect(folder / "copy.db")) as copy:
            source.backup(copy)
    engine = open_engine(f"sqlite:///{folder / 'copy.db'}")
    say("begun")
    while True:
        downgrade(engine, "0001")
        migrate(engine)
        say("migrated")


def look(folder: Path, pipe: Connection, seed: int) -> None:
    """Start again as after any crash and say what is there. The children above never end by themselves; this does."""
    say = _sayer(pipe)
    running = _running_jobs(folder / "data" / "dermaflux.db")
    with Services(settings_of(folder)) as services:
        services.start()
        jobs = {job.job_id: job for job in services.jobs(USER, limit=10**6)}
        ends = {job_id: list(services.follow(job_id))[-1] for job_id in running}  # they go on by themselves
        unfinished = [end for end in ends.values() if not (isinstance(end, Ended) and end.state == "done")]
        say("jobs", sorted(jobs), len(running), unfinished)
        say("checks", [(check.name, check.ok, check.says) for check in services.examine()])
        say("events", [_event(decision) for decision in services.decisions(DATASET)])
        say("images", sorted(_all_images(services)))
        say("exported", _export_problem(folder / "exported"))
        zips = sorted((folder / "data" / "exports").glob("*.zip"))
        say("zips", len(zips), [problem for path in zips if (problem := _zip_problem(path))])
        say("copy", _copy_problem(folder / "copy.db", [_event(d) for d in services.decisions(DATASET)]))


def _save_tiny_pipeline(folder: Path) -> None:
    size = NanoConfig(
        num_double_blocks=1, num_single_blocks=1, num_heads=1, head_dim=32, t5_width=64, t5_layers=1,
        clip_width=64, clip_layers=1, vocabulary=300, text_tokens=64,
    )  # fmt: skip
    corpus = [compose(LesionSpec.from_dict(SPEC.to_dict() | {"border": border})) for border in range(9)]
    build_nano_pipeline(size, corpus).save_pretrained(folder / "nano")
    facts = PipelineFacts(size_px=64, num_steps=3, guidance_scale=1.5, text_tokens=64, licence="for tests only")
    save_facts(folder / "nano", facts)
    write_checksums(folder)


def _review(services: Services, reviewer: str, image_ids: list[str], say: Say, seed: int) -> None:
    choice = random.Random(f"{reviewer} {seed}")
    for turn in range(10**9):
        if turn % 7 == 6:
            say("intends", reviewer, None, None)
            image = services.undo(DATASET, reviewer)
            say("said", reviewer, image.image_id, None)
        image_id, verdict = choice.choice(image_ids), choice.choice(tuple(Verdict))
        say("intends", reviewer, image_id, str(verdict))
        services.decide(DATASET, image_id, reviewer, verdict)
        say("said", reviewer, image_id, str(verdict))


def _sayer(pipe: Connection) -> Say:
    lock = threading.Lock()

    def say(*words: Any) -> None:
        with lock:
            pipe.send(words)

    return say


def _event(decision: Any) -> tuple[str, str, str | None]:
    return decision.reviewer, decision.image_id, str(decision.verdict) if decision.verdict else None


def _running_jobs(database: Path) -> list[str]:
    with closing(sqlite3.connect(database)) as connection:
        return [row[0] for row in connection.execute("SELECT id FROM jobs WHERE state = 'running'")]


def _all_images(services: Services) -> Iterator[tuple[str, str]]:
    after = None
    while True:
        page = services.page(DATASET, after=after, limit=500)
        yield from ((image.image_id, image.sha256) for image in page.images)
        if (after := page.next_after) is None:
            return


def _export_problem(folder: Path) -> str | None:
    """What is wrong with the export at a place; None when it is whole, or none is there."""
    if not folder.exists():
        return "missing"
    files = {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    return _manifest_problem(files)


def _zip_problem(path: Path) -> str | None:
    with zipfile.ZipFile(path) as archive:
        files = {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}
    return _manifest_problem(files)


def _manifest_problem(files: dict[str, bytes]) -> str | None:
    if "manifest.json" not in files:
        return "no manifest"
    stated = json.loads(files.pop("manifest.json"))["files"]
    found = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    return None if found == {name: entry["sha256"] for name, entry in stated.items()} else "files are not as stated"


def _copy_problem(path: Path, events: list[Any]) -> str | None:
    """What is wrong with the copy that migrations ran on; None when it is whole again, or there is none."""
    if not path.exists():
        return None
    engine = open_engine(f"sqlite:///{path}")
    try:
        migrate(engine)
        store = CurationStore(engine, path.parent)
        if problem := store.verify_chain().problem:
            return problem
        return None if [_event(d) for d in store.decisions(DATASET)] == events else "decisions differ"
    finally:
        engine.dispose()
        path.unlink()
