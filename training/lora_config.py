"""One LoRA training run as a record, and the presets: Python values, every field can be changed on the command line."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Diagnosis, choice
from dermaflux.generation.facts import MAX_TEXT_TOKENS
from training.precision import check_precision
from training.trackers import check_trackers


@dataclass(frozen=True, slots=True, kw_only=True)
class LoraRun:
    """What is trained, on what, how long. Raises InvalidRequest naming the field outside its range."""

    name: str = "nano"
    base: str = "nano"
    """A model's name, or a folder with a FluxPipeline."""
    pictures: Path | None = None
    """Your own folder: pictures with metadata.csv or .jsonl (file_name, diagnosis, split, ...), measured when read."""
    data_dir: Path = Path("../shared/data")
    """HAM10000, used where `pictures` names nothing."""
    measured: Path = Path("runs/measured_ham10000.csv")
    captions: Path | None = None
    """A file of training.captioning: its captions are one of the wordings of the pictures they belong to."""
    runs_dir: Path = Path("runs/lora")
    models_dir: Path = Path("assets/models")
    """Where the embedded judges of the probes are."""
    diagnoses: tuple[str, ...] = ()
    """Only these classes are learned; all when empty."""
    size_px: int = 128
    aspect_buckets: bool = False
    """Your own pictures keep their shape, within about size_px * size_px pixels; otherwise centre squares are cut."""
    rank: int = 16
    alpha: int = 16
    num_steps: int = 600
    batch_size: int = 16
    accumulate_steps: int = 1
    learning_rate: float = 1e-3
    warmup_steps: int = 20
    weight_decay: float = 0.01
    grad_clip: float = 1.0
    caption_dropout: float = 0.1
    num_wordings: int = 4
    """Captions a picture, each in other words; every one is encoded once, before training."""
    text_tokens: int | None = None
    """T5 tokens of a caption, here and wherever the LoRA is used, which its file says; without it the base's own."""
    loss_weighting: Literal["none", "sigma_sqrt", "cosmap"] = "none"
    ema_decay: float = 0.99
    eval_every: int = 100
    probe_every: int = 200
    """Sample and judge the probes every so many steps; 0 never."""
    memorisation: bool = True
    """Hold the probes against the training pictures, and beside the held-out loss measure that of training pictures."""
    save_every: int = 100
    num_val: int = 64
    base_format: Literal["whole", "nf4"] = "whole"
    """nf4 holds the frozen base in 4 bits (QLoRA), so that it fits a small GPU; needs bitsandbytes."""
    text_format: Literal["whole", "nf4"] = "whole"
    """nf4 holds T5 in 4 bits while captions are encoded: at 16 bits it fills a GPU of 12 GB."""
    optimizer: Literal["adamw", "adamw8bit"] = "adamw"
    """adamw8bit keeps its state in 8 bits; needs bitsandbytes."""
    gradient_checkpointing: bool = False
    trackers: tuple[str, ...] = ()
    """Any of tensorboard, trackio, wandb, where installed; history.jsonl is always written."""
    precision: str = "auto"
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be trained."""
        check_precision(self.precision)
        check_trackers(self.trackers)
        for diagnosis in self.diagnoses:
            choice("diagnoses", diagnosis, Diagnosis)
        counts = ("rank", "num_steps", "batch_size", "accumulate_steps", "num_wordings", "eval_every", "save_every")
        for field in counts:
            if getattr(self, field) < 1:
                raise InvalidRequest(f"{field} is {getattr(self, field)}. Give 1 or more.")
        if self.text_tokens is not None and not 1 <= self.text_tokens <= MAX_TEXT_TOKENS:
            raise InvalidRequest(f"text_tokens is {self.text_tokens}; give 1 to {MAX_TEXT_TOKENS}.")
        self._check_shape()
        for field in ("caption_dropout", "ema_decay"):
            if not 0 <= getattr(self, field) < 1:
                raise InvalidRequest(f"{field} is {getattr(self, field)}; give a share in 0..1.")
        if not self.name or Path(self.name).name != self.name:
            raise InvalidRequest(f"name is {self.name!r}; it must be one plain folder name.")

    def _check_shape(self) -> None:
        if self.aspect_buckets and self.pictures is None:
            raise InvalidRequest("aspect_buckets is for --pictures: HAM10000 is read as squares. Leave it out.")
        if self.size_px < 16 or self.size_px % 16:
            raise InvalidRequest(f"size_px is {self.size_px}; it must be a multiple of 16.")

    @property
    def in_few_bits(self) -> bool:
        """Whether a part is loaded into the machine's memory and goes to the GPU in 4 bits."""
        return "nf4" in (self.base_format, self.text_format)

    @property
    def folder(self) -> Path:
        """The folder of this run: checkpoint, history and the finished LoRA."""
        return self.runs_dir / self.name


_FLUX_DEV = LoraRun(
    base="flux-dev", size_px=512, rank=64, alpha=64, num_steps=10_000, batch_size=4, learning_rate=1e-4,
    warmup_steps=200, ema_decay=0.999, eval_every=500, save_every=500, probe_every=1000, device="cuda",
)  # fmt: skip
_SMALL_GPU = replace(
    _FLUX_DEV, rank=32, alpha=32, batch_size=1, accumulate_steps=4, num_wordings=2, text_tokens=128, base_format="nf4",
    optimizer="adamw8bit", gradient_checkpointing=True,
)  # fmt: skip
PRESETS = {
    "smoke": (
        "seconds: a handful of steps on nano, to see that everything runs",
        LoraRun(
            name="smoke", diagnoses=("df",), rank=4, alpha=4, num_steps=4, batch_size=4, num_wordings=1, eval_every=2,
            save_every=2, num_val=8, warmup_steps=1, probe_every=4,
        ),
    ),
    "nano": ("a quarter of an hour on 2 cores: a LoRA of rank 16 on nano, rare classes", LoraRun(
        diagnoses=("df", "vasc", "akiec"),
    )),
    "12gb": (
        "FLUX.1-dev on one GPU of 12 GB: as 16gb at rank 16, and T5 in 4 bits while captions are encoded",
        replace(_SMALL_GPU, name="12gb", rank=16, alpha=16, text_format="nf4"),
    ),
    "16gb": (
        "FLUX.1-dev on one GPU of 16 GB: QLoRA, the base in 4 bits, AdamW in 8 bits, checkpointing, 128 text tokens",
        replace(_SMALL_GPU, name="16gb"),
    ),
    "24gb": (
        "FLUX.1-dev on one GPU of 24 GB: as 16gb at the paper's rank 64, four pictures at once",
        replace(_SMALL_GPU, name="24gb", rank=64, alpha=64, batch_size=4, accumulate_steps=1, num_wordings=4),
    ),
    "48gb": (
        "FLUX.1-dev on one GPU of 48 GB: rank 64, the base whole, AdamW in 8 bits, checkpointing",
        replace(_FLUX_DEV, name="48gb", optimizer="adamw8bit", gradient_checkpointing=True, text_tokens=128),
    ),
    "paper": (
        "FLUX.1-dev as in the paper: rank 64 on 304 modules, one GPU of 80 GB",
        replace(_FLUX_DEV, name="paper", gradient_checkpointing=True),
    ),
    "h200": (
        "FLUX.1-dev on 141 GB: no checkpointing, batch 8, 128 text tokens",
        replace(
            _FLUX_DEV, name="h200", num_steps=6_000, batch_size=8, learning_rate=2e-4, warmup_steps=100, eval_every=250,
            save_every=250, probe_every=500, text_tokens=128,
        ),
    ),
}  # fmt: skip
GPU_GB = {"12gb": 12, "16gb": 16, "24gb": 24, "48gb": 48, "paper": 80, "h200": 141}
"""The memory of the GPU that a preset is made for: by prediction (tested) an eighth or more of it is left over."""
