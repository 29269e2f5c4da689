"""Programs that each try one bad thing, against the whole sandbox and against each of its parts alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import psutil
import pytest
from redteam_alone import Alone, alone
from redteam_corpus import Entry, entries, kinds
from redteam_judge import CANARY, Host, Outcome, score

from llmdas_agent.config import SandboxLimits
from llmdas_agent.errors import ProgramError
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import run_program

HOSTILE = [entry for kind in kinds() for entry in entries(kind)]
BENIGN = entries("benign")
MEMORY_MIB = 256
ENDLESS = {"time", "survival", "output", "memory", "compile", "signals", "crashes"}
# What the language alone cannot hold, since it is a matter of amounts: time, memory, output, depth.
AMOUNTS = {"time", "survival", "output", "memory", "compile", "crashes"}


def limits_for(entry: Entry) -> SandboxLimits:
    wall = 0.7 if entry.kind in ENDLESS else 5.0
    return SandboxLimits(wall_seconds=wall, cpu_seconds=5, memory_mib=MEMORY_MIB, score_rows=20_000)


@pytest.fixture(scope="module")
def host() -> Iterator[Host]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMDAS_CANARY", CANARY)
        made = Host()
        for source in (
            "import numpy as np",
            "import scipy",
        ):  # have both helpers started before states are compared
            program = f"{source}\ndef generate_hard_anomalies(n, model, X):\n    return X[:n]\n"
            run_program(SynthesisProgram(program), n_samples=1, X_train=made.X_train, score=score, seed=0)
        yield made
        made.close()


def test_the_corpus_is_as_large_as_promised():
    assert len(HOSTILE) >= 120
    assert all(len(entries(kind)) >= 6 for kind in kinds())
    assert len(BENIGN) >= 40
    assert len({entry.label for entry in HOSTILE + BENIGN}) == len(HOSTILE + BENIGN)


@pytest.mark.parametrize("entry", HOSTILE, ids=lambda entry: entry.label)
def test_a_hostile_program_is_contained(entry: Entry, host: Host):
    def run():
        return run_program(
            SynthesisProgram(entry.source(host.places)),
            n_samples=5,
            X_train=host.X_train,
            score=score,
            seed=3,
            limits=limits_for(entry),
        )

    outcome = host.judge(run, watch_memory=entry.kind == "memory")
    assert outcome.peak_bytes < (MEMORY_MIB + 100) * 2**20
    if outcome.result is not None:
        assert outcome.result.rows.shape == (5, 4)
        assert np.isfinite(outcome.result.rows).all()


@pytest.mark.parametrize("entry", BENIGN, ids=lambda entry: entry.label)
def test_a_benign_program_is_accepted_and_repeats_itself(entry: Entry, host: Host):
    first, second = (
        run_program(
            SynthesisProgram(entry.source()), n_samples=12, X_train=host.X_train, score=score, seed=11
        ).rows
        for _ in range(2)
    )
    assert first.shape == (12, 4)
    assert np.array_equal(first, second)


@pytest.fixture(scope="module")
def language() -> Iterator[Alone]:
    with alone("language") as made:
        yield made


@pytest.fixture(scope="module")
def confinement() -> Iterator[Alone]:
    with alone("confinement") as made:
        yield made


def run_alone(part: Alone, entry: Entry, host: Host) -> Outcome:
    source = entry.source(host.places)
    part.start(any(word in source for word in ("scipy", "sklearn")))
    outcome = host.judge(
        lambda: part.run(source, host.X_train, score, limits_for(entry)), watch_memory=entry.kind == "memory"
    )
    assert outcome.peak_bytes < (MEMORY_MIB + 100) * 2**20
    return outcome


@pytest.mark.parametrize(
    "entry", [entry for entry in HOSTILE if entry.kind not in AMOUNTS], ids=lambda entry: entry.label
)
def test_the_language_alone_contains_what_is_its_own(entry: Entry, host: Host, language: Alone):
    run_alone(language, entry, host)


@pytest.mark.parametrize("entry", entries("raw_memory"), ids=lambda entry: entry.name)
def test_the_language_alone_gives_no_way_to_raw_memory(entry: Entry, host: Host, language: Alone):
    assert "crashed its worker" not in run_alone(language, entry, host).seen


@pytest.mark.parametrize("entry", HOSTILE, ids=lambda entry: entry.label)
def test_process_and_kernel_alone_contain_all(entry: Entry, host: Host, confinement: Alone):
    run_alone(confinement, entry, host)


@pytest.fixture(scope="module")
def seccomp() -> Iterator[Alone]:
    with alone("seccomp") as made:
        yield made


@pytest.fixture(scope="module")
def landlock() -> Iterator[Alone]:
    with alone("landlock") as made:
        yield made


def of_kinds(*wanted: str) -> list[Entry]:
    return [entry for entry in HOSTILE if entry.kind in wanted and "sklearn" not in entry.text]


@pytest.mark.parametrize(
    "entry", of_kinds("files", "network", "processes", "signals"), ids=lambda entry: entry.label
)
def test_seccomp_holds_as_the_only_kernel_layer(entry: Entry, host: Host, seccomp: Alone):
    run_alone(seccomp, entry, host)


@pytest.mark.parametrize("entry", of_kinds("files", "processes", "signals"), ids=lambda entry: entry.label)
def test_landlock_holds_files_and_programs_as_the_only_kernel_layer(
    entry: Entry, host: Host, landlock: Alone
):
    run_alone(landlock, entry, host)


def test_each_part_is_really_alone(host: Host, language: Alone, confinement: Alone, landlock: Alone):
    def seccomp_of(part: Alone) -> list[str]:
        seen: list[str] = []

        def look(X: np.ndarray) -> np.ndarray:
            workers = psutil.Process(part.start(scientific=False).pid).children()
            seen.extend(Path(f"/proc/{worker.pid}/status").read_text() for worker in workers)
            return score(X)

        asks = Entry("control", "asks", "model.predict_score(X_train)")
        part.run(asks.source(), host.X_train, look, SandboxLimits())
        return [re.search(r"Seccomp:\s+(\d)", status).group(1) for status in seen]

    assert [seccomp_of(part) for part in (language, confinement, landlock)] == [["0"], ["2"], ["0"]]
    plain = Entry("control", "plain", "import os\nreturn np.full((5, 4), float(len(os.sep)))")
    assert confinement.run(plain.source(), host.X_train, score, SandboxLimits()).rows.all()
    with pytest.raises(ProgramError):
        language.run(plain.source(), host.X_train, score, SandboxLimits())


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("files", "plain open for writing"),
        ("files", "read a secret and print it"),
        ("files", "read a secret into the rows"),
        ("files", "rename the secret"),
        ("network", "tcp connect"),
        ("network", "udp datagram"),
        ("network", "unix datagram"),
        ("processes", "system"),
        ("numpy_paths", "savetxt"),
        ("scipy_paths", "io savemat"),
    ],
)
def test_the_judge_sees_what_happens_where_nothing_holds(kind: str, name: str):
    entry = next(entry for entry in entries(kind) if entry.name == name)
    host = Host()
    try:
        with alone("nothing") as unprotected, pytest.raises(AssertionError):
            run_alone(unprotected, entry, host)
    finally:
        host.close()
