"""A conformance suite for authors of plugins: subclass it with one fixture, and pytest does the rest.

::

    class TestConformance(DetectorConformance):
        @pytest.fixture(params=llmdas_detectors(), ids=lambda entry: entry.name)
        def entry(self, request):
            return request.param
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from pyod.models.base import BaseDetector
from scipy.stats import spearmanr
from sklearn.base import BaseEstimator, clone

from .cards import DetectorCard, load_card
from .detectors import Detector, DetectorSource
from .plugins import DetectorEntry
from .synthesizer import Synthesizer
from .verification import ToyBench, verify

__all__ = ["HEAVY", "DetectorConformance"]

Array = NDArray[np.float64]

HEAVY = frozenset({"numpy", "scipy", "sklearn", "pyod", "pandas", "polars", "torch", "tensorflow", "jax"})
"""Modules that asking a plugin what it brings must not import."""

_ASK = """
import json, sys
from llmdas_agent.plugins import load_plugins
plugins = load_plugins()
brought = sorted(plugins.detectors)
problems = list(map(str, plugins.problems))
print(json.dumps({"brought": brought, "problems": problems, "modules": list(sys.modules)}))
"""


class DetectorConformance:
    """What every detector, card and synthesizer must hold to; subclass it and override `entry`.

    The package with the plugin must be installed. Where the plugin brings no synthesizer, the tests of it
    are skipped and say how one is made.
    """

    @pytest.fixture
    def entry(self) -> DetectorEntry:
        """Return the entry under test; every subclass overrides this."""
        raise NotImplementedError("override the fixture `entry`")

    @pytest.fixture
    def card(self, entry: DetectorEntry) -> DetectorCard:
        """Return the card under test."""
        return load_card(entry.card)

    @pytest.fixture
    def source(self, card: DetectorCard) -> DetectorSource:
        """Return the source that builds the detector."""
        return DetectorSource.from_card(card)

    @pytest.fixture
    def rows(self) -> Array:
        """Return normal rows, shape (120, 4)."""
        return np.random.default_rng(0).normal(size=(120, 4)) @ np.diag([1.0, 2.0, 0.5, 1.0])

    @pytest.fixture
    def synthesizer(self, entry: DetectorEntry) -> Synthesizer:
        """Return the synthesizer under test."""
        if entry.synthesizer is None:
            make = f"`llmdas-agent add-detector {entry.card}`"
            put = f"`llmdas-agent export {entry.name} --plugin .`"
            pytest.skip(f"{entry.name} has no synthesizer yet: {make} makes one, {put} brings it here")
        return Synthesizer.read(entry.synthesizer, "plugin")

    def test_the_card_is_valid_and_tells_a_reader_enough(
        self, entry: DetectorEntry, card: DetectorCard
    ) -> None:
        """The card must be named as its file, and leave no field empty that a proposer lives on."""
        assert card.name == entry.name, f"{entry.card} describes '{card.name}': name the file as the card"
        missing = ", ".join(card.missing_for_a_reader())
        assert not missing, f"{entry.card} lacks {missing}: a proposer sees nothing else"

    def test_it_fits_and_scores_rise_with_abnormality(self, source: DetectorSource) -> None:
        """One finite score per row, higher for rows far from the data."""
        source.try_out()

    def test_it_keeps_pyod_s_contract(self, source: DetectorSource, rows: Array) -> None:
        """Training scores, threshold and labels must be there after fitting, and agree with each other."""
        detector: Any = fitted(source, rows)
        assert isinstance(detector, BaseDetector), "derive it from pyod.models.base.BaseDetector"
        for name in ("decision_scores_", "threshold_", "labels_"):
            assert hasattr(detector, name), f"fit sets no {name}: end it with _process_decision_scores()"
        training = detector.decision_scores_
        require_scores(training, len(rows), "decision_scores_")
        alike = spearmanr(training, scored(detector, rows)).statistic
        assert not alike < 0, "decision_scores_ falls where decision_function rises on the same rows"
        agrees = np.array_equal(detector.labels_, training > detector.threshold_)
        assert agrees, "labels_ is not 1 exactly where decision_scores_ is above threshold_"
        found = np.unique(detector.predict(rows.copy())).tolist()
        assert set(found) <= {0, 1}, f"predict returned {found}: 0 is normal, 1 an outlier"

    def test_the_same_seed_gives_the_same_scores(self, source: DetectorSource, rows: Array) -> None:
        """Two fits with one seed must agree to the last bit, whatever numpy's global state is."""
        np.random.seed(1)
        first = scored(fitted(source, rows), rows)
        np.random.seed(2)
        same = np.array_equal(first, scored(fitted(source, rows), rows))
        assert same, "two fits differ: draw all chance from its random_state"

    def test_rows_are_left_as_they_were(self, source: DetectorSource, rows: Array) -> None:
        """Fitting and scoring must not write into the caller's table."""
        before = rows.copy()
        detector = source.make(0)
        detector.fit(rows)
        assert np.array_equal(rows, before), "fit wrote into its table: work on a copy"
        detector.decision_function(rows)
        assert np.array_equal(rows, before), "decision_function wrote into its table: work on a copy"

    def test_missing_values_are_refused_or_scored(self, source: DetectorSource, rows: Array) -> None:
        """A row with NaN gets a finite score or a ValueError, never a score that is NaN."""
        detector = fitted(source, rows)
        holed = rows[:5].copy()
        holed[2, 1] = np.nan
        try:
            scores = np.asarray(detector.decision_function(holed))
        except ValueError:
            return
        require_scores(scores, len(holed), "with a NaN among the rows, decision_function")

    def test_one_row_can_be_scored(self, source: DetectorSource, rows: Array) -> None:
        """A single row gets a single finite score."""
        require_scores(scored(fitted(source, rows), rows[:1]), 1)

    def test_one_column_is_enough(self, source: DetectorSource, rows: Array) -> None:
        """A table with a single column can be fitted and scored."""
        require_scores(scored(fitted(source, rows[:, :1]), rows[:, :1]), len(rows))

    def test_a_second_fit_forgets_the_first(self, source: DetectorSource, rows: Array) -> None:
        """Fitting again, on other columns, gives what a fresh detector gives."""
        detector = fitted(source, 5.0 + rows[:60, :2])
        detector.fit(rows.copy())
        same = np.allclose(scored(detector, rows), scored(fitted(source, rows), rows))
        assert same, "a second fit gives other scores than a first one: fit must set all that it learns anew"

    def test_it_can_be_cloned(self, source: DetectorSource) -> None:
        """The constructor must only store its parameters, under their own names."""
        detector: Any = source.make(0)
        twin = clone(detector)

        def plain(one: BaseEstimator) -> dict[str, str]:
            return {key: repr(value) for key, value in one.get_params().items()}

        same = plain(twin) == plain(detector)
        assert same, "a clone has other parameters: the constructor must store them as they are given"

    def test_its_synthesizer_is_whole_and_about_this_card(
        self, synthesizer: Synthesizer, card: DetectorCard
    ) -> None:
        """The report must accept exactly this program, and the detector be the one on the card."""
        again = f"`llmdas-agent export {card.name} --plugin .` brings one that is whole"
        assert synthesizer.report.accepted, f"its report does not accept its program: {again}"
        same = synthesizer.report.program_digest == synthesizer.proposal.program.digest
        assert same, f"its report is about another program: {again}"
        same = (synthesizer.name, synthesizer.card.build) == (card.name, card.build)
        assert same, f"it was made for another name, class or parameters than the card's: {again}"

    def test_its_synthesizer_passes_here(self, synthesizer: Synthesizer, source: DetectorSource) -> None:
        """The program must pass every check again, in the sandbox of this machine."""
        report = verify(synthesizer.proposal.program, ToyBench(source, synthesizer.report.seed))
        assert report.accepted, [str(verdict.message) for verdict in report.failures()]

    def test_asking_what_it_brings_imports_nothing_heavy(self, entry: DetectorEntry) -> None:
        """Every command that needs a name asks: the plugin must be found, and cost next to nothing."""
        done = subprocess.run([sys.executable, "-c", _ASK], capture_output=True, text=True, check=True)
        answer = json.loads(done.stdout)
        assert entry.name in answer["brought"], f"install the package first; {answer['problems']}"
        heavy = sorted(HEAVY & set(answer["modules"]))
        assert not heavy, f"asking imports {', '.join(heavy)}: do that inside the detector's own module"


def fitted(source: DetectorSource, rows: Array) -> Detector:
    """Return a detector fitted on a copy of rows, shape (n, d), with seed 0."""
    detector = source.make(0)
    detector.fit(rows.copy())
    return detector


def scored(detector: Detector, rows: Array) -> Array:
    """Return the scores of a copy of rows, shape (m,)."""
    return np.asarray(detector.decision_function(rows.copy()))


def require_scores(scores: Array, count: int, what: str = "decision_function") -> None:
    """Check that there is one finite score for each of `count` rows."""
    assert np.shape(scores) == (count,), f"{what} has shape {np.shape(scores)} for {count} rows"
    assert np.isfinite(scores).all(), f"{what} has scores that are NaN or infinite"
