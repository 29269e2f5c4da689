"""What the README shows is what happens: its commands and its Python run here, in its order."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from llmdas_agent.cli.main import app
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.registry import resolve
from llmdas_agent.verification import ToyBench, verify

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, flags=re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    lines = [line for block in blocks("bash") for line in block.splitlines()]
    # the two that make an environment of their own are run, as they stand, by `.ci/run`
    return [line for line in lines if not line.startswith("python3 -m venv")]


def test_the_commands_run_in_their_order(tmp_path: Path) -> None:
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    interpreters = {"python": [sys.executable], "llmdas-agent": [sys.executable, "-m", "llmdas_agent"]}
    assert len(commands()) >= 9
    for command in commands():
        first, *rest = shlex.split(command)
        ended = subprocess.run(
            [*interpreters[first], *rest], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert ended.returncode == 0, f"{command}\n{ended.stderr}"
    assert (tmp_path / "scores.csv").read_text().startswith("score,label,p_value\n")


def test_the_python_runs() -> None:
    scope: dict[str, object] = {}
    exec(compile(blocks("python")[0], "README.md", "exec"), scope)
    assert len(scope["scores"]) == len(scope["new"])  # type: ignore[arg-type]
    normal = {row.tobytes() for row in scope["normal"]}  # type: ignore[attr-defined]
    assert not [row for row in scope["new"] if row.tobytes() in normal], "new rows were not fitted"  # type: ignore[attr-defined]


def test_the_program_shown_keeps_its_contract_and_gets_a_report() -> None:
    report = verify(SynthesisProgram(blocks("python")[1]), ToyBench(resolve("iforest")))
    assert report.complete, [verdict.message for verdict in report.failures()]


def test_every_command_named_exists_and_every_exit_code_is_told() -> None:
    from typer.main import get_command

    from llmdas_agent import errors

    rows = re.findall(r"^\| (`.+?) \|", README, flags=re.MULTILINE)
    named = {words.split()[0] for row in rows for words in re.findall(r"`([^`]+)`", row)}
    existing = set(get_command(app).commands)  # type: ignore[attr-defined]
    assert named == existing
    codes = {getattr(errors, name).exit_code for name in errors.__all__ if name.endswith("Error")}
    told = {int(code) for code in re.findall(r"^\| (\d+) \|", README, flags=re.MULTILINE)}
    assert codes | {0, 2, 130} == told
