"""Commands on a few toy scenarios: what these tests look at does not depend on how many there are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import pytest

from llmdas_agent.agent import steps
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
def command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run the command line in this process, on two scenarios; return its code and what it wrote."""
    monkeypatch.setattr(steps, "ToyBench", partial(ToyBench, scenarios=SCENARIOS[:2]))
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
