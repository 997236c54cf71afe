"""The opposites of a lesion: what a picture is pushed away from, so that the sliders show.

A generator hears the loud words of a caption (colours, diagnosis) and hardly the quiet ones (asymmetry, border). The
difference between what it would draw for a lesion and for its opposite is what those words mean to it, and can be made
louder (contrastive prompts as in Liu 2022, composable diffusion, arXiv 2206.01714). It knows no generator.
"""

from dataclasses import dataclass, replace

from dermaflux.domain.lesion import ASYMMETRY_RANGE, BORDER_RANGE, Diagnosis, LesionSpec

CONTRAST_RANGE = (0.0, 10.0)
_DIAGNOSIS_SHARE = 0.3  # the diagnosis is heard better than the shape and needs less


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """A lesion to push away from, and how strongly: 1 doubles the difference between the two."""

    away_from: LesionSpec
    scale: float


def contrasts(spec: LesionSpec, scale: float) -> tuple[Contrast, ...]:
    """What to push away from at a contrast scale: the mirrored shape, and the other side of malignant; none at 0.

    A shape in the middle of both sliders is its own mirror image: pushing away from it changes nothing. One that is
    extreme in both lies twice as far from its mirror image as one that is extreme in one, and is pushed half as much.
    """
    if scale == 0:
        return ()
    mirrored = replace(
        spec, asymmetry=sum(ASYMMETRY_RANGE) - spec.asymmetry, border=sum(BORDER_RANGE) - spec.border
    )
    other = replace(spec, diagnosis=Diagnosis.BENIGN if spec.malignant else Diagnosis.MALIGNANT)
    apart = abs(spec.asymmetry - mirrored.asymmetry) / ASYMMETRY_RANGE[1]
    apart += abs(spec.border - mirrored.border) / BORDER_RANGE[1]
    return (
        Contrast(away_from=mirrored, scale=scale / max(1.0, apart)),
        Contrast(away_from=other, scale=_DIAGNOSIS_SHARE * scale),
    )
