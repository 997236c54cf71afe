"""State the sha256 of every embedded model file, after weights were changed: `python -m training.model_checksums`.

`python -m dermaflux doctor` and a test compare the files with it.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from dermaflux.checksums import CHECKSUMS, write_checksums

MODELS = Path(__file__).resolve().parents[1] / "assets" / "models"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the statement beside the models."""
    parser = argparse.ArgumentParser(description="State the sha256 of every embedded model file.")
    parser.add_argument("folder", type=Path, nargs="?", default=MODELS, help="where the models are")
    folder = parser.parse_args(arguments).folder
    if not folder.is_dir():
        parser.error(f"{folder} is no folder. Give the one with the models.")
    sys.stdout.write(f"{write_checksums(folder)} files stated in {folder / CHECKSUMS}\n")


if __name__ == "__main__":
    main()
