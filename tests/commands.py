"""Commands in processes of their own, forked from one that has imported what they need."""

from __future__ import annotations

import atexit
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

_FORKS = multiprocessing.get_context("forkserver")
_IMPORTED_ONCE = [
    "llmdas_agent.agent.graph",
    "llmdas_agent.cli.main",
    "llmdas_agent.enhance.persistence",
    "llmdas_agent.verification.html",
    "polars",
    "rich.console",
]
_STARTS_WORKERS = {"--backend", "--jobs", "bench", "compare", "refine"}
"""Words of commands that get an interpreter of their own: joblib's workers do not start below a fork."""


def run_command(
    *arguments: str | Path,
    cwd: Path,
    env: Mapping[str, str] | None = None,
    timeout: float = 240,
) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, with nothing on its standard input; see `subprocess.run`."""
    words = [str(argument) for argument in arguments]
    variables = {**os.environ, "COLUMNS": "200", **(env or {})}
    if _STARTS_WORKERS & set(words):
        return subprocess.run(
            [sys.executable, "-m", "llmdas_agent", *words],
            cwd=cwd,
            env=variables,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
        )
    with tempfile.TemporaryDirectory() as folder:
        said = Path(folder, "stdout"), Path(folder, "stderr")
        code = exit_code_of(_command, words, cwd, variables, said, timeout=timeout)
        stdout, stderr = (path.read_text(encoding="utf-8") for path in said)
        return subprocess.CompletedProcess(words, code, stdout, stderr)


def exit_code_of(function: Callable[..., object], *arguments: object, timeout: float = 240) -> int:
    """Call a function of a module in a process of its own; return its exit code, see `subprocess.run`."""
    _FORKS.set_forkserver_preload(_IMPORTED_ONCE)
    process = _FORKS.Process(target=function, args=arguments)
    process.start()
    process.join(timeout)
    if process.exitcode is None:
        process.kill()
        process.join()
        raise subprocess.TimeoutExpired(str(arguments), timeout)
    return process.exitcode


def _command(words: list[str], cwd: Path, variables: dict[str, str], said: tuple[Path, Path]) -> None:
    for descriptor, path in enumerate((Path(os.devnull), *said)):
        opened = os.open(path, os.O_RDWR | os.O_CREAT)
        os.dup2(opened, descriptor)
        os.close(opened)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = ["llmdas-agent", *words]

    from llmdas_agent.cli.main import main

    try:
        main()
    finally:
        # an interpreter does it when it ends, a forked process does not
        atexit._run_exitfuncs()
