"""Trains a LoRA on any FluxPipeline: nano on a CPU in minutes, FLUX.1-dev on one GPU or on several.

    python -m training.train_flux_lora nano --data-dir ../shared/data
    accelerate launch -m training.train_flux_lora paper --data-dir ../shared/data

The base is frozen; pictures and captions are encoded once. Rectified flow, t = 1 is noise. Stopped or killed at any
step, the same command goes on from the last checkpoint with the same losses. It learns from split=train and reports
the loss on split=val, never test.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import tyro
from accelerate import Accelerator
from tqdm import tqdm

from dermaflux.classification import LesionClassifier
from dermaflux.classification.descriptor import LesionDescriptor
from dermaflux.domain.caption import GRAMMAR_VERSION
from dermaflux.domain.errors import DataNotFound
from dermaflux.domain.records import Split
from dermaflux.generation.catalogue import ModelCatalogue, ModelEntry
from dermaflux.generation.loading import load_pipeline
from dermaflux.generation.placement import choose_placement
from dermaflux.generation.weights import sha256_of_file
from dermaflux.measurement.measurer import Measurer
from dermaflux.run_status import write_note
from training.aspect_buckets import Buckets, bucket_shapes
from training.caption_lines import load_captions
from training.lora_cache import encode_examples
from training.lora_config import PRESETS, LoraRun
from training.lora_layers import attach_lora, save_lora, trainable
from training.lora_loop import LoraTrainer, Material
from training.lora_probe import Judges, Prober, probe_specs
from training.memorisation_check import copies_in_words, prepare_check
from training.nano_data import NO_CAPTIONS, CaptionedPictures, load_captioned
from training.own_pictures import load_own
from training.precision import is_bf16
from training.program import program
from training.quantized_base import to_nf4
from training.run_status import claim_folder, forget_after, recorded
from training.stopping import stop_between_steps
from training.trackers import track

log = logging.getLogger(__name__)
_PICTURES_LICENCE = "HAM10000, CC BY-NC 4.0, non-commercial research only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """All that a run needs before its first step, and what the finished file says of its making."""

    material: Material
    prober: Prober | None
    facts: Mapping[str, Any]


def train(run: LoraRun) -> Path:
    """Run to the end (or go on with a stopped run); the finished LoRA in diffusers' format, kohya's beside it.

    Raises InvalidRequest when the folder holds a run of other settings, DataNotFound or ModelNotAvailable when what
    it needs is not there. When stopped it writes the checkpoint first.
    """
    claim_folder(run.folder, asdict(run))
    first = int(os.environ.get("RANK", "0")) == 0
    with recorded(run.folder) if first else nullcontext():
        return _train(run)


def _train(run: LoraRun) -> Path:
    accelerator = Accelerator(
        gradient_accumulation_steps=run.accumulate_steps,
        mixed_precision="bf16" if is_bf16(run.precision, _device(run)) else "no",
        cpu=_device(run) == "cpu",
        log_with=list(run.trackers) or None,
        project_dir=run.folder,
    )
    accelerator.init_trackers(run.name)
    entry = ModelCatalogue().model(run.base)
    prepared = prepare(run, entry, accelerator)
    trainer = LoraTrainer(run, prepared.material, accelerator)
    if trainer.resume():
        log.info("going on with %s at step %d", run.folder, trainer.step)
        forget_after(run.folder / "history.jsonl", trainer.step)
    _run_steps(trainer, prepared.prober)
    accelerator.end_training()
    trainer.lora.average.copy_to(trainer.lora.weights)
    path = run.folder / f"{run.name}.safetensors"
    if accelerator.is_main_process:
        save_lora(prepared.material.transformer, path, {**prepared.facts, "steps": trainer.step})
    return path


def prepare(run: LoraRun, entry: ModelEntry, accelerator: Accelerator) -> Prepared:
    """Read and encode everything, put the LoRA on; the text encoders are given back."""
    entry = replace(entry, text_tokens=run.text_tokens or entry.text_tokens)
    precision = "bfloat16" if accelerator.mixed_precision == "bf16" else "float32"
    train_sets, val_sets = (_read(run, split) for split in (Split.TRAIN, Split.VAL))
    probes = run.probe_every > 0 and accelerator.is_main_process
    judges = _judges(run, train_sets, val_sets) if probes else None
    pipeline = load_pipeline(entry, choose_placement(_first_place(run, accelerator), precision))
    transformer: Any = pipeline.transformer
    if run.text_format == "nf4":
        log.info("%d layers of T5 in 4 bits", to_nf4(pipeline.text_encoder_2, accelerator.device))
    if run.base_format == "nf4":  # what encodes goes to the device first, the base when that has left
        pipeline.register_modules(transformer=None)
    if run.in_few_bits:
        pipeline.to(accelerator.device)
    examples, held_out = (
        Buckets(tuple(encode_examples(pipeline, s, entry.text_tokens, num_wordings=n, seed=run.seed) for s in sets))
        for sets, n in ((train_sets, run.num_wordings), (val_sets, 0))
    )
    prober = Prober(pipeline, entry, judges, run.size_px, run.seed) if judges else None
    pipeline.register_modules(text_encoder=None, text_encoder_2=None)
    if run.base_format == "nf4":
        log.info("%d layers of the base in 4 bits", to_nf4(transformer, accelerator.device))
        pipeline.register_modules(transformer=transformer)
    torch.manual_seed(run.seed)
    num_modules = attach_lora(transformer, run.rank, run.alpha)
    num_weights = sum(weight.numel() for weight in trainable(transformer))
    log.info("%d pictures, %d modules, %.2f M weights learn", len(examples), num_modules, num_weights / 1e6)
    material = Material(
        transformer=transformer,
        scheduler_config=pipeline.scheduler.config,
        train=examples,
        val=held_out,
    )
    facts = _facts(run, entry) | {"modules": num_modules, "data": "-".join(part.fingerprint for part in train_sets)}
    return Prepared(material=material, prober=prober, facts=facts)


def _read(run: LoraRun, split: Split) -> tuple[CaptionedPictures, ...]:
    captions = load_captions(run.captions) if run.captions and split == Split.TRAIN else NO_CAPTIONS
    if run.pictures is None:
        sets = (load_captioned(run.data_dir, run.measured, split, run.size_px, run.diagnoses, captions),)
    else:
        shapes = bucket_shapes(run.size_px) if run.aspect_buckets else [(run.size_px, run.size_px)]
        measurer = Measurer.from_folder(run.models_dir)
        sets = load_own(run.pictures, split, shapes, measurer, run.diagnoses, captions)
    if captions:
        num_written = sum(text is not None for part in sets for text in part.written)
        if not num_written:
            raise DataNotFound(f"No caption of {run.captions} belongs to a picture here. Check its image ids.")
        log.info("%d of %d pictures have a written caption", num_written, sum(map(len, sets)))
    return sets


def _facts(run: LoraRun, entry: ModelEntry) -> dict[str, Any]:
    return {
        "base": entry.name,
        "text_tokens": entry.text_tokens,
        "rank": run.rank,
        "alpha": run.alpha,
        "classes": ",".join(run.diagnoses) or "all",
        "caption_grammar": GRAMMAR_VERSION,
        "written_captions": sha256_of_file(run.captions)[:16] if run.captions else "none",
        "licence": f"base: {entry.licence}; pictures: {_PICTURES_LICENCE if run.pictures is None else 'your own'}",
    }


def _judges(run: LoraRun, train: Sequence[CaptionedPictures], held_out: Sequence[CaptionedPictures]) -> Judges:
    check = None
    if run.memorisation:
        check = prepare_check(run.folder, LesionDescriptor.load(run.models_dir / "descriptor"), train, held_out)
    return Judges(
        measurer=Measurer.from_folder(run.models_dir),
        classifier=LesionClassifier.from_folder(run.models_dir / "classifier"),
        memorisation=check,
    )


def _run_steps(trainer: LoraTrainer, prober: Prober | None) -> None:
    run = trainer.run
    shown = trainer.accelerator.is_main_process
    began = time.monotonic()
    bar = tqdm(total=run.num_steps, initial=trainer.step, desc="LoRA", unit="step", mininterval=5, disable=not shown)
    with bar, stop_between_steps() as stop:
        while trainer.step < run.num_steps:
            loss = trainer.train_step()
            bar.update()
            _record(trainer, prober, {"loss": loss, "seconds": round(time.monotonic() - began, 2)})
            if trainer.any_process(stop()):
                trainer.save()
                log.warning("stopped at step %d; the same command goes on from there", trainer.step)
                raise KeyboardInterrupt
    trainer.save()


def _record(trainer: LoraTrainer, prober: Prober | None, figures: Mapping[str, float]) -> None:
    """Add a line to the history; figures: the step's loss, and the seconds since this process took its first step."""
    run, done = trainer.run, trainer.step == trainer.run.num_steps
    line: dict[str, float | None] = {"step": trainer.step, **figures}
    if trainer.step % run.eval_every == 0 or done:
        line |= _losses(trainer)
    if prober and (trainer.step % run.probe_every == 0 or done):
        with trainer.averaged():
            line |= prober.run(run.folder / f"probes-{trainer.step:06d}.png")
    if trainer.accelerator.is_main_process:
        with (run.folder / "history.jsonl").open("a") as handle:
            handle.write(json.dumps(line) + "\n")
        track(trainer.accelerator, line)
        _say(run.folder, line)
    if trainer.step % run.save_every == 0:
        trainer.save()


def _losses(trainer: LoraTrainer) -> dict[str, float | None]:
    """Held-out loss, and how far it stands above the loss of training pictures: a gap that grows is overfitting."""
    line: dict[str, float | None] = {f"val_{name}": value for name, value in trainer.validation_loss().items()}
    if trainer.run.memorisation:
        seen = trainer.seen_loss()
        line |= {"seen_mean": seen, "gap": (line["val_mean"] or 0) - seen}
    return line


def _say(folder: Path, line: Mapping[str, float | None]) -> None:
    """Log what was found at a step, and say in the run's folder when probe samples seem to be copied."""
    if "val_mean" in line:
        gap = "" if line.get("gap") is None else f", {line['gap']:+.4f} against training pictures"
        log.info("step %d, loss %.4f, val %.4f%s", line["step"], line["loss"], line["val_mean"], gap)
    if "memorisation_min" in line:
        log.info("probes to training pictures: nearest %.3f, median %.3f (held-out pictures: median %.3f)",
                 *(line[f"memorisation_{name}"] for name in ("min", "median", "held_out")))  # fmt: skip
        note = copies_in_words(line, len(probe_specs()))
        write_note(folder, note)
        if note:
            log.warning(note)


def _first_place(run: LoraRun, accelerator: Accelerator) -> str:
    return "cpu" if run.in_few_bits else str(accelerator.device)


def _device(run: LoraRun) -> str:
    return choose_placement(run.device).device.type


@program
def main() -> None:
    """The command line: a preset and fields to change."""
    path = train(tyro.extras.overridable_config_cli(PRESETS, prog="python -m training.train_flux_lora"))
    sys.stdout.write(f"{path}\n")


if __name__ == "__main__":
    sys.exit(main())
