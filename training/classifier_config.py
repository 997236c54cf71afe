"""What a classifier run can be told, and the presets. It knows no tensor and no file format."""

from dataclasses import dataclass, field
from pathlib import Path

from dermaflux.domain.errors import InvalidRequest
from training.augmentation import AugmentConfig
from training.precision import check_precision
from training.synthetic_source import SyntheticConfig

DIAGNOSIS, MALIGNANT = "diagnosis", "malignant"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataConfig:
    """Where the pictures come from: HAM10000 in data_dir, a user's own folder, or a manifest of several sets."""

    data_dir: Path = Path("../shared/data")
    """Folder with ham10000.csv and its archives."""
    folder: Path | None = None
    """Your own folder instead: pictures with metadata.csv or metadata.jsonl (columns file_name, diagnosis, split)."""
    manifest: Path | None = None
    """A manifest of several sets instead (`training.build_manifest`)."""
    classes: str = DIAGNOSIS
    """diagnosis: the diagnoses that occur are the classes; malignant: benign and malignant are, as in the paper. The
    first leaves out pictures that only say benign or malignant where others say more."""
    archive_px: int = 200
    """HAM10000 archive: 200 = whole frames 200x150, 224 = centre crops."""
    frame_px: tuple[int, int] = (200, 150)
    """Width and height in memory: the largest centred crop of this shape. Square frames suit synthetic pictures."""
    limit: int | None = None
    """Use only about this many pictures of each split, every class kept."""

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the field outside its range."""
        if self.folder is not None and self.manifest is not None:
            raise InvalidRequest("data.folder and data.manifest are both given. Choose one source of real pictures.")
        if self.classes not in (DIAGNOSIS, MALIGNANT):
            raise InvalidRequest(f"classes is {self.classes!r}. Choose {DIAGNOSIS} or {MALIGNANT}.")
        if min(self.frame_px) < 16 or (self.limit is not None and self.limit < 8):
            raise InvalidRequest("frame_px must be 16 or more a side and limit 8 or more.")


@dataclass(frozen=True, slots=True, kw_only=True)
class OptimConfig:
    """How the weights move. Rates are of AdamW; the schedule is a warm-up, then a cosine to zero."""

    epochs: int = 40
    steps_per_epoch: int | None = None
    """Optimiser steps that count as an epoch; None: as many as show each picture once. For equal step budgets."""
    max_minutes: float | None = None
    """Wall-clock budget: the schedule runs out when it does, however few epochs that was."""
    batch_size: int = 64
    learning_rate: float = 1.5e-3
    layer_decay: float = 1.0
    """Each layer learns at this share of the rate of the next one up: below 1 spares what is pretrained."""
    weight_decay: float = 0.05
    warmup_share: float = 0.06
    clip_norm: float = 1.0
    ema_decay: float = 0.995
    label_smoothing: float = 0.1
    malignant_loss_weight: float = 0.5
    """Weight of the binary malignant loss beside the class loss."""
    balance: float = 0.5
    """Pictures are drawn with weight 1 / count ** balance of their class: 0 as they come, 1 all classes alike."""
    patience: int = 15
    """Stop after this many epochs without a better validation AUC."""
    target_auc: float | None = None
    """Stop as soon as the validation AUC reaches this."""

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the field outside its range."""
        if min(self.epochs, self.batch_size, self.patience, self.steps_per_epoch or 1) < 1:
            raise InvalidRequest("epochs, steps_per_epoch, batch_size and patience must be 1 or more.")
        if self.max_minutes is not None and not self.max_minutes > 0:
            raise InvalidRequest(f"max_minutes is {self.max_minutes}; it must be above 0.")
        if not 0 < self.layer_decay <= 1:
            raise InvalidRequest(f"layer_decay is {self.layer_decay}; it must lie in (0, 1].")
        if not self.learning_rate > 0 or not 0 <= self.ema_decay < 1:
            raise InvalidRequest("learning_rate must be above 0 and ema_decay within [0, 1).")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifierRun:
    """One training run of a classifier."""

    name: str = "ham"
    """The run's folder under runs_dir."""
    runs_dir: Path = Path("runs/classifier")
    export_dir: Path | None = None
    """Where the finished checkpoint goes too, for instance assets/models/classifier."""
    model: str = "stem_vit_small"
    """lite0_vit, stem_vit_small, stem_vit_tiny or any timm model name."""
    pretrained: bool = False
    """Start from ImageNet: lite0_vit from the package in `training/imagenet.py`, a timm model from the hub."""
    weights: Path | None = None
    """Start from these instead: a local weights file of the timm model, or the `model` folder of an earlier run."""
    size_px: int = 112
    early_size_px: int | None = None
    """Side of the training views in the first half of the schedule: smaller ones cost less."""
    drop_path: float = 0.1
    device: str = "auto"
    """auto, cpu or cuda."""
    precision: str = "auto"
    """auto, bf16 (autocast) or fp32."""
    seed: int = 0
    resume: bool = False
    """Go on from the run's last checkpoint."""
    data: DataConfig = field(default_factory=DataConfig)
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the field outside its range."""
        check_precision(self.precision)
        if self.device not in ("auto", "cpu", "cuda"):
            raise InvalidRequest(f"device is {self.device!r}. Choose auto, cpu or cuda.")
        if self.early_size_px is not None and (self.early_size_px < 16 or self.early_size_px % 16):
            raise InvalidRequest(f"early_size_px is {self.early_size_px}; it must be a multiple of 16.")
        if not self.name or Path(self.name).name != self.name:
            raise InvalidRequest(f"name is {self.name!r}; it must be one plain folder name.")

    @property
    def run_dir(self) -> Path:
        """The folder of this run: state, history and the finished checkpoint."""
        return self.runs_dir / self.name


PRESETS: dict[str, tuple[str, ClassifierRun]] = {
    "smoke": (
        "64 pictures, 2 epochs of a tiny ViT: some seconds; shows that everything runs, not a useful classifier",
        ClassifierRun(
            name="smoke", model="stem_vit_tiny", size_px=64, data=DataConfig(limit=64),
            optim=OptimConfig(epochs=2, batch_size=16),
        ),
    ),
    "cpu": (
        "the embedded ViT, its stem from ImageNet, on 7,090 pictures: 2 cores, 2 GB, at most 35 minutes",
        ClassifierRun(
            name="cpu", model="lite0_vit", pretrained=True, size_px=128, early_size_px=96, drop_path=0.1,
            optim=OptimConfig(
                max_minutes=32, learning_rate=1e-3, layer_decay=0.75, ema_decay=0.995, label_smoothing=0.05
            ),
            augment=AugmentConfig(mixup_probability=0.2, cutmix_probability=0.0),
        ),
    ),
    "h200": (
        "the same at 144 px for 150 epochs with stronger mixing on one GPU: some minutes, 4 GB",
        ClassifierRun(
            name="h200", device="cuda", size_px=144, drop_path=0.2,
            optim=OptimConfig(epochs=150, batch_size=128, ema_decay=0.999, patience=40),
            augment=AugmentConfig(min_scale=0.3, mixup_probability=0.5, cutmix_probability=0.3),
        ),
    ),
}  # fmt: skip
