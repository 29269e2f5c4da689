"""Several programs in one: each makes the rows that it makes alone, whatever names they share."""

from __future__ import annotations

import textwrap
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdas_agent.agent.embedded import STRATEGIES, compose
from llmdas_agent.agent.refinement.breeding import Genome
from llmdas_agent.agent.refinement.together import holds_several, together
from llmdas_agent.errors import ProgramError
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.sandbox import check_source, run_program
from llmdas_agent.sandbox.signature import passes_rng
from llmdas_agent.sandbox.source import parse

X = np.random.default_rng(0).normal(size=(80, 3))

# each binds its names before it reads them; what it finds depends on which of them is meant where
PIECES = [
    """
{a} = {k}
def {b}({a}, *, {c}=3):
    return {a} * 10 + {c} + sum([{d} for {d} in range(3)])
seen.append({b}(2, {c}={a}))
""",
    """
{a} = {k}
def {b}():
    "Reads {a}."
    global {a}, {c}
    {a} += 1
    {c} = {a}
    return {a}
seen.append({b}() + {c})
""",
    """
{a} = [{a} for {a} in range({k})]
{b} = [({c} := {d}) for {d} in {a} if {d} >= 0 for {a} in (1, 2)]
{d} = {{{a}: {b} for {a}, {b} in [({k}, {c})]}}
seen.append(sum({b}) + {c} + {d}[{k}])
""",
    """
def {a}({b}):
    def {c}({d}={b}):
        nonlocal {b}
        {b} = {b} + {d}
        return [{b} for _ in range(2)]
    return sum({c}()) + {b}
seen.append({a}({k}))
""",
    """
try:
    {a} = 1 // 0
except ZeroDivisionError as {b}:
    {a} = len(str({b}))
for {c} in range({a}): {d} = {c}
seen.append({a} + {d})
""",
    """
{c} = {k}; {d} = 7
{a} = lambda {b}, {c}={c}, *more: {b} + {c} + (lambda {d}: {d})(1) + {d}
def {b}(f=lambda {d}: {d} + 1): return f({d}) + {d}
seen.append({a}({b}=1) + {b}())
""",
    """
{a}, {b} = {k}, 9
seen.append(len(f"ä {{{a}!r:>{{{b}}}}} {{[{c} for {c} in 'xy']}} {a}" 'é {b}'))
seen.append({b})  # {b} after ä
""",
    """
import numpy as {a}, math
from math import sqrt as {b}, floor
seen.append(int({a}.sum([{k}])) + floor({b}({k})) + math.ceil(0.5))
""",
    """
from numpy import max, prod as {a}
if {k} > 2:
    from numpy import min as {b}
else:
    {b} = abs
seen.append(int(max([{k}, 3])) + int({a}([{k}, 2])) + int({b}({k})))
""",
    """
from scipy import linalg; {a} = len("import {b}")
seen.append(int(linalg.det([[{a}]])))
""",
    """
import numpy.linalg
from numpy import linalg
seen.append(int(numpy.linalg.det([[{k}]])) + int(linalg.det([[1]])))
""",
]  # fmt: skip
ENTRY = """
def generate_hard_anomalies({arguments}):
    import numpy as np
    size, {rng_of} = n_samples, {rng_is}
    return np.column_stack([np.full(size, float(seen[k % len(seen)])) for k in range(2)] + [{draw}])
"""
FORMS = [
    ("n_samples, model, X_train, rng", "chance", "rng", "chance.random(size)"),
    ("n_samples, model, X_train, *, rng", "chance", "rng", "chance.normal(size=size)"),
    ("n_samples, model, X_train, chance", "rng", "chance", "rng.random(size)"),
    ("n_samples, model, X_train", "rng", "np.random", "rng.random(size)"),
]
NAMES = ["scale", "Z", "np", "model", "part1_x", "seen2"]


@st.composite
def programs(draw: st.DrawFn) -> SynthesisProgram:
    pieces = [draw(st.sampled_from(['"""Says what it does."""\n', "'one' 'two'; ", ""])) + "seen = []\n"]
    for piece in draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=4)):
        names = dict(zip("abcd", draw(st.permutations(NAMES)), strict=False))
        pieces.append(piece.format(k=draw(st.integers(1, 5)), **names))
    form = dict(zip(("arguments", "rng_of", "rng_is", "draw"), draw(st.sampled_from(FORMS)), strict=True))
    return SynthesisProgram("".join(pieces) + ENTRY.format(**form))


def run_here(program: SynthesisProgram, n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Run a program of these tests as plain Python."""
    names: dict[str, Any] = {}
    exec(compile(program.source, "<program>", "exec"), names)
    entry = names["generate_hard_anomalies"]
    form = passes_rng(parse(program.source))
    given: dict[str, Any] = {"name": {"rng": rng}}.get(form, {})
    return np.asarray(entry(n_samples, None, X, *([rng] if form == "position" else []), **given))


@given(st.lists(programs(), min_size=2, max_size=3), st.integers(0, 7), st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_every_part_does_what_it_does_alone(parts: list[SynthesisProgram], n: int, seed: int) -> None:
    for part in parts:
        check_source(part)
    whole = together(parts)
    check_source(whole)
    rng = np.random.default_rng(seed)
    np.random.seed(seed)
    shares = [n // len(parts) + (k < n % len(parts)) for k in range(len(parts))]
    alone = [run_here(part, share, rng) for part, share in zip(parts, shares, strict=True) if share]
    expected = rng.permutation(np.concatenate([X[:0], *alone]))
    np.random.seed(seed)
    assert np.array_equal(run_here(whole, n, np.random.default_rng(seed)), expected)
    # and once more around it
    both = together([whole, parts[0]])
    check_source(both)
    rng = np.random.default_rng(seed)
    np.random.seed(seed)
    half = [run_here(part, share, rng) for part, share in ((whole, n - n // 2), (parts[0], n // 2)) if share]
    expected = rng.permutation(np.concatenate([X[:0], *half]))
    np.random.seed(seed)
    assert np.array_equal(run_here(both, n, np.random.default_rng(seed)), expected)


@given(programs(), programs())
@settings(max_examples=30, deadline=None)
def test_each_part_stands_in_a_function_of_its_own_comments_and_all(
    one: SynthesisProgram, other: SynthesisProgram
) -> None:
    whole = together([one, other])
    assert whole == together([one, other])
    assert holds_several(whole)
    assert not holds_several(one)
    assert whole.source.count("def part1():\n") == 1 and whole.source.count("\n    def generate_hard_") == 2
    for part in (one, other):
        assert whole.source.count(" after ä") >= part.source.count(" after ä")


def sandboxed(program: SynthesisProgram, n: int) -> np.ndarray:
    def score(rows: np.ndarray) -> np.ndarray:
        return np.linalg.norm(rows, axis=1)

    return run_program(program, n_samples=n, X_train=X, score=score, seed=5).rows


def as_set(rows: np.ndarray) -> set[tuple[float, ...]]:
    return set(map(tuple, rows.tolist()))


CHAT = SynthesisProgram('''"""Steps away from rows."""
import numpy as np
import numpy as numerics
from typing import Optional

STRENGTH: Optional[float] = 3.0  # far out
_COUNT = 0


def nearest(rows: np.ndarray, STRENGTH: float = STRENGTH) -> np.ndarray:
    # not the nearest at all
    return rows * STRENGTH


def generate_hard_anomalies(n_samples, model, X_train):
    made = nearest(X_train[:n_samples], STRENGTH=STRENGTH + numerics.pi)
    print(f"{made.shape} at {STRENGTH}")
    return made + np.random.normal(size=made.shape)
''')


def test_confined_each_makes_its_share() -> None:
    near, far = (compose(STRATEGIES[k : k + 2], strength).program for k, strength in ((0, 1.0), (3, 2.5)))
    whole = together([near, CHAT, far])
    made = sandboxed(whole, 11)
    assert made.shape == (11, 3)
    # the first draws what it draws alone, and np.random has a stream of its own
    assert as_set(sandboxed(near, 4)) <= as_set(made)
    assert as_set(sandboxed(CHAT, 4)) <= as_set(made)
    assert len(as_set(made)) == 11
    # one row is the first one's; the others are not called
    assert np.array_equal(sandboxed(whole, 1), sandboxed(near, 1))
    assert sandboxed(whole, 0).shape == (0, 3)
    assert np.array_equal(made, sandboxed(whole, 11)), "the same seed gives the same rows"


def test_the_text_is_one_that_a_person_can_read() -> None:
    pieces = [CHAT, compose(STRATEGIES[:2], 1.0).program]
    text = together(pieces).source
    for piece in pieces:
        assert textwrap.indent(piece.source.strip(), "    ") in text
    assert "def part1():\n" in text and "def part2():\n" in text
    assert "made.append(part2()(shares[1], model, X_train, rng=rng))\n" in text


def test_genomes_are_found_in_every_part() -> None:
    genomes = [Genome(("between", "tail"), 1.5, 0.6), Genome(("recombine",), 3.0, 0.2)]
    pieces = [genome.proposal().program for genome in genomes]
    assert Genome.read(together(pieces)) == genomes
    assert Genome.read(together([together(pieces), CHAT, pieces[0]])) == [*genomes, genomes[0]]
    assert Genome.read(together([CHAT, CHAT])) == []


def test_what_is_no_program_is_not_put_together() -> None:
    with pytest.raises(ProgramError, match="defines no function"):
        together([CHAT, SynthesisProgram("x = 1")])
    with pytest.raises(ProgramError, match="classes are not available"):
        together([SynthesisProgram(f"class A:\n    x = 1\n{CHAT.source}"), CHAT])
