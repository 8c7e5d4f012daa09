"""Writes reference.json: the figures of scikit-learn for random predictions.

    python crates/train/tests/all/reference.py > crates/train/tests/all/reference.json
"""

import json
import warnings

import numpy as np
from sklearn import metrics

warnings.filterwarnings("ignore")
rng = np.random.default_rng(0)
plain = lambda value: None if np.isnan(value) else float(value)


def classes(n, count, present, ties):
    """Scores with ties, or without; targets among the classes that are present."""
    if ties:
        scores = rng.integers(1, 5, (n, count)).astype(float)
    else:
        scores = rng.permutation(n * count).reshape(n, count) + 1.0
    scores /= scores.sum(1, keepdims=True)
    targets = rng.choice(present, n)
    predicted = scores.argmax(1)
    case = {"scores": scores.tolist(), "targets": targets.tolist()}
    case["accuracy"] = metrics.accuracy_score(targets, predicted)
    case["confusion"] = metrics.confusion_matrix(targets, predicted, labels=range(count)).tolist()
    if not ties:  # Of equal scores, scikit-learn takes the last first.
        case["top2"] = metrics.top_k_accuracy_score(targets, scores, k=2, labels=range(count))
    for average in [None, "macro", "micro", "weighted"]:
        options = {"labels": range(count)} if average is None else {}
        values = metrics.precision_recall_fscore_support(
            targets, predicted, average=average, zero_division=0, **options
        )
        case[average or "each"] = [np.asarray(value).tolist() for value in values[:3]]
    if set(targets) == set(range(count)) and count > 2:
        case["area"] = metrics.roc_auc_score(targets, scores, multi_class="ovr")
    return case


def binary(n, positive, ties):
    scores = rng.integers(0, 4, n) / 4.0 if ties else rng.normal(size=n)
    targets = (rng.random(n) < positive).astype(int)
    return {
        "scores": scores.tolist(),
        "targets": targets.tolist(),
        "area": plain(metrics.roc_auc_score(targets, scores)),
        "precision": plain(metrics.average_precision_score(targets, scores)),
    }


def numbers(targets, predictions):
    return {
        "predictions": predictions.tolist(),
        "targets": targets.tolist(),
        "mae": metrics.mean_absolute_error(targets, predictions),
        "mse": metrics.mean_squared_error(targets, predictions),
        "rmse": metrics.root_mean_squared_error(targets, predictions),
        "r2": plain(metrics.r2_score(targets, predictions)),
    }


normal = lambda n: rng.normal(size=n)
print(
    json.dumps(
        {
            "classes": [
                classes(24, 3, [0, 1, 2], True),
                classes(24, 4, [0, 1, 2, 3], False),
                classes(16, 5, [1, 3], True),
                classes(8, 5, [0, 4], False),
                classes(8, 3, [2], True),
                classes(6, 2, [0, 1], True),
                classes(1, 3, [1], True),
            ],
            "binary": [
                binary(32, 0.5, True),
                binary(32, 0.3, False),
                binary(24, 0.1, True),
                binary(8, 1.0, True),
                binary(8, 0.0, False),
            ],
            "numbers": [
                numbers(normal(16), normal(16)),
                numbers(1e6 + normal(16), 1e6 + normal(16)),
                numbers(np.full(4, 2.0), normal(4)),
                numbers(np.full(4, 2.0), np.full(4, 2.0)),
                numbers(normal(1), normal(1)),
            ],
        }
    )
)
