"""The programs that are compared: from files, other ways to make rows, and programs with a part taken out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from llmdas_agent.benchmark.programs import (
    ABLATED,
    RIVALS,
    Candidate,
    as_synthesizer,
    from_folder,
    from_registry,
    random_starts,
    rival,
    without_scores,
)
from llmdas_agent.errors import InputError, NotAcceptedError, ProgramError, TableError
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.registry import Registry
from llmdas_agent.sandbox import SandboxResult, run_program
from llmdas_agent.synthesizer import Synthesizer

THREE_ARGUMENTS = """from __future__ import annotations
import numpy as np

def generate_hard_anomalies(n_samples: int, model, X_train: np.ndarray) -> np.ndarray:
    scores = model.predict_score(X_train)
    near = X_train[np.argsort(scores)[-10:]]
    made = near[np.random.randint(len(near), size=4 * n_samples)] + np.random.normal(size=(4 * n_samples, 2))
    return made[np.argsort(model.predict_score(made))[:n_samples]]
"""


@pytest.fixture
def normal() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(60, 2))


def far(X: np.ndarray) -> np.ndarray:
    return np.abs(X).sum(axis=1)


def made(candidate: Candidate, X: np.ndarray, n: int = 80) -> SandboxResult:
    return run_program(candidate.program, n_samples=n, X_train=X, score=far, seed=3)


@pytest.mark.parametrize("label", [*RIVALS, ABLATED[0]])
def test_other_ways_to_make_rows_run_and_are_reproducible(label: str, normal: np.ndarray) -> None:
    found = made(rival(label), normal).rows
    assert found.shape == (80, 2)
    assert len(np.unique(found, axis=0)) == 80
    np.testing.assert_array_equal(found, made(rival(label), normal).rows)
    assert not rival(label).verified


def test_each_way_makes_the_rows_that_its_name_promises(normal: np.ndarray) -> None:
    low, high = normal.min(axis=0), normal.max(axis=0)
    uniform = made(rival("uniform"), normal, 2000).rows
    inside = (uniform >= low - 0.1 * (high - low)) & (uniform <= high + 0.1 * (high - low))
    assert inside.all()
    assert np.all(np.ptp(uniform, axis=0) > 1.15 * (high - low))
    mixed = made(rival("mixup"), normal, 500).rows
    assert np.all((mixed >= low) & (mixed <= high))
    noisy = made(rival("gaussian"), normal, 4000).rows
    np.testing.assert_allclose(noisy.std(axis=0), np.sqrt(2) * normal.std(axis=0), rtol=0.15)
    between = made(rival("smote"), normal, 300).rows
    assert far(between).mean() > np.quantile(far(normal), 0.75)
    assert far(between).max() <= far(normal).max()
    assert far(made(rival("agnostic"), normal).rows).mean() < far(noisy).mean()


def test_a_program_without_scores_asks_nothing(tmp_path: Path, normal: np.ndarray) -> None:
    (tmp_path / "pca.py").write_text(THREE_ARGUMENTS)
    own = from_folder(tmp_path, "pca")
    blind = without_scores(own)
    assert made(own, normal).queries == 2
    found = made(blind, normal)
    assert found.queries == 0
    # nothing picks the low scores any more
    assert far(found.rows).mean() > far(made(own, normal).rows).mean()


def test_random_starts_are_not_borderline_and_the_choice_among_made_rows_stays(
    tmp_path: Path, normal: np.ndarray
) -> None:
    (tmp_path / "pca.py").write_text(THREE_ARGUMENTS)
    own = from_folder(tmp_path, "pca")
    found, as_it_was = made(random_starts(own), normal), made(own, normal)
    assert (found.queries, found.scored_rows) == (as_it_was.queries, as_it_was.scored_rows)
    assert far(found.rows).mean() < far(as_it_was.rows).mean()
    assert far(found.rows).mean() < far(made(without_scores(own), normal).rows).mean()


def test_only_training_rows_lose_their_scores(normal: np.ndarray) -> None:
    source = """import numpy as np
def generate_hard_anomalies(n_samples, model, X_train, rng):
    made = X_train[:n_samples] + 1.0
    scores = model.predict_score(np.vstack([made, X_train]))
    return np.column_stack([scores[:n_samples], scores[n_samples : 2 * n_samples]])
"""
    candidate = Candidate("own", SynthesisProgram(source), verified=False)
    as_it_was, dealt = made(candidate, normal, 60).rows, made(random_starts(candidate), normal, 60).rows
    np.testing.assert_array_equal(dealt[:, 0], as_it_was[:, 0])
    np.testing.assert_array_equal(np.sort(dealt[:, 1]), np.sort(as_it_was[:, 1]))
    assert np.mean(dealt[:, 1] == as_it_was[:, 1]) < 0.2


@pytest.mark.parametrize("name", ["pca", "iforest", "ocsvm", "ecod"])
def test_parts_can_be_taken_out_of_every_shipped_program(name: str, normal: np.ndarray) -> None:
    own = from_registry(name)
    assert own.verified
    assert made(without_scores(own), normal).queries == 0
    assert made(random_starts(own), normal).queries == made(own, normal).queries > 0


def test_programs_in_files_are_named_after_their_detector(tmp_path: Path) -> None:
    (tmp_path / "IForest.py").write_text(THREE_ARGUMENTS)
    found = from_folder(tmp_path, "iforest")
    assert not found.verified
    with pytest.raises(TableError, match=r"holds no ecod\.py.*IForest\.py"):
        from_folder(tmp_path, "ecod")
    (tmp_path / "ecod.py").write_text(THREE_ARGUMENTS + "#" * 64 * 1024)
    with pytest.raises(InputError, match=r"ecod\.py: is larger than 64 KiB"):
        from_folder(tmp_path, "ecod")
    (tmp_path / "ecod.py").unlink()
    (tmp_path / "ecod.py").symlink_to("/dev/zero")
    with pytest.raises(InputError, match=r"ecod\.py: is no regular file"):
        from_folder(tmp_path, "ecod")
    (tmp_path / "ecod.py").unlink()
    (tmp_path / "ecod.py").write_text(
        "import os\ndef generate_hard_anomalies(n, m, X, rng):\n    return os\n"
    )
    with pytest.raises(ProgramError, match=r"ecod\.py:1"):
        from_folder(tmp_path, "ecod")


def test_a_program_is_measured_without_becoming_a_verified_one(tmp_path: Path) -> None:
    (tmp_path / "pca.py").write_text(THREE_ARGUMENTS)
    measured = as_synthesizer(from_folder(tmp_path, "pca"), Registry().card("pca"))
    measured.require_verified()
    assert not measured.report.accepted
    measured.write(tmp_path)
    with pytest.raises(NotAcceptedError):
        Synthesizer.read(tmp_path, "registered").require_verified()
