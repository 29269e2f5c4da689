"""Plugins as they are met in life: distributions on the path, some of them broken."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from llmdas_agent.plugins import load_plugins
from llmdas_agent.plugins.builtin import llmdas_detectors

CARD = "name: {name}\nfull_name: A detector\nbuild:\n  class: pyod.models.hbos.HBOS\n"
HEAD = """
from pathlib import Path
from llmdas_agent.plugins import DetectorEntry, hookimpl
HERE = Path(__file__).parent
"""
GOOD = (
    HEAD
    + """
@hookimpl
def llmdas_detectors():
    return [DetectorEntry(HERE / "{name}.yaml")]
"""
)
ASK = """
import json
from llmdas_agent.errors import PluginError
from llmdas_agent.plugins import load_plugins
plugins = load_plugins()
found = {}
for name in plugins.detectors:
    try:
        found[name] = str(plugins.detector(name).card)
    except PluginError as error:
        found[name] = f"PluginError: {error}"
print(json.dumps({"detectors": found, "problems": [str(problem) for problem in plugins.problems]}))
"""


def install(folder: Path, distribution: str, source: str, *modules: str, card: str = "") -> None:
    """Write a distribution as an installer leaves it: modules, and metadata with its entry points."""
    modules = modules or (distribution.replace("-", "_"),)
    for module in modules:
        (folder / f"{module}.py").write_text(source)
    if card:
        (folder / f"{card}.yaml").write_text(CARD.format(name=card))
    info = folder / f"{distribution.replace('-', '_')}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n")
    points = "".join(f"{module} = {module}\n" for module in modules)
    (info / "entry_points.txt").write_text(f"[llmdas_agent]\n{points}")


def ask(folder: Path) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", ASK],
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    # parsing the whole of stdout also shows that nothing else was printed there
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


BUILTIN = {"pca", "iforest", "ocsvm", "ecod"}


def test_the_builtin_detectors_are_a_plugin_and_their_cards_are_there() -> None:
    entries = {entry.name: entry for entry in llmdas_detectors()}
    assert set(entries) == BUILTIN
    assert all(entry.card.is_file() for entry in entries.values())
    assert load_plugins().detector("pca") == entries["pca"]
    assert load_plugins().detector("nothing") is None


def test_an_installed_plugin_brings_its_detector(tmp_path: Path) -> None:
    install(tmp_path, "llmdas-nice", GOOD.format(name="nice"), card="nice")
    answer = ask(tmp_path)
    assert answer["detectors"]["nice"] == str(tmp_path / "nice.yaml")
    assert set(answer["detectors"]) == BUILTIN | {"nice"}
    assert answer["problems"] == []


def test_one_distribution_may_bring_several_plugins(tmp_path: Path) -> None:
    source = (
        HEAD + "@hookimpl\ndef llmdas_detectors():\n    return [DetectorEntry(HERE / f'{__name__}.yaml')]\n"
    )
    install(tmp_path, "llmdas-two", source, "first", "second", card="first")
    (tmp_path / "second.yaml").write_text(CARD.format(name="second"))
    answer = ask(tmp_path)
    assert set(answer["detectors"]) == BUILTIN | {"first", "second"}
    assert answer["problems"] == []


BROKEN = {
    "raises on import": ("raise OSError('no driver\\nhere')", "could not be loaded: OSError: no driver here"),
    "exits on import": ("import sys; sys.exit(1)", "could not be loaded: SystemExit: 1"),
    "does not parse": ("def", "could not be loaded: SyntaxError"),
    "needs another": ("import surely_not_installed", "could not be loaded: ModuleNotFoundError"),
    "unknown hook": (
        HEAD + "@hookimpl\ndef llmdas_detecters():\n    return []\n",
        "could not be loaded: PluginValidationError: unknown hook 'llmdas_detecters'",
    ),
    "wrong arguments": (
        HEAD + "@hookimpl\ndef llmdas_detectors(registry):\n    return []\n",
        "could not be loaded: PluginValidationError",
    ),
    "raises in the hook": (
        HEAD + "@hookimpl\ndef llmdas_detectors():\n    raise KeyError('x')\n",
        "its hook llmdas_detectors failed: KeyError: 'x'",
    ),
    "returns None": (
        HEAD + "@hookimpl\ndef llmdas_detectors():\n    pass\n",
        "it returned NoneType, where a list of DetectorEntry is expected",
    ),
    "returns paths": (
        HEAD + "@hookimpl\ndef llmdas_detectors():\n    return [HERE]\n",
        "it returned a list of PosixPath, where a list of DetectorEntry is expected",
    ),
    "holds text": (
        HEAD + "@hookimpl\ndef llmdas_detectors():\n    return [DetectorEntry('a.yaml')]\n",
        "a DetectorEntry holds paths of the class pathlib.Path",
    ),
    "card is not there": (
        HEAD + "@hookimpl\ndef llmdas_detectors():\n    return [DetectorEntry(HERE / 'gone.yaml')]\n",
        "there is no card",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_a_broken_plugin_is_named_and_the_others_go_on(tmp_path: Path, fault: str) -> None:
    source, says = BROKEN[fault]
    # one good plugin is loaded before the broken one and one after it
    install(tmp_path, "llmdas-aaa", GOOD.format(name="aaa"), card="aaa")
    install(tmp_path, "llmdas-mmm", "print('a plugin that talks')\n" + source)
    install(tmp_path, "llmdas-zzz", GOOD.format(name="zzz"), card="zzz")
    answer = ask(tmp_path)
    assert set(answer["detectors"]) == BUILTIN | {"aaa", "zzz"}
    (problem,) = answer["problems"]
    assert problem.startswith("plugin llmdas-mmm: ")
    assert says in problem and "\n" not in problem
    assert problem.endswith("`pip uninstall llmdas-mmm` removes it")


def test_a_name_claimed_twice_is_an_error_for_that_name_alone(tmp_path: Path) -> None:
    install(tmp_path, "llmdas-mine", GOOD.format(name="pca"), card="pca")
    answer = ask(tmp_path)
    (problem,) = answer["problems"]
    assert problem.startswith("plugin llmdas-mine: brings detector 'pca', which llmdas-agent brings too")
    message = answer["detectors"].pop("pca")
    assert message.startswith(
        "PluginError: plugins: detector 'pca' is brought by llmdas-agent and by llmdas-mine"
    )
    assert "`pip uninstall llmdas-mine`" in message
    assert set(answer["detectors"]) == BUILTIN - {"pca"}
    assert not any("PluginError" in card for card in answer["detectors"].values())


def test_two_plugins_of_others_are_both_named(tmp_path: Path) -> None:
    for distribution in ("llmdas-a", "llmdas-b"):
        install(tmp_path, distribution, GOOD.format(name="x"), card="x")
    answer = ask(tmp_path)
    assert "'x' is brought by llmdas-a and by llmdas-b" in answer["detectors"]["x"]
    assert [problem.split(":")[0] for problem in answer["problems"]] == ["plugin llmdas-b"]


PATIENT = """
import sys
import time
from llmdas_agent.plugins import loading
loading.PATIENCE = float(sys.argv.pop(1))
from llmdas_agent.cli.main import main
main()
"""
WAITS = "import pathlib, time; pathlib.Path(__file__).with_suffix('.asked').touch(); time.sleep(600)\n"
COMMAND = """
from llmdas_agent.plugins import CommandEntry, hookimpl
@hookimpl
def llmdas_commands():
    return [CommandEntry("dig", None, "llmdas_deep:app")]
"""
HANGING = {
    "import": (WAITS, "list"),
    "hook": (HEAD + "@hookimpl\ndef llmdas_detectors():\n    " + WAITS, "list"),
    "command": (COMMAND, "dig"),
}


@pytest.mark.parametrize("place", HANGING)
@pytest.mark.parametrize("patience", [0.2, 60])
def test_a_plugin_that_hangs_is_named_and_can_be_interrupted(
    tmp_path: Path, place: str, patience: float
) -> None:
    source, command = HANGING[place]
    install(tmp_path, "llmdas-slow", source)
    if place == "command":
        (tmp_path / "llmdas_slow-1.0.dist-info" / "entry_points.txt").write_text(
            "[llmdas_agent]\ncommands = llmdas_slow\n"
        )
    (tmp_path / "llmdas_deep.py").write_text(WAITS)
    asked = tmp_path / ("llmdas_deep.asked" if place == "command" else "llmdas_slow.asked")
    with subprocess.Popen(
        [sys.executable, "-c", PATIENT, str(patience), command],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as running:
        assert running.stderr is not None
        while not asked.exists():
            assert running.poll() is None
            time.sleep(0.02)
        told = running.stderr.readline() if patience < 1 else ""
        running.send_signal(signal.SIGINT)
        out, ended = running.communicate(timeout=60)
    ways = "`pip uninstall llmdas-slow` removes it, LLMDAS_DISABLE_PLUGINS=1 goes without any plugin\n"
    assert told == (f"still waiting for plugin llmdas-slow; {ways}" if patience < 1 else "")
    assert (running.returncode, out) == (130, "")
    assert ended == f"interrupted while waiting for plugin llmdas-slow; {ways}"


def test_nobody_is_told_of_a_plugin_that_is_quick(tmp_path: Path) -> None:
    install(tmp_path, "llmdas-nice", GOOD.format(name="nice"), card="nice")
    done = subprocess.run(
        [sys.executable, "-m", "llmdas_agent", "plugin", "list", "--json"],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "nice" in done.stdout
    assert done.stderr == ""
