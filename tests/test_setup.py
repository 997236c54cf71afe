"""The two commands, the pins, and what must never be committed."""

import ast
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
PINNED = re.compile(r"^([A-Za-z0-9_.-]+)(?:\[[a-z,]+\])?==([0-9][^\s;]*)$")


def requirements(name):
    lines = (REPOSITORY / name).read_text().splitlines()
    bare = [line.partition("#")[0].strip() for line in lines]
    return [line for line in bare if line and not line.startswith("-r")]


@pytest.mark.parametrize(
    "name", ["requirements.txt", "requirements-c2pa.txt", "requirements-scale.txt", "requirements-dev.txt"]
)
def test_every_requirement_is_pinned_and_installed(name):
    for line in requirements(name):
        match = PINNED.match(line)
        assert match, f"{line} is not pinned"
        assert metadata.version(match[1]).partition("+")[0] == match[2]


def test_torch_and_torchvision_are_one_pair():
    """A mismatched pair installs, passes `pip check`, and fails only when it is imported and used."""
    import torch
    import torchvision

    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.0, 0.0, 2.0, 1.9], [5.0, 5.0, 6.0, 6.0]])
    assert torchvision.ops.nms(boxes, torch.tensor([0.9, 0.8, 0.7]), 0.5).tolist() == [0, 2]


def imported_modules(path):
    """The top-level names that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield (node.module or "").split(".")[0]


@pytest.mark.parametrize(
    ("folder", "files"),
    [
        ("dermaflux", ["requirements.txt", "requirements-c2pa.txt", "requirements-scale.txt"]),
        ("pages", ["requirements.txt"]),
        ("training", ["requirements.txt", "requirements-dev.txt"]),
    ],
)
def test_what_is_imported_is_required_itself_and_not_by_way_of_a_third(folder, files):
    named = {PINNED.match(line)[1].lower().replace("_", "-") for file in files for line in requirements(file)}
    by_module = metadata.packages_distributions()
    missing = set()
    for path in (REPOSITORY / folder).rglob("*.py"):
        for module in set(imported_modules(path)) - set(sys.stdlib_module_names):
            owners = {name.lower().replace("_", "-") for name in by_module.get(module, ())}
            if owners and not owners & named:
                missing.add(f"{module} in {path.relative_to(REPOSITORY)}")
    assert missing == set()


@pytest.mark.parametrize("goal", ["run", "test", "check", "test-slow"])
def test_the_makefile_has_the_goal(goal):
    done = subprocess.run(["make", "-n", goal], cwd=REPOSITORY, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_make_run_takes_a_torch_index():
    done = subprocess.run(
        ["make", "-n", "-B", "run", "TORCH_INDEX_URL=https://example.org/cpu"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    lines = [line for line in done.stdout.splitlines() if "https://example.org/cpu" in line]
    assert len(lines) == 1
    assert re.search(r"torch==\S+ torchvision==\S+", lines[0])
    assert done.stdout.index(lines[0]) < done.stdout.index("-r requirements.txt")


def test_ci_runs_the_checks_and_the_tests():
    script = (REPOSITORY / ".ci" / "run").read_text()
    assert (REPOSITORY / ".ci" / "run").stat().st_mode & 0o111
    assert script.index("make check") < script.index("make test")
    assert subprocess.run(["bash", "-n", ".ci/run"], cwd=REPOSITORY, check=False).returncode == 0


@pytest.mark.parametrize(
    "path", ["data/x.png", "runs/a/b.jpg", "outputs/y", "shared/data/z.csv", ".venv/bin/python", "a.db"]
)
def test_what_runs_write_is_ignored(path):
    done = subprocess.run(["git", "check-ignore", "-q", path], cwd=REPOSITORY, check=False)
    assert done.returncode == 0


@pytest.mark.parametrize(
    "page", [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))], ids=lambda page: page.name
)
def test_every_link_to_a_file_leads_somewhere(page):
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())
    assert [target for target in targets if not (page.parent / target).exists()] == []
