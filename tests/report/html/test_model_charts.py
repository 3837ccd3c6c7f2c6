import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, precision_score, recall_score

from stepladder.report.html import model_charts
from stepladder.report.html.model_charts import ModelResults, read_results
from stepladder.studies.design import metrics


@pytest.fixture
def results() -> ModelResults:
    random = np.random.default_rng(1)
    labels = np.arange(300, dtype=np.int64) % 3
    logits = random.normal(0, 1, (300, 3))
    logits[np.arange(300), labels] += 1
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    predicted = logits.argmax(axis=1)
    matrix = confusion_matrix(labels, predicted)
    return ModelResults(("a", "b", "c"), predicted, labels, matrix, shares.max(axis=1), None)


def test_the_matrix_is_that_of_scikit_learn(complete_study, tmp_path):
    study = complete_study(tmp_path, rungs=2, seeds=1, epochs=1)
    found = read_results(study, study.trials[0])
    assert (found.matrix == confusion_matrix(found.labels, found.predicted)).all()
    assert model_charts.confusion_chart(found)["counts"] == found.matrix.tolist()
    assert found.wrong == (found.predicted != found.labels).sum()


def test_classes_are_worst_first_with_recall_and_precision(results):
    table = model_charts.classes_table(results)
    recall = recall_score(results.labels, results.predicted, average=None)
    precision = precision_score(results.labels, results.predicted, average=None)
    assert [float(row[3]) for row in table.rows] == sorted(round(100 * share, 2) for share in recall)
    for name, _, _, found, _, exact in table.rows:
        place = results.names.index(name)
        assert float(found) == pytest.approx(100 * recall[place], abs=0.005)
        assert float(exact) == pytest.approx(100 * precision[place], abs=0.005)


def test_the_bins_add_up_to_the_calibration_error(results):
    chart = model_charts.calibration_chart(results)
    bins = chart["plain"]
    error = sum(one["n"] * abs(one["right"] - one["sure"]) for one in bins) / 300
    logits = np.random.default_rng(1).normal(0, 1, (300, 3))
    logits[np.arange(300), results.labels] += 1
    assert error == pytest.approx(100 * metrics.calibration_error(logits, results.labels), abs=0.01)
    assert chart["scaled"] is None


def test_many_classes_are_listed_and_not_drawn():
    labels = np.arange(200, dtype=np.int64) % 100
    predicted = labels.copy()
    predicted[:2] = 7
    matrix = confusion_matrix(labels, predicted)
    results = ModelResults(tuple(f"c{i}" for i in range(100)), predicted, labels, matrix, None, None)
    assert model_charts.confusion_chart(results) is None
    assert [row[:2] for row in model_charts.confusion_table(results).rows] == [("c0", "c7"), ("c1", "c7")]
    assert model_charts.classes_chart(results)["left_out"] == 40
    assert model_charts.calibration_chart(results) is None


def test_a_study_without_predictions_has_none(make_study):
    study = make_study(rungs=1, seeds=1, epochs=1)
    assert read_results(study, study.trials[0]) is None
