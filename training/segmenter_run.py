"""What a segmenter training run is: its fields, their checks, and the presets. It knows no training."""

from dataclasses import dataclass
from pathlib import Path

from dermaflux.domain.errors import InvalidRequest
from dermaflux.measurement.segmenter import SegmenterConfig
from training.precision import check_precision


@dataclass(frozen=True, slots=True, kw_only=True)
class SegmenterRun:
    """One training run. Sizes are (height, width) of the batches, drawn at random each step."""

    data_dir: Path = Path("../shared/data")
    """Folder with ham10000.csv and its archives."""
    out_dir: Path = Path("assets/models/segmenter")
    """Where the finished weights and their config go."""
    run_dir: Path = Path("runs/segmenter")
    """Where the checkpoint for resuming is kept."""
    network: SegmenterConfig = SegmenterConfig()
    epochs: int = 6
    batch_size: int = 24
    learning_rate: float = 3e-3
    weight_decay: float = 0.02
    ema_decay: float = 0.99
    sizes_px: tuple[tuple[int, int], ...] = ((96, 128), (112, 112), (80, 112))
    precision: str = "auto"
    """auto, bf16 or fp32; on CPUs with AVX512-BF16 bf16 with channels_last is twice as fast."""
    device: str = "cpu"
    num_threads: int = 2
    limit: int | None = None
    """Use only this many pictures of each split."""
    seed: int = 0
    resume: bool = False
    """Go on from the checkpoint in run_dir."""

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the field outside its range."""
        check_precision(self.precision)
        if min(self.epochs, self.batch_size, self.num_threads) < 1:
            raise InvalidRequest("epochs, batch_size and num_threads must be at least 1.")
        multiple = self.network.multiple_px
        if any(side % multiple for size in self.sizes_px for side in size):
            raise InvalidRequest(f"sizes_px must be multiples of {multiple}.")


PRESETS = {
    "smoke": (
        "64 pictures, 2 epochs: some seconds; checks the path, not the quality",
        SegmenterRun(
            network=SegmenterConfig(widths=(8, 16, 16, 16)), epochs=2, batch_size=16, limit=64,
            out_dir=Path("runs/segmenter-smoke/weights"), run_dir=Path("runs/segmenter-smoke"),
        ),
    ),
    "cpu": ("whole train split, 2 cores: about 8 minutes, 2 GB, median val IoU about .90", SegmenterRun()),
    "h200": (
        "whole train split on one GPU: a few minutes, 8 GB, 60 epochs",
        SegmenterRun(device="cuda", epochs=60, batch_size=64, num_threads=8),
    ),
}  # fmt: skip
