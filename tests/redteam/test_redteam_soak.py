"""Many runs, a third of them hostile, while helpers are killed at random: nothing may pile up."""

from __future__ import annotations

import contextlib
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import psutil
import pytest
from redteam_corpus import entries, kinds
from redteam_judge import Host, score

from llmdas_agent.config import SandboxLimits
from llmdas_agent.errors import ProgramError, SandboxError
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import run_program

LIMITS = SandboxLimits(wall_seconds=0.4, cpu_seconds=2, memory_mib=256, score_rows=10_000)
PATIENT = SandboxLimits(wall_seconds=60.0)
# Programs that import scientific packages would make every killed helper cost seconds.
HOSTILE = [e for kind in kinds() for e in entries(kind) if "scipy" not in e.text and "sklearn" not in e.text]
BENIGN = [e for e in entries("benign") if "scipy" not in e.text and "sklearn" not in e.text]


@dataclass
class Tally:
    """How the runs of a soak ended."""

    results: int = 0
    blamed: int = 0
    lost: int = 0
    wrong: list[str] = field(default_factory=list)


def helpers() -> list[psutil.Process]:
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.Error):  # one that has just been killed
            if "llmdas_agent.sandbox.zygote" in str(child.cmdline()):
                found.append(child)
    return found


def shared_memory() -> int:
    """Count the segments of shared memory that this process maps."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return sum("/dev/shm" in line or "memfd:" in line or "SYSV" in line for line in lines)


def benign_rows(source: str, X: np.ndarray) -> np.ndarray:
    return run_program(
        SynthesisProgram(source), n_samples=5, X_train=X, score=score, seed=9, limits=PATIENT
    ).rows


def all_helpers_run(host: Host) -> None:
    """Run programs that need the one helper and the other, without scipy and with it."""
    source = BENIGN[0].source()
    for text in (source, f"import scipy.stats\n{source}"):
        benign_rows(text, host.X_train)


def soak(runs: int, tally: Tally, host: Host, chance: random.Random) -> None:
    """Run programs from two threads while helpers are killed now and then."""
    expected = {entry.name: benign_rows(entry.source(), host.X_train) for entry in BENIGN}

    def one(number: int) -> None:
        entry = HOSTILE[number % len(HOSTILE)] if number % 3 == 0 else BENIGN[number % len(BENIGN)]
        source = entry.source(host.places)
        limits = PATIENT if entry.kind == "benign" else LIMITS
        try:
            found = run_program(
                SynthesisProgram(source),
                n_samples=5,
                X_train=host.X_train,
                score=score,
                seed=9,
                limits=limits,
            )
        except ProgramError as error:
            tally.blamed += 1
            if entry.kind == "benign":
                tally.wrong.append(f"{entry.label}: {error}")
        except SandboxError:
            tally.lost += 1
        else:
            tally.results += 1
            if entry.kind == "benign" and not np.array_equal(found.rows, expected[entry.name]):
                tally.wrong.append(f"{entry.label}: other rows")
        if chance.random() < 0.02:
            with contextlib.suppress(psutil.NoSuchProcess, IndexError):
                chance.choice(helpers()).kill()

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(one, range(runs)))


LONG = pytest.mark.skipif(
    "LLMDAS_SOAK" not in os.environ, reason="takes minutes: set LLMDAS_SOAK=1 for 2,000 runs"
)


@pytest.mark.parametrize("runs", [150, pytest.param(2000, marks=[LONG, pytest.mark.timeout(1800)])])
def test_a_soak_leaves_nothing_behind(runs):
    host, tally, chance = Host(), Tally(), random.Random(1)
    own = psutil.Process()
    try:
        soak(60, Tally(), host, chance)  # everything has been loaded once
        all_helpers_run(host)
        before = (own.num_fds(), threading.active_count(), shared_memory())
        resident, others = own.memory_info().rss, set(own.children(recursive=True)) - set(helpers())
        soak(runs, tally, host, chance)
        all_helpers_run(host)  # one that was killed is found, and buried, when it is next needed
        after = (own.num_fds(), threading.active_count(), shared_memory())
        assert after == before
        # only what is new counts: a child of an earlier test may be reaped while this one runs
        assert set(own.children(recursive=True)) - others - set(helpers()) == set()
        assert len(helpers()) <= 2
        assert all(helper.memory_info().rss < 400 * 2**20 for helper in helpers())
        assert own.memory_info().rss - resident < 24 * 2**20
        assert [path.name for path in sorted(host.folder.iterdir())] == ["secret", "socket"]
    finally:
        host.close()
    assert not tally.wrong
    assert tally.results + tally.blamed + tally.lost == runs
    assert tally.lost <= runs // 20  # a helper killed twice under one run
