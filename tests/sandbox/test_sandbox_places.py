"""Where the sandbox runs: threads, processes, joblib, event loops, ordinary users, unhelpful kernels."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from joblib import Parallel, delayed

import llmdas_agent
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import run_program

SOURCE = """
def generate_hard_anomalies(n_samples, model, X_train, rng):
    scores = model.predict_score(X_train)[:n_samples, None]
    return X_train[:n_samples] + scores + rng.normal(size=(n_samples, 3))
"""
PACKAGE = Path(llmdas_agent.__file__).parent.parent


def made(seed: int) -> float:
    X = np.arange(30.0).reshape(10, 3)
    found = run_program(
        SynthesisProgram(SOURCE), n_samples=4, X_train=X, score=lambda Z: Z.sum(axis=1), seed=seed
    )
    return float(found.rows.sum())


def put(queue: multiprocessing.Queue, seed: int) -> None:
    queue.put((seed, made(seed)))


def test_from_threads():
    expected = [made(seed) for seed in range(12)]
    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(made, range(12))) == expected


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_from_several_processes_at_once(method):
    expected = {seed: made(seed) for seed in range(3)}
    context = multiprocessing.get_context(method)
    queue = context.Queue()
    processes = [context.Process(target=put, args=(queue, seed)) for seed in range(3)]
    for process in processes:
        process.start()
    found = dict(queue.get(timeout=120) for _ in processes)
    for process in processes:
        process.join(30)
    assert found == expected
    assert made(0) == expected[0]  # this process's own helper was not touched


@pytest.mark.parametrize("backend", ["loky", "threading", "multiprocessing"])
def test_inside_joblib_workers(backend):
    expected = [made(seed) for seed in range(4)]
    assert Parallel(n_jobs=2, backend=backend)(delayed(made)(seed) for seed in range(4)) == expected


def test_while_an_event_loop_is_running_as_in_jupyter():
    async def cell() -> tuple[float, float]:
        return made(1), await asyncio.to_thread(made, 2)

    assert asyncio.run(cell()) == (made(1), made(2))


# Makes the kernel of this machine one that confines nothing: every way to ask for it is refused.
REFUSE = """
import ctypes, struct, os
libc = ctypes.CDLL(None, use_errno=True)
def step(code, value, true=0, false=0):
    return struct.pack("=HBBI", code, true, false, value)
LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06
NO, YES = 0x00050000 | 1, 0x7FFF0000
PRCTL, SECCOMP = {"x86_64": (157, 317), "aarch64": (167, 277)}[os.uname().machine]
text = b"".join([
    step(LOAD, 0),
    step(EQUAL, 444, 5, 0), step(EQUAL, 446, 4, 0), step(EQUAL, SECCOMP, 3, 0),
    step(EQUAL, PRCTL, 0, 3),
    step(LOAD, 16), step(EQUAL, 22, 0, 1),
    step(RETURN, NO), step(RETURN, YES),
])
class Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))
assert not libc.prctl(38, 1, 0, 0, 0)
assert not libc.prctl(22, ctypes.c_ulong(2), ctypes.byref(Program(len(text) // 8, text)), 0, 0)
"""

RUN = """
import json, logging, sys
logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
import numpy as np
from llmdas_agent.errors import LlmdasError
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import grade, layers, run_program
told = {layer.name: layer.state for layer in layers()}
try:
    rows = run_program(
        SynthesisProgram("def generate_hard_anomalies(n, model, X): return X[:n]"),
        n_samples=2, X_train=np.ones((3, 2)), score=lambda X: X[:, 0], seed=0,
    ).rows.tolist()
except LlmdasError as error:
    rows = str(error)
print(json.dumps([told, grade(layers()), rows]))
"""


def told(script: str, interpreter: list[str], **settings) -> tuple[dict[str, str], str, object, str]:
    done = subprocess.run(
        [*interpreter, "-c", script], capture_output=True, text=True, check=True, timeout=120, **settings
    )
    states, grade, rows = json.loads(done.stdout)
    return states, grade, rows, done.stderr


@pytest.mark.skipif(
    os.uname().machine not in ("x86_64", "aarch64"), reason="the filter is written for two machines"
)
def test_where_the_kernel_confines_nothing_programs_are_refused_unless_the_user_allows_it():
    environment = {name: value for name, value in os.environ.items() if name != "LLMDAS_ALLOW_WEAK_SANDBOX"}
    states, grade, rows, log = told(REFUSE + RUN, [sys.executable], env=environment)
    assert (states["landlock"], states["seccomp"]) == ("missing", "missing")
    assert grade.startswith("refused")
    assert "confines nothing" in rows and "LLMDAS_ALLOW_WEAK_SANDBOX" in rows
    assert log == ""

    environment["LLMDAS_ALLOW_WEAK_SANDBOX"] = "1"
    states, grade, rows, log = told(REFUSE + RUN, [sys.executable], env=environment)
    assert rows == [[1.0, 1.0], [1.0, 1.0]]
    assert "LLMDAS_ALLOW_WEAK_SANDBOX=1: a program runs without a kernel layer" in log


def interpreter_of_nobody() -> tuple[list[str], dict[str, str]] | None:
    """Return a Python that user nobody can run, with this one's packages, or None."""
    packages = os.pathsep.join([*(entry for entry in sys.path if Path(entry).is_dir()), str(PACKAGE)])
    environment = {"PATH": os.environ.get("PATH", ""), "PYTHONPATH": packages, "PYTHONDONTWRITEBYTECODE": "1"}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    for candidate in dict.fromkeys(
        [sys.executable, shutil.which(version, path="/usr/bin:/usr/local/bin:/bin")]
    ):
        if candidate is None:
            continue
        asks = [candidate, "-c", "import numpy, RestrictedPython, pydantic, llmdas_agent.sandbox"]
        try:
            done = subprocess.run(
                asks, env=environment, user=65534, group=65534, extra_groups=[], cwd="/", capture_output=True
            )
        except OSError:
            continue
        if done.returncode == 0:
            return [candidate], environment
    return None


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user already: the other tests are this one")
def test_as_an_ordinary_user():
    found = interpreter_of_nobody()
    if found is None:
        pytest.skip("no interpreter of this version with these packages that user nobody can read")
    interpreter, environment = found
    states, grade, rows, _ = told(
        RUN, interpreter, env=environment, user=65534, group=65534, extra_groups=[], cwd="/"
    )
    assert rows == [[1.0, 1.0], [1.0, 1.0]]
    assert (states["process"], states["landlock"], states["seccomp"]) == ("active", "active", "active")
    assert grade.startswith("full")


@pytest.mark.skipif(os.geteuid() != 0, reason="an ordinary user already: the corpus itself is this test")
def test_the_corpus_is_contained_for_an_ordinary_user_too(tmp_path_factory):
    found = interpreter_of_nobody()
    if found is None:
        pytest.skip("no interpreter of this version with these packages that user nobody can read")
    interpreter, environment = found
    corpus = Path(__file__).parents[1] / "redteam"
    chosen = "(hostile_program or kernel_alone) and (files or network or processes or signals or environment)"
    options = ["-p", "no:cacheprovider", "-n", "0", "-q", "--rootdir", str(corpus), "-k", chosen]
    done = subprocess.run(
        [*interpreter, "-m", "pytest", str(corpus), *options],
        env=environment | {"HOME": "/nonexistent"},
        user=65534,
        group=65534,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    assert int(re.search(r"(\d+) passed", done.stdout).group(1)) >= 100
