"""Figures of an exported set for its card: counts, asked against measured, refusals.

Numbers only, collected while the rows go by; it writes nothing and decides nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dermaflux.curation.export_rows import ExportRow
from dermaflux.domain.caption import asymmetry_level, border_level
from dermaflux.domain.lesion import LEVEL_STEP

NOT_STATED = "not stated"
PATIENT = ("sex", "site", "skin_tone")
_LEVEL_OF = {"asymmetry": asymmetry_level, "border": border_level, "num_colours": float}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adherence:
    """One attribute over the images on which it could be measured: Spearman -1..1 (None where it has no meaning)."""

    spearman: float | None
    within_one_level: float | None
    num_measured: int


@dataclass(slots=True)
class Tally:
    """What went by: diagnoses and levels asked for, weights and licences, pairs of asked and measured."""

    num_images: int = 0
    diagnoses: Counter[str] = field(default_factory=Counter)
    sources: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    levels: dict[str, Counter[float | None]] = field(default_factory=lambda: defaultdict(Counter))
    patients: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    known: Counter[str] = field(default_factory=Counter)
    memorised: Counter[bool | None] = field(default_factory=Counter)
    sizes_px: Counter[int | None] = field(default_factory=Counter)
    pairs: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    predicted: dict[bool, list[float]] = field(default_factory=lambda: defaultdict(list))
    latest: str = ""

    def add(self, row: ExportRow) -> None:
        """Count one image."""
        fields = row.fields
        self.num_images += 1
        self.diagnoses[fields["diagnosis"] or NOT_STATED] += 1
        weights = f"{fields['model']} (sha256 {fields['model_sha256']})"
        if fields["adapter"]:
            weights += f" + {fields['adapter']} (sha256 {fields['adapter_sha256']})"
        self.sources[weights, fields["model"], fields["licence"] or ""] += 1
        self.sizes_px[fields["size_px"]] += 1
        self.memorised[row.sidecar["memorised"]] += 1
        self.latest = max([self.latest, *(said["decided_at"] for said in row.sidecar["decisions"])])
        self._add_attributes(fields)
        self._add_known(fields, row.sidecar)

    def adherence(self, attribute: str) -> Adherence:
        """How far what was measured follows what was asked, over the images with both."""
        pairs = self.pairs[attribute]
        if not pairs:
            return Adherence(spearman=None, within_one_level=None, num_measured=0)
        near = sum(abs(asked - found) <= LEVEL_STEP[attribute] + 1e-9 for asked, found in pairs)
        return Adherence(
            spearman=_spearman(pairs), within_one_level=near / len(pairs), num_measured=len(pairs)
        )

    def _add_attributes(self, fields: Mapping[str, Any]) -> None:
        for name, level_of in _LEVEL_OF.items():
            asked, found = fields[name], fields[f"measured_{name}"]
            self.levels[name][None if asked is None else level_of(asked)] += 1
            if asked is not None and found is not None:
                self.pairs[name].append((asked, found))
        for name in PATIENT:
            self.patients[name][fields[name] or NOT_STATED] += 1
        if fields["malignant"] is not None and fields["predicted_malignant"] is not None:
            self.predicted[fields["malignant"]].append(fields["predicted_malignant"])

    def _add_known(self, fields: Mapping[str, Any], sidecar: Mapping[str, Any]) -> None:
        self.known["caption"] += bool(fields["caption"])
        self.known["requested attributes"] += fields["diagnosis"] is not None
        self.known["seed, model and its sha256"] += bool(fields["seed"] is not None and fields["model_sha256"])
        self.known["measurement"] += fields["measured_asymmetry"] is not None
        self.known["measurement refused"] += fields["measurement_refused"] is not None
        self.known["prediction"] += fields["predicted_malignant"] is not None
        self.known["verdict of a reviewer"] += bool(sidecar["decisions"])


def _spearman(pairs: Sequence[tuple[float, float]]) -> float | None:
    """None with fewer than three images, or where one side never changes."""
    asked, found = zip(*pairs, strict=True)
    if len(pairs) < 3 or len(set(asked)) < 2 or len(set(found)) < 2:
        return None
    from scipy.stats import rankdata

    return float(np.corrcoef(rankdata(asked), rankdata(found))[0, 1])
