"""Train a lesion classifier: `python -m training.train_classifier PRESET [--field value ...]`.

HAM10000 or a user's own folder in, and synthetic pictures beside it if wished; a calibrated checkpoint out. Chosen on
val only; the test split is not read here. `accelerate launch -m training.train_classifier ...` uses several GPUs. It
wires the parts and talks to the terminal; the parts know nothing of it.
"""

import json
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import torch
import tyro
from accelerate import Accelerator
from tqdm import tqdm

from dermaflux.classification.architecture import Architecture
from dermaflux.classification.checkpoint import CheckpointFacts, malignant_classes, read_facts
from dermaflux.classification.preprocessing import InputFacts
from dermaflux.domain.errors import Cancelled, InvalidRequest
from dermaflux.domain.records import Split
from training.classifier_config import PRESETS, ClassifierRun
from training.classifier_data import (
    TrainFrames,
    class_names_of,
    open_data,
    part,
    read_held_out,
    read_synthetic_part,
    read_train,
)
from training.classifier_export import export
from training.classifier_loop import STATE_NAME, Material, Trainer, train
from training.dataset import LesionDataset
from training.program import program
from training.run_status import recorded
from training.starting_weights import first_network
from training.whole_files import write_whole

log = logging.getLogger(__name__)


def run_training(run: ClassifierRun, on_step: Callable[[Trainer, float], None] | None = None) -> CheckpointFacts:
    """Train or resume a run to its end and export it. `on_step(trainer, loss)` may raise Cancelled to stop.

    Raises DermaFluxError for what the user can mend: missing data, a taken name, an unknown model.
    """
    accelerator = _accelerator(run.device)
    if (run.run_dir / STATE_NAME).is_file() and not run.resume:
        raise InvalidRequest(f"The run {run.run_dir} exists. Go on with --resume, or choose another --name.")
    if not accelerator.is_main_process:
        return _run(run, accelerator, on_step)
    write_whole(run.run_dir / "config.json", json.dumps(asdict(run), indent=2, default=str) + "\n")
    with recorded(run.run_dir):
        return _run(run, accelerator, on_step)


def _run(
    run: ClassifierRun, accelerator: Accelerator, on_step: Callable[[Trainer, float], None] | None
) -> CheckpointFacts:
    data = open_data(run.data)
    train_part, val_part = part(data, Split.TRAIN, run.data.limit), part(data, Split.VAL, run.data.limit)
    trainer, facts = _prepared(run, train_part, val_part, accelerator)
    if run.resume:
        trainer.load(facts)
    log.info("%s: %d training pictures, %d steps an epoch", run.name, len(train_part), trainer.steps_per_epoch)
    train(trainer, facts, on_step or (lambda trainer, loss: None))
    best = trainer.average.module
    best.load_state_dict(trainer.best["weights"])
    log.info("best validation AUC %.4f at epoch %d", trainer.best["auc"], trainer.best["epoch"])
    if accelerator.is_main_process:
        export(run, best, trainer.material.inputs, train_part, val_part, synthetic_sha256=facts["synthetic"])
    accelerator.wait_for_everyone()
    return read_facts(run.run_dir / "model")


def _prepared(
    run: ClassifierRun, train_part: LesionDataset, val_part: LesionDataset, accelerator: Accelerator
) -> tuple[Trainer, dict[str, Any]]:
    class_names = class_names_of(train_part)
    frames, synthetic = _frames(run, train_part, class_names)
    architecture = Architecture(name=run.model, size_px=run.size_px, num_classes=len(class_names))
    start = first_network(
        architecture, drop_path=run.drop_path, pretrained=run.pretrained, weights=run.weights, seed=run.seed
    )
    mean, std = (start.mean, start.std) if start.mean else frames.channel_statistics()
    inputs = InputFacts(size_px=run.size_px, mean=mean, std=std)  # type: ignore[arg-type] - three each
    material = Material(
        train=frames,
        val=read_held_out(val_part, class_names, inputs),
        inputs=inputs,
        malignant=malignant_classes(class_names),
    )
    facts = {"model": run.model, "size_px": run.size_px, "classes": list(class_names), "seed": run.seed}
    facts |= {"data": train_part.fingerprint(), "synthetic": synthetic, "batch_size": run.optim.batch_size}
    facts |= {"augment": {key: str(value) for key, value in asdict(run.augment).items()}}
    return Trainer(run, start.network, material, accelerator), facts


def _frames(run: ClassifierRun, real: LesionDataset, class_names: Sequence[str]) -> tuple[TrainFrames, str]:
    """What is trained on, and the fingerprint of the synthetic part, empty without one."""
    if run.synthetic.folder is None:
        return read_train(real, class_names), ""
    synthetic, fingerprint = read_synthetic_part(run, len(real), class_names)
    if run.synthetic.alone:
        return synthetic, fingerprint
    return read_train(real, class_names).with_others(synthetic), fingerprint


def _accelerator(wanted: str) -> Accelerator:
    if wanted == "cuda" and not torch.cuda.is_available():
        raise InvalidRequest("device is cuda, but no GPU is visible to torch. Use --device cpu.")
    return Accelerator(cpu=wanted == "cpu")


class _Terminal:
    """Progress on stderr; the first Ctrl-C (or SIGTERM) stops after the step that is running."""

    def __init__(self) -> None:
        self.stop = False
        self.bar: tqdm | None = None
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._ask_to_stop)

    def _ask_to_stop(self, number: int, frame: object) -> None:
        self.stop = True

    def on_step(self, trainer: Trainer, loss: float) -> None:
        """Show one step; raise Cancelled when a stop was asked for."""
        if self.bar is None:
            total = trainer.run.optim.epochs * trainer.steps_per_epoch
            self.bar = tqdm(total=total, initial=trainer.step - 1, unit="step", mininterval=2, file=sys.stderr)
        best = trainer.best
        self.bar.set_postfix_str(f"loss {loss:.3f}, best val AUC {best['auc']:.4f}", refresh=False)
        self.bar.update()
        if self.stop:
            raise Cancelled(f"Stopped at step {trainer.step}; the state is kept. Go on with --resume.")


@program
def main() -> None:
    """The command line."""
    run = tyro.extras.overridable_config_cli(PRESETS, prog="python -m training.train_classifier")
    facts = run_training(run, _Terminal().on_step)
    auc = facts.metrics["val"]["auc"]
    sys.stdout.write(f"val AUC malignant {auc:.4f}, crop {facts.inputs.crop}, written to {run.run_dir / 'model'}\n")


if __name__ == "__main__":
    sys.exit(main())
