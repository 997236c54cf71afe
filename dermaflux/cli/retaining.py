"""The verbs purge and forget: they say what would go, ask, and only then let it go."""

import sys

from dermaflux.cli.output import write_line
from dermaflux.cli.set_commands import Forget, Purge
from dermaflux.domain.errors import InvalidRequest
from dermaflux.services import Services


def purge(services: Services, command: Purge) -> None:
    """Remove what was rejected long ago."""
    days = command.rejected_after_days
    days = services.settings.purge_rejected_after_days if days is None else days
    if days is None:
        raise InvalidRequest("Nothing says how long ago. Give --rejected-after-days, 30 for a month.")
    going = services.rejected_before(days)
    if not going:
        write_line(f"No image was rejected more than {days} days ago.")
    elif agreed(f"{len(going)} images were rejected more than {days} days ago.", "Remove them for good?", command.yes):
        write_line(f"{services.purge(going, f'rejected more than {days} days ago')} images were removed.")


def forget(services: Services, command: Forget) -> None:
    """Remove a user's data."""
    found = f"The jobs of {command.user!r}, the images only {command.user!r} made and judged, and the name"
    if agreed(f"{found} will be removed.", "Go on? It cannot be undone.", command.yes):
        gone = services.forget(command.user)
        write_line(
            f"{gone.num_jobs_removed} jobs and {gone.num_images_removed} images were removed, "
            f"{gone.num_images_kept} images that others judged stay, "
            f"{gone.num_decisions_anonymous} decisions are now anonymous."
        )


def agreed(what: str, question: str, yes: bool) -> bool:
    """Whether to go on. Without a terminal nobody can be asked, so it is refused."""
    if yes:
        return True
    if not sys.stdin.isatty():
        raise InvalidRequest(f"{what} Nothing was removed: add --yes to go on.")
    sys.stderr.write(f"{what} {question} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")
