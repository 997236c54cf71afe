"""What a run of nano's trainer can be told, and the presets. It knows no tensor and no file format."""

from dataclasses import dataclass, field
from pathlib import Path

from dermaflux.domain.errors import InvalidRequest
from dermaflux.generation.nano import NanoConfig
from training.nano_data import CaptionStyle
from training.objectives import FLOW, objective_of
from training.precision import check_precision


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainNanoConfig:
    """One training run. Whichever of num_steps and max_minutes ends first sets the learning-rate decay."""

    name: str = "cpu"
    data_dir: Path = Path("../shared/data")
    measured: Path = Path("runs/measured_ham10000.csv")
    runs_dir: Path = Path("runs/nano")
    out: Path = Path("assets/models/nano")
    size_px: int = 128
    model: NanoConfig = field(default_factory=NanoConfig)
    start_from: Path | None = None
    """A saved nano to go on from, with its sizes and its patch basis; `model` is then not read."""
    style: CaptionStyle = field(default_factory=CaptionStyle)
    num_steps: int = 6000
    max_minutes: float | None = None
    batch_size: int = 32
    learning_rate: float = 1e-3
    warmup_steps: int = 150
    weight_decay: float = 0.01
    grad_clip: float = 1.0
    caption_dropout: float = 0.1
    objective: str = FLOW
    """flow (Flux's own), or epsilon: a diffusion with all else equal, for comparison only; the app cannot load it."""
    time_shift: float = 1.0
    ema_decay: float = 0.999
    eval_every: int = 500
    save_every: int = 250
    num_val: int = 128
    seed: int = 0
    device: str = "cpu"
    precision: str = "auto"

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, naming the field."""
        check_precision(self.precision)
        objective_of(self.objective)
        if self.size_px % 16:
            raise InvalidRequest(f"size_px is {self.size_px}; it must be a multiple of 16.")
        if not 0 <= self.caption_dropout < 1:
            raise InvalidRequest(f"caption_dropout is {self.caption_dropout}; give a share in 0..1.")


PRESETS = {
    "smoke": (
        "seconds: a toy model, a handful of steps, to see that everything runs",
        TrainNanoConfig(
            name="smoke",
            out=Path("runs/nano/smoke/pipeline"),
            size_px=64,
            num_steps=4,
            batch_size=4,
            eval_every=2,
            save_every=2,
            num_val=8,
            warmup_steps=1,
            model=NanoConfig(num_double_blocks=1, num_single_blocks=1, num_heads=1, t5_width=64, clip_width=64),
        ),
    ),
    "cpu": (
        "two to three hours on 2 busy cores, 128 px, 8 M parameters",
        TrainNanoConfig(model=NanoConfig(num_heads=3, t5_width=192, clip_width=128)),
    ),
    "h200": (
        "about 20 minutes on one H200, 224 px, 30 M parameters, in pieces by --max-minutes",
        TrainNanoConfig(
            name="h200",
            size_px=224,
            device="cuda",
            batch_size=256,
            num_steps=20_000,
            max_minutes=18,
            ema_decay=0.9995,
            model=NanoConfig(num_double_blocks=3, num_single_blocks=8, num_heads=6, t5_width=384, clip_width=256),
        ),
    ),
}
