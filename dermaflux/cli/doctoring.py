"""The verb doctor: is everything stored still sound? One line a check; repairs only after a yes."""

import sys

from dermaflux.cli.output import ProgressBar, write_json, write_line
from dermaflux.cli.store_commands import Doctor
from dermaflux.curation.health_records import Check, Repair
from dermaflux.services import Services

WRONG = 1


def doctor(services: Services, command: Doctor) -> int:
    """Examine, offer repairs when asked to, examine again when any was made. 0 when all is well in the end."""
    checks = _examine(services, command)
    offered = [check for check in checks if check.repair and not check.ok]
    if command.repair and offered and _repair(services, command, offered):
        checks = _examine(services, command)
    return 0 if all(check.ok for check in checks) else WRONG


def _examine(services: Services, command: Doctor) -> tuple[Check, ...]:
    with ProgressBar("Reading images") as on_step:
        checks = services.examine(on_step)
    for check in checks:
        if command.json:
            write_json({
                "check": check.name, "ok": check.ok, "says": check.says, "repair": check.repair, "items": check.items
            })  # fmt: skip
        else:
            write_line(f"{'ok   ' if check.ok else 'WRONG'}  {check.name:<10}  {check.says}")
    if not command.repair and (kinds := [check.name for check in checks if check.repair]) and not command.json:
        write_line(f"Can be mended: {', '.join(kinds)}. Run doctor with --repair.")
    return checks


def _repair(services: Services, command: Doctor, offered: list[Check]) -> bool:
    """Whether anything was done."""
    if not command.yes and not sys.stdin.isatty():
        sys.stderr.write("Nothing was changed: there is no terminal to ask. Add --yes to say yes to every repair.\n")
        return False
    done = False
    for check in offered:
        assert check.repair is not None
        if command.yes or _agrees(check, check.repair):
            said = services.repair(check.repair)
            write_json({"repair": check.repair, "says": said}) if command.json else write_line(f"mended {said}")
            done = True
    return done


def _agrees(check: Check, kind: Repair) -> bool:
    sys.stderr.write(f"{check.name}: {check.says}\n{kind.question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")
