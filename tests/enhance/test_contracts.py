"""What scikit-learn, SUOD and PyThresh ask of a detector."""

from __future__ import annotations

from unittest import SkipTest

import numpy as np
from sklearn.utils.estimator_checks import estimator_checks_generator

from llmdas_agent.enhance import EnhancedDetector
from llmdas_agent.registry import Registry
from llmdas_agent.synthesizer import Synthesizer

IMPOSSIBLE = {
    "check_do_not_raise_errors_in_init_or_set_params": "PyOD checks contamination when it is constructed",
    "check_outliers_fit_predict": "PyOD's labels are 0 and 1, scikit-learn's 1 and -1",
    "check_outliers_train": "PyOD's labels are 0 and 1, scikit-learn's 1 and -1",
}
"""The checks that PyOD's contract rules out, and why."""


def test_scikit_learns_checks_pass(synthesizer: Synthesizer) -> None:
    Registry().add(synthesizer)
    detector = EnhancedDetector("pca", experts=("neighbours", "tails"), random_state=0)
    failed = {}
    for estimator, check in estimator_checks_generator(detector, mark="skip"):
        name = getattr(check, "func", check).__name__
        try:
            check(estimator)
        except SkipTest:
            continue  # scikit-learn's array API checks need an environment variable
        except Exception as error:
            failed[name] = f"{type(error).__name__}: {error}"
    assert set(failed) <= set(IMPOSSIBLE), failed


def test_works_inside_suod(normal: np.ndarray, new: tuple, synthesizer: Synthesizer) -> None:
    from pyod.models.suod import SUOD

    detector = EnhancedDetector("pca", synthesizer=synthesizer, experts=("tails",), random_state=0)
    both = SUOD(base_estimators=[detector, detector], n_jobs=1, verbose=False).fit(normal)
    assert both.decision_function(new[1]).mean() > both.decision_function(new[0]).mean()


def test_takes_a_threshold_from_pythresh(normal: np.ndarray, new: tuple, synthesizer: Synthesizer) -> None:
    from pyod.models.thresholds import IQR

    detector = EnhancedDetector("pca", synthesizer=synthesizer, contamination=IQR(), random_state=0)
    detector.fit(normal)
    assert 0.0 < detector.labels_.mean() < 0.5
    rows, wrong = new
    assert detector.predict(wrong).mean() > detector.predict(rows).mean()
    assert set(detector.predict(rows)) <= {0, 1}
