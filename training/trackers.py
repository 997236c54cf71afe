"""Where the figures of a run go beside its own history.jsonl: TensorBoard, trackio or wandb, by accelerate.

A tracker that was asked for and is not installed is an error, not a line in a log.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from accelerate import Accelerator
from accelerate.utils import is_tensorboard_available, is_trackio_available, is_wandb_available

from dermaflux.domain.errors import InvalidRequest, ModelNotAvailable

_INSTALLED: Mapping[str, Callable[[], bool | None]] = MappingProxyType({
    "tensorboard": is_tensorboard_available,
    "trackio": is_trackio_available,
    "wandb": is_wandb_available,
})  # fmt: skip


def check_trackers(names: Sequence[str]) -> None:
    """Raise InvalidRequest for an unknown tracker, ModelNotAvailable for one that is not installed."""
    for name in names:
        if name not in _INSTALLED:
            raise InvalidRequest(f"trackers has {name!r}. Choose among {', '.join(_INSTALLED)}.")
        if not _INSTALLED[name]():
            raise ModelNotAvailable(f"The tracker {name} is not installed. Run pip install {name}, or leave it out.")


def track(accelerator: Accelerator, line: Mapping[str, float | None]) -> None:
    """Send a line of the history to the trackers, under its step; figures that are None are left out."""
    if accelerator.trackers:
        figures = {name: value for name, value in line.items() if value is not None and name != "step"}
        accelerator.log(figures, step=int(line["step"] or 0))
