"""The command line: `python -m dermaflux VERB ...`. Exit codes: 0 done, 2 the user's mistake, 1 ours.

A verb may give a code of its own: `provenance` and `doctor` end with 1 when they find something wrong. That is their
finding, and no one's mistake.

The one place of the CLI where an error becomes a line on stderr.
"""

import logging
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import Any

from dermaflux.cli import (
    classifier_commands,
    commands,
    dataset_commands,
    store_commands,
    study_commands,
    user_commands,
    worker_commands,
)
from dermaflux.cli.parsing import PROGRAM, HelpShown, parse
from dermaflux.domain.errors import DermaFluxError
from dermaflux.services import Services
from dermaflux.settings import Settings

log = logging.getLogger("dermaflux")

# Command -> module of dermaflux.cli with a function of the command's name, imported only when it is run.
_MODULES: Mapping[type, str] = {
    commands.Caption: "making",
    commands.Generate: "making",
    commands.Measure: "judging",
    commands.Classify: "judging",
    commands.Segment: "judging",
    classifier_commands.Explain: "explaining",
    classifier_commands.Strip: "explaining",
    classifier_commands.Classifier: "classifier_report",
    dataset_commands.Export: "exporting",
    dataset_commands.ImportExport: "exporting",
    dataset_commands.Provenance: "exporting",
    store_commands.Doctor: "doctoring",
    commands.Adherence: "evaluating",
    commands.Quality: "evaluating",
    commands.Memorisation: "evaluating",
    commands.Diversity: "evaluating",
    commands.Artefacts: "evaluating",
    commands.Coverage: "evaluating",
    commands.Probe: "probing",
    study_commands.StudyResults: "studying",
    study_commands.StudyExport: "studying",
    study_commands.StudyRemove: "studying",
    commands.Duplicates: "duplicating",
    commands.ImportReal: "importing",
    commands.Purge: "retaining",
    commands.Forget: "retaining",
    worker_commands.Worker: "working",
    user_commands.UsersAdd: "users",
    user_commands.UsersList: "users",
    user_commands.UsersRole: "users",
    user_commands.UsersPassword: "users",
    user_commands.UsersDisable: "users",
    user_commands.UsersEnable: "users",
    user_commands.UsersKey: "users",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; every message of failure is one line on stderr."""
    logging.basicConfig(
        level=os.environ.get("LOGLEVEL", "WARNING"), format="%(levelname)s %(name)s: %(message)s"
    )
    try:
        command = parse(sys.argv[1:] if argv is None else argv)
        with Services(Settings.load()) as services:
            return _verb(command)(services, command) or 0
    except HelpShown:
        return 0
    except DermaFluxError as error:
        sys.stderr.write(f"{PROGRAM}: {' '.join(str(error).split())}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("Stopped. What was finished before is kept.\n")
        return 130
    except (
        Exception
    ):  # the one boundary: a fault of ours is shown in full and told apart by its code
        log.exception("A fault of ours. Please report it with these lines.")
        return 1


def _verb(command: Any) -> Callable[[Services, Any], int | None]:
    module = import_module(f"dermaflux.cli.{_MODULES[type(command)]}")
    return getattr(module, type(command).__name__.lower())


if __name__ == "__main__":
    if hasattr(signal, "SIGPIPE"):
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `| head` ends us quietly
    sys.exit(main())
