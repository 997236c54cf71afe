"""Made-up trees in the shape of public sets: tables with the real column names, tiny drawn pictures."""

import pytest
from PIL import Image, ImageDraw


def drawn(seed=0, size=(48, 36)):
    """A picture of a lesion that is not like that of another seed."""
    image = Image.new("RGB", size, (225, 190 - seed % 20, 170))
    draw = ImageDraw.Draw(image)
    for spot in range(6):
        x, y = (seed * 13 + spot * 17) % size[0], (seed * 7 + spot * spot * 5) % size[1]
        draw.ellipse([x - 6, y - 5, x + 6, y + 5], fill=(20 + (seed * 31 + spot * 40) % 150, 40, 30))
    return image


@pytest.fixture
def tree(tmp_path):
    """Writes a tree: text of a table, or a seed (or a picture) to draw at a path ending in a picture's suffix."""

    def write(files, root=tmp_path):
        for name, content in files.items():
            path = root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(content, str):
                path.write_text(content, encoding="utf-8")
            elif isinstance(content, bytes):
                path.write_bytes(content)
            else:
                (drawn(content) if isinstance(content, int) else content).save(path)
        return root

    return write
