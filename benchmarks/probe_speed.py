"""How long the probe takes: describing a picture, and the whole answer when vectors are kept already.

`python -m benchmarks.probe_speed [--real ARCHIVE] [--accepted 100]` prints the lines of docs/benchmarks.md. The
answers are timed end to end through services (table, archive, hashes, store, heads, intervals) over kept vectors; these
are random numbers around a centre for each diagnosis, since describing a whole archive first would take minutes of a
core. So the times are real, and what is answered means nothing.
"""

import argparse
import hashlib
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dermaflux.checksums import content_id
from dermaflux.domain.lesion import HAM_DIAGNOSES, Colour, LesionSpec
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest
from dermaflux.evaluation.probe_report import ProbeReport
from dermaflux.services import Services
from dermaflux.services.embedding_cache import EmbeddingCache
from dermaflux.services.probing import EMBEDDINGS
from dermaflux.services.real_pictures import read_real
from dermaflux.services.records import ProbeRequest
from dermaflux.settings import Settings

DATASET, DIM = "speed", 192


def main() -> None:
    """Print the times."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--real", type=Path, default=Path("../shared/data/ham10000_200x150.zip"))
    parser.add_argument("--accepted", type=int, default=100)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Services(Settings.load(data_dir=Path(folder))) as services:
        accept_drawn(services, chosen.accepted)
        print(f"describe one picture: {describing_ms(services, chosen.real):.0f} ms of the processor")
        keep_random_vectors(services, chosen.real)
        for num_real in (250, 500, None):
            request = ProbeRequest(dataset=DATASET, real=chosen.real, num_real=num_real)
            wall, processor, report = timed(services, request)
            print(
                f"answer, {num_real or 'all'} real pictures at a time, {report.num_draws} draws, {report.num_added} "
                f"added, judged on {report.num_held_out}: {wall:.1f} s (processor {processor:.1f} s)"
            )


def accept_drawn(services: Services, count: int) -> None:
    """Store and accept images of noise, each of a diagnosis in turn."""
    rng = np.random.default_rng(0)
    identity = ModelIdentity(model="nano", model_sha256="0" * 64, licence="none")
    for seed in range(count):
        diagnosis = HAM_DIAGNOSES[seed % len(HAM_DIAGNOSES)]
        spec = LesionSpec(asymmetry=1, border=4, colours=(Colour.DARK_BROWN,), diagnosis=diagnosis)
        request = SamplingRequest(caption="a lesion", spec=spec, seed=seed, num_steps=1, guidance_scale=1, size_px=64)
        pixels = Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8))
        drawn = GeneratedImage(image=pixels, image_index=0, seed=seed, request=request, identity=identity, seconds=1)
        services.decide(DATASET, services._store().add_image(drawn).image_id, "benchmark", "accept")


def describing_ms(services: Services, real: Path, count: int = 64) -> float:
    """Milliseconds of the processor for a real picture by the embedded classifier, its loading left out."""
    with read_real(real, "val", count, 0) as part:
        pictures = [part.load(picture).convert("RGB") for picture in part.pictures]
    embed = services.embedder()
    embed(pictures[:2])
    used = time.process_time()
    embed(pictures)
    return 1000 * (time.process_time() - used) / len(pictures)


def keep_random_vectors(services: Services, real: Path) -> None:
    """Fill the cache for every picture of both sides and of the dataset."""
    keys: dict[str, str] = {c.sha256: str(c.diagnosis) for c in services._store().candidates(DATASET)}
    for split in ("train", "val"):
        with read_real(real, split, None, 0) as part:
            keys |= {hashlib.sha256(part.content(p)).hexdigest(): str(p.diagnosis) for p in part.pictures}
    rng = np.random.default_rng(1)
    centres = {name: rng.normal(size=DIM) * 0.15 for name in sorted(set(keys.values()))}
    names = list(keys)

    def embed(rows: Sequence[int]) -> np.ndarray:
        return np.stack([centres[keys[names[row]]] + rng.normal(size=DIM) for row in rows]).astype(np.float32)

    folder = services.settings.data_dir / EMBEDDINGS / content_id(services.settings.models_dir / "classifier")[:32]
    list(EmbeddingCache(folder).fill(names, embed))


def timed(services: Services, request: ProbeRequest) -> tuple[float, float, ProbeReport]:
    """Seconds until the answer, on the clock and of the processor, and the answer."""
    started, used = time.monotonic(), time.process_time()
    *_, report = services.probe(request)
    assert isinstance(report, ProbeReport)
    return time.monotonic() - started, time.process_time() - used, report


if __name__ == "__main__":
    main()
