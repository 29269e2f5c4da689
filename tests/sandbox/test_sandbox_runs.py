"""What a caller gets from the sandbox: rows, or an error that says who is to blame and where."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import psutil
import pytest
from sandbox_programs import X_TRAIN, run, run_source

from llmdas_agent.errors import DetectorError, ProgramError, SandboxError
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import check_source, layers
from llmdas_agent.sandbox.helper import discard, helper_for

GOOD = """
around = X_train[rng.integers(len(X_train), size=n_samples)]
return around + rng.normal(scale=0.5, size=around.shape)
"""


def blame(body: str, **options) -> ProgramError:
    with pytest.raises(ProgramError) as caught:
        run(body, **options)
    return caught.value


def test_rows_come_back_as_the_contract_says():
    result = run(GOOD)
    assert result.rows.shape == (20, 4)
    assert result.rows.dtype == np.float64
    assert result.rows.flags.c_contiguous
    assert np.isfinite(result.rows).all()
    assert (result.queries, result.scored_rows, result.printed) == (0, 0, "")
    assert result.inputs_unchanged
    assert result.seconds > 0


def test_same_seed_same_rows_and_another_seed_other_rows():
    first, again, other = run(GOOD), run(GOOD), run(GOOD, seed=4)
    assert np.array_equal(first.rows, again.rows)
    assert not np.array_equal(first.rows, other.rows)


def test_chance_that_a_program_leaves_unseeded_follows_the_seed_too():
    body = """
import random
made = np.random.default_rng().normal(size=(n_samples, 4)) + np.random.randn(n_samples, 4)
np.random.seed(None)
made += np.random.RandomState().rand() + random.random() + random.Random().random() + np.random.rand()
return made + len("".join({"a", "b", "c"})) + sum(i * ord(c) for i, c in enumerate({"x", "y", "z", "w"}))
"""
    assert np.array_equal(run(body).rows, run(body).rows)
    assert not np.array_equal(run(body).rows, run(body, seed=4).rows)


def test_memory_that_a_program_leaves_unset_does_not_vary():
    body = """
texts = [str(i) for i in range(3000)]
del texts
made = np.empty((n_samples, 4))
made[:5] = np.log(np.abs(X_train[:5]), where=X_train[:5] > 0)
return np.nan_to_num(made)
"""
    for n_samples in (20, 200):
        first = run(body, n_samples=n_samples).rows
        discard(helper_for(scientific=False))
        assert np.array_equal(first, run(body, n_samples=n_samples).rows)


def test_the_three_argument_form_runs_on_the_global_generator():
    source = """
import numpy as np
def generate_hard_anomalies(n_samples, model, X_train):
    return X_train[:n_samples] + np.random.randn(n_samples, X_train.shape[1])
"""
    first, again, other = run_source(source), run_source(source), run_source(source, seed=4)
    assert np.array_equal(first.rows, again.rows)
    assert not np.array_equal(first.rows, other.rows)


@pytest.mark.parametrize(
    "arguments",
    ["n, m, X, g", "n_samples, model, X_train, *, rng", "n, model, X, *rest", "n, m, X, scale=2.0, rng=None"],
)
def test_the_entry_point_may_name_its_arguments_as_it_likes(arguments):
    source = f"import numpy as np\ndef generate_hard_anomalies({arguments}):\n    return np.zeros((20, 4))\n"
    assert run_source(source).rows.shape == (20, 4)


def test_scores_are_those_of_the_caller_and_are_counted():
    body = """
scores = model.predict_score(X_train)
print(scores.sum())
model.predict_score(X_train[:0])
model.predict_score(X_train[:5].tolist())
return X_train[np.argsort(scores)[-n_samples:]]
"""
    result = run(body)
    assert float(result.printed) == pytest.approx((X_TRAIN**2).sum())
    assert (result.queries, result.scored_rows) == (2, 205)


def test_scores_that_are_not_finite_are_cured():
    body = "print(model.predict_score(X_train[:4]).tolist())\nreturn X_train[:n_samples]"
    result = run(body, score=lambda X: np.array([np.nan, 2.0, -np.inf, 5.0]))
    assert result.printed.strip() == "[5.0, 2.0, 2.0, 5.0]"


def test_an_exception_of_the_detector_reaches_the_caller_unchanged():
    class OwnError(Exception):
        pass

    error = OwnError("mine")

    def score(X):
        raise error

    with pytest.raises(OwnError) as caught:
        run("return model.predict_score(X_train)", score=score)
    assert caught.value is error


def test_a_detector_that_gives_too_few_scores_is_named():
    with pytest.raises(DetectorError, match=r"shape \(3,\) for 200 rows"):
        run("return model.predict_score(X_train)", score=lambda X: X[:3, 0])


def test_changes_of_the_input_stay_inside_and_are_reported():
    before = X_TRAIN.copy()
    result = run("X_train[X_train < 0] += 1\nreturn X_train[:n_samples]")
    assert not result.inputs_unchanged
    assert np.array_equal(X_TRAIN, before)


def test_print_is_kept_up_to_its_limit():
    assert run('print("a", 1, sep="-")\nreturn X_train[:n_samples]').printed == "a-1\n"
    result = run('print("x" * 100_000)\nreturn X_train[:n_samples]', limits={"print_chars": 50})
    assert result.printed == "x" * 50 + "\n[more was printed and dropped]"


@pytest.mark.parametrize(
    ("source", "code", "line", "words"),
    [
        ("def f(:\n", "parse", 1, "not Python"),
        ("x = 1\n" * 40_000, "parse", None, "bytes"),
        (
            "import os\ndef generate_hard_anomalies(n, m, X): return X\n",
            "dialect",
            1,
            "'os' cannot be imported",
        ),
        ("x = 1\ny = open('f')\ndef generate_hard_anomalies(n, m, X): return X\n", "dialect", 2, "'open'"),
        ("x = 1\n", "signature", None, "defines no function"),
        ("def generate_hard_anomalies(n):\n    return n\n", "signature", 1, r"takes \(n\)"),
    ],
)
def test_what_can_be_seen_without_running_is_said_before(source, code, line, words):
    with pytest.raises(ProgramError, match=words) as caught:
        check_source(SynthesisProgram(source))
    assert (caught.value.code, caught.value.line) == (code, line)


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ("a = 1\nreturn X_train / (a - b)", "run", "NameError"),
        ("return X_train[:, 17]", "run", "IndexError"),
        ("return model.decision_function(X_train)", "run", r"predict_score\(X\)"),
        ("return np.zeros((10**7, 10**4))", "memory", "memory"),
        ("return np.zeros(10)", "result", r"shape \(10,\) of float64, expected \(20, 4\)"),
        ("return X_train[:n_samples] * 1j", "result", "complex128"),
        ("return [1, 2, 3]", "result", "list of length 3"),
        ("pass", "result", "NoneType"),
        ("X = X_train[:n_samples].copy()\nX[3, 1] = np.nan\nreturn X", "result", "row 3, column 1"),
    ],
)
def test_each_kind_of_failure_has_its_code_and_a_hint_to_act_on(body, code, words):
    error = blame(body)
    assert error.code == code
    assert re.search(words, str(error))


def test_an_error_names_the_line_of_the_program():
    assert blame("a = 1\n\nb = a.foo\nreturn X_train").line == 5


def test_too_many_scored_rows_end_the_run():
    error = blame("while True:\n    model.predict_score(X_train)", limits={"score_rows": 1000})
    assert error.code == "query_budget"


def test_a_program_that_takes_too_long_is_killed_by_the_parents_clock():
    error = blame(
        "while True:\n    try:\n        x = 1\n    except BaseException:\n        pass",
        limits={"wall_seconds": 0.5},
    )
    assert error.code == "timeout"
    assert "0.5 s" in str(error)


def test_a_program_that_computes_too_long_is_killed_by_the_kernels_count():
    error = blame("while True: pass", limits={"cpu_seconds": 1})
    assert error.code == "timeout"
    assert "processor time" in str(error)


def test_a_result_larger_than_allowed_is_refused_before_anything_runs():
    with pytest.raises(SandboxError, match="MiB"):
        run(GOOD, n_samples=10**6, limits={"result_mib": 8})


def workers_of(pid: int) -> list[psutil.Process]:
    return [
        process for process in psutil.Process(pid).children(recursive=True) if process.status() != "zombie"
    ]


def test_a_killed_run_leaves_no_process():
    run(GOOD)
    before = {process.pid for process in workers_of(os.getpid())}
    blame("while True: pass", limits={"wall_seconds": 0.3})
    assert {process.pid for process in workers_of(os.getpid())} <= before


SCRIPT = """
import numpy as np, sys, threading
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import run_program

def score(X):
    print("scoring", flush=True)
    return X[:, 0]

source = '''
def generate_hard_anomalies(n_samples, model, X_train):
    model.predict_score(X_train)
    while True:
        pass
'''
try:
    run_program(SynthesisProgram(source), n_samples=2, X_train=np.ones((3, 2)), score=score, seed=0)
except KeyboardInterrupt:
    print("interrupted", flush=True)
    {after}
"""


def _descendants(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_ctrl_c_and_a_kill_of_the_caller_leave_nothing_behind(number):
    script = SCRIPT.replace("{after}", "pass")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "scoring\n"
        left = _descendants(process.pid)
        assert len(left) >= 2  # the helper and its worker
        process.send_signal(number)
        rest = process.stdout.read()
        process.wait(20)
    _, alive = psutil.wait_procs(left, timeout=10)
    assert not alive
    if number == signal.SIGINT:
        assert rest == "interrupted\n"


def test_the_helper_and_its_workers_know_nothing_of_the_environment(monkeypatch):
    canary = "canary-3f9c51"
    monkeypatch.setenv("SOME_API_KEY", canary)
    script = SCRIPT.replace("{after}", "pass")
    with subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        for descendant in _descendants(process.pid):
            assert canary not in Path(f"/proc/{descendant.pid}/environ").read_text()
        process.send_signal(signal.SIGINT)
        process.stdout.read()


def test_a_lost_helper_is_replaced():
    run(GOOD)
    killed = [child for child in workers_of(os.getpid()) if "sandbox.zygote" in str(child.cmdline())]
    assert killed
    for helper in killed:
        helper.kill()
    assert run(GOOD).rows.shape == (20, 4)


def test_runs_from_several_threads_do_not_mix():
    found: dict[int, np.ndarray] = {}

    def one(seed: int) -> None:
        found[seed] = run(GOOD, seed=seed).rows

    threads = [threading.Thread(target=one, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(found[seed], run(GOOD, seed=seed).rows) for seed in range(8))


def test_importing_the_sandbox_loads_no_scientific_package():
    heavy = ("sklearn", "scipy", "pyod")
    code = f"import sys, llmdas_agent.sandbox; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_layer_is_named_with_its_state():
    found = {layer.name: layer for layer in layers()}
    assert {"language", "process", "limits", "landlock", "seccomp"} <= set(found)
    assert found["language"].state == "active"
    assert all(layer.detail for layer in found.values())


def test_chance_inside_scientific_packages_follows_the_seed_too():
    body = """
from scipy import stats, optimize
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture
def difference(a, b):
    return a.mean() - b.mean()
def square(x):
    return float((x**2).sum())
found = [
    stats.qmc.LatinHypercube(d=2).random(3).sum(),
    stats.qmc.Sobol(d=2).random(4).sum(),
    stats.norm.rvs(size=3).sum(),
    stats.gaussian_kde(X_train.T).resample(3).sum(),
    stats.bootstrap((X_train[:, 0],), np.mean, n_resamples=20).standard_error,
    stats.permutation_test((X_train[:9, 0], X_train[:9, 1]), difference, n_resamples=20).pvalue,
    KMeans(5, n_init=1).fit(X_train).inertia_,
    GaussianMixture(3, init_params="random").fit(X_train).lower_bound_,
    optimize.differential_evolution(square, [(-1, 1)] * 2, maxiter=2, polish=False).fun,
    optimize.dual_annealing(square, [(-1, 1)] * 2, maxiter=2, no_local_search=True).fun,
]
print(found)
return np.resize(np.array(found), (n_samples, 4))
"""
    first, again, other = (
        run(body).rows.ravel()[:10],
        run(body).rows.ravel()[:10],
        run(body, seed=4).rows.ravel()[:10],
    )
    assert np.array_equal(first, again)
    assert (first != other).sum() >= 9  # a p-value of few permutations may agree


def test_numbers_of_numpy_are_numbers():
    assert run(GOOD, n_samples=np.int64(3), seed=np.uint32(5)).rows.shape == (3, 4)
    assert run(GOOD, n_samples=0).rows.shape == (0, 4)
