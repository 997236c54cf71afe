"""Prints how fast curation is: verdicts, pages over a large pool, and exports, on a database made for the purpose.

    python -m benchmarks.curation_speed [--images 100000] [--exported 1000] [--size-px 224] [--exports-only]

Rows of the large pool have no files: only the exported images are real PNGs. Everything lies in a temporary folder.
"""

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from PIL import Image
from sqlalchemy import Engine, insert

from dermaflux.curation.export import export_dataset, zip_export
from dermaflux.curation.export_records import ExportFormat, ExportRequest, ExportTools
from dermaflux.curation.import_export import import_export
from dermaflux.curation.records import DecisionRequest, ImageFilter, Order
from dermaflux.curation.store import CurationStore, migrate, open_engine
from dermaflux.curation.tables import ImageRow
from dermaflux.domain.caption import compose
from dermaflux.domain.closeness import distance
from dermaflux.domain.identifiers import new_id
from dermaflux.domain.lesion import HAM_DIAGNOSES, Diagnosis, LesionSpec, typical_colours
from dermaflux.domain.records import (
    Assessment,
    GeneratedImage,
    Measurement,
    ModelIdentity,
    Prediction,
    SamplingRequest,
    Verdict,
)
from dermaflux.provenance import from_generated

NUM_REVIEWERS = 20


def main(arguments: Sequence[str] | None = None) -> None:
    """Run every measurement and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000, help="rows in the large pool")
    parser.add_argument("--exported", type=int, default=1000, help="real images added and exported")
    parser.add_argument("--size-px", type=int, default=224, help="edge of the exported images")
    parser.add_argument("--exports-only", action="store_true", help="leave the large pool out")
    chosen = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        engine = open_engine(f"sqlite:///{folder / 'dermaflux.db'}")
        migrate(engine)
        store = CurationStore(engine, folder / "images")
        line("what", "figure")
        if not chosen.exports_only:
            _measure_pool(store, engine, chosen.images)
        _measure_files(store, folder, chosen.exported, chosen.size_px)
        line(f"whole chain of {store.verify_chain().num_decisions} decisions checked", timed(store.verify_chain))
        store.close()


def _measure_pool(store: CurationStore, engine: Engine, number: int) -> None:
    fill_pool(engine, number)
    store.create_dataset("large")
    image_ids = _decide_most(store, number)
    _measure_verdicts(store, image_ids)
    _measure_pages(store)


def fill_pool(engine: Engine, number: int) -> None:
    """Rows of images without files."""
    started = time.perf_counter()
    rng = random.Random(0)
    for start in range(0, number, 5000):
        rows = [_pool_row(i, rng) for i in range(start, min(start + 5000, number))]
        with engine.begin() as connection:
            connection.execute(insert(ImageRow), rows)
    line(f"{number} rows put into the pool (not a budget)", f"{time.perf_counter() - started:.1f} s")


def _pool_row(number: int, rng: random.Random) -> dict[str, object]:
    made = _sample(number, rng, 16)
    record, spec = from_generated(made), made.request.spec
    assert spec is not None
    measured = _assessment(rng)
    return {
        "id": new_id(),
        "sha256": f"{number:064x}",
        "content_sha256": f"{number:064x}",
        "path": f"{number % 256:02x}/{number:064x}.png",
        "width_px": 16,
        "height_px": 16,
        "created_at": datetime.now(UTC),
        "model": record.model,
        "caption": record.caption,
        "diagnosis": str(spec.diagnosis),
        "asymmetry": spec.asymmetry,
        "border": spec.border,
        "num_colours": len(spec.colours),
        "measured_asymmetry": measured.measurement.asymmetry,
        "measured_border": measured.measurement.border,
        "measured_num_colours": measured.measurement.num_colours,
        "malignant_probability": measured.prediction.malignant,
        "distance": distance(spec, measured),
        "agrees": ((measured.prediction.malignant or 0.0) >= 0.5) == spec.malignant,
        "generated": record.to_dict(),
        "assessment": measured.to_dict(),
    }


def _sample(seed: int, rng: random.Random, size_px: int) -> GeneratedImage:
    diagnosis = rng.choice(HAM_DIAGNOSES)
    spec = LesionSpec(
        asymmetry=rng.choice((0.0, 0.5, 1.0, 1.5, 2.0)),
        border=rng.choice((0.0, 2.0, 4.0, 6.0, 8.0)),
        colours=typical_colours(rng.randint(1, 6), diagnosis),
        diagnosis=diagnosis,
    )
    # A smooth picture with some grain compresses about as a dermoscopic one does.
    small = Image.frombytes("RGB", (24, 24), rng.randbytes(24 * 24 * 3))
    request = SamplingRequest(
        caption=compose(spec, rng), spec=spec, seed=seed, num_steps=20, guidance_scale=3.0, size_px=max(size_px, 64)
    )
    return GeneratedImage(
        image=small.resize((size_px, size_px), Image.Resampling.BICUBIC),
        image_index=0,
        seed=seed,
        request=request,
        identity=ModelIdentity(model="nano", model_sha256="a" * 64, licence="CC-BY-NC-4.0"),
        seconds=1.0,
    )


def _assessment(rng: random.Random) -> Assessment:
    malignant = rng.random()
    return Assessment(
        measurement=Measurement(
            asymmetry=2 * rng.random(), border=8 * rng.random(), num_colours=rng.randint(1, 6), mask_area=0.3
        ),
        prediction=Prediction(
            malignant=malignant, diagnosis={str(d): 1 / 7 for d in HAM_DIAGNOSES}, threshold=0.5
        ),
    )


def _decide_most(store: CurationStore, number: int) -> list[str]:
    image_ids = [image.image_id for image in _all_images(store)]
    rng = random.Random(1)
    started = time.perf_counter()
    judged = image_ids[: number // 10]
    for image_id in judged:
        store.decide(_request(image_id, "first reviewer", rng))
    rate = len(judged) / (time.perf_counter() - started)
    line(f"{len(judged)} verdicts one after the other", f"{rate:.0f} a second")
    return image_ids


def _all_images(store: CurationStore) -> Iterator:
    after = None
    while True:
        page = store.page(after=after, limit=500)
        yield from page.images
        after = page.next_after
        if after is None:
            return


def _request(image_id: str, reviewer: str, rng: random.Random) -> DecisionRequest:
    return DecisionRequest(
        dataset="large", image_id=image_id, reviewer=reviewer, verdict=rng.choice(tuple(Verdict)), realism=3
    )


def _measure_verdicts(store: CurationStore, image_ids: Sequence[str]) -> None:
    def review(reviewer: int, turns: int, pause_seconds: float) -> list[float]:
        rng, times = random.Random(reviewer), []
        for _ in range(turns):
            request = _request(rng.choice(image_ids), f"reviewer {reviewer}", rng)
            started = time.perf_counter()
            store.decide(request)
            times.append(1000 * (time.perf_counter() - started))
            time.sleep(pause_seconds * rng.random())
        return times

    _percentiles("verdict, 1 reviewer", review(0, 500, 0.0))
    for label, pause_seconds in (("without a pause", 0.0), ("at two verdicts a second each", 1.0)):
        with ThreadPoolExecutor(NUM_REVIEWERS) as pool:
            found = pool.map(lambda n, pause=pause_seconds: review(n, 25, pause), range(NUM_REVIEWERS))
            _percentiles(f"verdict, {NUM_REVIEWERS} reviewers {label}", [ms for times in found for ms in times])


def _measure_pages(store: CurationStore) -> None:
    middle = store.page("large", offset=store.page("large").total // 2, limit=1).next_after
    queries: dict[str, Callable[[], object]] = {
        "first page": lambda: store.page("large"),
        "page in the middle, by cursor": lambda: store.page("large", after=middle),
        "last page, by offset": lambda: store.page("large", offset=99_000),
        "accepted": lambda: store.page("large", ImageFilter(verdict=Verdict.ACCEPT)),
        "undecided": lambda: store.page("large", ImageFilter(undecided=True)),
        "one reviewer's rejects": lambda: store.page(
            "large", ImageFilter(reviewer="first reviewer", verdict=Verdict.REJECT)
        ),
        "one diagnosis": lambda: store.page("large", ImageFilter(diagnoses=(Diagnosis.DF,))),
        "undecided melanomas, measured asymmetry over 1, sure": lambda: store.page(
            "large",
            ImageFilter(
                undecided=True,
                diagnoses=(Diagnosis.MEL,),
                measured_asymmetry=(1.0, 2.0),
                malignant_probability=(0.9, 1.0),
            ),
        ),
        "words in the caption": lambda: store.page("large", ImageFilter(text="jagged melanoma")),
        "the classifier disagrees": lambda: store.page("large", ImageFilter(agrees=False)),
        "reviewers disagree": lambda: store.page("large", ImageFilter(reviewers_agree=False)),
        **{
            f"sorted, {order}": lambda order=order: store.page("large", ImageFilter(order=order)) for order in Order
            if order is not Order.NEWEST
        },
    }
    for label, query in queries.items():
        line(f"page of 120: {label}", timed(query))
    line("counts of a dataset", timed(lambda: store.counts("large")))
    line("counts of its virtual boards", timed(lambda: store.board_counts("large", "first reviewer", compared=True)))


def _measure_files(store: CurationStore, folder: Path, number: int, size_px: int) -> None:
    rng = random.Random(2)
    samples = [_sample(10**6 + i, rng, size_px) for i in range(number)]
    assessment = _assessment(rng)
    started = time.perf_counter()
    stored = [store.add_image(sample, assessment) for sample in samples]
    line(f"images of {size_px} px stored (encoded, synced to disk)", _rate(number, started))
    store.create_dataset("small")
    for image in stored:
        store.decide(
            DecisionRequest(dataset="small", image_id=image.image_id, reviewer="ada", verdict=Verdict.ACCEPT)
        )
    # A square stands in for the segmenter, whose speed is measured elsewhere.
    tools = ExportTools(find_lesion=lambda image: np.ones((image.height, image.width), dtype=bool))
    for layout in ExportFormat:
        request = ExportRequest(dataset="small", format=layout, folder=folder / layout)
        started = time.perf_counter()
        report = export_dataset(store, request, tools=tools)
        line(f"export as {layout} ({report.num_bytes / 1e6:.0f} MB)", _rate(number, started))
    _measure_choice_and_return(store, folder, number)
    started = time.perf_counter()
    zip_export(folder / ExportFormat.IMAGEFOLDER)
    line("zip of the imagefolder", _rate(number, started))


def _measure_choice_and_return(store: CurationStore, folder: Path, number: int) -> None:
    chosen = folder / "chosen"
    request = ExportRequest(dataset="small", format=ExportFormat.IMAGEFOLDER, folder=chosen, duplicate_bits=2)
    started = time.perf_counter()
    export_dataset(store, request)
    line("export as imagefolder, near-duplicates looked for", _rate(number, started))
    engine = open_engine(f"sqlite:///{folder / 'elsewhere.db'}")
    migrate(engine)
    elsewhere = CurationStore(engine, folder / "elsewhere")
    started = time.perf_counter()
    import_export(elsewhere, folder / ExportFormat.IMAGEFOLDER, "small")
    line("import of the imagefolder (checked, synced to disk)", _rate(number, started))
    elsewhere.close()


def _rate(number: int, started: float) -> str:
    return f"{number / (time.perf_counter() - started):.0f} images/s"


def timed(query: Callable[[], object], repeats: int = 7) -> str:
    """How long a call takes, in words: median, worst, processor time."""
    times, started_cpu = [], time.process_time()
    for _ in range(repeats):
        started = time.perf_counter()
        query()
        times.append(1000 * (time.perf_counter() - started))
    cpu_ms = 1000 * (time.process_time() - started_cpu) / repeats
    return f"{statistics.median(times):.1f} ms (worst of {repeats}: {max(times):.1f}; processor {cpu_ms:.1f})"


def _percentiles(label: str, times_ms: Sequence[float]) -> None:
    ranked = statistics.quantiles(times_ms, n=100)
    line(label, f"p50 {ranked[49]:.1f} ms, p95 {ranked[94]:.1f} ms, worst {max(times_ms):.1f} ms")


def line(what: str, figure: str) -> None:
    """One row of the table."""
    sys.stdout.write(f"| {what} | {figure} |\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
