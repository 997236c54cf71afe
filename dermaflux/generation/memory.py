"""What fits on a GPU: the presets, what each takes, and which one to use. Arithmetic on sizes; no torch, no files.

Weights are counted from the headers of the files. What is computed with them is estimated as a share of the whole
weights: 15 % while a picture of 1024 px is decoded (FLUX.1-dev in bfloat16: 31.4 GiB loaded, 36.2 at its peak,
derekl35/diffusers-quantization-benchmarks), 5 % while texts are encoded or a step is made (reckoned, not measured).
"""

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib.util import find_spec

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable
from dermaflux.generation.weight_sizes import PartSize

AUTO = "auto"
WHOLE, FP8, INT8, NF4 = "whole", "fp8", "int8", "nf4"
# Of the weights in the layers of the blocks. nf4: four bits, and a scale of 8 bits for every 64 (doubly quantised).
BYTES_IN_LAYERS = {FP8: 1.0, INT8: 1.0, NF4: 0.5 + 1 / 64 + 4 / (64 * 256)}
LIBRARIES = {FP8: "torchao", INT8: "bitsandbytes", NF4: "bitsandbytes"}
_STEP_SHARE, _DECODING_SHARE = 0.05, 0.15
PREVIEW_PART = "preview_vae"  # stays on the GPU however the rest is held: a few MB, used at every few steps
_BLOCKS_AT_ONCE = 2  # one computes while the next is fetched
_GB = 1e9

Sizes = Mapping[str, PartSize]
"""The networks of a pipeline by name: transformer, text_encoder, text_encoder_2 (T5), vae; preview_vae where one is."""


class Keeps(StrEnum):
    """What stays on the GPU."""

    ALL = "everything stays on the GPU"
    ALL_BUT_T5 = "T5 comes to the GPU for each new caption"
    ONE_PART = "the parts come to the GPU in turn"
    BLOCKS = "the blocks come to the GPU in turn at every step"


@dataclass(frozen=True, slots=True, kw_only=True)
class Preset:
    """A way to hold a model. `transformer` are formats, the first installed one is used.

    `spare`: the share of the free memory that must be left over for `auto` to take it.
    """

    name: str
    keeps: Keeps
    transformer: tuple[str, ...] = (WHOLE,)
    t5: str = WHOLE
    spare: float = 0.05


PRESETS = (
    # A quarter to spare: other programs, blends of large LoRAs, several texts a step. The next row only moves T5.
    Preset(name="80gb", keeps=Keeps.ALL, spare=0.25),
    Preset(name="48gb", keeps=Keeps.ALL_BUT_T5),
    Preset(name="24gb", keeps=Keeps.ALL, transformer=(FP8, INT8), t5=NF4),
    Preset(name="16gb", keeps=Keeps.ALL_BUT_T5, transformer=(NF4,), t5=NF4),
    Preset(name="12gb", keeps=Keeps.ONE_PART, transformer=(NF4,), t5=NF4),
    Preset(name="8gb", keeps=Keeps.BLOCKS),
)
"""From the largest GPU to the smallest: each is better or faster than the ones after it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How a model is held: a preset with its formats settled, and the most it takes on the GPU and in the machine."""

    preset: str = ""
    transformer: str = WHOLE
    t5: str = WHOLE
    keeps: Keeps = Keeps.ALL
    gpu_bytes: float = 0.0
    host_bytes: float = 0.0

    @property
    def precision(self) -> str:
        """What the record of an image says: empty where all weights are whole."""
        if self.transformer == self.t5:
            return "" if self.t5 == WHOLE else self.t5
        return f"{self.transformer}, T5 {self.t5}"

    def format_of(self, part: str) -> str:
        """The format of the layers of a network."""
        return {"transformer": self.transformer, "text_encoder_2": self.t5}.get(part, WHOLE)

    def __str__(self) -> str:
        """As the log and the page say it."""
        few_bits = f"the transformer is in {self.transformer}, T5 in {self.t5}"
        held = few_bits if self.precision else "the weights are whole"
        return f"memory preset {self.preset}: {held}, {self.keeps}; {self.gpu_bytes / _GB:.1f} GB at most"


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """How much there is: on the GPU, and in the machine (all of it, whatever else is open)."""

    gpu_bytes: float
    host_bytes: float = math.inf

    def holds(self, plan: Plan, spare: float = 0.0) -> bool:
        """Whether a plan fits, with that share of the GPU left over."""
        return plan.gpu_bytes <= self.gpu_bytes * (1 - spare) and plan.host_bytes <= self.host_bytes


def installed_formats() -> frozenset[str]:
    """The formats that this installation can hold weights in."""
    return frozenset({WHOLE, *(format for format, library in LIBRARIES.items() if find_spec(library) is not None)})


def part_bytes(size: PartSize, format: str, bytes_a_number: float) -> float:
    """What a network takes in a format; bytes_a_number is that of what stays whole."""
    return size.num_bytes(bytes_a_number, BYTES_IN_LAYERS.get(format))


def plan_of(preset: Preset, sizes: Sizes, bytes_a_number: float, installed: Collection[str]) -> Plan | None:
    """The plan of a preset for a model; None where no library for one of its formats is installed."""
    transformer = next((format for format in preset.transformer if format in installed), None)
    if transformer is None or preset.t5 not in installed:
        return None
    plan = Plan(preset=preset.name, transformer=transformer, t5=preset.t5, keeps=preset.keeps)
    held = {name: part_bytes(size, plan.format_of(name), bytes_a_number) for name, size in sizes.items()}
    whole = {name: size.num_bytes(bytes_a_number) for name, size in sizes.items()}
    return Plan(
        preset=preset.name, transformer=transformer, t5=preset.t5, keeps=preset.keeps,
        gpu_bytes=_on_gpu(plan, held, sizes, bytes_a_number),
        host_bytes=max(_in_machine(preset.keeps, held), *whole.values()),
    )  # fmt: skip


def choose_plan(
    sizes: Sizes, bytes_a_number: float, room: Room, word: str = AUTO, installed: Collection[str] | None = None
) -> Plan:
    """The plan of the preset of that name, or (auto) the best that fits.

    Raises InvalidRequest for an unknown word; ModelNotAvailable when nothing fits, the preset does not, or its library
    is not installed, saying what would do.
    """
    formats = installed_formats() if installed is None else installed
    if word not in (AUTO, *_names()):
        raise InvalidRequest(f"The memory preset {word!r} is not known. Choose {_listed((AUTO, *_names()))}.")
    plans = {preset: plan_of(preset, sizes, bytes_a_number, formats) for preset in PRESETS}
    fitting = [plan for preset, plan in plans.items() if plan and room.holds(plan, preset.spare)]
    if word == AUTO:
        if not fitting:
            raise ModelNotAvailable(_nothing_fits(sizes, bytes_a_number, room, formats))
        return fitting[0]
    preset = next(preset for preset in PRESETS if preset.name == word)
    plan = plans[preset]
    if plan is None:
        raise ModelNotAvailable(f"The memory preset {word} holds weights in few bits: {_to_install(preset)}.")
    if not room.holds(plan):
        others = f"Set DERMAFLUX_MEMORY to auto or {fitting[0].preset}" if fitting else "Choose a smaller model"
        raise ModelNotAvailable(f"The {plan}. {_against(plan, room)}. {others}.")
    return plan


def _on_gpu(plan: Plan, held: Mapping[str, float], sizes: Sizes, bytes_a_number: float) -> float:
    """The most at one time: while texts are encoded, while steps are made, while the picture is decoded."""
    whole = sum(size.num_bytes(bytes_a_number) for size in sizes.values())
    step, decoding = whole * _STEP_SHARE, whole * _DECODING_SHARE
    transformer, t5 = held["transformer"], held["text_encoder_2"]
    small = sum(held.values()) - transformer - t5
    if plan.keeps is Keeps.ALL:
        return transformer + t5 + small + decoding
    if plan.keeps is Keeps.ALL_BUT_T5:
        encoding = _streamed(sizes["text_encoder_2"], bytes_a_number) if plan.t5 == WHOLE else t5
        return transformer + small + max(encoding + step, decoding)
    if plan.keeps is Keeps.ONE_PART:
        return held.get(PREVIEW_PART, 0.0) + max(transformer + step, t5 + step, held["vae"] + decoding)
    return small + max(_streamed(sizes["transformer"], bytes_a_number) + step, decoding)


def _streamed(size: PartSize, bytes_a_number: float) -> float:
    return (_BLOCKS_AT_ONCE * size.largest_block + size.elsewhere) * bytes_a_number


def _in_machine(keeps: Keeps, held: Mapping[str, float]) -> float:
    """What rests in the memory of the machine."""
    if keeps is Keeps.ALL:
        return 0.0
    return held["text_encoder_2"] if keeps is Keeps.ALL_BUT_T5 else sum(held.values())


def _nothing_fits(sizes: Sizes, bytes_a_number: float, room: Room, formats: Collection[str]) -> str:
    plans = [plan for preset in PRESETS if (plan := plan_of(preset, sizes, bytes_a_number, formats))]
    least = min(plans, key=lambda plan: plan.gpu_bytes)
    advice = "Close other programs, or choose"
    for preset in PRESETS:
        plan = plan_of(preset, sizes, bytes_a_number, {WHOLE, *BYTES_IN_LAYERS})
        if plan and room.holds(plan, preset.spare):
            advice = f"The preset {preset.name} would fit: {_to_install(preset)}. Or choose"
            break
    whole = sum(size.num_bytes(bytes_a_number) for size in sizes.values())
    return (
        f"The model has {whole / _GB:.1f} GB of weights and does not fit even in memory preset {least.preset}. "
        f"{_against(least, room)}. {advice} a smaller model, such as nano."
    )


def _against(plan: Plan, room: Room) -> str:
    """What a plan needs against what there is, where that is too little."""
    needs = []
    if plan.gpu_bytes > room.gpu_bytes:
        needs.append(f"{plan.gpu_bytes / _GB:.1f} GB on the GPU, where {room.gpu_bytes / _GB:.1f} GB are free")
    if plan.host_bytes > room.host_bytes:
        needs.append(f"{plan.host_bytes / _GB:.1f} GB in the machine, which has {room.host_bytes / _GB:.1f} GB")
    if not needs:
        return f"It needs {plan.gpu_bytes / _GB:.1f} GB on the GPU and some to spare"
    return f"It needs {' and '.join(needs)}"


def _to_install(preset: Preset) -> str:
    libraries = dict.fromkeys(LIBRARIES[format] for format in (preset.t5, *preset.transformer) if format != WHOLE)
    return f"pip install {next(iter(libraries))}"


def _names() -> tuple[str, ...]:
    return tuple(preset.name for preset in reversed(PRESETS))


def _listed(words: Collection[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}"
