"""The verb evaluate probe: whether the accepted images of a dataset help, as a table."""

from dermaflux.cli.output import progress_bar, write_json, write_line, write_table
from dermaflux.cli.set_commands import Probe
from dermaflux.domain.records import DISCLAIMER
from dermaflux.evaluation.probe_report import ProbeReport
from dermaflux.services import Services
from dermaflux.services.records import ProbeRequest, ProbeStep


def probe(services: Services, command: Probe) -> None:
    """Ask and report."""
    report = _asked(services, command)
    if command.json:
        by = str(command.features or "embedded classifier")
        write_json(report.to_dict() | {"features": by, "dataset": command.dataset, "statement": DISCLAIMER})
        return
    write_table(
        ("figure", "without", "with", "change (95 %)", "judged on", "added"),
        [
            (name, f"{figure.without:.3f}", f"{figure.with_added:.3f}", figure.change, num_judged, num_added)
            for name, figure, num_judged, num_added in report.rows()
        ],
    )
    write_line(f"\n{report.headline}")


def _asked(services: Services, command: Probe) -> ProbeReport:
    request = ProbeRequest(
        dataset=command.dataset,
        real=command.real,
        split=command.split,
        held_out=command.held_out,
        features=command.features,
        num_real=command.num_real,
        num_draws=command.num_draws,
        seed=command.seed,
    )
    with progress_bar("Probing") as bar:
        for event in services.probe(request):
            if not isinstance(event, ProbeStep):
                return event
            bar.set_description(event.doing)
            bar.total = event.total or None
            bar.update(event.done - bar.n)
    raise AssertionError("a probe ends with its report")

