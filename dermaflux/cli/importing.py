"""The verb import-real: brings a user's own pictures in and says what was refused, and what was left behind."""

from dermaflux.cli.output import ProgressBar, write_json, write_line
from dermaflux.cli.set_commands import ImportReal
from dermaflux.services import Services

SHOWN = 20


def importreal(services: Services, command: ImportReal) -> None:
    """Import and report."""
    with ProgressBar("Importing") as on_step:
        report = services.import_real(command.source, command.name, on_step)
    if command.json:
        write_json(report.to_dict())
        return
    write_line(f"{report.num_pictures} pictures in {report.folder}, {report.num_repeated} repeated, "
               f"{len(report.refused)} refused")  # fmt: skip
    for refused in report.refused[:SHOWN]:
        write_line(f"  {refused.name}: {refused.why}")
    if len(report.refused) > SHOWN:
        write_line(f"  and {len(report.refused) - SHOWN} more (--json names all)")
    if report.columns_left_behind:
        write_line(f"columns left behind: {', '.join(report.columns_left_behind)}")
