"""A drawn data set in the shape of the real one, for trainers that learn from captioned pictures."""

import csv
import io
import zipfile

import pytest
from PIL import Image, ImageDraw


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
