"""Help pages: examples first, cheap to print, and no command without one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest
from typer.main import get_command

from llmdas_agent.cli.main import app

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def commands(command: object = None, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    command = command or get_command(app)
    children = getattr(command, "commands", None)
    if children is None:
        yield path
        return
    for name, child in children.items():
        yield from commands(child, (*path, name))


@pytest.mark.parametrize("path", list(commands()), ids=" ".join)
def test_every_command_leads_with_examples(cli: Cli, path: tuple[str, ...]) -> None:
    ended = cli(*path, "--help")
    assert ended.returncode == 0
    assert ended.stdout.index("Examples:") < ended.stdout.index("Options:")
    assert f"llmdas-agent {' '.join(path)}" in ended.stdout


def test_help_imports_nothing_heavy() -> None:
    script = (
        "import sys, json\nfrom llmdas_agent.cli.main import main\nsys.argv = ['llmdas-agent', '--help']\n"
        "try:\n    main()\nexcept SystemExit:\n    sys.stderr.write(json.dumps(list(sys.modules)))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(ended.stderr)}
    assert "add-detector" in ended.stdout
    heavy = {"rich", "numpy", "scipy", "sklearn", "pyod", "pydantic", "langgraph", "langchain_core", "polars"}
    assert not loaded & heavy


def test_version(cli: Cli) -> None:
    assert cli("--version").stdout.startswith("llmdas-agent 0.")
