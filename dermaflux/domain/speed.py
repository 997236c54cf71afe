"""Which ways of drawing faster are chosen: read from one line, checked against each other, written back to one line.

Plain Python. What each does to a network is in `generation.speed`, what each loses in docs/flux_speed.md.
"""

import difflib
from dataclasses import dataclass, fields, replace

from dermaflux.domain.errors import InvalidRequest

PROMPTS_REMEMBERED = 32  # with T5-XXL one caption is 4 MB
ATTENTION = ("auto", "flash3", "cudnn", "native")
MAX_BATCH = 64

_WHEN_NAMED: dict[str, bool | int | float | str] = {
    "compile": True,
    "cuda_graphs": True,
    "attention": "auto",
    "channels_last": True,
    "fuse_qkv": True,
    "fp8": True,
    "hotswap": 64,
    "first_block_cache": 0.08,
    "taylorseer": 5,
    "batch": 4,
    "prompt_cache": PROMPTS_REMEMBERED,
}
"""Every option, and its value where only the name is given: True for one that takes no value."""
_RANGES = {
    "hotswap": (0, 512),
    "first_block_cache": (0.0, 1.0),
    "taylorseer": (0, 20),
    "batch": (1, MAX_BATCH),
    "prompt_cache": (0, 10_000),
}
_APART = {
    ("first_block_cache", "taylorseer"): "only one cache of steps can act",
    ("first_block_cache", "batch"): "the cache decides for a whole batch, so an image would depend on its neighbours",
    ("first_block_cache", "cuda_graphs"): "a cache of steps decides anew at every step, which a recorded graph cannot",
    ("taylorseer", "cuda_graphs"): "a cache of steps decides anew at every step, which a recorded graph cannot",
    ("compile", "cuda_graphs"): "cuda_graphs compiles already",
    ("fuse_qkv", "hotswap"): "fused projections leave a LoRA on q, k and v without effect",
    ("fuse_qkv", "fp8"): "quantised weights cannot be fused",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """The options, each off by default but for what loses nothing and pays everywhere (the memory for captions).

    hotswap: the largest rank of a blend; first_block_cache: a relative change in 0..1; taylorseer: steps from one whole
    step to the next; batch: images drawn together; prompt_cache: captions remembered. 0, 1 or False is off.
    Raises InvalidRequest naming the option outside its range, or two that exclude each other.
    """

    compile: bool = False
    cuda_graphs: bool = False
    attention: str = ""
    channels_last: bool = False
    fuse_qkv: bool = False
    fp8: bool = False
    hotswap: int = 0
    first_block_cache: float = 0.0
    taylorseer: int = 0
    batch: int = 1
    prompt_cache: int = PROMPTS_REMEMBERED

    def __post_init__(self) -> None:
        """Refuse what cannot be had."""
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise InvalidRequest(f"The speed option {name} is {value:g}, outside {low:g} to {high:g}.")
        if self.attention and self.attention not in ATTENTION:
            raise InvalidRequest(f"The attention {self.attention!r} is not known. Choose {', '.join(ATTENTION)}.")
        for (one, other), why in _APART.items():
            if self._is_on(one) and self._is_on(other):
                raise InvalidRequest(f"The speed options {one} and {other} exclude each other: {why}. Leave one out.")

    @property
    def caches_steps(self) -> bool:
        """Whether blocks are skipped at some steps."""
        return bool(self.first_block_cache or self.taylorseer)

    @property
    def is_compiled(self) -> bool:
        """Whether torch.compile has a part in it."""
        return self.compile or self.cuda_graphs

    @property
    def changes_network(self) -> bool:
        """Whether anything is done to the networks themselves."""
        return bool(replace(self, batch=1, prompt_cache=0).text)

    @property
    def text(self) -> str:
        """The options that are on, as `parse_speed` reads them, in a fixed order."""
        return ",".join(self._word(field.name) for field in fields(self) if self._is_on(field.name))

    def record(self, *, with_adapters: bool) -> str:
        """What of this may change a pixel, for the record of an image; the batch is recorded by itself.

        Projections are fused only while no adapter is on.
        """
        kept = replace(self, batch=1, prompt_cache=0)
        return (replace(kept, fuse_qkv=False) if with_adapters else kept).text

    def _is_on(self, name: str) -> bool:
        off = {"batch": 1}.get(name, 0)
        return getattr(self, name) not in (off, "")

    def _word(self, name: str) -> str:
        value = getattr(self, name)
        return name if value is True else f"{name}={value:g}" if isinstance(value, (int, float)) else f"{name}={value}"


NO_SPEED = Speed()


def parse_speed(text: str) -> Speed:
    """The options of a line such as "compile,first_block_cache=0.08". Raises InvalidRequest, naming the choices."""
    chosen: dict[str, bool | int | float | str] = {}
    for part in (piece.strip() for piece in text.split(",")):
        if not part:
            continue
        name, equals, value = (word.strip() for word in part.partition("="))
        if name not in _WHEN_NAMED:
            raise InvalidRequest(f"The speed option {name!r} is not known. {_suggestion(name)}")
        if name in chosen:
            raise InvalidRequest(f"The speed option {name} stands there twice. Leave one out.")
        chosen[name] = _value(name, value) if equals else _WHEN_NAMED[name]
    return Speed(**chosen)  # type: ignore[arg-type] - each of its own kind, by _WHEN_NAMED


def _value(name: str, text: str) -> int | float | str:
    usual = _WHEN_NAMED[name]
    if usual is True:
        raise InvalidRequest(f"The speed option {name} takes no value. Write it alone.")
    if isinstance(usual, str):
        return text
    try:
        return type(usual)(text)
    except ValueError:
        kind = "whole number" if isinstance(usual, int) else "number"
        raise InvalidRequest(
            f"The speed option {name} is {text!r}, not a {kind}. Write for example {name}={usual}."
        ) from None


def _suggestion(name: str) -> str:
    near = difflib.get_close_matches(name, _WHEN_NAMED, n=1)
    return f"Did you mean {near[0]}?" if near else f"Choose among {', '.join(_WHEN_NAMED)}."
