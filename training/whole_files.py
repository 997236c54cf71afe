"""Text files that are there whole or not at all. It knows nothing of what they say."""

import os
from pathlib import Path


def write_whole(path: Path, text: str) -> None:
    """Write a text file; an interruption leaves the earlier one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(text, encoding="utf-8")
    os.replace(temporary, path)
