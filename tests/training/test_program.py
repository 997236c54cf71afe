"""Programs end with one line and a code: done, the user's mistake, stopped; a fault of ours stays a traceback."""

import signal
import subprocess
import sys

import pytest

from dermaflux.domain.errors import Cancelled, DataNotFound
from training.program import program


@pytest.fixture(autouse=True)
def _signals_as_before():
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataNotFound("No data. Make it."), 2, "No data. Make it.\n"),
        (Cancelled("Stopped at step 3."), 130, "\nStopped at step 3.\n"),
        (KeyboardInterrupt(), 130, "\nStopped.\n"),
    ],
)
def test_what_ends_a_program_is_one_line_and_a_code(capsys, error, code, said):
    @program
    def main():
        raise error

    assert main() == code
    assert capsys.readouterr().err == said


def test_a_program_that_ends_well_returns_zero_and_a_fault_is_not_hidden():
    assert program(lambda: None)() == 0
    with pytest.raises(ZeroDivisionError):
        program(lambda: 1 / 0)()


@pytest.mark.slow
@pytest.mark.parametrize("module", ["training.train_nano", "training.train_segmenter", "training.train_classifier"])
def test_a_value_out_of_range_is_one_line_and_exit_2(repository, module):
    done = subprocess.run(
        [sys.executable, "-m", module, "smoke", "--precision", "fp8"], cwd=repository, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.splitlines() == ["precision is 'fp8'. Choose auto, fp32 or bf16."]
