"""A drawn data set in the shape of the real one, for trainers that learn from captioned pictures."""

import csv
import io
import zipfile

import numpy as np
import pytest
from PIL import Image, ImageDraw

from dermaflux.domain.lesion import LesionSpec
from dermaflux.domain.records import GeneratedImage, ModelIdentity, SamplingRequest
from dermaflux.provenance import from_generated, png_bytes


def jpeg(radius, colour):
    image = Image.new("RGB", (64, 64), (225, 190, 170))
    ImageDraw.Draw(image).ellipse([32 - radius, 32 - radius, 32 + radius, 32 + radius], fill=colour)
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def drawn_ham(tmp_path_factory):
    """A drawn data set in HAM10000's shape: dark large melanomas, pale small nevi, one row not measurable."""
    folder = tmp_path_factory.mktemp("ham")
    names = [f"P{i:02d}" for i in range(24)]
    with zipfile.ZipFile(folder / "ham10000_224.zip", "w") as archive:
        for i, name in enumerate(names):
            archive.writestr(f"images/{name}.jpg", jpeg(22, (50, 25, 15)) if i % 4 == 0 else jpeg(10, (150, 90, 60)))
    zipfile.ZipFile(folder / "ham10000_200x150.zip", "w").close()
    columns = ["image_id", "lesion_id", "split", "dx", "malignant", "dx_type", "age", "sex", "localization"]
    with (folder / "ham10000.csv").open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(columns)
        for i, name in enumerate(names):
            split = "val" if i >= 16 else "train"
            writer.writerow([name, f"L{i}", split, "mel" if i % 4 == 0 else "nv", 0, "histo", "50", "male", "back"])
    measured = folder / "measured.csv"
    with measured.open("w", newline="") as handle:
        writer = csv.writer(handle)
        writer.writerow(["image_id", "archive", "asymmetry", "border", "colours", "refused", "ita_degrees"])
        for i, name in enumerate(names):
            dark = i % 4 == 0
            values = ["", "", "", "touches the frame", ""] if i == 1 else [
                1.6 if dark else 0.1, 6 if dark else 0, "dark brown|black" if dark else "light brown", "", "45"
            ]  # fmt: skip
            writer.writerow([name, 224, *values])
    return folder


@pytest.fixture(scope="session")
def write_synthetic():
    """Writes a picture that says it is synthetic."""
    return _write_synthetic


def _write_synthetic(path, diagnosis="mel"):
    """A drawn lesion, dark for a melanoma, that says what it was asked to show; diagnosis None for a free caption."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = sum(path.name.encode())
    image = Image.new("RGB", (24, 24), (220, 180, 160))
    ImageDraw.Draw(image).ellipse([5, 5, 18, 18], fill=(50, 30, 30) if diagnosis == "mel" else (180, 120, 100))
    pixels = np.asarray(image) + np.random.default_rng(seed).normal(scale=6, size=(24, 24, 3))
    spec = LesionSpec(asymmetry=1, border=4, colours=("red", "black"), diagnosis=diagnosis) if diagnosis else None
    request = SamplingRequest(
        caption="a lesion", spec=spec, seed=seed, num_images=1, model="drawn", num_steps=4, guidance_scale=1.0,
        contrast_scale=0.0, size_px=128,
    )  # fmt: skip
    generated = GeneratedImage(
        image=Image.fromarray(pixels.clip(0, 255).astype(np.uint8)), image_index=0, seed=seed, request=request,
        seconds=0.1, identity=ModelIdentity(model="drawn", model_sha256="0" * 64),
    )  # fmt: skip
    path.write_bytes(png_bytes(generated.image, from_generated(generated)))
