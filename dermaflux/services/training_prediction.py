"""What a training run will take, of what this machine has: memory by arithmetic, time from the runs made here.

And so which preset to begin with. It starts nothing.
"""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from dermaflux.domain.errors import ModelNotAvailable
from dermaflux.services.curating import REAL
from dermaflux.services.heavy_work import HeavyWork
from dermaflux.services.training_cost import (
    GPU,
    RAM,
    installed_gb,
    measured_seconds_a_step,
    work_of,
)
from dermaflux.services.training_data import count_pictures
from dermaflux.services.training_folder import asked_of, is_run, read_history
from dermaflux.services.training_memory import (
    FLUX,
    BaseSize,
    base_size,
    classifier_parts,
    encoded_gb,
    host_gb,
    lora_parts,
)
from dermaflux.services.training_programs import training_programs, values_of
from dermaflux.services.training_records import KINDS, LORA, TrainingCost, TrainingRequest
from dermaflux.services.wiring import RUNS

_CUDA = "cuda"


class Predicting(HeavyWork):
    """What runs of the trainers take."""

    def training_cost(self, request: TrainingRequest) -> TrainingCost:
        """Predicted memory and time of a request. Raises as `start_training` for what cannot be asked."""
        values = values_of(request)
        on_gpu = _on_gpu(values)
        place = GPU if on_gpu else RAM
        pictures = count_pictures(request.kind, request.real, self.settings.data_dir / REAL, values)
        beside = 0.0
        if request.kind == LORA:
            size = self._base_size(values["base"])
            parts = lora_parts(size, values, on_gpu=on_gpu)
            if on_gpu:
                beside = host_gb(size, values, pictures)
            else:
                parts |= {"pictures and captions, encoded": encoded_gb(size, values, pictures, on_gpu=False)}
        else:
            parts = classifier_parts(values, pictures)
        seconds, basis = self._predicted_seconds(request.kind, values, pictures)
        return TrainingCost(
            place=place, parts=parts, have_gb=installed_gb(place), seconds=seconds, basis=basis, host_gb=beside,
            host_have_gb=installed_gb(RAM),
        )  # fmt: skip

    def training_peaks(self, kind: str) -> Mapping[str, float]:
        """The predicted peak of each LoRA preset, in GB of what it runs on; none for a base that is not installed."""
        peaks = {}
        for preset in training_programs()[kind].presets.values() if kind == LORA else ():
            with suppress(ModelNotAvailable, OSError):
                size = self._base_size(preset.values["base"])
                peaks[preset.name] = sum(lora_parts(size, preset.values, on_gpu=_on_gpu(preset.values)).values())
        return peaks

    def proposed_preset(self, kind: str) -> str:
        """The preset to begin with: the one made for the largest GPU that this machine's is not smaller than.

        Without such a GPU the first one.
        """
        presets, have = training_programs()[kind].presets, installed_gb(GPU)
        fitting = [preset for preset in presets.values() if preset.gpu_gb and preset.gpu_gb <= have]
        return max(fitting, key=lambda preset: preset.gpu_gb or 0).name if fitting else next(iter(presets))

    def _all_folders(self) -> list[tuple[str, Path]]:
        found = [(kind, folder) for kind in KINDS for folder in (self.settings.data_dir / RUNS / kind).glob("*")]
        return sorted((kind, folder) for kind, folder in found if is_run(folder))

    def _base_size(self, name: str) -> BaseSize:
        entry = self.catalogue().model(name)
        is_flux = name.startswith("flux") or entry.transformer_file is not None  # BFL's own names are FLUX.1's
        return FLUX if is_flux else base_size(Path(entry.source), entry.text_tokens)

    def _predicted_seconds(self, kind: str, values: Mapping[str, Any], pictures: int) -> tuple[float | None, str]:
        work, like = work_of(kind, values)
        rates = []
        for other, folder in self._all_folders():
            said = asked_of(folder).get("values")
            if other != kind or not said:
                continue
            its_work, its_like = work_of(kind, said)
            seconds = measured_seconds_a_step(read_history(folder))
            if its_like == like and seconds:
                rates.append((folder.stat().st_mtime, seconds / its_work * work, folder.name))
        if not rates:
            return None, "no run like it on this machine yet"
        _, seconds_a_step, name = max(rates)
        steps = values.get("num_steps") or values["optim.epochs"] * max(1, pictures // values["optim.batch_size"])
        total, minutes = seconds_a_step * steps, values.get("optim.max_minutes")
        total = min(total, minutes * 60) if minutes else total
        return total, f"{seconds_a_step:.2g} s a step, as in the run {name}; loading comes on top"


def _on_gpu(values: Mapping[str, Any]) -> bool:
    return values["device"].startswith(_CUDA) or (values["device"] == "auto" and installed_gb(GPU) > 0)
