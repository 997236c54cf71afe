"""The seven Cs of an exported set in words and tables: what the FDA's OSEL asks of synthetic medical data.

Source: 10.1038/s44172-025-00450-1. It turns figures into text and computes none.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dermaflux.curation.export_choice import SAID, Choice
from dermaflux.curation.export_figures import PATIENT, Tally
from dermaflux.curation.review_records import Estimate
from dermaflux.domain.lesion import DIAGNOSIS_NAMES, LEVEL_STEP, Diagnosis

INTENDED_USE = "Research and education: augmenting the training data of lesion classifiers, studying them, teaching."
OUT_OF_SCOPE = """Diagnosis, treatment or any clinical decision; validation or test of a medical product; claims about
real patients or about how often anything occurs; passing the images off as photographs; recovering images of the
generator's training data."""
LIMITS = """A generator repeats the biases and gaps of the pictures it was trained on, rare diagnoses and darker skin
above all. A model trained with these images must be tested on real images of the people it is meant for."""


def seven_cs(tally: Tally, choice: Choice) -> str:
    """The sections, one heading a criterion."""
    sections = {
        "Congruence": _congruence(tally),
        "Coverage": _coverage(tally),
        "Constraint": _constraint(tally, choice),
        "Completeness": _completeness(tally),
        "Compliance": _compliance(tally),
        "Comprehension": _comprehension(tally),
        "Consistency": _consistency(choice),
    }
    return "".join(f"## {name}\n\n{text.strip()}\n\n" for name, text in sections.items())


def table(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)


def _congruence(tally: Tally) -> str:
    def row(name: str) -> tuple[Any, ...]:
        found = tally.adherence(name)
        step = f"{_share(found.within_one_level)} (step {LEVEL_STEP[name]:g})"
        return name, _figure(found.spearman), step, found.num_measured

    predicted = [
        f"Mean P(malignant) of the {len(values)} images asked to be {'malignant' if malignant else 'benign'}: "
        f"{sum(values) / len(values):.2f}."
        for malignant, values in sorted(tally.predicted.items(), reverse=True)
    ]
    rows = [row(name) for name in LEVEL_STEP]
    return f"""Does an image show what was asked for? Requested against measured:

{table(("attribute", "Spearman", "within one level", "images measured"), rows)}

{" ".join(predicted) or "No image was classified."}
How near the images come to real ones is a question to the generator: see the card of its model.
"""


def _coverage(tally: Tally) -> str:
    names: Mapping[str, str] = {d.value: DIAGNOSIS_NAMES[d] for d in Diagnosis}
    diagnoses = [
        (code, names.get(code, "caption written by hand"), number)
        for code, number in sorted(tally.diagnoses.items())
    ]
    levels = [
        (name, "not stated" if level is None else f"{level:g}", number)
        for name in LEVEL_STEP
        for level, number in sorted(tally.levels[name].items(), key=lambda item: (item[0] is None, item[0] or 0))
    ]
    patients = [(name, value, number) for name in PATIENT for value, number in sorted(tally.patients[name].items())]
    return f"""{table(("diagnosis asked for", "name", "images"), diagnoses)}

{table(("attribute asked for", "nearest level", "images"), levels)}

{table(("stated in the request", "value", "images"), patients)}

The diagnosis is what was asked of the generator, not a finding: no clinician diagnosed these images.
"""


def _constraint(tally: Tally, choice: Choice) -> str:
    refused = tally.known["measurement refused"]
    refusals = f"{refused} of {tally.num_images} ({_share(refused / tally.num_images)})"
    sizes = ", ".join(f"{size} px ({number})" for size, number in sorted(tally.sizes_px.items(), key=str))
    behind = [(reason, number) for reason, number in choice.left_out.items()]
    kept_back = table(("left behind", "images"), behind) if behind else "No filter of the export left an image behind."
    return f"""Requests are checked before sampling: asymmetry 0..2, border 0..8, one to six colours. The measurement
refuses an image that shows no measurable lesion: refused were {refusals}.
Size: {sizes}.

{kept_back}
"""


def _completeness(tally: Tally) -> str:
    rows = [
        (name, number, _share(number / tally.num_images))
        for name, number in tally.known.items()
        if name != "measurement refused"
    ]
    return table(("known of an image", "images", "share"), rows)


def _compliance(tally: Tally) -> str:
    copies = tally.memorised
    return f"""Every image file says that it is synthetic: PNG iTXt `dermaflux` and XMP `DigitalSourceType`
trainedAlgorithmicMedia (DICOM: Synthetic Data = YES), and no file holds a person's data. Licence: `LICENSE.md`.
Synthetic images are refused in validation and test splits. Closeness to training images: {copies[False]} checked and
cleared, {copies[True]} flagged as too close, {copies[None]} not checked. Reviewers appear under pseudonyms.
"""


def _comprehension(tally: Tally) -> str:
    models = sorted(weights for weights, _, _ in tally.sources)
    made = "\n".join(f"- {weights}" for weights in models)
    return f"""A latent flow model draws each image from a caption that states the lesion; the caption is composed from
the requested attributes or written by hand. Made with:

{made}

Asymmetry, border and colours are measured on the image by segmentation and fixed formulas, calibrated in the units of
the request; the probability of malignancy comes from a classifier. Both judge pixels and know no request.
"""


def _consistency(choice: Choice) -> str:
    judged, shared = choice.judgements, choice.agreement
    reviewers = len({said.reviewer for each in judged.values() for said in each if not said.adjudicates})
    settled = sum(said.adjudicates for each in judged.values() for said in each)
    counts = ", ".join(f"{choice.verdicts.get(verdict, 0)} {word}" for verdict, word in SAID.items())
    who = f"{reviewers} reviewer{'' if reviewers == 1 else 's'}"
    return f"""{who} judged {len(judged)} images of the dataset: {counts}.
One reject keeps an image out, unless an adjudicator settled it; {settled} were settled so.
Equal verdicts of two reviewers on one image: {_estimate(shared.raw)}. Krippendorff's alpha of the verdicts:
{_estimate(shared.verdict_alpha)}.
The same set of images gives the same bytes and the same `set_sha256` in `manifest.json`.
"""


def _estimate(found: Estimate) -> str:
    if found.value is None:
        return f"not known ({(found.reason or 'no reason given').rstrip('.')})"
    return f"{found.value:.2f} over {found.num_images} images"


def _share(value: float | None) -> str:
    return "not known" if value is None else f"{100 * value:.0f} %"


def _figure(value: float | None) -> str:
    return "not known" if value is None else f"{value:.2f}"
