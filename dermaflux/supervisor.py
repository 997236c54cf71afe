"""`python -m dermaflux.supervisor FOLDER` runs one long command apart from whoever started it and keeps its exit code.

It outlives the page that started it. It reads `command.json` of the folder, writes the command's output to `log.txt`
and tells `process.json` every few seconds that it is there, at the end with the exit code. It knows no command. SIGTERM
is handed on to the command, which may end as it likes; what is left to do then is done.
"""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

from dermaflux.run_status import now, write_json

COMMAND, PROCESS, LOG = "command.json", "process.json", "log.txt"
BEAT_SECONDS = 2.0
_POLITENESS = 10  # the page that somebody looks at comes first


def supervise(folder: Path) -> int:
    """Run the command of a folder to its end; its exit code.

    command.json: {"argv": [...], "cwd": folder, "stdout": name or null, "results": [names]}. stdout: a file of the
    folder that gets the standard output once the command ended with 0; results: files that the command writes there,
    removed unless it did.
    """
    command = json.loads((folder / COMMAND).read_text(encoding="utf-8"))
    told = {"pid": os.getpid(), "host": socket.gethostname(), "started": now(), "exit_code": None}
    output = folder / f".{command['stdout']}.partial" if command.get("stdout") else None
    with (folder / LOG).open("ab") as log, (output.open("wb") if output else open(os.devnull, "wb")) as result:
        child = subprocess.Popen(
            command["argv"], cwd=command["cwd"], stdin=subprocess.DEVNULL, stdout=result if output else log, stderr=log
        )
        _hand_on_stops(child)
        code = _wait(child, folder / PROCESS, told)
    _finish(folder, command, output, is_done=code == 0)
    write_json(folder / PROCESS, told | {"beat": now(), "ended": now(), "exit_code": code})
    return code


def _wait(child: subprocess.Popen[bytes], path: Path, told: Mapping[str, Any]) -> int:
    while True:
        write_json(path, {**told, "child": child.pid, "beat": now()})
        with suppress(subprocess.TimeoutExpired):
            return child.wait(timeout=BEAT_SECONDS)


def _hand_on_stops(child: subprocess.Popen[bytes]) -> None:
    def hand_on(number: int, frame: FrameType | None) -> None:
        with suppress(ProcessLookupError):
            child.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, hand_on)


def _finish(folder: Path, command: Mapping[str, Any], output: Path | None, *, is_done: bool) -> None:
    if is_done:
        if output is not None:
            output.replace(folder / command["stdout"])
        return
    for path in (output, *(folder / name for name in command.get("results", ()))):
        if path is not None:
            path.unlink(missing_ok=True)


if __name__ == "__main__":
    with suppress(OSError):
        os.nice(_POLITENESS)
    sys.exit(supervise(Path(sys.argv[1])))
