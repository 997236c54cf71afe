"""The verbs that look into the classifier on generated pictures: explain and strip."""

import io
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from PIL import Image

from dermaflux.cli.classifier_commands import Explain, Strip
from dermaflux.cli.flags import SamplingFlags
from dermaflux.cli.judging import check_names, judged
from dermaflux.cli.making import sampling_request
from dermaflux.cli.output import ProgressBar, write_json, write_line, write_table
from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import DISCLAIMER
from dermaflux.services import Services
from dermaflux.services.records import Explanation, StripStep
from dermaflux.services.strip_sheet import strip_sheet

_MIDDLE: dict[str, Any] = {"asymmetry": 1.0, "border": 4.0, "colours": "3"}
_ATTRIBUTES = {"colours": "num_colours"}
_SHOWN = ("malignant", "side", "deletion", "insertion", "inside_lesion_share", "lesion_area")


def explain(services: Services, command: Explain) -> None:
    """Write the overlay of each picture, named as the picture, and print its scores."""
    pictures = services.find_pictures(command.paths)
    check_names(pictures, command.out, "overlays")
    out = services.prepare_folder(command.out)
    rows: list[tuple[Any, ...]] = []

    def look(path: Path) -> Explanation:
        try:
            return services.explain_file(path, command.side)
        except InvalidRequest as error:  # of this picture nothing is known; the others may say more
            return Explanation(refused=str(error))

    for path, found in judged(pictures, look, lambda why: Explanation(refused=why)):
        if found.overlay is not None:
            services.write_whole(out / f"{path.stem}.png", _png(found.overlay))
        if command.json:
            write_json({"path": str(path)} | found.to_dict() | {"statement": DISCLAIMER})
        rows.append((path, *(getattr(found, name) for name in _SHOWN), found.refused or ""))
    if not command.json:
        heading = ("path", "P(malignant)", "side", "deletion", "insertion", "inside lesion", "lesion", "refused")
        write_table(heading, rows)
        write_line(DISCLAIMER)


def strip(services: Services, command: Strip) -> None:
    """Write the images of a strip and the strip itself, and print what was found at each step."""
    attribute = _ATTRIBUTES.get(command.along, command.along)
    values = services.strip_values(attribute, command.steps)
    lesion = command.lesion
    if getattr(lesion, command.along) is None:
        lesion = replace(lesion, **{command.along: _MIDDLE[command.along]})
    spec = lesion.spec()
    flags = SamplingFlags(**asdict(command.drawing))
    request = replace(sampling_request(services, services.compose_caption(spec), 1, flags), spec=spec)
    out = services.prepare_folder(command.out)
    steps: list[StripStep] = []
    rows: list[tuple[Any, ...]] = []
    with ProgressBar("Strip") as on_step:
        for step in services.probability_along(request, attribute, values):
            steps.append(step)
            path = services.write_generated(step.generated, out)
            on_step(len(steps), len(values))
            if command.json:
                write_json(step.to_dict() | {"path": str(path), "statement": DISCLAIMER})
            rows.append((step.value, step.malignant, step.measured, path))
    sheet = out / f"strip-{command.along}-{request.seed}.png"
    services.write_whole(sheet, _png(strip_sheet(steps)))
    if not command.json:
        write_table((command.along, "P(malignant)", "measured", "path"), rows)
        write_line(f"{sheet}\n{DISCLAIMER}")


def _png(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()
