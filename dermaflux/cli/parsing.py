"""Arguments -> a command, with tyro. A mistake becomes one line instead of tyro's box."""

import contextlib
import difflib
import io
import itertools
import re
from collections.abc import Sequence
from typing import Any

import tyro

from dermaflux.cli.commands import Command
from dermaflux.domain.errors import InvalidRequest

PROGRAM = "python -m dermaflux"
VERBS = (
    "caption", "generate", "measure", "classify", "segment", "explain", "strip", "export", "import", "provenance",
    "doctor", "evaluate", "study", "duplicates", "import-real", "purge", "forget", "worker", "users",
)  # fmt: skip
EVALUATIONS = (
    "adherence", "quality", "memorisation", "diversity", "artefacts", "coverage", "classifier", "probe",
)  # fmt: skip
USERS = ("add", "list", "role", "password", "disable", "enable", "key")
STUDY_VERBS = ("results", "export", "remove")
_GROUPS = {"evaluate": EVALUATIONS, "users": USERS, "study": STUDY_VERBS}
_DESCRIPTION = "DermaFlux: synthetic skin lesion images from clinical descriptions. For research, not a medical device."


class HelpShown(Exception):
    """The help was asked for; it has been written to stdout."""


def parse(argv: Sequence[str]) -> Any:
    """The command of some arguments. Raises InvalidRequest in one line, HelpShown after --help."""
    _check_verb(argv[:1], VERBS, "")
    if argv and (group := _GROUPS.get(argv[0])):
        _check_verb(argv[1:2], group, f"{argv[0]} ")
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.cli(
                Command,  # type: ignore[arg-type] - a union of annotated records
                args=list(argv) or ["--help"],
                prog=PROGRAM,
                description=_DESCRIPTION,
                config=(
                    tyro.conf.FlagCreatePairsOff,
                    tyro.conf.OmitArgPrefixes,
                    tyro.conf.OmitSubcommandPrefixes,
                ),
            )
    except SystemExit as stop:
        if not stop.code:
            raise HelpShown from None
    raise InvalidRequest(f"{_one_line(complaint.getvalue())} See: {_verbs(argv)}")


def _check_verb(words: Sequence[str], known: Sequence[str], after: str) -> None:
    """Raise InvalidRequest when a word stands where a verb belongs and is none."""
    if words and words[0] not in known and not words[0].startswith("-"):
        near = difflib.get_close_matches(words[0], known, n=1)
        hint = f"Did you mean {near[0]}? " if near else ""
        raise InvalidRequest(
            f"{words[0]} is not known. {hint}Choose one of: {', '.join(known)}. See: {PROGRAM} {after}--help"
        )


def _one_line(box: str) -> str:
    """What tyro's box says, in one sentence: the complaint and the nearest suggestion."""
    lines = [_ANSI.sub("", line).strip("│╭╮╰╯ \t") for line in box.splitlines()]
    lines = [line for line in lines if line.strip("─ ") and not line.endswith("─")]
    text = re.sub(r"\s+", " ", " ".join(lines)).replace(f"{PROGRAM} ", "")
    said = text.partition("For full helptext")[0].strip()
    for pattern, sentence in _COMPLAINTS:
        if match := re.search(pattern, said):
            said = sentence.format(*(group or "" for group in match.groups()))
            break
    return said if said.endswith("?") else f"{said.strip().rstrip(':.,')}."


def _verbs(argv: Sequence[str]) -> str:
    """The verbs that the arguments begin with, as far as they are known: where help is."""
    known = list(itertools.takewhile(lambda word: word in VERBS + EVALUATIONS + USERS + STUDY_VERBS, argv[:2]))
    return " ".join([PROGRAM, *known, "--help"])


_ANSI = re.compile(r"\x1b\[[0-9;]*m")
# tyro's wordings (pinned, tested) -> ours; the first that matches is taken.
_COMPLAINTS = (
    (r"Unrecognized options: ([^, ]+).*Perhaps you meant: (\S+)", "{0} is not known. Did you mean {1}?"),
    (r"Unrecognized options: ([^, ]+)", "{0} is not known. Remove it"),
    (r"Missing from [^:]*: (--[\w-]+)", "{0} is missing. Add it"),
    (r"Missing from [^:]*: ([A-Z]+)", "{0} is missing. Add it"),
    (r"Error parsing (\S+): .*?'([^']*)'[^']*Argument helptext: \S+ (?:\{None\}\|)?(\S+) (.*?)\.",
     "{0} is {1!r}, but takes {2}: {3}"),
    (r"invalid choice '([^']*)' for argument '([^']*)'. Expected one of \((.*)\)", "{1} is {0!r}. Choose one of: {2}"),
    (r"Expected one of \{([^}]*)\}", "The verb is not complete. Choose one of: {0}"),
)  # fmt: skip
