"""What every test gets: a home folder of its own, and no key or tracing from the developer's environment."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from commands import run_command


@pytest.fixture(autouse=True, scope="session")
def home_of_shared_fixtures(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A home for fixtures that serve many tests: nothing ever reads the developer's own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LLMDAS_HOME", str(tmp_path_factory.mktemp("shared-home")))
        yield


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home of the registry and the runs for one test alone."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("LLMDAS_HOME", str(folder))
    for name in (
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
        "LANGSMITH_TRACING",
        "LANGCHAIN_TRACING_V2",
        "LLMDAS_DEBUG",
        "LLMDAS_API_KEY",
        "LLMDAS_BASE_URL",
        "LLMDAS_MAX_TOKENS",
        "LLMDAS_MODEL",
        "LLMDAS_TIMEOUT",
    ):
        monkeypatch.delenv(name, raising=False)
    return folder


@pytest.fixture
def cli(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as a user does, in a process and a folder of its own."""
    return partial(run_command, cwd=tmp_path)
