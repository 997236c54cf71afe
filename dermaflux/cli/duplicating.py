"""The verb duplicates: gathers pictures from files, a dataset and a reference; services describe and compare them."""

from collections.abc import Callable
from typing import Any

from PIL import Image

from dermaflux.cli.output import ProgressBar, write_json, write_line, write_table
from dermaflux.cli.set_commands import Duplicates
from dermaflux.services import Services
from dermaflux.services.real_pictures import read_real


def duplicates(services: Services, command: Duplicates) -> None:
    """Print the groups of pictures that are alike, or which of them are alike to one of the reference."""
    thresholds = services.duplicate_thresholds(command.distance, command.phash_bits)
    names, load = _pictures(services, command)
    with ProgressBar("Describing") as on_step:
        prints = services.fingerprints(len(names), load, on_step)
    if command.against is not None:
        _print_leaks(services, command, (names, prints, thresholds))
        return
    report = services.find_duplicates(prints, thresholds)
    pairs = [_pair(pair, names, names) for pair in report.pairs]
    if command.json:
        groups = [[names[row] for row in group] for group in report.groups]
        write_json({"num_images": report.num_images, "num_extra": report.num_extra, "groups": groups, "pairs": pairs})
        return
    write_table(("first", "second", "alike", "distance"), [tuple(pair.values()) for pair in pairs])
    write_line(f"{report.num_extra} of {report.num_images} pictures repeat another one")


def _print_leaks(services: Services, command: Duplicates, compared: tuple[list[str], Any, Any]) -> None:
    names, prints, thresholds = compared
    assert command.against is not None
    with read_real(command.against, command.split, None, 0) as reference:
        pictures = reference.pictures
        with ProgressBar("Reference") as on_step:
            others = services.fingerprints(len(pictures), lambda row: reference.load(pictures[row]), on_step)
    found = services.find_leaks(prints, others, thresholds)
    leaks = [_pair(leak, names, [p.name for p in pictures]) for leak in found]
    if command.flag:
        services.mark_memorised(names, {leak["first"] for leak in leaks})
    if command.json:
        write_json({"num_images": len(names), "num_reference": len(pictures), "leaks": leaks})
        return
    write_table(("picture", "is in the other set", "alike", "distance"), [tuple(leak.values()) for leak in leaks])
    write_line(f"{len(leaks)} of {len(names)} pictures are alike to one of {len(pictures)} others")


def _pictures(services: Services, command: Duplicates) -> tuple[list[str], Callable[[int], Image.Image]]:
    if command.dataset is None:
        paths = services.find_pictures(command.paths)
        return [str(path) for path in paths], lambda row: services.open_picture(paths[row])
    ids = services.accepted_ids(command.dataset)
    return list(ids), lambda row: services.stored_picture(ids[row])


def _pair(pair: Any, names: list[str], others: list[str]) -> dict[str, Any]:
    return {
        "first": names[pair.first],
        "second": others[pair.second],
        "kind": str(pair.kind),
        "distance": round(pair.distance, 5),
    }
