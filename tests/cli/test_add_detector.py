"""The main job as a user runs it: what is shown, what is stored, and what each ending looks like."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pexpect
import pytest

from llmdas_agent.registry import Registry

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "cards"
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_card_becomes_a_verified_synthesizer(cli: Cli, home: Path) -> None:
    ended = cli("add-detector", EXAMPLES / "gmm.yaml", "--max-rounds", "16")
    assert ended.returncode == 0, ended.stderr
    # what it does, as it does it: card, blind spots, proposals with their aim, checks
    for told in (
        "card  ",
        "blind spots  ",
        "program 1  ",
        "aims at ",
        "takes as borderline: ",
        "passed ",
    ):
        assert told in ended.stderr
    # how it ended: checks with their evidence, where it lies, and what to do next
    assert "accepted" in ended.stdout
    assert re.search(r"hardness +passed +Hard for the detector in \d+ of \d+ scenarios", ended.stdout)
    assert str(home / "synthesizers" / "gmm" / "0001") in ended.stdout
    assert "llmdas-agent show gmm" in ended.stdout
    assert "llmdas-agent fit gmm YOUR_TABLE.csv --output model/" in ended.stdout
    # long lines are wrapped
    shown = " ".join(cli("show", "gmm").stdout.split())
    proposal = Registry(home / "synthesizers").get("gmm").proposal
    assert proposal.blind_spot in shown
    assert proposal.borderline in shown


def test_json_is_one_object_on_stdout(cli: Cli, home: Path) -> None:
    ended = cli("add-detector", EXAMPLES / "loda.yaml", "--json")
    data = json.loads(ended.stdout)
    assert data["status"] == "accepted"
    assert data["report"]["verdicts"][0]["code"] == "parse"
    assert Path(data["program"]).is_relative_to(home)
    page = Path(data["html"])
    assert page == Path(data["run"]) / "report.html"
    text = page.read_text(encoding="utf-8")
    assert "<strong>Accepted</strong>" in text and data["strategy"] in text and Path(data["run"]).name in text


@pytest.mark.parametrize(
    ("card", "code", "told"),
    [
        (None, 3, "nothing.yaml: no such file"),
        ("name: [", 3, "card.yaml:1"),
        ("name: x\nfull_name: X\nbuild:\n  clas: a.B\n", 3, "Did you mean 'class'?"),
        ("name: x\nfull_name: X\nbuild:\n  class: pyod.models.hbos.HBS\n", 3, "Did you mean 'HBOS'?"),
        ("name: x\nfull_name: X\nbuild:\n  class: sklearn.decomposition.PCA\n", 3, "is no detector"),
        ("name: x\nfull_name: X\nbuild:\n  class: subprocess.Popen\n", 3, "is no detector"),
        (
            "name: x\nfull_name: X\nbuild:\n  class: pyod.models.hbos.HBOS\n  params: {n_bins: -3}\n",
            3,
            "fails on a toy table",
        ),
    ],
    ids=[
        "missing",
        "not yaml",
        "wrong field",
        "unknown class",
        "no detector",
        "dangerous class",
        "does not fit",
    ],
)
def test_a_bad_card_gets_one_line_and_leaves_nothing(
    cli: Cli, home: Path, tmp_path: Path, card: str | None, code: int, told: str
) -> None:
    path = tmp_path / ("nothing.yaml" if card is None else "card.yaml")
    if card is not None:
        path.write_text(card)
    ended = cli("add-detector", path)
    assert ended.returncode == code
    assert told in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert ended.stderr.startswith("error: ")
    assert ended.stdout == ""
    assert [path for path in home.rglob("*") if path.is_file() and path.suffix != ".lock"] == []


def test_errors_are_objects_for_a_program_and_tracebacks_on_request(cli: Cli) -> None:
    ended = cli("add-detector", "nothing.yaml", "--json")
    data = json.loads(ended.stdout)
    assert (data["error"], data["exit_code"]) == ("CardError", 3)
    assert "Traceback" not in ended.stderr
    assert "Traceback" in cli("--debug", "add-detector", "nothing.yaml").stderr


def test_a_wrong_command_line_is_exit_code_2(cli: Cli) -> None:
    assert cli("add-detector").returncode == 2
    assert cli("add-detector", "a.yaml", "--resume", "b").returncode == 2
    assert cli("add-detecter", "a.yaml").returncode == 2


def test_ctrl_c_leaves_a_run_that_resume_continues(cli: Cli, home: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "llmdas_agent", "add-detector", str(EXAMPLES / "hbos.yaml")]
    with subprocess.Popen(
        command,
        env={**os.environ, "COLUMNS": "200"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stderr is not None
        for line in running.stderr:
            if line.startswith("program 1"):
                running.send_signal(signal.SIGINT)
                break
        told = running.stderr.read()
        assert running.wait() == 130
    assert not (home / "synthesizers" / "hbos").exists()
    go_on = re.search(r"llmdas-agent (add-detector --resume \S+)", told)
    assert go_on, told
    ended = cli(*go_on.group(1).split())
    assert ended.returncode == 0, ended.stderr
    assert "accepted" in ended.stdout
    assert "blind spots" not in ended.stderr, "what was measured is not measured again"


def test_two_at_once_for_one_name(cli: Cli, home: Path) -> None:
    command = [sys.executable, "-m", "llmdas_agent", "add-detector", str(EXAMPLES / "loda.yaml")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as first:
        assert first.stderr is not None
        assert first.stderr.readline().startswith("card")
        second = cli("add-detector", EXAMPLES / "loda.yaml")
        _, _ = first.communicate()
    assert second.returncode == 9
    assert "another run for 'loda' is at work" in second.stderr
    assert second.stderr.count("\n") == 1
    assert first.returncode == 0
    assert [path.name for path in (home / "synthesizers" / "loda").glob("0*")] == ["0001"]
    assert len(list((home / "runs").glob("loda-*"))) == 1


def test_a_terminal_gets_a_live_view() -> None:
    child = pexpect.spawn(
        sys.executable,
        ["-m", "llmdas_agent", "add-detector", str(EXAMPLES / "loda.yaml")],
        env={**os.environ, "TERM": "xterm-256color"},
        dimensions=(40, 120),
        encoding="utf-8",
        timeout=240,
    )
    child.expect("measuring blind spots")
    child.expect("blind at .5, sees all at 1")
    child.expect("✓")
    child.expect("diversity")
    child.expect("accepted")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


@pytest.mark.parametrize("limit", [100, 3000, 20_000])
def test_a_full_disk_is_told_and_registers_nothing(home: Path, limit: int) -> None:
    # a limit on file size stands in for the disk: the kernel refuses the write all the same
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, {limit}));"
        f"sys.argv = ['llmdas-agent', 'add-detector', {str(EXAMPLES / 'loda.yaml')!r}];"
        "from llmdas_agent.cli.main import main; main()"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert ended.returncode == 10, ended.stderr
    assert "Free some space" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert "loda" not in Registry(home / "synthesizers").names()
