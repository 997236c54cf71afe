"""Writes what a reader must know of an exported dataset: `README.md` with hub front matter, and `LICENSE.md`.

Plain text from counted facts; no date, no machine, no person, so that equal exports have equal cards.
"""

import json
import re

from dermaflux.curation.export_rows import ExportPlan, Tally
from dermaflux.curation.records import ExportFormat
from dermaflux.domain.lesion import DIAGNOSIS_NAMES, Diagnosis
from dermaflux.domain.records import DISCLAIMER

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))


def readme(plan: ExportPlan, tally: Tally, layout: ExportFormat, data_files: str) -> str:
    """The dataset card. `data_files` is the pattern of the files that hold the split."""
    size = next((name for limit, name in _SIZES if plan.num_images < limit), "1M<n<10M")
    front = [
        "annotations_creators:",
        "- machine-generated",
        "language:",
        "- en",
        "license: other",
        f"license_name: {json.dumps(_licence_name(tally))}",
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
    return "\n".join(["---", *front, "---", "", _body(plan, tally, layout)])


def licence_text(tally: Tally) -> str:
    """`LICENSE.md`: what the images inherit from the weights that made them."""
    lines = [
        "# Licence",
        "",
        "The images inherit the terms of the weights that made them; keep to the strictest that applies.",
        "",
        "| images | weights | licence |",
        "|---|---|---|",
    ]
    for (weights, _, licence), number in sorted(tally.sources.items()):
        lines.append(f"| {number} | {_cell(weights)} | {_cell(licence) or 'not stated by the model'} |")
    return "\n".join([*lines, ""])


def _body(plan: ExportPlan, tally: Tally, layout: ExportFormat) -> str:
    models = ", ".join(sorted({model for _, model, _ in tally.sources}))
    return f"""# {plan.dataset}

**{DISCLAIMER}**

{plan.num_images} synthetic dermoscopy-like images of skin lesions, made by DermaFlux with {models} from written
descriptions, looked at by people one by one, and accepted. No image shows a patient. All of them are in the split
`{plan.split.value}`: synthetic images do not belong in validation or test data. Layout: {layout.value}.

## What is in it

| diagnosis asked for | name | images |
|---|---|---|
{_diagnosis_table(tally)}

Each image comes with its caption; the requested asymmetry (0..2), border (0..8) and colours of the ABCD rule; the
same as measured on the image (`measured_*`, null where the measurement refused); a classifier's calibrated
probability of malignancy (`predicted_malignant`); and all that is needed to make it again: seed, steps, guidance,
model and adapter with their sha256. Every image carries this record inside (PNG iTXt `dermaflux`, XMP
`DigitalSourceType` trainedAlgorithmicMedia). `manifest.json` lists the sha256 of every file.

The diagnosis is what was asked of the generator, not a finding: no clinician diagnosed these images.

## Intended use

Research and education: augmenting the training data of lesion classifiers, studying them, teaching.

## Out of scope

Diagnosis, treatment or any clinical decision; validation or test of a medical product; claims about real patients
or about how often anything occurs; passing the images off as photographs; recovering images of the generator's
training data.

## Limits

A generator repeats the biases and gaps of the pictures it was trained on, rare diagnoses and darker skin above all.
A model trained with these images must be tested on real images of the people it is meant for.

## Licence

See `LICENSE.md`: inherited from the weights that made the images.
"""


def _diagnosis_table(tally: Tally) -> str:
    names = {d.value: DIAGNOSIS_NAMES[d] for d in Diagnosis}
    return "\n".join(
        f"| {code} | {names.get(code, 'caption written by hand')} | {number} |"
        for code, number in sorted(tally.diagnoses.items())
    )


def _licence_name(tally: Tally) -> str:
    names = sorted({licence for _, _, licence in tally.sources})
    slug = re.sub(r"[^a-z0-9.]+", "-", " ".join(names).lower()).strip("-")
    return slug[:96] or "not-stated"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
