"""Scenarios, checks, proposers and commands of plugins: beside the package's own, and named when unsound."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path

import pytest

from llmdas_agent.agent.embedded import EmbeddedProposer
from llmdas_agent.agent.named import named_proposer
from llmdas_agent.agent.proposers import Brief
from llmdas_agent.errors import PluginError, UnknownNameError
from llmdas_agent.plugins import load_plugins
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.registry import Registry, resolve
from llmdas_agent.verification import SCENARIOS, ToyBench, all_scenarios, verify
from llmdas_agent.verification.checks import CHECKS

from .conftest import Shell

HEAD = "from llmdas_agent.plugins import CommandEntry, hookimpl\n\n@hookimpl\ndef llmdas_{kind}():\n    "
PROGRAM = SynthesisProgram(
    "def generate_hard_anomalies(n_samples, model, X_train, rng):\n"
    "    rows = X_train[rng.integers(len(X_train), size=n_samples)]\n"
    "    return rows + rng.normal(size=rows.shape) * X_train.std(axis=0)\n"
)

CHECK = "from llmdas_agent.report import Verdict\n    def {name}(evidence):\n        {body}\n"
CHECK += "    return [{name}]\n"

FUTURE = "could not be loaded: ImportError: it needs llmdas-agent >=99, and "
FUTURE += f"{metadata.version('llmdas-agent')} is installed"

Plug = Callable[..., None]


def write(
    site: Path, distribution: str, kind: str, body: str, point: str = "plugin", requirement: str = ""
) -> None:
    """Write a plugin as an installer leaves it."""
    module = distribution.replace("-", "_")
    (site / f"{module}.py").write_text(HEAD.format(kind=kind) + body)
    info = site / f"{module}-1.0.dist-info"
    info.mkdir()
    about = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n{requirement}"
    (info / "METADATA").write_text(about)
    (info / "entry_points.txt").write_text(f"[llmdas_agent]\n{point} = {module}\n")


@pytest.fixture
def plug(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Plug]:
    """Install plugins into this process, and forget them afterwards."""
    monkeypatch.syspath_prepend(str(tmp_path))
    known = set(sys.modules)

    def install(distribution: str, kind: str, body: str, requirement: str = "") -> None:
        write(tmp_path, distribution, kind, body, requirement=requirement)
        load_plugins.cache_clear()

    yield install
    load_plugins.cache_clear()
    for name in set(sys.modules) - known:
        if name.startswith("test_"):
            del sys.modules[name]


def test_a_sound_scenario_joins_and_an_unsound_one_is_named(plug: Plug) -> None:
    laplace = (
        "import numpy as np\n    from llmdas_agent.verification import Scenario\n"
        "    class Laplace(Scenario):\n"
        "        def sample(self, n, rng):\n            return rng.laplace(size=(n, self.d))\n"
        "        def log_density(self, X):\n"
        "            return -np.abs(X).sum(axis=1) - self.d * np.log(2)\n"
    )
    plug("test-sound", "scenarios", laplace + "    return [Laplace('laplace', 3, 100)]\n")
    unsound = {
        "not finite": "def log_density(self, X):\n            return np.full(len(X), np.nan)\n",
        "raises": "def log_density(self, X):\n            raise OSError('gone')\n",
        "unseeded": "def sample(self, n, rng):\n            return np.random.laplace(size=(n, self.d))\n",
        "too wide": "def sample(self, n, rng):\n            return rng.laplace(size=(n, self.d + 1))\n",
        "exits": "def sample(self, n, rng):\n            raise SystemExit(0)\n",
        "late": "def sample(self, n, rng):\n            return rng.laplace(size=(n, 3))[:250]\n",
        "no anomalies": "def anomalies(self, n, rng):\n            raise KeyError('void')\n",
        "moved": "def snap(self, X):\n            return X.tolist()\n",
    }
    for number, (name, method) in enumerate(unsound.items()):
        made = f"    class Odd(Laplace):\n        {method}    return [Odd('{name}', 3, 100)]\n"
        plug(f"test-unsound{number}", "scenarios", laplace + made)
    assert [one.name for one in all_scenarios()] == [*(one.name for one in SCENARIOS), "laplace"]
    told = {problem.plugin: problem.what for problem in load_plugins().problems}
    assert told == {
        "test-unsound0": "its toy scenario 'not finite' is left out: ValueError: log_density returned "
        "numbers that are not finite",
        "test-unsound1": "its toy scenario 'raises' is left out: OSError: gone",
        "test-unsound2": "its toy scenario 'unseeded' is left out: ValueError: sample gives other rows under "
        "the same seed",
        "test-unsound3": "its toy scenario 'too wide' is left out: ValueError: sample must return an array "
        "of shape (100, 3), and returned (100, 4)",
        "test-unsound4": "its toy scenario 'exits' is left out: SystemExit: 0",
        "test-unsound5": "its toy scenario 'late' is left out: ValueError: sample must return an array of "
        "shape (300, 3), and returned (250, 3)",
        "test-unsound6": "its toy scenario 'no anomalies' is left out: KeyError: 'void'",
        "test-unsound7": "its toy scenario 'moved' is left out: ValueError: snap must return an array of "
        "shape (100, 3), and returned list",
    }


def test_a_check_joins_and_one_that_breaks_says_nothing_of_the_program(plug: Plug) -> None:
    plug(
        "test-strict",
        "checks",
        CHECK.format(name="never", body="return Verdict(code='never', passed=False, message='No.')"),
    )
    plug("test-breaks", "checks", CHECK.format(name="breaks", body="return 1 / 0"))
    plug(
        "test-otherwise",
        "checks",
        CHECK.format(name="named", body="return Verdict(code='else', passed=True, message='Yes.')"),
    )
    found = verify(PROGRAM, ToyBench(resolve("iforest"), 0, SCENARIOS[:3]))
    assert [verdict.code for verdict in found.verdicts][-len(CHECKS) - 1 :] == [
        *(check.__name__ for check in CHECKS),
        "never",
    ]
    assert found.complete and not found.accepted
    told = {problem.plugin: problem.what for problem in load_plugins().problems}
    assert told == {
        "test-breaks": "its check 'breaks' is left out: ZeroDivisionError: division by zero",
        "test-otherwise": "its check 'named' is left out: TypeError: it must return a Verdict whose code is "
        "'named'",
    }


def test_a_check_that_exits_prints_or_writes_spoils_nothing(
    plug: Plug, capsys: pytest.CaptureFixture[str]
) -> None:
    good = "return Verdict(code='{name}', passed=True, message='Yes.')"
    bodies = {
        "leaves": "raise SystemExit(0)",
        "talks": f"print('from a check'); {good}",
        "rewrites": f"evidence.runs[0].rows[:] = 0; {good}",
        "retrains": f"evidence.runs[0].toy.X_train[:] = 0; {good}",
    }
    for name, body in bodies.items():
        plug(f"test-{name}", "checks", CHECK.format(name=name, body=body.format(name=name)))
    found = verify(PROGRAM, ToyBench(resolve("iforest"), 0, SCENARIOS[:3]))
    assert [verdict.code for verdict in found.verdicts][-2:] == [CHECKS[-1].__name__, "talks"]
    assert capsys.readouterr().out == ""
    told = {problem.plugin: problem.what for problem in load_plugins().problems}
    assert told == {
        "test-leaves": "its check 'leaves' is left out: SystemExit: 0",
        "test-rewrites": "its check 'rewrites' is left out: ValueError: assignment destination is read-only",
        "test-retrains": "its check 'retrains' is left out: ValueError: assignment destination is read-only",
    }


def test_the_evidence_of_a_check_is_plain_data_or_the_check_is_left_out(plug: Plug) -> None:
    given = {
        "numpy": "{'i': np.int64(4), 'a': np.arange(3), 'x': [np.float64('nan')], 'inf': float('inf')}",
        "strange": "{'v': object()}",
        "listed": "{'direction': ['x']}",
        "sideways": "{'direction': 'sideways'}",
    }
    for name, evidence in given.items():
        verdict = f"Verdict(code='{name}', passed=True, message='', evidence={evidence})"
        body = f"import numpy as np\n        return {verdict}"
        plug(f"test-{name}", "checks", CHECK.format(name=name, body=body))
    found = verify(PROGRAM, ToyBench(resolve("iforest"), 0, SCENARIOS[:3]))
    last = found.verdicts[-1]
    assert last.evidence == {"i": 4, "a": [0, 1, 2], "x": [None], "inf": None}
    assert type(last.evidence["i"]) is int
    told = {problem.plugin: problem.what for problem in load_plugins().problems}
    assert told == {
        "test-strange": "its check 'strange' is left out: TypeError: Object of type object is not JSON "
        "serializable",
        "test-listed": "its check 'listed' is left out: ValueError: its direction is ['x'], where 'nearer' "
        "or 'away' is expected",
        "test-sideways": "its check 'sideways' is left out: ValueError: its direction is 'sideways', where "
        "'nearer' or 'away' is expected",
    }


def test_names_of_the_package_s_own_scenarios_checks_and_proposers_are_not_to_be_had(plug: Plug) -> None:
    plug(
        "test-scenario",
        "scenarios",
        "from llmdas_agent.verification import SCENARIOS\n    return [SCENARIOS[0]]\n",
    )
    plug(
        "test-check",
        "checks",
        "from llmdas_agent.verification.checks import CHECKS\n    return [CHECKS[0]]\n",
    )
    plug(
        "test-proposer",
        "proposers",
        "from llmdas_agent.agent.embedded import EmbeddedProposer\n    return [EmbeddedProposer()]\n",
    )
    assert all_scenarios() == SCENARIOS
    report = verify(PROGRAM, ToyBench(resolve("iforest"), 0, SCENARIOS[:3]))
    assert [verdict.code for verdict in report.verdicts].count("determinism") == 1
    told = {problem.plugin: problem.what for problem in load_plugins().problems}
    assert told == {
        "test-scenario": "its toy scenario 'few_rows' is left out: llmdas-agent brings one of that name too",
        "test-check": "its check 'determinism' is left out: llmdas-agent brings one of that name too",
    }
    assert type(named_proposer("embedded")) is EmbeddedProposer
    assert load_plugins().problems[-1].what == (
        "its proposer 'embedded' is left out: llmdas-agent brings one of that name too"
    )


def test_of_two_plugins_with_one_name_neither_is_used(plug: Plug) -> None:
    body = (
        "from dataclasses import replace\n    from llmdas_agent.verification import SCENARIOS\n"
        "    return [replace(SCENARIOS[0], name='twice')]\n"
    )
    plug("test-one", "scenarios", body)
    plug("test-two", "scenarios", body)
    assert all_scenarios() == SCENARIOS
    told = {problem.plugin: problem.what for problem in load_plugins().problems}
    assert told == {
        "test-one": "its toy scenario 'twice' is left out: test-two brings one of that name too",
        "test-two": "its toy scenario 'twice' is left out: test-one brings one of that name too",
    }


def test_a_proposer_is_found_by_its_name(plug: Plug) -> None:
    plug(
        "test-named",
        "proposers",
        "class Mine:\n        name = 'mine'\n        def propose(self, brief): return None\n"
        "    return [Mine()]\n",
    )
    assert named_proposer("mine").name == "mine"
    assert named_proposer("embedded").name == "embedded"
    with pytest.raises(UnknownNameError, match="Did you mean 'mine'"):
        named_proposer("mime")


@pytest.mark.parametrize(
    "answer",
    [
        "raise SystemExit(0)",
        "1 / 0",
        "return 'text'",
        "return brief.card",
        "return Proposal(SynthesisProgram('\\ud800'), '', '', '')",
        "return Proposal(SynthesisProgram('x = 1'), 1, '', '')",
        "return Proposal(SynthesisProgram('x = 1'), '', '', '', float('nan'))",
        "print('spoilt')\n            raise OSError('gone')",
    ],
)
def test_a_proposer_that_breaks_is_named(plug: Plug, answer: str, capsys: pytest.CaptureFixture[str]) -> None:
    plug(
        "test-odd",
        "proposers",
        "from llmdas_agent.programs import Proposal, SynthesisProgram\n    class Odd:\n        name = 'odd'\n"
        f"        def propose(self, brief):\n            {answer}\n    return [Odd()]\n",
    )
    brief = Brief(Registry().get("pca").card, Registry().get("pca").profile, ())
    with pytest.raises(PluginError, match=r"proposer 'odd' of test-odd failed: .*`pip uninstall test-odd`"):
        named_proposer("odd").propose(brief)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("name", ["5", "None", "['x']", "''", "' '", "'two\\nlines'", "'\\x1b[31mred'"])
def test_a_name_that_is_no_line_of_text_is_blamed_on_its_plugin(plug: Plug, name: str) -> None:
    class_ = f"class Odd:\n        name = {name}\n        def propose(self, brief): return None\n"
    plug("test-odd", "proposers", class_ + "    return [Odd()]\n")
    assert load_plugins().proposers == {}
    (problem,) = load_plugins().problems
    assert problem.plugin == "test-odd" and str(problem).isprintable()
    assert "llmdas_proposers failed: TypeError: it brings the name" in problem.what


def test_no_entry_of_a_command_breaks_help_a_mistyped_command_or_the_list(
    tmp_path: Path, shell: Shell
) -> None:
    entries = {
        "test-number": "CommandEntry(5, 'Do.', 'a:app')",
        "test-listed": "CommandEntry(['x'], 'Do.', 'a:app')",
        "test-help": "CommandEntry('helped', 5, 'a:app')",
        "test-lines": "CommandEntry('lines', 'One\\ntwo', 'a:app')",
        "test-place": "CommandEntry('placed', 'Do.', 5)",
        "test-terse": "CommandEntry('terse', None, 'a:app')",
        "test-markup": "CommandEntry('[/red]', 'Do [/b].', 'a:app')",
        "test-hollow": "CommandEntry('hollow', 'Do.', 'hollow_app:app')",
    }
    (tmp_path / "hollow_app.py").write_text("import typer\napp = typer.Typer()\n")
    for distribution, entry in entries.items():
        write(tmp_path, distribution, "commands", f"return [{entry}]\n", "commands")
    refused = {"test-number", "test-listed", "test-help", "test-lines", "test-place"}
    for line, code in (("--help", 0), ("hallo", 2), ("plugin list", 0), ("hollow", 11)):
        done = shell(f"llmdas-agent {line}", tmp_path)
        assert (done.returncode, "Traceback" in done.stderr) == (code, False), done.stderr
        warned = [told for told in done.stderr.splitlines() if told.startswith("warning: ")]
        assert {told.split(":")[1].removeprefix(" plugin ") for told in warned} == refused
        if line == "plugin list":
            assert "commands [/red]" in done.stdout
    assert "command 'hollow' of test-hollow could not be imported: RuntimeError" in done.stderr


@pytest.mark.parametrize(
    ("marker", "loads"),
    [
        ("", False),
        ("; python_version >= '3'", False),
        ("; python_version < '3'", True),
        ("; extra == 'next'", True),
    ],
)
def test_a_requirement_counts_only_where_its_marker_holds(plug: Plug, marker: str, loads: bool) -> None:
    requirement = f"Requires-Dist: llmdas-agent>=99{marker}\n"
    plug("test-later", "proposers", "return []\n", requirement)
    told = [problem.what for problem in load_plugins().problems]
    assert told == ([] if loads else [FUTURE])


def test_commands_are_named_in_the_help_and_imported_when_called(tmp_path: Path, shell: Shell) -> None:
    entry = "return [CommandEntry('{name}', 'Do a thing.', '{app}')]\n"
    write(
        tmp_path, "test-hello", "commands", entry.format(name="hello", app="hello_app:app"), "hello-commands"
    )
    (tmp_path / "hello_app.py").write_text(
        "import typer\napp = typer.Typer()\n@app.command()\n"
        "def hello(to: str):\n    typer.echo('hello ' + to)\n"
    )
    write(tmp_path, "test-gone", "commands", entry.format(name="gone", app="gone_app:app"), "commands")
    write(tmp_path, "test-fit", "commands", entry.format(name="fit", app="gone_app:app"), "commands")
    write(tmp_path, "test-point", "commands", entry.format(name="point", app="gone_app:app"), "point")
    shown = shell("llmdas-agent --help", tmp_path)
    assert shown.returncode == 0 and shown.stdout.count("Do a thing.") == 2
    (line,) = shown.stderr.splitlines()
    assert "plugin test-fit: its command 'fit' is left out: llmdas-agent has one of that name" in line
    assert shell("llmdas-agent hello you", tmp_path).stdout == "hello you\n"
    gone = shell("llmdas-agent gone", tmp_path)
    assert gone.returncode == 11
    assert "command 'gone' of test-gone could not be imported: ModuleNotFoundError" in gone.stderr
    assert "Normal" in shell("llmdas-agent fit --help", tmp_path).stdout.title()
    listed = shell("llmdas-agent plugin list --json", tmp_path).stdout
    assert "its entry point brings commands and must be named 'point-commands'" in listed
    unknown = shell("llmdas-agent hallo", tmp_path)
    assert unknown.returncode == 2 and "No such command 'hallo'" in unknown.stderr
