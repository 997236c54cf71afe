"""The verbs that judge pictures: measure, classify and segment. A broken file never stops the others."""

import io
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dermaflux.cli.commands import Classify, Measure, Segment
from dermaflux.cli.output import with_progress, write_json, write_line, write_table
from dermaflux.domain.errors import ImageNotReadable, InvalidRequest
from dermaflux.domain.records import DISCLAIMER, Measurement, Prediction
from dermaflux.services import Services


def measure(services: Services, command: Measure) -> None:
    """Print what is measured on each picture."""
    pictures = services.find_pictures(command.paths)
    found = judged(pictures, services.measure_file, lambda why: Measurement(refused=why))
    if command.json:
        for path, measurement in found:
            write_json({"path": str(path)} | measurement.to_dict())
        return
    write_table(
        ("path", "asymmetry", "border", "colours", "area", "refused"),
        (
            (
                path,
                m.asymmetry,
                m.border,
                ", ".join(m.colours) or None,
                m.mask_area,
                m.refused or "",
            )
            for path, m in found
        ),
    )


def classify(services: Services, command: Classify) -> None:
    """Print the classifier's view of each picture, with the research statement."""
    pictures = services.find_pictures(command.paths)
    found = judged(pictures, services.classify_file, lambda why: Prediction(refused=why))
    if command.json:
        for path, prediction in found:
            write_json({"path": str(path)} | prediction.to_dict() | {"statement": DISCLAIMER})
        return
    write_table(
        ("path", "P(malignant)", "likeliest", "its P", "refused"),
        ((path, p.malignant, *_likeliest(p), p.refused or "") for path, p in found),
    )
    write_line(DISCLAIMER)


def segment(services: Services, command: Segment) -> None:
    """Write the mask of each picture, named as the picture, in its size."""
    pictures = services.find_pictures(command.paths)
    check_names(pictures, command.out, "masks")
    out = services.prepare_folder(command.out)

    def write(path: Path) -> Path:
        content = io.BytesIO()
        services.segment_file(path).save(content, "PNG")
        target = out / f"{path.stem}.png"
        services.write_whole(target, content.getvalue())
        return target

    for path, target in judged(pictures, write, lambda why: why):
        write_line(str(target) if isinstance(target, Path) else f"refused {path}: {target}")


def check_names(pictures: list[Path], out: Path, made: str) -> None:
    """Raise InvalidRequest when PNGs in `out`, named as the pictures, would overwrite each other or a picture."""
    doubles = [stem for stem, count in Counter(path.stem for path in pictures).items() if count > 1]
    if doubles:
        raise InvalidRequest(
            f"Several pictures are named {doubles[0]!r}, so their {made} would overwrite each other. Take them apart."
        )
    targets = {(out / f"{path.stem}.png").resolve() for path in pictures}
    if lost := [path for path in pictures if path.resolve() in targets]:
        raise InvalidRequest(f"The {made} in {out} would overwrite {lost[0]}. Choose another --out.")


def judged(
    pictures: list[Path], judge: Callable[[Path], Any], refuse: Callable[[str], Any]
) -> Iterator[tuple[Path, Any]]:
    """Each picture with its judgement or its refusal; ImageNotReadable at the end when none could be read."""
    problem, num_read = None, 0
    for path in with_progress(pictures, "Pictures"):
        try:
            judgement = judge(path)
            num_read += 1
        except ImageNotReadable as error:
            problem, judgement = error, refuse(str(error))
        yield path, judgement
    if problem and not num_read:
        raise problem


def _likeliest(prediction: Prediction) -> tuple[str | None, float | None]:
    if not prediction.diagnosis:
        return None, None
    return max(prediction.diagnosis.items(), key=lambda item: item[1])
