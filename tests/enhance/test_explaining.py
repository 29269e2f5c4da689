from __future__ import annotations

from collections.abc import Callable

import numpy as np
import polars as pl
import pytest

from llmdas_agent.enhance import EnhancedDetector
from llmdas_agent.errors import InputError
from llmdas_agent.synthesizer import Synthesizer


@pytest.fixture(scope="module")
def fitted(normal: np.ndarray, synthesizer_of: Callable[..., Synthesizer]) -> EnhancedDetector:
    return EnhancedDetector("pca", synthesizer=synthesizer_of(), random_state=0).fit(normal)


def test_names_the_column_that_is_wrong(fitted: EnhancedDetector, new: tuple) -> None:
    rows = new[0][:40].copy()
    wrong = np.arange(40) % 4
    scale = new[0].std(axis=0)
    rows[np.arange(40), wrong] += 8 * scale[wrong]
    told = fitted.explain(rows)
    assert told.columns == ("column_0", "column_1", "column_2", "column_3")
    np.testing.assert_allclose(told.scores, fitted.decision_function(rows), rtol=1e-9)
    # of two columns that belong together either one may be taken for the wrong one
    pair = {0: {0, 1}, 1: {0, 1}, 2: {2}, 3: {3}}
    blamed = told.contributions.argmax(axis=1)
    found = [int(column) in pair[int(truth)] for column, truth in zip(blamed, wrong, strict=True)]
    assert np.mean(found) > 0.95


def test_says_who_spoke(fitted: EnhancedDetector, new: tuple) -> None:
    told = fitted.explain(np.vstack(new)[::20])
    weighty = {name for name, weight in fitted.weights_.items() if weight}
    assert set(told.experts) == weighty
    assert set(told.spoke) <= weighty
    loudest = np.max(np.stack(list(told.experts.values())), axis=0)
    for name, row in zip(told.spoke, np.stack([*told.experts.values()]).T, strict=True):
        assert row[list(told.experts).index(name)] == row.max()
    assert loudest.max() > 3.0


def test_columns_of_words_are_explained_whole(mixed: pl.DataFrame, synthesizer: Synthesizer) -> None:
    detector = EnhancedDetector("pca", synthesizer=synthesizer, random_state=0).fit(mixed)
    odd = pl.DataFrame({"size": [9.0, 1.0], "colour": ["red", "mauve"], "old": [False] * 2, "code": [1] * 2})
    told = detector.explain(odd)
    assert told.columns == ("size", "colour", "old", "code")
    assert told.contributions.shape == (2, 4)
    assert [told.columns[j] for j in told.contributions.argmax(axis=1)] == ["size", "colour"]


def test_needs_the_neighbours(normal: np.ndarray, synthesizer: Synthesizer) -> None:
    detector = EnhancedDetector("pca", synthesizer=synthesizer, experts=("tails",), random_state=0).fit(
        normal
    )
    with pytest.raises(InputError, match="neighbours"):
        detector.explain(normal[:2])
