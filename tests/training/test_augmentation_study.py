"""The augmentation study on drawn pictures: its grid, its cells, stopping and going on, two workers, its report."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.records import Split
from training.augmentation_study import run_study
from training.lesion_records import LesionRecord
from training.study_cell import Result
from training.study_config import PRESETS, Arm, Cell, StudyConfig
from training.study_grid import Grid
from training.study_material import real_subset
from training.study_report import Truth, as_json, compare, differences, markdown, settings_of
from training.synthetic_source import AGREEING


def lesions(**counts):
    return [
        LesionRecord(image_id=f"{name}{i}", lesion_id=f"{name}{i // 2}", split=Split.TRAIN, diagnosis=Diagnosis(name))
        for name, count in counts.items()
        for i in range(count)
    ]


def test_real_pictures_are_one_a_lesion_in_proportion_with_two_of_each_class():
    records = lesions(nv=400, mel=80, df=6)
    chosen = real_subset(records, 50, seed=1)
    counts = {name: sum(r.diagnosis == name for r in chosen) for name in ("nv", "mel", "df")}
    assert sum(counts.values()) == 50 and counts["df"] == 2
    assert counts["mel"] == pytest.approx(50 * 40 / 243, abs=1)
    assert len({r.lesion_id for r in chosen}) == 50
    assert chosen == real_subset(records, 50, seed=1) != real_subset(records, 50, seed=2)
    with pytest.raises(InvalidRequest, match="holds 243 lesions"):
        real_subset(records, 300, seed=1)


@pytest.mark.parametrize("name", ["augmented", "flow:1.75", "diffusion:2:alone", "flow:4:agreeing+first"])
def test_arms_are_read_from_their_names(name):
    arm = Arm.parse(name)
    assert arm.name == name and (arm.source is None) == (name == "augmented")


@pytest.mark.parametrize("name", ["augmentd", "flow", "flow:x", "flow:0", "flow:1:first+", "../x:1", ":1"])
def test_mistyped_arms_are_refused(name):
    with pytest.raises(InvalidRequest, match="is not known"):
        StudyConfig(arms=(name,))


def test_every_cell_of_the_grid_once_and_equal_steps_but_for_the_arm_that_says_so():
    config = PRESETS["cpu"][1]
    cells = config.cells()
    assert len(cells) == len({cell.key for cell in cells}) == 60
    steps = {cell.arm.name: config.run_of(cell).optim.steps_per_epoch for cell in cells}
    assert steps.pop("longer") == 2 * steps["plain"] and len(set(steps.values())) == 1
    runs = {cell.arm.name: config.run_of(cell) for cell in cells}
    assert runs["plain"].augment.mixup_probability == 0 and runs["oversampled"].optim.balance == 1
    assert runs["flow:1.75"].synthetic.ratio == 1.75 and runs["augmented"].synthetic.folder is None
    kept = replace(config, arms=("flow:1:agreeing+first", "flow:1:half"))
    assert [kept.run_of(c).synthetic.keep for c in kept.cells()[:2]] == [AGREEING, "all"]
    assert kept.run_of(kept.cells()[1]).synthetic.weight == 0.5


@pytest.mark.slow
@pytest.mark.data
def test_a_study_runs_and_goes_on_with_more_arms_and_reports(small_study, tmp_path):
    assert run_study(small_study) == 2
    grid = Grid(small_study.folder)
    first = grid.results.read_text()
    more = replace(small_study, arms=(*small_study.arms, "flow:1:alone", "flow:1:first"))
    assert run_study(more) == 4
    assert grid.results.read_text().startswith(first), "what was finished is not run again"
    lines = {line["arm"]: line for line in grid.finished().values()}
    assert lines["augmented"]["num_pictures"] == lines["flow:1:alone"]["num_pictures"] == 28
    assert lines["flow:1"]["num_pictures"] == lines["flow:1:first"]["num_pictures"] == 56
    assert all(0 <= line["test"]["auc"] <= 1 for line in lines.values())
    with pytest.raises(InvalidRequest, match="another size_px"):
        run_study(replace(small_study, size_px=48))
    done = subprocess.run(
        [sys.executable, "-m", "training.study_report", "smoke", "--study.runs-dir", str(small_study.runs_dir),
         "--study.data.data-dir", str(small_study.data.data_dir), "--study.data.limit", "60",
         "--out", str(tmp_path / "out")],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "### stem_vit_tiny, 28 real pictures" in done.stdout
    assert (tmp_path / "out" / "panels.png").stat().st_size > 5000
    assert len(list((tmp_path / "out").rglob("roc.png"))) == 1


@pytest.mark.data
@pytest.mark.long
@pytest.mark.slow
def test_two_workers_killed_and_started_again_finish_every_cell_once(small_study):
    config = replace(small_study, workers=2, seeds=tuple(range(30)))
    arguments = [
        "smoke", "--runs-dir", str(config.runs_dir), "--sources-dir", str(config.sources_dir), "--device", "cpu",
        "--precision", "fp32", "--data.data-dir", str(config.data.data_dir), "--data.frame-px", "48", "48",
        "--data.limit", "60", "--size-px", "32", "--workers", "2", "--seeds", *map(str, config.seeds),
    ]  # fmt: skip
    command = [sys.executable, "-m", "training.augmentation_study", *arguments]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    grid = Grid(config.folder)
    while not grid.finished() and process.poll() is None:
        time.sleep(0.2)
    process.send_signal(signal.SIGTERM)
    assert process.wait(120) == 130
    begun = set(grid.finished())
    assert 0 < len(begun) < 60
    assert subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0
    keys = [json.loads(text)["key"] for text in grid.results.read_text().splitlines()]
    assert len(keys) == len(set(keys)) == 60 and begun < set(keys)


def _line(arm, seed, auc, grid):
    cell = Cell(model="vit", num_real=250, arm=Arm.parse(arm), seed=seed)
    figures = {"auc": auc, "balanced_accuracy": auc, "accuracy": auc, "threshold": 0.5}
    rng = np.random.default_rng(seed)
    truth = np.array([0, 1] * 100)
    scores = np.clip(truth * (auc - 0.5) + rng.random(200) / 2, 0, 1)
    line = {"key": cell.key, "model": "vit", "num_real": 250, "arm": arm, "seed": seed, "val": figures, "test": figures}
    grid.add(Result(line=line, test_scores=scores))


def test_baseline_and_ratio_are_chosen_on_val_and_compared_over_common_seeds(tmp_path):
    grid = Grid(tmp_path)
    for arm, auc in (("plain", 0.7), ("augmented", 0.8), ("flow:1", 0.82), ("flow:1.75", 0.9), ("flow:1:alone", 0.95)):
        for seed in range(2 if arm == "flow:1.75" else 3):
            _line(arm, seed, auc, grid)
    (setting,) = settings_of(list(grid.finished().values()))
    assert (setting.baseline, setting.chosen) == ("augmented", "flow:1.75"), "alone is another comparison"
    truth = Truth(labels=np.array([0, 1] * 100), lesion_ids=tuple(map(str, range(200))))
    found = compare(grid, truth, setting, "flow:1.75", "augmented")
    assert found is not None and found.num_seeds == 2 and found.auc.value > 0
    gains = differences(grid, truth, [setting])
    text = markdown([setting], gains)
    assert "| flow:1.75 (chosen) | 2 | 0.900 |" in text and "| augmented (baseline) | 3 |" in text
    written = {gain["arm"]: gain for gain in json.loads(as_json([setting], gains))["differences"]}
    assert set(written) == {"plain", "flow:1", "flow:1.75", "flow:1:alone"}
    assert written["flow:1.75"]["against"] == "augmented" and written["flow:1.75"]["num_seeds"] == 2
    assert written["flow:1.75"]["auc"][0] == pytest.approx(found.auc.value, abs=1e-5)


def test_arms_stand_in_one_order_however_the_workers_finished(tmp_path):
    grid = Grid(tmp_path)
    for arm in ("flow:4", "flow:1:close+half", "longer", "flow:1.25", "flow:1:close", "plain", "diffusion:2"):
        _line(arm, 0, 0.8, grid)
    (setting,) = settings_of(list(grid.finished().values()))
    plain = ["plain", "longer", "diffusion:2", "flow:1.25", "flow:4"]
    assert list(setting.arms) == [*plain, "flow:1:close", "flow:1:close+half"]


def test_a_torn_line_of_the_results_is_no_cell_and_spoils_no_other(tmp_path):
    grid = Grid(tmp_path)
    _line("plain", 0, 0.7, grid)
    with grid.results.open("ab") as handle:
        handle.write(b'{"key": "half')
    assert len(grid.finished()) == 1
    _line("plain", 1, 0.7, grid)
    assert [line["seed"] for line in grid.finished().values()] == [0, 1]


def test_a_cell_held_by_another_worker_is_left_to_it(tmp_path):
    grid, other = Grid(tmp_path), Grid(tmp_path)
    cells = PRESETS["cpu"][1].cells()[:3]
    mine = grid.claimed(cells)
    assert next(mine) == cells[0]
    assert next(other.claimed(cells)) == cells[1]
    assert next(mine) in cells[1:]


def test_every_preset_says_what_it_costs():
    for name, (text, config) in PRESETS.items():
        assert len(text) > 20 and config.name == name
