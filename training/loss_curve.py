"""Draws a run's history.jsonl as a picture: the running loss and the validation loss at fixed times.

    python -m training.loss_curve --history runs/nano/cpu/history.jsonl --out docs/images/nano_loss.png

It reads the history alone and knows nothing of the model.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from matplotlib.figure import Figure

from dermaflux.domain.errors import DataNotFound
from training.program import program


@dataclass(frozen=True, slots=True, kw_only=True)
class CurveConfig:
    """Which history to draw and where to."""

    history: Path = Path("runs/nano/cpu/history.jsonl")
    out: Path = Path("docs/images/nano_loss.png")


def draw(history: Path) -> Figure:
    """The figure of a history with a `step`, a running `loss` and `val_*` columns; DataNotFound if there is none."""
    if not history.is_file():
        raise DataNotFound(f"{history} does not exist. Train first, or give another --history.")
    lines = [json.loads(line) for line in history.read_text().splitlines()]
    steps = [line["step"] for line in lines]
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name in [key for key in lines[0] if key == "loss" or key.startswith("val_")]:
        label = "train, running mean" if name == "loss" else name.replace("val_", "val, ")
        width = 2.5 if name == "val_mean" else 1
        axes.plot(steps, [line[name] for line in lines], marker=".", label=label, linewidth=width)
    axes.set(xlabel="optimiser step", ylabel="velocity loss (mean square)", title="t = 1 is noise, t = 0 data")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return figure


@program
def main() -> None:
    """The command line."""
    config = tyro.cli(CurveConfig, description=__doc__)
    config.out.parent.mkdir(parents=True, exist_ok=True)
    draw(config.history).savefig(config.out, dpi=120)


if __name__ == "__main__":
    sys.exit(main())
