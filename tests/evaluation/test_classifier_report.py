"""The report gathers what its parts say, and counts what was refused."""

import json

import numpy as np
import pytest

from dermaflux.domain.errors import InvalidRequest
from dermaflux.domain.records import Prediction
from dermaflux.evaluation import classifier_metrics as cm
from dermaflux.evaluation.classifier_report import JudgedPicture, classifier_report

HOW = cm.Bootstrap(num_resamples=50)


def _judged(diagnosis, malignant, lesion_id, refused=None):
    said = {"nv": 1 - malignant, "mel": malignant}
    prediction = Prediction(refused=refused) if refused else Prediction(
        malignant=malignant, diagnosis=said, threshold=0.4
    )  # fmt: skip
    groups = {"sex": "female" if int(lesion_id) % 2 else None}
    return JudgedPicture(
        diagnosis=diagnosis, positive=diagnosis == "mel", lesion_id=lesion_id, prediction=prediction, groups=groups
    )


@pytest.fixture
def judged():
    rng = np.random.default_rng(0)
    found = []
    for index in range(80):
        name = "mel" if index % 4 == 0 else "nv"
        score = float(np.clip(rng.normal(0.6 if name == "mel" else 0.3, 0.2), 0, 1))
        found.append(_judged(name, score, str(index // 2)))
    return found


def test_the_report_holds_every_part(judged):
    report = classifier_report([*judged, _judged("nv", 0, "99", refused="blank")], HOW)
    labels, scores = [j.positive for j in judged], np.array([j.prediction.malignant for j in judged])
    assert (report.num_pictures, report.num_lesions, report.num_refused) == (80, 40, 1)
    assert report.figures == cm.binary_metrics(labels, scores, threshold=0.4)
    assert report.intervals["auc"].value == pytest.approx(report.figures["auc"])
    assert report.intervals["auc"].low < report.figures["auc"] < report.intervals["auc"].high
    assert sum(b.num_pictures for b in report.reliability) == 80
    assert report.diagnoses["mel"].called_positive == report.figures["sensitivity"]
    assert list(report.diagnoses) == ["nv", "mel"]
    assert report.multiclass.num_pictures == 80
    assert set(report.subgroups["sex"].cells) == {"female", "unknown"}
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["num_refused"] == 1


def test_a_plain_diagnosis_counts_for_the_answer_and_not_for_the_classes(judged):
    more = [*judged, *(_judged("benign", 0.1, "98") for _ in range(3))]
    report = classifier_report(more, HOW)
    assert (report.num_pictures, report.multiclass.num_pictures) == (83, 80)


def test_what_gives_no_figure_is_refused(judged):
    with pytest.raises(InvalidRequest, match="refused every picture"):
        classifier_report([_judged("nv", 0, "1", refused="blank")], HOW)
    with pytest.raises(InvalidRequest, match="hold both"):
        classifier_report([j for j in judged if not j.positive], HOW)
