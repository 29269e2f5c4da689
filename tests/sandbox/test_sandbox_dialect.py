"""What the dialect takes, and what it says of the rest: the text has to teach whoever mends the program."""

from __future__ import annotations

import time

import numpy as np
import pytest
from sandbox_programs import run, run_source

from llmdas_agent.errors import ProgramError
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import check_source

END = "\ndef generate_hard_anomalies(n_samples, model, X_train, rng):\n    return X_train[:n_samples]\n"


def refused(source: str) -> ProgramError:
    with pytest.raises(ProgramError) as caught:
        check_source(SynthesisProgram(source))
    return caught.value


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("import os", ["'os' cannot be imported", "Allowed:", "numpy", "scipy.stats"]),
        ("from numpy import sqroot", ["'numpy.sqroot' is not available", "sqrt"]),
        ("from scipy.stats import norms", ["'scipy.stats.norms'", "norm"]),
        ("from numpy import *", ["'numpy.*'"]),
        ("from . import x", ["relative import"]),
        ("class A: pass", ["classes are not available", "dicts"]),
        ("x = open('f')", ["'open' is not available", "cannot read or write files"]),
        ("x = eval('1')", ["'eval' is not available"]),
        ("x = (1).__class__", ["'__class__' is private"]),
        ("__x = 1", ["'__x' is reserved"]),
        ("_getattr_ = 1", ["'_getattr_' is reserved"]),
        ("def f(): f.x = 1", ["'x' cannot be set", "variables or a dict"]),
        ("async def f(): pass", ["AsyncFunctionDef is not available"]),
        ("match 1:\n    case 1: pass", ["Match is not available"]),
    ],
)
def test_a_refusal_names_the_line_and_what_to_do_instead(line, words):
    error = refused("import numpy as np\n\n" + line + END)
    assert (error.code, error.line) == ("dialect", 3)
    assert all(word in str(error) for word in words)


def test_several_faults_are_told_at_once_in_order():
    error = refused("import os\nx = open('f')\nclass A: pass\n" + END)
    text = str(error)
    assert error.line == 1
    assert text.index("'os'") < text.index("line 2: 'open'") < text.index("line 3: classes")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("X_train.men(axis=0)", ["'ndarray' has no attribute 'men'", "mean"]),
        ("np.savetxt('f', X_train)", ["'numpy.savetxt' is not available"]),
        ("np.mene(X_train)", ["'numpy.mene' is not available", "mean"]),
        ("np.ndarray(3)", ["ndarray cannot be called here", "np.zeros"]),
        ("model.fit(X_train)", ["the model has no 'fit'", "predict_score(X)"]),
        ("model.predict_score(X_train[0])", ["(m, 4)", "x.reshape(1, -1)"]),
        ("model.predict_score(X_train * np.nan)", ["finite rows", "200 of 200"]),
        ("rng.rand(3)", ["'Generator' has no attribute 'rand'"]),
        ("'{0.shape}'.format(X_train)", ["f-string"]),
        ("getattr(X_train, '__class__')", ["'__class__'"]),
        ("type(rng)", ["isinstance"]),
        ("[].apend(1)", ["'list' has no attribute 'apend'", "append"]),
    ],
)
def test_a_refusal_at_run_time_says_what_there_is_instead(body, words):
    with pytest.raises(ProgramError) as caught:
        run(f"x = 1\n{body}\nreturn X_train[:n_samples]")
    assert (caught.value.code, caught.value.line) == ("run", 4)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_missing_attribute_can_be_caught_and_defaulted():
    body = """
try:
    X_train.nothing
except AttributeError as error:
    print("caught", str(error)[:9])
print(getattr(X_train, "nothing", 7), hasattr(X_train, "mean"), hasattr(X_train, "tofile"))
return X_train[:n_samples]
"""
    assert run(body).printed == "caught 'ndarray'\n7 True False\n"


def test_annotations_are_dropped_and_not_executed():
    source = """
import numpy as np
def f(x: undefined.thing = 1) -> 1 / 0:
    y: also.undefined = x
    return y
def generate_hard_anomalies(n_samples: "int", model: 1 / 0, X_train: np.ndarray, rng):
    z: nothing
    return X_train[:n_samples] + f()
"""
    assert run_source(source).rows.shape == (20, 4)


def test_memory_is_held_to_the_limit():
    limits = {"memory_mib": 200}
    half = run("a = np.ones(100 * 2**17)\nreturn X_train[:n_samples] + 0 * a[0]", limits=limits)
    assert half.rows.shape == (20, 4)
    with pytest.raises(ProgramError) as caught:
        run("a = np.ones(300 * 2**17)\nreturn X_train[:n_samples] + 0 * a[0]", limits=limits)
    assert (caught.value.code, caught.value.line) == ("memory", 3)


def test_error_texts_hold_no_paths_of_the_host_and_no_control_characters():
    with pytest.raises(ProgramError) as caught:
        run("raise ValueError('\\x1b[2Jat /usr/lib/python3/x.py, line\\n\\x00 1 / 2 \\u202e')")
    text = str(caught.value)
    assert "<path>" in text and "/usr" not in text
    assert "1 / 2" in text
    assert text.isprintable()


def test_reading_the_largest_programs_takes_a_moment_only():
    source = "\n".join(f"x{i} = a{i}[{i}] + f(b, c={i})" for i in range(500)) + END
    started = time.perf_counter()
    check_source(SynthesisProgram(source))
    assert len(source) > 10_000
    assert time.perf_counter() - started < 10  # a bound against quadratic work, not a measurement


@pytest.mark.parametrize("rows", [1, 30, 5000])
def test_tables_of_any_size_go_in_and_out_unchanged(rows):
    table = np.random.default_rng(rows).normal(size=(rows, 200)) * 1e300
    made = run("return X_train.copy()", n_samples=rows, X_train=table)
    assert np.array_equal(made.rows, table)


def test_integers_and_small_floats_come_back_as_float64():
    assert run("return X_train[:n_samples].astype(np.float32)").rows.dtype == np.float64
    assert run("return np.zeros((n_samples, 4), dtype=int)").rows.dtype == np.float64


@pytest.mark.parametrize(
    ("arguments", "seen"),
    [
        ("n, m, X, rng", True),
        ("n, m, X, generator", True),
        ("n, m, X, rng=None", True),
        ("n, m, X, *, rng", True),
        ("n, m, X, scale=1.0, *, rng=None", True),
        ("n, m, X, rng, /", True),
        ("n, m, X, **rest", False),
        ("n, m, X, seed=3", False),
        ("*rest", False),
    ],
)
def test_the_generator_is_passed_where_the_entry_point_takes_one(arguments, seen):
    taken = "rng" if "rng" in arguments else "generator" if "generator" in arguments else "None"
    source = f"""
import numpy as np
def generate_hard_anomalies({arguments}):
    return np.full((20, 4), float(isinstance({taken}, np.random.Generator)))
"""
    assert run_source(source).rows.all() == seen


@pytest.mark.parametrize(
    "arguments",
    ["", "n", "n, m", "n, m, X, a, b", "n, m, *, X", "n, m, X, *, rng, other", "n, m, X, *, other"],
)
def test_an_entry_point_that_cannot_be_called_is_refused(arguments):
    error = refused(f"def generate_hard_anomalies({arguments}):\n    return 1\n")
    assert (error.code, error.line) == ("signature", 1)
    assert "def generate_hard_anomalies(n_samples, model, X_train, rng):" in error.hint


@pytest.mark.parametrize(
    "text",
    ["def f(a, a): pass", "nonlocal x", "def f():\n    x = 1\n    global x", "x = '\\N{no such}'", "x = 1 +"],
)
def test_what_python_cannot_read_is_found_before_running(text):
    assert refused(text + END).code == "parse"


def test_an_entry_point_that_yields_is_refused():
    assert refused("def generate_hard_anomalies(n, m, X):\n    yield X\n").code == "signature"
