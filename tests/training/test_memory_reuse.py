"""A training program keeps the memory it frees. In a process of its own: it cannot be undone."""

import subprocess
import sys

import pytest

PROGRAM = """
import resource, sys
from training.memory_reuse import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    b"x" * 40_000_000
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
faults()
print(faults())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc alone has such a setting")
def test_a_large_piece_is_fetched_once_and_used_again(repository):
    def pages_fetched(way):
        command = [sys.executable, "-c", PROGRAM, way]
        return int(subprocess.run(command, cwd=repository, check=True, capture_output=True).stdout)

    pages = {way: pages_fetched(way) for way in ("keep", "give back")}
    assert pages["keep"] < 10 < 5_000 < pages["give back"]
