"""The verb export: a dataset's accepted images leave as files."""

from dermaflux.cli.commands import Export
from dermaflux.cli.output import ProgressBar, write_line
from dermaflux.domain.records import DISCLAIMER
from dermaflux.services import Services


def export(services: Services, command: Export) -> None:
    """Write the dataset and say what was written and what stayed behind."""
    with ProgressBar("Exporting") as on_step:
        report = services.export(command.dataset, command.format, command.out, on_step)
    write_line(
        f"{report.num_images} images, {report.num_bytes} bytes, {report.format} in {report.folder}"
    )
    for why, count in report.left_out.items():
        write_line(f"left out {count}: {why}")
    write_line(f"manifest sha256 {report.manifest_sha256}")
    write_line(DISCLAIMER)
