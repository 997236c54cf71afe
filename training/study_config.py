"""What an augmentation study compares: the grid of cells, its arms (`dermaflux.evaluation.study_arms`), the presets.

It knows no tensor.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path

from dermaflux.domain.errors import InvalidRequest
from dermaflux.evaluation.study_arms import ALONE, BASELINES, FIRST, HALF, Arm
from training.augmentation import AugmentConfig
from training.classifier_config import ClassifierRun, DataConfig, OptimConfig
from training.synthetic_source import AGREEING, ALL, CLOSE, SyntheticConfig

PROBE = "lite0_probe"
"""The model that is no network of ours: `training.study_probe`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One training of the grid."""

    model: str
    num_real: int
    arm: Arm
    seed: int

    @property
    def key(self) -> str:
        """The cell's name in the results, and of its files."""
        return f"{self.model}-{self.num_real}-{self.arm.name.replace(':', '_')}-s{self.seed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyConfig:
    """One study: every model x number of real pictures x arm x seed is a cell."""

    name: str = "cpu"
    runs_dir: Path = Path("runs/augmentation_study")
    sources_dir: Path = Path("runs/study")
    """A folder of synthetic pictures for each source that an arm names (`training.synthetic_pool` draws them)."""
    workers: int = 1
    models: tuple[str, ...] = ("lite0_vit",)
    num_real: tuple[int, ...] = (250, 500)
    """Real training pictures, one a lesion, classes in the proportions of split=train."""
    arms: tuple[str, ...] = (*BASELINES[:4], "flow:1", "flow:1.75")
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    pretrained: bool = True
    """Start from ImageNet; a model without such weights here begins from random ones and is trained as long."""
    weights_dir: Path | None = None
    """Local weights instead of the hub's: MODEL.safetensors or MODEL.pth."""
    size_px: int = 128
    early_size_px: int | None = None
    device: str = "auto"
    precision: str = "auto"
    data: DataConfig = field(default_factory=lambda: DataConfig(frame_px=(150, 150)))
    optim: OptimConfig = field(default_factory=OptimConfig)
    augment: AugmentConfig = field(default_factory=AugmentConfig)

    def __post_init__(self) -> None:
        """Raise InvalidRequest naming the field that cannot be."""
        for arm in self.arms:
            Arm.parse(arm)
        for name in ("models", "num_real", "arms", "seeds"):
            values = getattr(self, name)
            if not values or len(set(values)) < len(values):
                raise InvalidRequest(f"{name} is {values}; give at least one, none twice.")
        if min(self.num_real) < 14 or self.workers < 1:
            raise InvalidRequest("num_real must be 14 or more (two pictures a class) and workers 1 or more.")
        if self.optim.steps_per_epoch is None:
            raise InvalidRequest("optim.steps_per_epoch is missing: without it the arms would not get equal steps.")
        if PROBE in self.models:
            self._check_probe()

    def _check_probe(self) -> None:
        about_steps = [arm for arm in self.arms if FIRST in Arm.parse(arm).how or arm in ("longer", "randaugment")]
        if about_steps:
            raise InvalidRequest(
                f"The arm {about_steps[0]} is about the steps of a training, and {PROBE} takes none. Leave it out, or "
                "choose another model."
            )
        if not self.pretrained or self.weights_dir is not None or self.augment.mixes:
            raise InvalidRequest(
                f"{PROBE} looks with ImageNet's weights from their package and mixes no pictures. Leave pretrained and "
                "weights_dir as they are, and set mixup_probability and cutmix_probability of augment to 0."
            )

    @property
    def folder(self) -> Path:
        """Where results and scores of this study lie."""
        return self.runs_dir / self.name

    def cells(self) -> list[Cell]:
        """The grid, seed by seed, so that an unfinished study has every arm at its first seeds."""
        return [
            Cell(model=model, num_real=num_real, arm=Arm.parse(arm), seed=seed)
            for seed in self.seeds
            for model in self.models
            for num_real in self.num_real
            for arm in self.arms
        ]

    def run_of(self, cell: Cell) -> ClassifierRun:
        """How the cell's classifier is trained."""
        arm, optim, augment = cell.arm, self.optim, self.augment
        steps = optim.steps_per_epoch or 1
        if arm.name == "plain":
            augment = AugmentConfig.none()
        if arm.name == "randaugment":
            augment = replace(augment, randaugment_ops=2)
        if arm.name == "oversampled":
            optim = replace(optim, balance=1.0)
        if arm.name == "longer":
            optim = replace(optim, steps_per_epoch=2 * steps)
        return ClassifierRun(
            name=cell.key, runs_dir=self.folder, model=cell.model, pretrained=self.pretrained,
            weights=self._weights_of(cell.model), size_px=self.size_px, early_size_px=self.early_size_px,
            device=self.device, precision=self.precision, seed=cell.seed, data=self.data, optim=optim, augment=augment,
            synthetic=self._synthetic_of(arm),
        )  # fmt: skip

    def _synthetic_of(self, arm: Arm) -> SyntheticConfig:
        if arm.source is None:
            return SyntheticConfig()
        return SyntheticConfig(
            folder=self.sources_dir / arm.source,
            ratio=arm.ratio,
            weight=0.5 if HALF in arm.how else 1.0,
            keep=next((kept for kept in (CLOSE, AGREEING) if kept in arm.how), ALL),
            alone=ALONE in arm.how,
        )

    def _weights_of(self, model: str) -> Path | None:
        if self.weights_dir is None:
            return None
        found = sorted(self.weights_dir.glob(f"{model}.*"))
        if not found:
            raise InvalidRequest(f"{self.weights_dir} holds no weights of {model}. Name the file {model}.safetensors.")
        return found[0]


_RATIOS = ("flow:1", "flow:1.25", "flow:1.5", "flow:1.75", "flow:2", "flow:3", "flow:4")

_CPU_STEPS = OptimConfig(
    epochs=4, steps_per_epoch=60, batch_size=32, learning_rate=1e-3, layer_decay=0.75, ema_decay=0.98,
    label_smoothing=0.05, patience=100,
)  # fmt: skip

PRESETS: dict[str, tuple[str, StudyConfig]] = {
    "smoke": (
        "a minute: two arms of a toy network on 28 real pictures; shows that everything runs, proves nothing",
        StudyConfig(
            name="smoke", models=("stem_vit_tiny",), num_real=(28,), arms=("augmented", "flow:1"), seeds=(0, 1),
            pretrained=False, size_px=64, data=DataConfig(frame_px=(150, 150), limit=200),
            optim=OptimConfig(epochs=2, steps_per_epoch=4, batch_size=16),
        ),
    ),
    "cpu": (
        "about two hours on 2 cores: 250 and 500 real pictures, ratios 0, 1 and 1.75, ViT at 128 px, 5 seeds",
        StudyConfig(
            name="cpu", early_size_px=96,
            optim=_CPU_STEPS,
            augment=AugmentConfig(mixup_probability=0.2, cutmix_probability=0.0),
        ),
    ),
    "probe": (
        "an hour on 2 cores: every ratio and way to use synthetic pictures, 10 seeds, on frozen ImageNet features",
        StudyConfig(
            name="probe", models=(PROBE,), seeds=tuple(range(10)),
            arms=(
                *BASELINES[:3], *_RATIOS, "flow:1.75:agreeing", "flow:3:agreeing", "flow:1:close", "flow:1:close+half",
                "flow:1.75:half", "flow:1.75:alone",
            ),
            optim=_CPU_STEPS,
            augment=AugmentConfig(mixup_probability=0.0, cutmix_probability=0.0),
        ),
    ),
    "paper": (
        "the paper's figure: 250 to 5,000 real pictures, seven ratios, ViT-B/16 and ResNeXt-50 from ImageNet, one GPU",
        StudyConfig(
            name="paper", models=("vit_base_patch16_224", "resnext50_32x4d"), num_real=(250, 500, 1000, 2500, 5000),
            arms=(*BASELINES, *_RATIOS, "flow:1.75:alone", "diffusion:1.75", "diffusion:1.75:alone"),
            size_px=224, device="cuda",
            data=DataConfig(frame_px=(224, 224), archive_px=224),
            optim=OptimConfig(
                epochs=10, steps_per_epoch=200, batch_size=64, learning_rate=3e-4, layer_decay=0.75, ema_decay=0.998,
                label_smoothing=0.05, patience=100,
            ),
            augment=AugmentConfig(mixup_probability=0.2, cutmix_probability=0.0),
        ),
    ),
}  # fmt: skip
