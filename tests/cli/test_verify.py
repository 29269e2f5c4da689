"""verify, as a user meets it: the checks on the screen, the report beside them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from llmdas_agent.registry import Registry

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

COPIES = (
    "def generate_hard_anomalies(n_samples, model, X_train, rng):\n"
    "    return X_train[rng.integers(len(X_train), size=n_samples)]\n"
)


def test_verify_accepts_what_is_shipped_and_refuses_copies(cli: Cli, tmp_path: Path) -> None:
    shipped = Registry().get("iforest").folder
    assert shipped is not None
    good = cli("verify", shipped / "program.py", "--detector", "iforest")
    assert good.returncode == 0, good.stderr
    assert "passes" in good.stdout
    (tmp_path / "copies.py").write_text(COPIES)
    bad = cli("verify", "copies.py", "--detector", "iforest", "--json")
    data = json.loads(bad.stdout)
    assert (bad.returncode, data["accepted"]) == (5, False)
    failed = {verdict["code"]: verdict["hint"] for verdict in data["verdicts"] if not verdict["passed"]}
    assert "move away" in failed["novelty"]


@pytest.mark.parametrize(
    ("source", "code", "told"),
    [
        ("def generate_hard_anomalies(:\n", "parse", "line 1"),
        ("import os\n" + COPIES, "dialect", "os"),
        ("x = 1\n", "signature", "generate_hard_anomalies"),
    ],
)
def test_verify_says_what_is_wrong_with_the_text(
    cli: Cli, tmp_path: Path, source: str, code: str, told: str
) -> None:
    (tmp_path / "program.py").write_text(source)
    ended = cli("verify", "program.py", "--detector", "iforest", "--json")
    assert ended.returncode == 5
    last = json.loads(ended.stdout)["verdicts"][-1]
    assert (last["code"], last["passed"]) == (code, False)
    assert told in last["message"] + last["hint"]


def test_verify_tries_the_detector_out_before(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "copies.py").write_text(COPIES)
    (tmp_path / "turned.yaml").write_text(
        "name: turned\nfull_name: Far rows look normal to it\nbuild:\n"
        "  class: sklearn.svm.OneClassSVM\n  params: {kernel: poly, degree: 2}\n"
    )
    ended = cli("verify", "copies.py", "--detector", "turned.yaml")
    assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (3, "", 1)
    assert "is its sign turned?" in ended.stderr


def test_verify_without_a_file(cli: Cli) -> None:
    ended = cli("verify", "nowhere.py", "--detector", "iforest")
    assert (ended.returncode, ended.stderr.count("\n")) == (3, 1)
    assert "nowhere.py" in ended.stderr


def test_verify_reads_no_more_than_a_program(cli: Cli, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.py")
    (tmp_path / "long.py").write_text(COPIES + "#" * 2**16)
    (tmp_path / "latin.py").write_bytes(COPIES.encode() + b"# \xe9\n")
    for program, says in {
        "/dev/zero": "no regular file",
        "pipe.py": "no regular file",
        ".": "no regular file",
        "long.py": "larger than 64 KiB",
        "latin.py": "not utf-8",
    }.items():
        ended = cli("verify", program, "--detector", "iforest", timeout=30)
        assert (ended.returncode, ended.stdout, ended.stderr.count("\n")) == (3, "", 1)
        assert program in ended.stderr and says in ended.stderr


def test_the_report_is_written_here_under_the_programs_name(cli: Cli, tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "copies.py").write_text(COPIES)
    ended = cli("verify", "programs/copies.py", "--detector", "pca")
    assert ended.stdout.splitlines()[-1] == "copies-report.html"
    assert {path.name for path in tmp_path.iterdir()} == {"programs", "copies-report.html"}
    assert [path.name for path in folder.iterdir()] == ["copies.py"]
    page = (tmp_path / "copies-report.html").read_text(encoding="utf-8")
    assert page.startswith("<!DOCTYPE html>") and page.endswith("</html>")
    assert "Not accepted" in page and "copies.py" in page
    # pca's synthesizer is shipped with what was measured of it
    assert "Blind-spot profile" in page


def test_the_report_goes_where_it_is_asked_to(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "copies.py").write_text(COPIES)
    (tmp_path / "there.html").write_text("an older one")
    ended = cli("verify", "copies.py", "--detector", "pca", "--html", "there.html", "--json")
    data = json.loads(ended.stdout)
    assert (ended.returncode, data["html"]) == (5, "there.html")
    assert (tmp_path / "there.html").read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert {path.name for path in tmp_path.iterdir()} == {"copies.py", "there.html"}


def test_a_report_that_cannot_be_written_leaves_the_findings_on_the_screen(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("x = 1\n")
    (tmp_path / "file").write_text("")
    ended = cli("verify", "program.py", "--detector", "pca", "--html", "file/report.html")
    assert ended.returncode == 10
    assert "file/report.html" in ended.stderr and ended.stderr.count("\n") == 1
    assert "signature" in ended.stdout


@pytest.mark.parametrize("statement", ["import llmdas_agent", "import llmdas_agent.cli.main"])
def test_nothing_that_draws_is_loaded_before_it_is_needed(statement: str) -> None:
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"matplotlib", "jinja2", "pygments"} & set(done.stdout.split())
