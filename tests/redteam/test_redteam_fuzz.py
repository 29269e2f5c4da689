"""Random syntax trees, mangled programs, mangled replies: each ends in a result or an error of its own."""

from __future__ import annotations

import ast
import json
import socket
import time

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redteam_corpus import entries

from llmdas_agent.config import SandboxLimits
from llmdas_agent.errors import ProgramError, SandboxError
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import check_source, run_program, runner, wire
from llmdas_agent.sandbox.channel import Channel, GoneError, LateError, MalformedError
from llmdas_agent.sandbox.dialect import check

QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}
LIMITS = SandboxLimits(wall_seconds=0.5, cpu_seconds=2, memory_mib=256, score_rows=1000)

# Ordinary names come more often, so that many programs pass the policy and meet the guards at run time.
_PLAIN_NAMES = "np model X_train rng n_samples x _y _ getattr hasattr isinstance range len str list float sum"
_ODD_NAMES = "__ __name__ type open print e __class__ __import__ __builtins__ _getattr_ _import_ _tmp0"
NAMES = st.sampled_from([*(_PLAIN_NAMES.split() * 4), *_ODD_NAMES.split()])
_PLAIN_ATTRIBUTES = (
    "shape T mean sum copy linalg random zeros where float64 predict_score normal append format"
)
_ODD_ATTRIBUTES = """
    lib sys os load savetxt ctypes base flags _fd __class__ __globals__ __dict__ gi_frame tb_frame f_globals
    args obj members kind make
"""
ATTRIBUTES = st.sampled_from([*(_PLAIN_ATTRIBUTES.split() * 6), *_ODD_ATTRIBUTES.split()])
TEXTS = st.sampled_from(["", "a", "__class__", "shape", "{0.__class__}", "numpy", "os"])
MODULES = st.sampled_from(
    ["numpy", "math", "os", "numpy.lib", "scipy.stats", "sys", "builtins", "numpy.linalg", "typing"]
)


def _expressions() -> st.SearchStrategy[ast.expr]:
    load, store = ast.Load(), ast.Store()
    names = NAMES.map(lambda name: ast.Name(name, load))
    values = st.one_of(st.integers(0, 2**70), st.floats(), TEXTS, st.none(), st.booleans())
    leaves = st.one_of(names, names, values.map(ast.Constant))

    def grow(inner: st.SearchStrategy[ast.expr]) -> st.SearchStrategy[ast.expr]:
        some = st.lists(inner, max_size=3)
        operators = st.sampled_from(
            [ast.Add(), ast.Mult(), ast.Pow(), ast.MatMult(), ast.LShift(), ast.Mod()]
        )
        loops = st.builds(
            lambda name, source: [ast.comprehension(ast.Name(name, store), source, [], 0)], NAMES, inner
        )
        arguments = st.builds(_arguments, NAMES, inner)
        return st.one_of(
            st.builds(lambda value, name: ast.Attribute(value, name, load), inner, ATTRIBUTES),
            st.builds(lambda value, index: ast.Subscript(value, index, load), inner, inner),
            st.builds(lambda call, given: ast.Call(call, given, []), inner, some),
            st.builds(
                lambda call, star, name: ast.Call(call, [ast.Starred(star, load)], [ast.keyword(name, star)]),
                inner,
                inner,
                NAMES,
            ),
            st.builds(ast.BinOp, inner, operators, inner),
            st.builds(lambda operand: ast.UnaryOp(ast.USub(), operand), inner),
            st.builds(ast.IfExp, inner, inner, inner),
            st.builds(lambda items: ast.Tuple(items, load), some),
            st.builds(lambda items: ast.List(items, load), some),
            st.builds(lambda key, value: ast.Dict([key], [value]), inner, inner),
            st.builds(ast.ListComp, inner, loops),
            st.builds(ast.GeneratorExp, inner, loops),
            st.builds(ast.Lambda, arguments, inner),
            st.builds(lambda name, value: ast.NamedExpr(ast.Name(name, store), value), NAMES, inner),
            st.builds(lambda value: ast.JoinedStr([ast.FormattedValue(value, -1)]), inner),
            st.builds(ast.Yield, inner),
        )

    return st.recursive(leaves, grow, max_leaves=12)


def _arguments(name: str, default: ast.expr, annotation: ast.expr | None = None) -> ast.arguments:
    return ast.arguments([], [ast.arg(name, annotation)], None, [], [], None, [default])


def _statements() -> st.SearchStrategy[ast.stmt]:
    store = ast.Store()
    value = _expressions()
    targets = st.one_of(
        NAMES.map(lambda name: ast.Name(name, store)),
        st.builds(lambda base, name: ast.Attribute(base, name, store), value, ATTRIBUTES),
        st.builds(lambda base, index: ast.Subscript(base, index, store), value, value),
    )
    aliases = st.builds(ast.alias, st.one_of(ATTRIBUTES, NAMES), st.one_of(st.none(), NAMES)).map(
        lambda a: [a]
    )
    simple = st.one_of(
        st.builds(ast.Expr, value),
        st.builds(lambda target, made: ast.Assign([target], made), targets, value),
        st.builds(lambda target, made: ast.AugAssign(target, ast.Add(), made), targets, value),
        st.builds(lambda target, kind, made: ast.AnnAssign(target, kind, made, 1), targets, value, value),
        st.builds(ast.Return, value),
        st.builds(lambda module, named: ast.Import([ast.alias(module, named)]), MODULES, st.none() | NAMES),
        st.builds(lambda module, names: ast.ImportFrom(module, names, 0), MODULES, aliases),
        st.builds(lambda name: ast.Global([name]), NAMES),
        st.builds(lambda name: ast.Nonlocal([name]), NAMES),
        st.builds(lambda target: ast.Delete([target]), NAMES.map(lambda name: ast.Name(name, ast.Del()))),
        st.builds(ast.Raise, value, st.none()),
        st.builds(ast.Assert, value, st.none()),
    )

    def grow(inner: st.SearchStrategy[ast.stmt]) -> st.SearchStrategy[ast.stmt]:
        body = st.lists(inner, min_size=1, max_size=3)
        handlers = st.builds(
            lambda kind, name, lines: [ast.ExceptHandler(kind, name, lines)], value, st.none() | NAMES, body
        )
        withs = st.builds(lambda made, target: [ast.withitem(made, target)], value, st.none() | targets)
        return st.one_of(
            st.builds(ast.If, value, body, body),
            st.builds(lambda target, source, lines: ast.For(target, source, lines, []), targets, value, body),
            st.builds(lambda lines, caught: ast.Try(lines, caught, [], []), body, handlers),
            st.builds(ast.With, withs, body),
            st.builds(
                lambda name, arguments, lines, decorators: ast.FunctionDef(
                    name, arguments, lines, decorators
                ),
                NAMES,
                st.builds(_arguments, NAMES, value, value),
                body,
                st.lists(value, max_size=1),
            ),
            st.builds(
                lambda name, bases, lines: ast.ClassDef(name, bases, [], lines, []),
                NAMES,
                st.lists(value, max_size=1),
                body,
            ),
        )

    return st.recursive(simple, grow, max_leaves=6)


PROGRAMS = st.lists(_statements(), min_size=1, max_size=5)


def as_source(body: list[ast.stmt]) -> str:
    """Return a program's text with these statements in its entry point."""
    entry = ast.parse("def generate_hard_anomalies(n_samples, model, X_train, rng):\n    pass")
    entry.body[0].body = [*ast.parse("import numpy as np").body, *body]  # type: ignore[attr-defined]
    return ast.unparse(ast.fix_missing_locations(entry))


def assert_guarded(tree: ast.Module) -> None:
    """Assert that an accepted tree reaches nothing but through the guards."""
    kept = (
        ast.Attribute
        | ast.Import
        | ast.ImportFrom
        | ast.ClassDef
        | ast.AnnAssign
        | ast.AsyncFunctionDef
        | ast.Await
    )
    for node in ast.walk(tree):
        assert not isinstance(node, kept)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_getattr_":
            attribute = node.args[1]
            assert isinstance(attribute, ast.Constant) and not attribute.value.startswith("_")
        if isinstance(node, ast.Name):
            reserved = node.id.startswith("__") or (node.id.startswith("_") and node.id.endswith("_"))
            assert not reserved or node.id in ("_", "__", "__name__", "_getattr_", "_import_")
            assert isinstance(node.ctx, ast.Load) or node.id in ("_", "__") or not reserved
        if isinstance(node, ast.arg | ast.FunctionDef):
            assert getattr(node, "annotation", None) is None and getattr(node, "returns", None) is None


@settings(max_examples=200, **QUIET)
@given(PROGRAMS)
def test_whatever_the_policy_accepts_is_guarded(body):
    source = as_source(body)
    try:
        check_source(SynthesisProgram(source))
    except ProgramError as error:
        assert error.code in ("parse", "dialect", "signature")
        assert str(error).isprintable() and len(str(error)) < 4096
    else:
        assert_guarded(check(SynthesisProgram(source).source).tree)


@settings(max_examples=200, **QUIET)
@given(st.text(max_size=300) | st.binary(max_size=300).map(lambda data: data.decode("latin-1")))
def test_any_text_is_parsed_or_refused(text):
    with pytest.raises(ProgramError) as caught:
        check_source(SynthesisProgram(text))
    assert caught.value.code in ("parse", "dialect", "signature")
    assert str(caught.value).isprintable()


def run(source: str) -> None:
    X = np.random.default_rng(0).normal(size=(20, 3))
    try:
        found = run_program(
            SynthesisProgram(source),
            n_samples=4,
            X_train=X,
            score=lambda Z: Z.sum(axis=1),
            seed=1,
            limits=LIMITS,
        )
    except ProgramError as error:
        assert str(error).isprintable() and len(str(error)) < 4096
    else:
        assert found.rows.shape == (4, 3) and np.isfinite(found.rows).all()


@settings(max_examples=60, **QUIET)
@given(PROGRAMS)
def test_random_programs_run_or_fail_with_their_own_error(body):
    run(as_source(body))


@settings(max_examples=60, **QUIET)
@given(st.data())
def test_mangled_programs_run_or_fail_with_their_own_error(data):
    plain = [
        entry for entry in entries("benign") if "scipy" not in entry.text and "sklearn" not in entry.text
    ]
    lines = data.draw(st.sampled_from(plain)).source().splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(lines) - 1))
        words = lines[at].split(" ")
        word = data.draw(st.integers(0, len(words) - 1))
        words[word] = data.draw(
            st.sampled_from(["", "None", "0", "X_train", words[word] * 2, "np", "-1", "model"])
        )
        lines[at] = " ".join(words)
    run("\n".join(lines))


# Replies


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
FIELDS = st.sampled_from(["shape", "printed", "unchanged", "code", "what", "line", "hint", "extra"])
HEADERS = st.one_of(
    st.dictionaries(FIELDS, JSON, max_size=5),
    st.fixed_dictionaries(
        {"shape": st.just([2, 3]), "printed": st.text(max_size=30), "unchanged": st.booleans()}
    ),
    st.fixed_dictionaries(
        {"code": st.text(max_size=8) | st.just("run"), "what": st.text(max_size=50), "line": st.integers()}
    ),
    JSON,
)
ROWS = st.lists(st.floats(), min_size=6, max_size=6).map(lambda values: np.array(values).tobytes())
MESSAGES = st.one_of(
    st.binary(max_size=60),
    HEADERS.map(lambda header: wire.REPLY + wire.pack_header(header)),
    st.builds(lambda header, rows: wire.REPLY + wire.pack_header(header) + rows, HEADERS, ROWS),
    st.builds(lambda m, d: wire.SCORE + wire.SHAPE.pack(m, d), st.integers(0, 2**64 - 1), st.integers(0, 5)),
    st.builds(lambda rows: wire.SCORE + wire.SHAPE.pack(2, 3) + rows, ROWS),
    st.integers(0, 2**32 - 1).map(lambda length: wire.REPLY + wire.LENGTH.pack(length) + b"{}"),
)


@settings(max_examples=400, **QUIET)
@given(st.lists(MESSAGES, max_size=4))
def test_any_reply_is_read_or_refused(messages):
    X = np.ones((5, 3))
    one = runner._Run(SynthesisProgram(""), 2, X, lambda Z: Z.sum(axis=1), 0, SandboxLimits(score_rows=100))
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"".join(messages))
        theirs.shutdown(socket.SHUT_WR)
        try:
            reply, rows = one._talk(Channel(ours, time.monotonic() + 5))
        except (ProgramError, SandboxError) as error:
            assert str(error).isprintable() and len(str(error)) < 4096
        except (GoneError, MalformedError, LateError):
            pass  # each becomes a ProgramError of its own in `_Run.through`
        else:
            assert rows.shape == (2, 3) and np.isfinite(rows).all()
            assert json.loads(reply.model_dump_json())["shape"] == [2, 3]
        assert one._scored_rows <= 100
