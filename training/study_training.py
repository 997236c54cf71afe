"""Fine-tuning as a study does it: every arm takes the same steps, the best weights on val are kept.

It knows no grid, no arm's pictures and no figure.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from accelerate import Accelerator
from torch import nn

from dermaflux.classification.architecture import Architecture
from dermaflux.classification.checkpoint import malignant_classes
from dermaflux.classification.preprocessing import InputFacts
from dermaflux.domain.errors import Cancelled
from training.classifier_config import ClassifierRun
from training.classifier_data import TrainFrames
from training.classifier_loop import Material, Trainer, held_out_logits
from training.starting_weights import Start, first_network
from training.study_config import Cell, StudyConfig
from training.study_material import NUM_TURNS, HeldOutLogits, Judges, class_names, judges_of


def fine_tuned(
    config: StudyConfig, cell: Cell, stages: Sequence[TrainFrames], should_stop: Callable[[], bool]
) -> HeldOutLogits:
    """What the cell's network says, trained on all stages one after the other.

    Raises Cancelled between two steps, and what the parts raise.
    """
    run = config.run_of(cell)
    start = _first(run, class_names(config.data))
    mean, std = (start.mean, start.std) if start.mean else stages[-1].channel_statistics()
    inputs = InputFacts(size_px=run.size_px, mean=mean, std=std)  # type: ignore[arg-type] - three each
    judges = judges_of(config.data, inputs)
    network = _trained(run, start.network, stages, judges, inputs, should_stop)
    device = next(network.parameters()).device
    logits = {
        name: held_out_logits(network, pictures, inputs, turns=NUM_TURNS, device=device, precision=run.precision)
        for name, pictures in judges.parts.items()
    }
    return HeldOutLogits(logits=logits, judges=judges)


def _first(run: ClassifierRun, names: Sequence[str]) -> Start:
    architecture = Architecture(name=run.model, size_px=run.size_px, num_classes=len(names))
    return first_network(
        architecture, drop_path=run.drop_path, pretrained=run.pretrained, weights=run.weights, seed=run.seed
    )


def _trained(
    run: ClassifierRun,
    network: nn.Module,
    stages: Sequence[TrainFrames],
    judges: Judges,
    inputs: InputFacts,
    should_stop: Callable[[], bool],
) -> nn.Module:
    """The network with the best weights on val, after all stages; they share the steps."""
    steps = (run.optim.steps_per_epoch or 1) // len(stages)
    run = replace(run, optim=replace(run.optim, steps_per_epoch=steps))
    accelerator = Accelerator(cpu=run.device == "cpu")
    for frames in stages:
        material = Material(
            train=frames, val=judges.val, inputs=inputs, malignant=malignant_classes(judges.class_names)
        )
        trainer = Trainer(run, network, material, accelerator)
        while trainer.step % steps or not trainer.finished:
            if should_stop():
                raise Cancelled("The study was stopped. Finished cells are kept; the same command goes on.")
            trainer.train_step()
            if trainer.step % steps == 0:
                trainer.score()
        network = trainer.average.module
        network.load_state_dict(trainer.best["weights"])
    return network
