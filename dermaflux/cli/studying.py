"""The verbs on reader studies. Whoever runs them looks after the deployment, so they may see every study."""

from dermaflux.cli.output import write_json, write_line, write_table
from dermaflux.cli.retaining import agreed
from dermaflux.cli.study_commands import StudyExport, StudyRemove, StudyResults
from dermaflux.domain.records import DISCLAIMER
from dermaflux.domain.roles import Role, Visitor
from dermaflux.evaluation.reader_study_report import GroupFigures, ReaderFigures
from dermaflux.services import Services
from dermaflux.services.pictures import write_whole

OPERATOR = Visitor(name="command line", role=Role.ADMIN)


def studyresults(services: Services, command: StudyResults) -> None:
    """Report in words and tables."""
    report = services.study_results(command.name, OPERATOR, gives_up_reading=True)
    if command.json:
        write_json({"statement": DISCLAIMER, **report.to_dict()})
        return
    write_line(report.headline + "\n")
    groups = [("all readers", report.everyone), ("attentive readers", report.attentive)]
    write_table(
        ("group", "readers", "accuracy (95 %)", "sensitivity", "specificity", "auc", "d'", "alpha", "median s"),
        [_group(name, group) for name, group in groups if group],
    )
    write_line("")
    write_table(
        ("reader", "answers", "accuracy (95 %)", "auc", "median s", "checks", "repeats", "flagged"),
        [_reader(one) for one in report.readers],
    )
    write_line(DISCLAIMER)


def studyexport(services: Services, command: StudyExport) -> None:
    """Write the zip and say so."""
    write_whole(command.out, services.export_study(command.name, OPERATOR, gives_up_reading=True))
    write_line(f"the answers of {command.name} are in {command.out}; it names the readers")
    write_line(DISCLAIMER)


def studyremove(services: Services, command: StudyRemove) -> None:
    """Ask, then remove."""
    what = f"The study {command.name!r}, all its answers and its copies of pictures will be removed."
    if not agreed(what, "Go on? It cannot be undone.", command.yes):
        return
    services.remove_study(command.name, OPERATOR)
    write_line(f"{command.name} is removed")


def _group(name: str, group: GroupFigures) -> tuple[object, ...]:
    found = group.detection
    return (
        name, group.num_readers, found.accuracy, found.sensitivity, found.specificity, found.auc, found.d_prime,
        group.call_alpha, group.median_s,
    )  # fmt: skip


def _reader(one: ReaderFigures) -> tuple[object, ...]:
    found = one.detection
    return (
        one.reader, one.num_answers, found and found.accuracy, found and found.auc, one.median_s,
        f"{one.checks_passed}/{one.num_checks}", f"{one.repeats_equal}/{one.num_repeats}",
        "yes" if one.is_flagged else "",
    )  # fmt: skip
