"""Writes what a reader must know of an exported dataset: `README.md` with hub front matter, and `LICENSE.md`.

The card follows the FDA's seven Cs for synthetic data (10.1038/s44172-025-00450-1). Plain text from counted facts; no
date, no machine, no person, so that equal exports have equal cards.
"""

import json
import re

from dermaflux.curation.export_choice import Choice
from dermaflux.curation.export_figures import Tally
from dermaflux.curation.export_records import ExportFormat
from dermaflux.curation.export_rows import ExportPlan
from dermaflux.curation.export_seven_cs import INTENDED_USE, LIMITS, OUT_OF_SCOPE, seven_cs, table
from dermaflux.domain.records import DISCLAIMER

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def readme(plan: ExportPlan, tally: Tally, choice: Choice, layout: ExportFormat, data_files: str) -> str:
    """The dataset card. `data_files` is the pattern of the files that hold the split."""
    size = next((name for limit, name in _SIZES if plan.num_images < limit), "1M<n<10M")
    front = [
        "annotations_creators:",
        "- machine-generated",
        "language:",
        "- en",
        "license: other",
        f"license_name: {json.dumps(licence_name(tally))}",
        "license_link: LICENSE.md",
        f"pretty_name: {json.dumps(plan.dataset)}",
        "size_categories:",
        f"- {size}",
        "task_categories:",
        "- image-classification",
        "tags:",
        "- synthetic",
        "- medical",
        "- dermatology",
        "configs:",
        "- config_name: default",
        "  data_files:",
        f"  - split: {plan.split.value}",
        f"    path: {json.dumps(data_files)}",
    ]
    return "\n".join(["---", *front, "---", "", _body(plan, tally, choice, layout)])


def licence_text(tally: Tally) -> str:
    """`LICENSE.md`: what the images inherit from the weights that made them."""
    rows = [
        (number, _cell(weights), _cell(licence) or "not stated by the model")
        for (weights, _, licence), number in sorted(tally.sources.items())
    ]
    return f"""# Licence

The images inherit the terms of the weights that made them; keep to the strictest that applies.

{table(("images", "weights", "licence"), rows)}
"""


def licence_name(tally: Tally) -> str:
    """The licences of the weights as one name."""
    names = sorted({licence for _, _, licence in tally.sources})
    slug = re.sub(r"[^a-z0-9.]+", "-", " ".join(names).lower()).strip("-")
    return slug[:96] or "not-stated"


def _body(plan: ExportPlan, tally: Tally, choice: Choice, layout: ExportFormat) -> str:
    models = ", ".join(sorted({model for _, model, _ in tally.sources}))
    return f"""# {plan.dataset}

**{DISCLAIMER}**

{plan.num_images} synthetic dermoscopy-like images of skin lesions, made by DermaFlux with {models} from written
descriptions, looked at by people one by one. No image shows a patient. All of them are in the split
`{plan.split.value}`: synthetic images do not belong in validation or test data. Layout: {layout.value}.

Each image comes with its caption; the requested asymmetry (0..2), border (0..8) and colours of the ABCD rule; the
same as measured on the image (`measured_*`, null where the measurement refused); a classifier's calibrated
probability of malignancy (`predicted_malignant`); the verdict of its reviewers; and all that is needed to make it
again: seed, steps, guidance, model and adapter with their sha256. The sidecars hold the same and who judged when,
under pseudonyms. `manifest.json` lists the sha256 of every file.

The figures below follow the seven criteria of the FDA's Office of Science and Engineering Laboratories for synthetic
medical data, and are computed from the images of this export.

{seven_cs(tally, choice)}## Intended use

{INTENDED_USE}

## Out of scope

{OUT_OF_SCOPE}

## Limits

{LIMITS}

## Licence

See `LICENSE.md`: inherited from the weights that made the images.
"""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
