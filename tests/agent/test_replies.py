"""Code out of a reply, for all the ways in which real models wrap, break and cut it."""

from __future__ import annotations

import ast
import json
import textwrap
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from llmdas_agent.agent.chat import read_proposal
from llmdas_agent.agent.models import Answer
from llmdas_agent.agent.replies import take_program

ENTRY = "generate_hard_anomalies"

GOOD = '''\
"""Steps away from normal rows."""

import numpy as np

# of the scale of a column
STEP = 0.5


def spread(X):
    """Scale of each column."""
    return np.std(X, axis=0) + 1e-9


def generate_hard_anomalies(n_samples, model, X_train, rng):
    """Step away from normal rows."""
    start = X_train[rng.integers(len(X_train), size=n_samples)]
    # a step of half a spread
    return start + STEP * spread(X_train) * rng.normal(size=start.shape)
'''

SHORT = """\
import numpy as np

def generate_hard_anomalies(n_samples, model, X_train, rng):
    X = np.array(X_train)
    return X[:n_samples] + 1.0
"""


def defined(source: str) -> list[str]:
    """What a program defines and imports, in order; it must parse."""
    names = []
    for node in ast.parse(source).body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            names.append(ast.unparse(node))
        elif isinstance(node, ast.FunctionDef):
            names.append(node.name)
        else:
            names.append(ast.unparse(node))
    return names


def same_code(one: str, other: str) -> bool:
    return ast.dump(ast.parse(one)) == ast.dump(ast.parse(other))


def fenced(code: str) -> str:
    return f"```python\n{code}```"


DRAFT = f"def {ENTRY}(n_samples, model, X_train, rng):\n    return X_train\n\n"
USAGE = f"rows = {ENTRY}(5, None, np.random.rand(10, 2), None)\nprint(rows)\n"
ESCAPED = GOOD.replace('"', '\\"')

WRAPPED = {
    "fence": fenced(GOOD),
    "fence with prose before and after": f"Sure, here's it:\n\n{fenced(GOOD)}\n\nIt's good; don't change it.",
    "fence without a language": f"```\n{GOOD}```",
    "fence with an unknown word": f"```py title=x.py\n{GOOD}```",
    "tilde fence": f"~~~python\n{GOOD}~~~",
    "long fence": f"````python\n{GOOD}````",
    "unclosed fence": f"Here you go:\n```python\n{GOOD}",
    "no fence": GOOD,
    "no fence, prose before": f"Here is the program. It's simple (see below\n\n{GOOD}",
    "no fence, prose after": f"{GOOD}\nIt steps away from rows, it's easy.\nfrom here on, all is prose",
    "fence inside a list": "1. The code:\n\n" + textwrap.indent(fenced(GOOD), "   ") + "\n2. Done",
    "indented under prose": "The code is:\n\n" + textwrap.indent(GOOD, "    "),
    "carriage returns": fenced(GOOD).replace("\n", "\r\n"),
    "byte order mark": "\ufeff" + GOOD,
    "JSON": json.dumps({"code": GOOD, "explanation": "steps away"}),
    "JSON in a fence": f"```json\n{json.dumps({'program': {'text': GOOD}}, indent=1)}\n```",
    "JSON with prose before": f"Here is the JSON you asked for: {json.dumps({'code': GOOD})}",
    "JSON with raw line ends": f'{{"code": "{ESCAPED}"}}',
    "JSON cut at its end": json.dumps({"code": f"{GOOD}\n\nprint('done')"})[:-9],
    "JSON around a fence": json.dumps({"answer": f"Here:\n{fenced(GOOD)}\n"}),
    "thoughts with a draft": f"<think>Maybe\n{fenced(DRAFT)}\nno.</think>\n{fenced(GOOD)}",
    "usage after it": fenced(f"{GOOD}\n\n{USAGE}"),
    "main guard after it": f"{GOOD}\n\nif __name__ == '__main__':\n{textwrap.indent(USAGE, '    ')}",
    "usage in a second block": f"{fenced(GOOD)}\nUse it:\n{fenced(USAGE)}",
    "second block": f"A sketch:\n{fenced('x = sample()')}\nThen:\n{fenced(GOOD)}",
    "shell block first": f"```bash\npip install numpy\n```\n{fenced(GOOD)}",
    "twice": fenced(DRAFT + GOOD),
    "runaway prose": GOOD + "\nThe the the the (the the\n" * 300,
    "runaway statements": GOOD + "\nx = x + 1" * 500,
    "runaway lines inside": GOOD + "    return start +* start\n" * 400,
    "unused imports": fenced(f"import torch\nimport matplotlib.pyplot as plt\n{GOOD}\nplt.show()\n"),
    "thanks at the end": f"{fenced(GOOD)}\n```\nThank you!\n```",
}


@pytest.mark.parametrize("shape", WRAPPED)
def test_the_same_program_comes_out_of_every_wrapping(shape: str) -> None:
    taken = take_program(WRAPPED[shape])
    assert taken.problem == ""
    assert same_code(taken.source, GOOD)


@pytest.mark.parametrize("shape", ["usage after it", "twice", "JSON", "runaway prose"])
def test_comments_survive(shape: str) -> None:
    source = take_program(WRAPPED[shape]).source
    assert "# of the scale of a column\nSTEP = 0.5" in source
    assert "    # a step of half a spread\n    return" in source


@pytest.mark.parametrize(
    ("wide", "plain"),
    [
        ("return start + STEP", "return start ＋ STEP"),
        ("(n_samples, model, X_train, rng):", "（n_samples， model， X_train， rng）："),
        ("STEP = 0.5", "STEP ＝ ０.５"),
        ('"""Step away from normal rows."""', "“““Step away from normal rows.”””"),
        ("    start = X_train", "\u3000\u3000\u3000\u3000start = X_train"),
        ("start = X_train", "ｓｔａｒｔ = X_train"),
        ("STEP * spread", "STEP\u00a0* spread"),
        ("import numpy as np", "import numpy\u200b as np"),
    ],
)
def test_full_width_and_typographic_characters(wide: str, plain: str) -> None:
    assert wide in GOOD
    taken = take_program(f"```python\n{GOOD.replace(wide, plain)}```")
    assert taken.problem == ""
    assert same_code(taken.source, GOOD)
    assert taken.source.isascii()


def test_typographic_characters_in_good_code_stay() -> None:
    source = SHORT.replace("X = np", "note = 'it’s “fine”'\n    X = np")
    assert "'it’s “fine”'" in take_program(source).source


def test_np_is_imported_where_it_is_used() -> None:
    taken = take_program("```python\n" + SHORT.replace("import numpy as np\n\n", "") + "```")
    assert same_code(taken.source, SHORT)


def test_np_is_taken_from_an_earlier_block_before_it_is_made_up() -> None:
    function = SHORT.partition("\n\n")[2]
    taken = take_program(f"```python\nimport numpy as np\nimport os\n```\nand\n```python\n{function}```")
    assert defined(taken.source) == ["import numpy as np", ENTRY]


def test_helpers_and_constants_come_along_from_other_blocks() -> None:
    head, _, function = GOOD.partition("\n\n\ndef generate")
    taken = take_program(f"Helpers:\n```python\n{head}\n```\nMain:\n```python\ndef generate{function}```")
    assert defined(taken.source) == ["import numpy as np", "STEP = 0.5", "spread", ENTRY]


def test_a_helper_after_the_function_comes_along() -> None:
    entry = f"def {ENTRY}(n_samples, model, X_train, rng):\n    return helper(X_train)\n"
    text = f"{entry}\ndef helper(X):\n    return X\n"
    assert defined(take_program(text).source) == [ENTRY, "helper"]


def test_each_version_keeps_its_own_helper() -> None:
    def version(step: int) -> str:
        return (
            f"def helper(X):\n    return X + {step}\n\n"
            f"def {ENTRY}(n_samples, model, X_train, rng):\n    return helper(X_train)\n"
        )

    taken = take_program(f"```python\n{version(1)}```\nBetter:\n```python\n{version(2)}```")
    assert same_code(taken.source, version(2))


def test_usage_code_does_not_change_a_constant() -> None:
    taken = take_program(GOOD + "\nSTEP = 7\nrows = " + ENTRY + "(5, None, X, None)\n")
    assert "STEP = 0.5" in taken.source
    assert "7" not in taken.source


def test_an_invented_module_that_is_used_stays_for_the_checks_to_name() -> None:
    source = SHORT.replace(
        "import numpy as np", "import numpy as np\nfrom hard_anomalies import boundary"
    ).replace("+ 1.0", "+ boundary(X)")
    assert "from hard_anomalies import boundary" in defined(take_program(source).source)


def test_misnamed_arguments_are_kept_as_they_are() -> None:
    source = SHORT.replace("(n_samples, model, X_train, rng)", "(num, detector, X_train, seed)").replace(
        "n_samples", "num"
    )
    assert same_code(take_program(source).source, source)


def test_decorators_come_along() -> None:
    source = "from functools import lru_cache\n\n@lru_cache\ndef helper():\n    return 1\n\n" + SHORT.replace(
        "+ 1.0", "+ helper()"
    )
    taken = take_program(source)
    assert "@lru_cache\ndef helper" in taken.source
    assert defined(taken.source)[:2] == [
        "from functools import lru_cache",
        "import numpy as np",
    ] or same_code(taken.source, source)


class TestCut:
    def test_one_that_still_parses_is_not_trusted(self) -> None:
        cut = SHORT[: SHORT.index("    return")]
        ast.parse(cut)
        taken = take_program(f"```python\n{cut}", cut=True)
        assert taken.source == ""
        assert "cut at the token limit inside generate_hard_anomalies" in taken.problem

    def test_nor_is_a_last_line_that_happens_to_parse(self) -> None:
        cut = SHORT[: SHORT.index("[:n_samples]")]
        ast.parse(cut)
        assert take_program(cut, cut=True).source == ""

    def test_the_same_text_is_taken_when_the_model_ended_by_itself(self) -> None:
        assert same_code(take_program(SHORT, cut=False).source, SHORT)

    @pytest.mark.parametrize(
        "tail", ["```\nThis program", "\nrows = generate_hard", "\n\nprint(", "\ndef other(a"]
    )
    def test_in_the_text_after_a_whole_program(self, tail: str) -> None:
        assert same_code(take_program(f"```python\n{GOOD}{tail}", cut=True).source, GOOD)

    def test_in_the_second_version_leaves_the_first(self) -> None:
        taken = take_program(f"```python\n{GOOD}```\nBetter:\n```python\ndef {ENTRY}(n_samples, mo", cut=True)
        assert same_code(taken.source, GOOD)

    def test_before_any_code(self) -> None:
        problem = take_program("The detector assumes that", cut=True).problem
        assert "cut at the token limit before any code" in problem

    @given(st.integers(0, len(SHORT) - 1))
    @settings(max_examples=200, deadline=None)
    def test_anywhere_gives_the_whole_function_or_nothing(self, end: int) -> None:
        taken = take_program(f"```python\n{SHORT[:end]}", cut=True)
        assert taken.source == "" or same_code(taken.source, SHORT)


@pytest.mark.parametrize(
    ("reply", "said"),
    [
        ("", "the reply was empty"),
        ("  \n\n", "the reply was empty"),
        ("I would use a Gaussian.", "holds no Python function"),
        ("```python\ndef make_rows(n):\n    return n\n```", "defines make_rows, but no function named"),
        (
            f"class Maker:\n    def {ENTRY}(self, n):\n        return n\n",
            "inside 'Maker', not at the top level",
        ),
        (f"def {ENTRY}(n_samples, model, X_train, rng):\n    return X_train[[0\n", "'[' was never closed"),
        (f"def {ENTRY}(n_samples, model X_train):\n    return 1\n", "not valid Python"),
        (f"def {ENTRY}(n_samples, model, X_train, rng):\n  a = 1\n    return a\n", "`return a`"),
        (f"```python\n{ENTRY} = lambda n, m, X, rng: X\n```", "holds no Python function"),
    ],
)
def test_nothing_usable_says_what_was_missing(reply: str, said: str) -> None:
    taken = take_program(reply)
    assert taken.source == ""
    assert taken.problem.startswith("nothing usable: ")
    assert said in taken.problem
    assert "Answer " in taken.problem, "it says what to answer instead"


ENDLESS = {
    "brackets that stay open": "x = (\n" * 2700,
    "brackets that close and open": "x = ()(\n" * 2000,
    "long lines in brackets": ("x = (" + "a" * 900 + "\n") * 250,
    "tries without an end": "try:\n x\n" * 20_000,
    "escaped quotes": '"' + '\\"' * 30_000,
    "quoted definitions": f'"def {ENTRY} ' * 8000,
    "statements on a line": "x=1;" * 16_000,
    "returns that are broken": f"def {ENTRY}(a):\n" + "  x=1\n" * 9000 + "    return +*\n" * 60,
    "names that need each other": "".join(f"x{k}=x{k - 1}\n" for k in range(1, 9000))
    + f"def {ENTRY}(n_samples, model, X_train, rng):\n    return x8999\n",
    "empty lines": "a\n" + "\n" * 100_000 + "b",
}


@pytest.mark.parametrize("name", ENDLESS)
def test_no_reply_takes_long_to_read(name: str) -> None:
    began = time.monotonic()
    read_proposal(Answer(ENDLESS[name]))
    assert time.monotonic() - began < 3


def test_a_program_behind_much_that_is_broken_is_found() -> None:
    assert same_code(take_program(ENDLESS["brackets that stay open"] + GOOD).source, GOOD)


PLAIN = [
    *GOOD.splitlines(keepends=True),
    *(GOOD, SHORT, DRAFT, USAGE, "```python\n", "```\n", "```", "<think>", "</think>", "class A:\n"),
    *('"""', "'''", "(", "[", "{\n", "if x:\n", "else:\n", "    ", "@", ":\n", "    return 1\n", "#"),
    *("def f(x):\n", "async def g():\n", "try:\n", "lambda: ", "x = 1\n", "import os\n", "global y\n"),
]
ODD = ["\\", "\\n", '{"code": "', '"}', "\t", "＝", "“", "\x00", "\ud800", "\r", "from x import *\n"]


@given(st.one_of(st.lists(st.sampled_from(PLAIN + ODD), max_size=25).map("".join), st.text()), st.booleans())
@example("def f(" * 2000, False)
@example("-" * 30_000, False)
@example("(" * 30_000 + GOOD, False)
@example(f"def {ENTRY}(a, b, c):\n    return " + "-" * 20_000 + "a", False)
@settings(max_examples=300, deadline=None)
def test_any_text_gives_a_program_or_a_reason(reply: str, cut: bool) -> None:
    taken = take_program(reply, cut=cut)
    assert bool(taken.source) != bool(taken.problem)
    if taken.source:
        assert ENTRY in defined(taken.source)
    else:
        assert taken.problem.startswith("nothing usable: ")


@given(st.lists(st.sampled_from(PLAIN), max_size=25).map("".join), st.booleans())
@settings(max_examples=300, deadline=None)
def test_no_line_is_made_up(reply: str, cut: bool) -> None:
    known = {line.strip() for line in reply.splitlines()} | {"import numpy as np"}
    for line in take_program(reply, cut=cut).source.splitlines():
        assert any(line.strip() in one for one in known)
