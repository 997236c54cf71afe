"""What fits on a GPU: the presets, what each takes, and which one to use. Arithmetic on sizes; no torch, no files.

Weights are counted from the headers of the files. What is computed with them is estimated as a share of the whole
weights: 15 % while a picture of 1024 px is decoded (FLUX.1-dev in bfloat16: 31.4 GiB loaded, 36.2 at its peak,
derekl35/diffusers-quantization-benchmarks), 5 % while texts are encoded or a step is made (reckoned, not measured).
"""

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
_BLOCKS_AT_ONCE = 2  # one computes while the next is fetched
_GB = 1e9

Sizes = Mapping[str, PartSize]
"""The networks of a pipeline by name: transformer, text_encoder, text_encoder_2 (T5), vae."""


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
    Preset(name="32gb", keeps=Keeps.ONE_PART),
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
        held = "the weights are whole" if not self.precision else f"the transformer is in {self.precision}"
        return f"memory preset {self.preset}: {held}, {self.keeps}; {self.gpu_bytes / _GB:.1f} GB at most"


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
        gpu_bytes=_on_gpu(preset.keeps, held, sum(whole.values()), sizes, bytes_a_number),
        host_bytes=max(_in_machine(preset.keeps, held), *whole.values()),
    )  # fmt: skip


def choose_plan(
    sizes: Sizes, bytes_a_number: float, free_bytes: float, word: str = AUTO, installed: Collection[str] | None = None
) -> Plan:
    """The plan of the preset of that name, or (auto) the best that fits into what is free on the GPU.

    Raises InvalidRequest for an unknown word; ModelNotAvailable when nothing fits, the preset does not, or its library
    is not installed, saying what would do.
    """
    formats = installed_formats() if installed is None else installed
    if word not in (AUTO, *(preset.name for preset in PRESETS)):
        raise InvalidRequest(f"The memory preset {word!r} is not known. Choose {_listed((AUTO, *_names()))}.")
    fitting = [plan for preset in PRESETS if (plan := _fitting(preset, sizes, bytes_a_number, free_bytes, formats))]
    if word == AUTO:
        if not fitting:
            raise ModelNotAvailable(_nothing_fits(sizes, bytes_a_number, free_bytes, formats))
        return fitting[0]
    preset = next(preset for preset in PRESETS if preset.name == word)
    plan = plan_of(preset, sizes, bytes_a_number, formats)
    if plan is None:
        raise ModelNotAvailable(f"The memory preset {word} holds weights in few bits: {_to_install(preset)}.")
    if plan.gpu_bytes > free_bytes:
        others = f"Set DERMAFLUX_MEMORY to auto or {fitting[0].preset}" if fitting else "Choose a smaller model"
        raise ModelNotAvailable(f"The {plan}, but {free_bytes / _GB:.1f} GB are free on the GPU. {others}.")
    return plan


def _fitting(
    preset: Preset, sizes: Sizes, bytes_a_number: float, free_bytes: float, formats: Collection[str]
) -> Plan | None:
    plan = plan_of(preset, sizes, bytes_a_number, formats)
    return plan if plan and plan.gpu_bytes <= free_bytes * (1 - preset.spare) else None


def _on_gpu(keeps: Keeps, held: Mapping[str, float], whole: float, sizes: Sizes, bytes_a_number: float) -> float:
    """The most at one time: while texts are encoded, while steps are made, while the picture is decoded."""
    step, decoding = whole * _STEP_SHARE, whole * _DECODING_SHARE
    transformer, t5 = held["transformer"], held["text_encoder_2"]
    small = sum(held.values()) - transformer - t5
    if keeps is Keeps.ALL:
        return transformer + t5 + small + decoding
    if keeps is Keeps.ALL_BUT_T5:
        return transformer + small + max(t5 + step, decoding)
    if keeps is Keeps.ONE_PART:
        return max(transformer + step, t5 + step, held["vae"] + decoding)
    blocks = _BLOCKS_AT_ONCE * sizes["transformer"].largest_block + sizes["transformer"].elsewhere
    return small + max(blocks * bytes_a_number + step, decoding)


def _in_machine(keeps: Keeps, held: Mapping[str, float]) -> float:
    """What rests in the memory of the machine."""
    if keeps is Keeps.ALL:
        return 0.0
    return held["text_encoder_2"] if keeps is Keeps.ALL_BUT_T5 else sum(held.values())


def _nothing_fits(sizes: Sizes, bytes_a_number: float, free_bytes: float, formats: Collection[str]) -> str:
    whole = sum(size.num_bytes(bytes_a_number) for size in sizes.values())
    plans = [plan for preset in PRESETS if (plan := plan_of(preset, sizes, bytes_a_number, formats))]
    least = min(plans, key=lambda plan: plan.gpu_bytes)
    for preset in PRESETS:
        if plan_of(preset, sizes, bytes_a_number, formats) is None and _fitting(
            preset, sizes, bytes_a_number, free_bytes, BYTES_IN_LAYERS.keys() | {WHOLE}
        ):
            advice = f"The preset {preset.name} would fit: {_to_install(preset)}. Or choose"
            break
    else:
        advice = "Close other programs, or choose"
    return (
        f"The model has {whole / _GB:.1f} GB of weights and needs {least.gpu_bytes / _GB:.1f} GB on the GPU even in "
        f"memory preset {least.preset}, but {free_bytes / _GB:.1f} GB are free. {advice} a smaller model, such as nano."
    )


def _to_install(preset: Preset) -> str:
    libraries = dict.fromkeys(LIBRARIES[format] for format in (preset.t5, *preset.transformer) if format != WHOLE)
    return f"pip install {next(iter(libraries))}"


def _names() -> tuple[str, ...]:
    return tuple(preset.name for preset in reversed(PRESETS))


def _listed(words: Collection[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} or {last}"
