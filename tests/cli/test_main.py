"""How a command ends when something goes wrong that is not an error of the package's own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

BREAKS = """
import sys
from llmdas_agent.cli.main import app, main
from llmdas_agent.cli.output import JsonOption

@app.command("breaks")
def breaks(as_json: JsonOption = False) -> None:
    raise {error}

sys.argv = ["llmdas-agent", *{words!r}]
main()
"""
COPIES = (
    "def generate_hard_anomalies(n_samples, model, X_train, rng):\n"
    "    return X_train[rng.integers(len(X_train), size=n_samples)]\n"
)


def broken(error: str, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command that the package does not have, and that raises."""
    script = BREAKS.format(error=error, words=words)
    return subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)


def unread(cwd: Path, *words: str) -> tuple[int, str]:
    """Run a command whose output nobody reads; return its exit code and what it says on stderr."""
    reading, writing = os.pipe()
    os.close(reading)
    with subprocess.Popen(
        [sys.executable, "-m", "llmdas_agent", *words],
        cwd=cwd,
        stdout=writing,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        os.close(writing)
        assert running.stderr is not None
        said = running.stderr.read()
    return running.returncode, said


def test_a_fault_of_ours_is_one_line_that_says_what_to_do() -> None:
    ended = broken("ZeroDivisionError('by\\nnothing')", "breaks")
    assert (ended.returncode, ended.stdout) == (1, "")
    hint = "Run it again with --debug to see where, and report it"
    assert ended.stderr == f"error: a fault of ours: ZeroDivisionError: by nothing. {hint}\n"
    for_a_program = broken("ZeroDivisionError('by nothing')", "breaks", "--json")
    data = json.loads(for_a_program.stdout)
    assert (data["what"], data["exit_code"]) == ("a fault of ours: ZeroDivisionError: by nothing", 1)
    assert data["hint"] == hint
    traced = broken("ZeroDivisionError('by nothing')", "--debug", "breaks")
    assert traced.returncode == 1
    assert "Traceback" in traced.stderr and ", in breaks\n" in traced.stderr


def test_another_pipe_that_breaks_is_a_fault_and_ctrl_c_is_none() -> None:
    ended = broken("BrokenPipeError(32, 'Broken pipe')", "breaks")
    assert (ended.returncode, ended.stderr.count("\n")) == (1, 1)
    assert "a fault of ours: BrokenPipeError" in ended.stderr
    assert broken("KeyboardInterrupt", "breaks").returncode == 130


@pytest.mark.parametrize(
    "words",
    [["list"], ["list", "--json"], ["show", "ecod"], ["card", "schema"], ["--version"]],
    ids=" ".join,
)
def test_a_reader_that_goes_away_is_no_error(tmp_path: Path, words: list[str]) -> None:
    assert unread(tmp_path, *words) == (0, "")


def test_scores_that_nobody_reads_are_no_error(cli: Cli, tmp_path: Path) -> None:
    rows = np.random.default_rng(0).normal(size=(5000, 2))
    for name, few in {"normal.csv": rows[:60], "new.csv": rows}.items():
        np.savetxt(tmp_path / name, few, delimiter=",", header="a,b", comments="")
    assert cli("fit", "ecod", "normal.csv", "--output", "model").returncode == 0
    assert unread(tmp_path, "score", "model", "new.csv") == (0, "")


def into_a_full_disk(cwd: Path, *words: str) -> tuple[int, str]:
    """Run a command whose output finds no space; return its exit code and what it says on stderr."""
    with Path("/dev/full").open("wb") as full:
        ended = subprocess.run(
            [sys.executable, "-m", "llmdas_agent", *words],
            cwd=cwd,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    return ended.returncode, ended.stderr


def test_output_that_finds_no_space_is_one_line(cli: Cli, tmp_path: Path) -> None:
    told = (
        "error: output: not all could be written (no space left on device). "
        "Free some space, or send the output elsewhere, and run the command again\n"
    )
    for words in (["list"], ["list", "--json"], ["--version"], ["card", "schema"]):
        assert into_a_full_disk(tmp_path, *words) == (10, told)
    rows = np.random.default_rng(0).normal(size=(40, 2))
    np.savetxt(tmp_path / "few.csv", rows, delimiter=",", header="a,b", comments="")
    assert cli("fit", "ecod", "few.csv", "--output", "model").returncode == 0
    # so few that they are kept back until the command ends
    assert into_a_full_disk(tmp_path, "score", "model", "few.csv") == (10, told)


@pytest.mark.parametrize("options", [[], ["--json"]], ids=["words", "json"])
def test_a_command_that_nobody_reads_ends_as_it_would_otherwise(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "copies.py").write_text(COPIES)
    assert unread(tmp_path, "verify", "copies.py", "--detector", "pca", *options) == (5, "")
    assert (tmp_path / "copies-report.html").read_text(encoding="utf-8").endswith("</html>")
