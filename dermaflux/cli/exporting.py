"""The verbs that let datasets out, take them back in, and check what is outside."""

from dermaflux.cli.dataset_commands import Export, ImportExport, Provenance
from dermaflux.cli.output import ProgressBar, write_json, write_line
from dermaflux.domain.errors import ImageNotReadable
from dermaflux.domain.records import DISCLAIMER
from dermaflux.services import Services


def export(services: Services, command: Export) -> None:
    """Write the dataset and say what was written and what stayed behind."""
    choice = command.filters.choice()
    with ProgressBar("Exporting") as on_step:
        report = services.export(command.dataset, command.format, command.out, on_step, **choice)
    write_line(
        f"{report.num_images} images, {report.num_bytes} bytes, {report.format} in {report.folder}"
    )
    for why, count in report.left_out.items():
        write_line(f"left out {count}: {why}")
    write_line(f"manifest sha256 {report.manifest_sha256}")
    write_line(f"set sha256 {report.set_sha256}")
    if command.push is not None:
        write_line(f"uploaded to {services.push(report.folder, command.push, public=command.public)}")
    write_line(DISCLAIMER)


def importexport(services: Services, command: ImportExport) -> None:
    """Take the export in and say what came."""
    with ProgressBar("Importing") as on_step:
        report = services.import_export(command.folder, command.dataset, on_step)
    write_line(
        f"{report.num_images} images in {report.dataset}: {report.num_new_images} new to the store, "
        f"{report.num_decisions} decisions added"
    )
    write_line(f"set sha256 {report.set_sha256}")
    write_line(DISCLAIMER)


def provenance(services: Services, command: Provenance) -> int:
    """Say of each file whether it is intact; 1 when any was changed. Raises ImageNotReadable when any has no record."""
    states = []
    for check in services.check_files(command.paths):
        states.append(check.state)
        if command.json:
            write_json(check.to_dict())
            continue
        signed = f" (C2PA {check.signature}, {check.signed_by})" if check.signature else ""
        write_line(f"{check.state} {check.path}{signed}")
        for problem in check.problems:
            write_line(f"    {problem}")
    if "changed" in states:
        return 1
    if nothing := states.count("none"):
        raise ImageNotReadable(
            f"{nothing} of {len(states)} files carry no record of DermaFlux that can be read. Name the original files."
        )
    return 0
