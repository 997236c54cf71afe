"""Fills the report of a reader study from its items and answers. It asks nobody's role and opens nothing."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np

from dermaflux.curation import agreement
from dermaflux.curation.agreement import MISSING, Metric
from dermaflux.curation.study_records import ItemKind, StudiedAnswer, Study, StudyItem, StudyReader
from dermaflux.domain.lesion import Diagnosis
from dermaflux.domain.study import LesionQuestion, Source
from dermaflux.evaluation.classifier_metrics import Bootstrap, Interval
from dermaflux.evaluation.reader_study import (
    CALLED_SYNTHETIC,
    lesion_accuracy,
    pooled_detection,
    rating_of,
    reader_detection,
)
from dermaflux.evaluation.reader_study_report import (
    GroupFigures,
    PairKappa,
    ReaderFigures,
    ReaderStudyReport,
)

NUM_RATINGS = 10
_SCORED = (ItemKind.REAL, ItemKind.SYNTHETIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecords:
    """All that is stored of a study."""

    study: Study
    items: Sequence[StudyItem]
    readers: Sequence[StudyReader]
    answers: Sequence[StudiedAnswer]


class _Readings:
    """The answers as arrays, pictures (N,) x readers (P,)."""

    def __init__(self, records: StudyRecords) -> None:
        self.records = records
        self.scored = [item for item in records.items if item.kind in _SCORED]
        self.synthetic = np.array([item.kind is ItemKind.SYNTHETIC for item in self.scored])
        self.by_reader: dict[str, dict[str, StudiedAnswer]] = {}
        for answer in records.answers:
            self.by_reader.setdefault(answer.reader, {})[answer.item_id] = answer

    def of(self, reader: str) -> list[StudiedAnswer]:
        """What a reader said of the pictures that count."""
        said = self.by_reader.get(reader, {})
        return [said[item.item_id] for item in self.scored if item.item_id in said]

    def rating(self, readers: Sequence[str]) -> np.ndarray:
        """Ratings 1..10, nan where there is no answer."""
        confidence = np.full((len(self.scored), len(readers)), np.nan)
        called = np.zeros(confidence.shape, dtype=bool)
        for place, said in self._said(readers):
            called[place] = said.answer.source is Source.SYNTHETIC
            confidence[place] = said.answer.confidence
        return rating_of(called, confidence)

    def lesion_right(self, readers: Sequence[str]) -> np.ndarray | None:
        """1 where the lesion was named right, 0 where not, nan where nothing is known; None where it is not asked."""
        question = self.records.study.plan.question
        if question is LesionQuestion.NONE:
            return None
        right = np.full((len(self.scored), len(readers)), np.nan)
        for (row, column), said in self._said(readers):
            truth = _known_lesion(self.scored[row], question)
            if truth is not None:
                right[row, column] = said.answer.lesion is truth
        return right

    def _said(self, readers: Sequence[str]) -> list[tuple[tuple[int, int], StudiedAnswer]]:
        return [
            ((row, column), self.by_reader[reader][item.item_id])
            for column, reader in enumerate(readers)
            for row, item in enumerate(self.scored)
            if item.item_id in self.by_reader.get(reader, {})
        ]


def report_of(records: StudyRecords, how: Bootstrap | None = None) -> ReaderStudyReport:
    """The whole report. Who has read to the end counts; in a closed study also who had judged both kinds."""
    readings, how = _Readings(records), how or Bootstrap(seed=0)
    begun = [reader for reader in records.readers if reader.num_answered]
    figures = tuple(_reader(readings, reader, how) for reader in begun)
    is_closed = not records.study.is_open
    counted = [one for one in figures if one.detection and (one.is_finished or is_closed)]
    flagged = [one for one in counted if one.is_flagged]
    attentive = [one.reader for one in counted if not one.is_flagged]
    return ReaderStudyReport(
        study=records.study.name,
        num_pictures=len(readings.scored),
        readers=figures,
        num_flagged=len(flagged),
        num_unfinished=sum(not one.is_finished for one in figures),
        everyone=_group(readings, [one.reader for one in counted], how),
        attentive=_group(readings, attentive, how) if flagged else None,
    )


def for_reader(report: ReaderStudyReport, reader: str) -> ReaderStudyReport:
    """The report as one of the readers may see it: their own figures and the group's, nobody else's."""

    def without_pairs(group: GroupFigures | None) -> GroupFigures | None:
        return replace(group, pairs=()) if group else None

    return replace(
        report,
        readers=tuple(one for one in report.readers if one.reader == reader),
        everyone=without_pairs(report.everyone),
        attentive=without_pairs(report.attentive),
    )


def _reader(readings: _Readings, reader: StudyReader, how: Bootstrap) -> ReaderFigures:
    name, said = reader.reader, readings.by_reader.get(reader.reader, {})
    rating, lesion = readings.rating([name]), readings.lesion_right([name])
    judged = readings.synthetic[~np.isnan(rating[:, 0])]
    both = bool(judged.any()) and not judged.all()
    scored = readings.of(name)
    checks = [(item, said[item.item_id]) for item in readings.records.items if item.wanted and item.item_id in said]
    repeats = [
        (said[item.item_id], said[item.repeats])
        for item in readings.records.items
        if item.repeats in said and item.item_id in said
    ]
    return ReaderFigures(
        reader=name,
        num_answers=len(scored),
        is_finished=reader.finished_at is not None,
        detection=reader_detection(readings.synthetic, rating[:, 0], how) if both else None,
        lesion=lesion_accuracy(readings.synthetic, lesion, how) if lesion is not None else None,
        median_s=_median_s(scored),
        checks_passed=sum(item.wanted == (one.answer.source, one.answer.confidence) for item, one in checks),
        num_checks=len(checks),
        repeats_equal=sum(one.answer.source is other.answer.source for one, other in repeats),
        num_repeats=len(repeats),
        num_zoomed=sum(one.answer.zoomed for one in scored),
    )


def _group(readings: _Readings, readers: Sequence[str], how: Bootstrap) -> GroupFigures | None:
    if not readers:
        return None
    rating, lesion = readings.rating(readers), readings.lesion_right(readers)
    given = ~np.isnan(rating)
    calls = np.where(given, np.nan_to_num(rating) > CALLED_SYNTHETIC, MISSING).astype(np.int8)
    ranks = np.where(given, np.nan_to_num(rating) - 1, MISSING).astype(np.int8)
    return GroupFigures(
        num_readers=len(readers),
        detection=pooled_detection(readings.synthetic, rating, how),
        lesion=lesion_accuracy(readings.synthetic, lesion, how) if lesion is not None else None,
        median_s=float(np.median([_median_s(readings.of(reader)) for reader in readers])),
        call_alpha=_alpha(calls, 2, Metric.NOMINAL, how),
        rating_alpha=_alpha(ranks, NUM_RATINGS, Metric.ORDINAL, how),
        pairs=tuple(
            PairKappa(
                readers=(readers[one], readers[other]),
                kappa=_interval(agreement.cohen_kappa(calls[:, one], calls[:, other], 2)),
            )
            for one, other in combinations(range(len(readers)), 2)
        ),
    )


def _known_lesion(item: StudyItem, question: LesionQuestion) -> Diagnosis | None:
    """What should have been answered; None where the picture's diagnosis is not known finely enough."""
    if item.diagnosis is None:
        return None
    diagnosis = Diagnosis(item.diagnosis)
    truth = diagnosis.side if question is LesionQuestion.SIDE else diagnosis
    return truth if truth in question.answers else None


def _median_s(answers: Sequence[StudiedAnswer]) -> float:
    return float(np.median([one.answer.browser_ms for one in answers])) / 1000 if answers else 0.0


def _alpha(codes: np.ndarray, num_values: int, metric: Metric, how: Bootstrap) -> Interval | None:
    counts = agreement.value_counts(codes, num_values)
    return _interval(agreement.krippendorff_alpha(counts, metric, how.seed)) if len(counts) else None


def _interval(found: agreement.Interval | None) -> Interval | None:
    return Interval(value=found.value, low=found.low, high=found.high) if found else None
