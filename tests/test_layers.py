"""The architecture holds: contracts, lazy imports, small modules, one launch()."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
MAX_LINES = 300
PICKLES = ("pickle", "joblib", "dill")
PACKAGES = ("dermaflux", "pages", "training", "benchmarks")


def product_modules():
    found = [REPOSITORY / "app.py"]
    for package in PACKAGES:
        found += sorted((REPOSITORY / package).rglob("*.py"))
    return found


def run(code):
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, timeout=120, check=True
    ).stdout


def test_import_contracts_are_kept():
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=REPOSITORY, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("app", ("torch", "diffusers", "transformers", "timm", "sqlalchemy")),
        ("pages.shell", ("torch", "diffusers", "transformers", "timm")),
        ("dermaflux.services", ("torch", "diffusers", "transformers", "timm", "sqlalchemy", "gradio", "numpy")),
        ("dermaflux.__main__", ("torch", "diffusers", "timm", "sqlalchemy", "gradio", "numpy", "scipy")),
        ("dermaflux.domain.records", ("PIL", "numpy", "pydantic", "tyro")),
    ],
)
def test_importing_stays_light(module, forbidden):
    loaded = run(f"import sys, {module}; print(*[m for m in {forbidden!r} if m in sys.modules])").split()
    assert loaded == []


def test_importing_every_module_runs_nothing_but_definitions():
    """No statement at module level calls for work: no loop, no with."""
    work = (ast.For, ast.While, ast.With, ast.Delete)
    found = []
    for path in product_modules():
        if path.parts[-2:] == ("migrations", "env.py"):
            continue  # Alembic runs this file as a script
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, work):
                found.append(f"{path.relative_to(REPOSITORY)}:{node.lineno}")
    assert found == []


def test_no_module_is_longer_than_the_limit():
    lengths = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in product_modules()}
    assert {str(path.relative_to(REPOSITORY)): n for path, n in lengths.items() if n > MAX_LINES} == {}
    assert lengths[REPOSITORY / "app.py"] < 80


def test_launch_is_called_in_app_only():
    def launches(path):
        calls = (n for n in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(n, ast.Call))
        return any(isinstance(call.func, ast.Attribute) and call.func.attr == "launch" for call in calls)

    served = (p for p in product_modules() if "benchmarks" not in p.parts)  # one of them launches a browser
    assert [p.name for p in served if launches(p)] == ["app.py"]


def test_nothing_is_ever_unpickled():
    """No pickle, and torch.load only with weights_only=True."""
    found = []
    for path in product_modules():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                names = [a.name for a in node.names] + [getattr(node, "module", None) or ""]
                found += [f"{path}:{node.lineno}" for name in names if name.split(".")[0] in PICKLES]
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "torch.load":
                safe = any(k.arg == "weights_only" and ast.unparse(k.value) == "True" for k in node.keywords)
                found += [] if safe else [f"{path}:{node.lineno}"]
    assert found == []


def test_no_machine_path_is_written_down():
    home = str(REPOSITORY.parent)
    ours = []
    for folder, folders, names in os.walk(REPOSITORY):
        folders[:] = [name for name in folders if not re.match(r"\.|runs$|data$", name)]
        ours += [Path(folder, name) for name in names if name.endswith((".py", ".md", ".toml", ".txt"))]
    assert [str(p) for p in ours if f"{home}/" in p.read_text(encoding="utf-8", errors="ignore")] == []
