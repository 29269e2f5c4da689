"""The embedded proposer: chosen by the profile, revised by the report, and the same every time."""

from __future__ import annotations

import ast
import itertools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdas_agent.agent.embedded import STRATEGIES, EmbeddedProposer, compose
from llmdas_agent.agent.proposers import Attempt, Brief
from llmdas_agent.cards import DetectorCard
from llmdas_agent.programs import Proposal, SynthesisProgram
from llmdas_agent.report import BlindSpotProfile, FamilyScore, Verdict, VerificationReport
from llmdas_agent.sandbox import check_source, run_program
from llmdas_agent.verification.families import FAMILIES

CARD = DetectorCard.model_validate(
    {"name": "hbos", "full_name": "Histograms", "build": {"class": "pyod.models.hbos.HBOS"}}
)


def profile(**aurocs: float) -> BlindSpotProfile:
    families = tuple(
        FamilyScore(family=name, auroc=value, low=value, high=value) for name, value in aurocs.items()
    )
    return BlindSpotProfile(detector="hbos", seed=0, families=families)


def failed(proposal: Proposal, *directions: str) -> Attempt:
    verdicts = tuple(
        Verdict(code=f"check{i}", passed=False, message="no", evidence={"direction": direction})
        for i, direction in enumerate(directions)
    )
    digest = proposal.program.digest
    report = VerificationReport(
        detector="hbos",
        program_digest=digest,
        seed=0,
        verdicts=verdicts,
        complete=True,
        seconds=0,
        versions={},
    )
    return Attempt(proposal, report)


def test_opposite_profiles_give_different_first_strategies() -> None:
    blind_to_combinations = profile(recombination=0.5, axis_tail=1.0, far=1.0, local_dip=0.9)
    blind_to_tails = profile(recombination=1.0, axis_tail=0.5, far=0.8, local_dip=0.9)
    first = [EmbeddedProposer().propose(Brief(CARD, p, ())) for p in (blind_to_combinations, blind_to_tails)]
    names = [proposal.strategy for proposal in first if proposal]
    assert names == ["recombine+local_step+outward", "tail+local_step+outward"]


def test_the_first_strategy_exploits_a_family_that_the_detector_sees_least() -> None:
    for blind in (family.name for family in FAMILIES if not family.planted):
        measured = profile(**{family.name: 0.9 for family in FAMILIES} | {blind: 0.5, "masked_cluster": 0.0})
        proposal = EmbeddedProposer().propose(Brief(CARD, measured, ()))
        assert proposal is not None
        exploiting = [strategy.name for strategy in STRATEGIES if blind in strategy.families]
        assert len(exploiting) == 1
        assert exploiting[0] in proposal.strategy.split("+")


def test_every_strategy_says_in_words_what_it_aims_at_and_what_is_borderline() -> None:
    for strategy in STRATEGIES:
        proposal = compose([strategy], 1.0)
        assert len(proposal.blind_spot.split()) >= 5
        assert len(proposal.borderline.split()) >= 5
    assert len({strategy.blind_spot for strategy in STRATEGIES}) == len(STRATEGIES)


@pytest.mark.parametrize(("direction", "moves"), [("nearer", -1), ("away", 1)])
def test_strength_follows_the_report(direction: str, moves: int) -> None:
    proposer = EmbeddedProposer()
    measured = profile(recombination=0.5)
    first = proposer.propose(Brief(CARD, measured, ()))
    assert first is not None
    second = proposer.propose(Brief(CARD, measured, (failed(first, direction),)))
    assert second is not None
    assert second.strategy == first.strategy
    assert np.sign(second.strength - first.strength) == moves


@given(target=st.floats(0.4, 5.0))
@settings(max_examples=40, deadline=None)
def test_bisection_closes_in_on_the_strength_that_the_evidence_points_to(target: float) -> None:
    proposer, measured = EmbeddedProposer(), profile(local_dip=0.5)
    attempts: tuple[Attempt, ...] = ()
    strengths = []
    for _ in range(proposer.tries_per_plan):
        proposal = proposer.propose(Brief(CARD, measured, attempts))
        assert proposal is not None
        strengths.append(proposal.strength)
        direction = "nearer" if proposal.strength > target else "away"
        attempts = (*attempts, failed(proposal, direction))
    distances = np.abs(np.log(np.array(strengths) / target))
    assert distances[-1] <= np.log(2)
    assert distances.min() <= np.log(1.5)


def test_contradicting_evidence_moves_on_to_another_plan_and_in_the_end_to_none() -> None:
    proposer, measured = EmbeddedProposer(), profile(recombination=0.5, local_dip=0.6, axis_tail=0.7)
    attempts: tuple[Attempt, ...] = ()
    seen = []
    while (proposal := proposer.propose(Brief(CARD, measured, attempts))) is not None:
        seen.append(proposal.strategy)
        attempts = (*attempts, failed(proposal, "nearer", "away"))
        assert len(attempts) < 50
    assert seen[:4] == [
        "recombine+local_step+outward",
        "local_step+outward",
        "tail+local_step+outward",
        "recombine+local_step",
    ]
    assert {strategy.name for strategy in STRATEGIES} <= set(seen), "in the end each of them alone"
    assert len(seen) == len(set(seen)), "a plan that cannot satisfy its report is not tried again"


def test_the_same_brief_gives_the_same_program() -> None:
    brief = Brief(CARD, profile(recombination=0.5), ())
    first, second = (EmbeddedProposer().propose(brief) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)
@pytest.mark.parametrize(("n", "d"), [(300, 2), (30, 4), (60, 200), (200, 30)])
def test_every_strategy_runs_confined_on_every_shape(strategy: object, n: int, d: int) -> None:
    rng = np.random.default_rng(n + d)
    X = rng.normal(size=(n, d)) * np.logspace(-3, 6, d)
    X[:, 0] = 7.0

    def score(rows: np.ndarray) -> np.ndarray:
        return np.linalg.norm((rows - X.mean(axis=0)) / (X.std(axis=0) + 1e-12), axis=1)

    program = compose([strategy], 1.0).program  # type: ignore[list-item]
    made = run_program(program, n_samples=40, X_train=X, score=score, seed=0).rows
    assert made.shape == (40, d)
    assert np.isfinite(made).all()
    assert np.allclose(made[:, 0], 7.0), "a constant column stays as it is"


def test_a_program_is_plain_source_that_a_person_can_read() -> None:
    program: SynthesisProgram = compose(STRATEGIES[:3], 0.75).program
    check_source(program)
    tree = ast.parse(program.source)
    defined = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    assert defined[-1] == "generate_hard_anomalies"
    assert [s.name for s in STRATEGIES[:3]] == defined[:3]


def test_programs_are_written_as_a_formatter_leaves_them(tmp_path: Path) -> None:
    pytest.importorskip("ruff", reason="the formatter is a tool of development")
    alone = [(strategy,) for strategy in STRATEGIES]
    plans = [*alone, *itertools.permutations(STRATEGIES, 2), STRATEGIES]
    # lines of 110 letters, which just fit, and of 111
    recombine, components = STRATEGIES[:2]
    plans += [(*[recombine] * (9 - more), *[components] * more) for more in (2, 3)]
    for k, plan in enumerate(plans):
        for strength in (0.25, 1.0, 7.123):
            program = compose(plan, strength, hidden_share=strength / 8).program
            (tmp_path / f"{k}_{strength}.py").write_text(program.source, encoding="utf-8")
    settings_of_the_project = Path(__file__).resolve().parents[2] / "pyproject.toml"
    command = [sys.executable, "-m", "ruff", "format", "--diff", "--no-cache"]
    found = subprocess.run(
        [*command, "--config", settings_of_the_project, tmp_path], capture_output=True, text=True
    )
    assert (found.returncode, found.stdout) == (0, ""), found.stderr
    assert f"{3 * len(plans)} files already formatted" in found.stderr
