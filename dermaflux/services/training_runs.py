"""Training runs: started as processes of their own, watched, stopped, resumed, deleted; what they finish is put to use.

A run outlives the page and the app. It is told what to do by its command line alone; this module imports no trainer.
One piece of heavy work at a time: a second one is refused in words.
"""

import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dermaflux.domain.errors import DataNotFound, InvalidRequest
from dermaflux.domain.roles import Visitor
from dermaflux.generation.catalogue import ASSETS_DIR
from dermaflux.run_status import write_json
from dermaflux.services.curating import REAL
from dermaflux.services.supervised import Command, launch, request_stop
from dermaflux.services.training_data import data_flags, real_choices
from dermaflux.services.training_folder import (
    ASKED,
    asked_of,
    changed_at,
    read_report,
    read_run,
)
from dermaflux.services.training_prediction import Predicting
from dermaflux.services.training_programs import flags, training_programs, values_of
from dermaflux.services.training_recipe import write_recipe
from dermaflux.services.training_records import (
    CLASSIFIER,
    KINDS,
    LORA,
    RunReport,
    TrainingCost,
    TrainingProgram,
    TrainingRequest,
    TrainingRun,
)
from dermaflux.services.wiring import EXPORTS, RUNS

SYNTHETIC = "synthetic"  # in a run's folder: the accepted images it learns from


class Training(Predicting):
    """Runs of the trainers in the data folder."""

    def training_programs(self) -> Mapping[str, TrainingProgram]:
        """The trainers with their presets, by kind. Raises DataNotFound when their description is not installed."""
        return training_programs()

    def training_data(self, kind: str) -> tuple[str, ...]:
        """The real pictures a run of this kind can learn from."""
        first = next(iter(training_programs()[kind].presets.values()))
        return real_choices(kind, self.settings.data_dir / REAL, first.values)

    def start_training(self, user: str, request: TrainingRequest) -> TrainingRun:
        """Begin a run as a process of its own.

        Raises InvalidRequest (a value, a taken name, other work under way, too little memory unless forced),
        DataNotFound (pictures), QuotaExceeded and StorageNotWritable.
        """
        self._check_may_train()
        folder = self._run_folder(request.kind, request.name)
        values = self._values(request, folder)
        cost = self.training_cost(request)
        if not cost.fits and not request.force:
            raise InvalidRequest(_does_not_fit(cost))
        with self._alone():
            self._check_name(request, folder)
            self.prepare_folder(folder)
            try:
                if request.synthetic:
                    self.export(request.synthetic, "imagefolder", folder / SYNTHETIC)
                asked = {"owner": user, "preset": request.preset, "kind": request.kind, "real": request.real}
                write_json(folder / ASKED, asked | {"dataset": request.synthetic, "values": values})
                launch(folder, self._training_command(folder))
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise
        return read_run(request.kind, folder)

    def resume_training(self, visitor: Visitor, run_id: str) -> TrainingRun:
        """Go on with a run that was stopped, killed or failed, from its last checkpoint. Raises InvalidRequest."""
        self._check_may_train()
        run, folder = self.training_run(visitor, run_id), self._folder_of(run_id)
        if run.state in ("running", "done"):
            raise InvalidRequest(f"The run {run.name} is {run.state}, so there is nothing to resume.")
        if not asked_of(folder):
            raise InvalidRequest(f"The run {run.name} was started on the command line. Go on with it there.")
        with self._alone():
            launch(folder, self._training_command(folder))
        return read_run(run.kind, folder)

    def stop_training(self, visitor: Visitor, run_id: str) -> None:
        """Ask a run to end after the step it is at; it keeps a checkpoint. Raises InvalidRequest."""
        self.training_run(visitor, run_id)
        request_stop(self._folder_of(run_id))

    def delete_training(self, visitor: Visitor, run_id: str) -> None:
        """Remove a run with all it made. Raises InvalidRequest while it runs, or while its classifier judges."""
        run = self.training_run(visitor, run_id)
        if run.state == "running":
            raise InvalidRequest(f"The run {run.name} is under way. Stop it first.")
        if self.judging_run() == run_id:
            raise InvalidRequest(f"The classifier of {run.name} judges at present. Choose another one first.")
        shutil.rmtree(self._folder_of(run_id))

    def training_runs(self, visitor: Visitor) -> tuple[TrainingRun, ...]:
        """The runs a visitor may see, those under way first, then the newest: their own, and those of nobody."""
        runs = [run for kind, folder in self._all_folders() if _may_see(visitor, run := read_run(kind, folder))]
        runs.sort(key=lambda run: run.since, reverse=True)
        return tuple(sorted(runs, key=lambda run: run.state != "running"))

    def training_run(self, visitor: Visitor, run_id: str) -> TrainingRun:
        """One run. Raises DataNotFound, also for one that is not the visitor's to see."""
        run = read_run(run_id.partition("/")[0], self._folder_of(run_id))
        if not _may_see(visitor, run):
            raise DataNotFound(f"There is no run {run.name!r}. It may have been deleted.")
        return run

    def training_report(self, visitor: Visitor, run_id: str) -> RunReport:
        """All there is to see of a run. Raises DataNotFound."""
        run = self.training_run(visitor, run_id)
        return read_report(run.kind, self._folder_of(run_id))

    def training_changed(self, run_id: str) -> tuple[Any, ...]:
        """Something that differs as soon as there is something new to show of a run. Raises DataNotFound."""
        return changed_at(self._folder_of(run_id))

    def use_classifier(self, visitor: Visitor, run_id: str | None) -> None:
        """Judge with the classifier a run finished, from now on; None: with the embedded one.

        Raises InvalidRequest when the run finished none, ModelNotAvailable when it cannot be loaded.
        """
        if run_id is not None:
            run = self.training_run(visitor, run_id)
            if run.kind != CLASSIFIER or run.product is None:
                raise InvalidRequest(f"The run {run.name} has finished no classifier. Wait for it, or choose another.")
        self.judge_with(run_id)

    @property
    def may_train(self) -> bool:
        """Whether runs can be started here: a Space on ZeroGPU has no GPU for longer than one call."""
        return not os.environ.get("SPACES_ZERO_GPU")

    def training_recipe(self, request: TrainingRequest) -> Path:
        """The request as a zip of a script and its settings. Raises as `values_of`, and StorageNotWritable."""
        values_of(request)
        exports = self.prepare_folder(self.settings.data_dir / EXPORTS)
        return write_recipe(request, exports / f"train-{request.kind}-{request.name}.zip")

    def _values(self, request: TrainingRequest, folder: Path) -> dict[str, Any]:
        """Every value of the run, places included."""
        values = values_of(request)
        values |= data_flags(request.kind, request.real, self.settings.data_dir / REAL, values)
        values |= {"name": folder.name, "runs_dir": str(folder.parent.resolve())}
        if request.kind == LORA:
            models = self.settings.models_dir.resolve()
            if models != ASSETS_DIR:
                values |= {"models_dir": str(models)}
                values |= {"base": str(models / "nano")} if values["base"] == "nano" else {}
        elif request.synthetic:
            values |= {"synthetic.folder": str((folder / SYNTHETIC).resolve()), "synthetic.ratio": request.ratio}
        return values

    def _training_command(self, folder: Path) -> Command:
        asked = asked_of(folder)
        program = training_programs()[asked["kind"]]
        preset = program.presets[asked["preset"]]
        words = [sys.executable, "-u", "-m", program.module, preset.name, *flags(asked["values"], preset.values)]
        if (folder / "state.pt").is_file():  # of a classifier; a LoRA goes on by itself
            words.append("--resume")
        return Command(argv=words, settings=self.settings)

    def _run_folder(self, kind: str, name: str) -> Path:
        return self.settings.data_dir / RUNS / kind / name

    def _folder_of(self, run_id: str) -> Path:
        kind, _, name = run_id.partition("/")
        if kind not in KINDS or not name or name.startswith(".") or Path(name).name != name:
            raise DataNotFound(f"There is no run {run_id!r}.")
        return self._run_folder(kind, name)

    def _check_may_train(self) -> None:
        if not self.may_train:
            raise InvalidRequest(
                "Nothing can be trained here: this Space lends its GPU for seconds only. Take the run recipe instead, "
                "and run it on a machine of your own."
            )

    def _check_name(self, request: TrainingRequest, folder: Path) -> None:
        if folder.exists():
            raise InvalidRequest(f"There is a run {request.name!r} already. Choose another name, or delete that one.")
        if request.kind == LORA and request.name in {entry.name for entry in self.catalogue().adapters()}:
            raise InvalidRequest(f"There is an adapter {request.name!r} already. Choose another name for this one.")

def _may_see(visitor: Visitor, run: TrainingRun) -> bool:
    return not run.owner or visitor.may_see(run.owner)


def _does_not_fit(cost: TrainingCost) -> str:
    have = f"has {cost.have_gb:.1f} GB" if cost.have_gb else f"has no {cost.place}"
    beside = ""
    if cost.host_gb > cost.host_have_gb:
        beside = f", and {cost.host_gb:.1f} GB of memory beside it, of {cost.host_have_gb:.1f} GB"
    return (
        f"This run needs about {cost.need_gb:.1f} GB of {cost.place} and this machine {have}{beside}. Choose a smaller "
        "preset or a machine that has it, or start it anyway."
    )
