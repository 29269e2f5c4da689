"""Commands on a few toy scenarios: what these tests look at does not depend on how many there are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from chat_replies import CARD

from llmdas_agent.agent import steps
from llmdas_agent.cards import dump_card
from llmdas_agent.cli.main import main
from llmdas_agent.verification import SCENARIOS, ToyBench

ON_TWO_SCENARIOS = """
import sys
from functools import partial
from llmdas_agent.agent import steps
from llmdas_agent.cli.main import main
from llmdas_agent.verification import SCENARIOS, ToyBench

steps.ToyBench = partial(ToyBench, scenarios=SCENARIOS[:2])
sys.argv[0] = "llmdas-agent"
main()
"""


@pytest.fixture
def on_two_scenarios() -> list[str]:
    """The beginning of a command line whose runs use two scenarios."""
    return [sys.executable, "-c", ON_TWO_SCENARIOS]


@pytest.fixture
def cli(on_two_scenarios: list[str], tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a user does, in a process and a folder of its own, on two scenarios."""

    def run(
        *arguments: str | Path, cwd: Path = tmp_path, env: dict[str, str] | None = None, timeout: float = 240
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*on_two_scenarios, *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "COLUMNS": "200", **(env or {})},
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )

    return run


@pytest.fixture
def few_scenarios(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of the agent use two scenarios."""
    monkeypatch.setattr(steps, "ToyBench", partial(ToyBench, scenarios=SCENARIOS[:2]))


@pytest.fixture
def card_file(tmp_path: Path) -> Path:
    """A card that a user wrote."""
    path = tmp_path / "mine.yaml"
    path.write_text(dump_card(CARD), encoding="utf-8")
    return path


@pytest.fixture
def command(
    few_scenarios: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process, on two scenarios; return its code and what it wrote."""
    monkeypatch.setenv("COLUMNS", "250")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["llmdas-agent", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as end:
            code = int(end.code or 0)
        return code, *capsys.readouterr()

    return run
