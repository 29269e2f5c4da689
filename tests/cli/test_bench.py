"""bench run, report and fetch as a reader uses them: stopped, killed, gone on with, and with bad input."""

from __future__ import annotations

import functools
import hashlib
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from labelled_sets import write_sets
from llmdas_agent.benchmark import fetch as fetching
from llmdas_agent.errors import InputError, UnknownNameError

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

QUICK = ("--mode", "paper", "--detectors", "pca", "--seeds", "1", "--peers", "knn", "--parts", "rivals")

PROGRAM = """import numpy as np

def generate_hard_anomalies(n_samples, model, X_train):
    print("made by a stranger")
    return X_train[np.random.randint(len(X_train), size=n_samples)] + 2 * X_train.std(axis=0)
"""


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    write_sets(tmp_path / "sets")
    return tmp_path / "sets"


def outcomes(folder: Path) -> list[dict[str, object]]:
    path = folder / "results.jsonl"
    lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
    return [json.loads(line) for line in lines]


def started(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "llmdas_agent", *map(str, arguments)],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_for_outcomes(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    while len(outcomes(folder)) < count:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def test_a_benchmark_from_folder_to_report(cli: Cli, sets: Path, tmp_path: Path) -> None:
    quick = (
        "--mode",
        "paper",
        "--detectors",
        "pca,ecod",
        "--seeds",
        "1",
        "--peers",
        "knn",
        "--parts",
        "none",
    )
    ended = cli("bench", "run", sets, *quick, "--output", "out", "--json")
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert [(row["detector"], row["against"]) for row in told["gains"]] == [
        ("ecod", "base"),
        ("ecod", "base, cured"),
        ("pca", "base"),
        ("pca", "base, cured"),
    ]
    assert (told["missing"], told["failures"]) == (0, 0)
    assert "15 of 15" in ended.stderr
    page = (tmp_path / "out" / "report.html").read_text()
    assert "llmdas-agent bench run" in page
    again = cli("bench", "report", "out")
    assert again.returncode == 0, again.stderr
    assert "report.html" in again.stdout
    assert "ecod" in again.stdout


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_killed_benchmark_goes_on(cli: Cli, sets: Path, tmp_path: Path, jobs: str) -> None:
    arguments = ("bench", "run", sets, *QUICK, "--jobs", jobs, "--output", tmp_path / "out")
    process = started(*arguments, cwd=tmp_path)
    wait_for_outcomes(tmp_path / "out", 5, process)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    kept = outcomes(tmp_path / "out")
    ended = cli(*arguments)
    assert ended.returncode == 0, ended.stderr
    lines = outcomes(tmp_path / "out")
    assert lines[: len(kept)] == kept
    keys = [line["key"] for line in lines]
    assert len(keys) == len(set(keys)) == len(json.loads((tmp_path / "out" / "run.json").read_text())["jobs"])
    assert not any(line["failure"] for line in lines)


def test_a_damaged_line_is_named_and_a_damaged_record_written_anew(
    cli: Cli, sets: Path, tmp_path: Path
) -> None:
    quick = (*QUICK[:-1], "none")
    arguments = ("bench", "run", sets, *quick, "--output", tmp_path / "out")
    assert cli(*arguments).returncode == 0
    results, record = tmp_path / "out" / "results.jsonl", tmp_path / "out" / "run.json"
    first, rest = results.read_text().split("\n", 1)
    results.write_text(first[:-40] + "\n" + rest)
    record.write_text("[]")
    refused = cli("bench", "report", tmp_path / "out")
    assert (refused.returncode, refused.stderr.count("\n")) == (3, 1)
    assert "run.json: is damaged" in refused.stderr
    ended = cli(*arguments)
    assert ended.returncode == 0, ended.stderr
    assert "line 1 is damaged, its job is done again" in ended.stderr
    assert "measuring: 8 of 9" in ended.stderr
    reported = cli("bench", "report", tmp_path / "out", "--json")
    assert json.loads(reported.stdout)["missing"] == 0


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_ctrl_c_says_how_to_go_on(sets: Path, tmp_path: Path, jobs: str) -> None:
    arguments = ("bench", "run", sets, *QUICK, "--jobs", jobs, "--output", "out")
    process = started(*arguments, cwd=tmp_path)
    wait_for_outcomes(tmp_path / "out", 3, process)
    os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "results are kept in out. The same command goes on:" in errors
    assert "--mode paper --detectors pca --seeds 1" in errors
    assert "Traceback" not in errors
    content = (tmp_path / "out" / "results.jsonl").read_bytes()
    assert content.endswith(b"\n")
    assert len(outcomes(tmp_path / "out")) >= 3


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_workers_end_with_the_command_that_alone_is_killed(
    sets: Path, tmp_path: Path, number: int, code: int
) -> None:
    process = started("bench", "run", sets, *QUICK, "--jobs", "2", "--output", "out", cwd=tmp_path)
    wait_for_outcomes(tmp_path / "out", 3, process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)  # returns when nobody holds stderr any more
    assert process.returncode == code
    assert ("The same command goes on:" in errors) == (number == signal.SIGTERM)
    assert "Traceback" not in errors


def test_programs_of_the_papers_form_come_from_files(cli: Cli, sets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "pca.py").write_text(PROGRAM)
    arguments = ("--detectors", "pca", "--seeds", "1", "--peers", "none", "--parts", "none")
    for mode in ("paper", "calibrated"):
        ended = cli(
            "bench",
            "run",
            sets,
            *arguments,
            "--mode",
            mode,
            "--programs",
            folder,
            "--output",
            tmp_path / mode,
        )
        assert ended.returncode == 0, ended.stderr
        assert "made by a stranger" not in ended.stdout
        results = pl.read_parquet(tmp_path / mode / "results.parquet")
        own = results.filter(pl.col("method") == "enhanced")
        assert own.height == 3
        assert not own["verified"].any()
        assert "were not verified" in (tmp_path / mode / "report.md").read_text()
    ablations = pl.read_csv(tmp_path / "calibrated" / "ablations.csv")
    parts = ["base + classifier", "base + neighbours", "base + neighbours + tails", "enhanced"]
    assert ablations.select(parts).null_count().sum_horizontal().item() == 0
    assert (tmp_path / "calibrated" / "synthesis.csv").exists()
    (folder / "pca.py").write_text("import socket\n")
    refused = cli("bench", "run", sets, *arguments, "--programs", folder)
    assert refused.returncode == 3
    assert "pca.py" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("run", "sets", "--output", "sets/../sets"), 3, "holds the data"),
        (("run", "nowhere"), 3, "bench fetch nowhere"),
        (("run", "sets", "--detectors", "iforst"), 4, "Did you mean 'iforest'?"),
        (("run", "sets", "--detectors", ","), 2, "--detectors names none"),
        (("run", "sets", "--peers", "knnn"), 4, "Did you mean 'knn'?"),
        (("run", "sets", "--parts", "swap"), 2, "--parts knows swaps"),
        (("run", "sets", "--classifiers", "svc"), 3, "one classifier, its own"),
        (("run", "sets", "--backend", "dask"), 2, "--scheduler ADDRESS"),
        (("run", "sets", "--backend", "dask", "--scheduler", "x", "--jobs", "2"), 2, "--jobs is for proc"),
        (("run", "sets", "--scheduler", "tcp://localhost:1"), 2, "goes with --backend dask"),
        (("run", "sets", "--quoted", "nowhere.csv"), 3, "no such file"),
        (("report", "sets"), 3, "holds no benchmark"),
        (("fetch", "data", "--sets", "tyroid"), 4, "Did you mean 'thyroid'?"),
    ],
)
def test_what_cannot_be_used_is_named(
    cli: Cli, sets: Path, tmp_path: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ended = cli("bench", *arguments)
    assert ended.returncode == code, ended.stderr
    assert message in " ".join(ended.stderr.replace("│", " ").split())
    assert not (tmp_path / "results").exists()


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A server on the loopback address, and the folder that it gives files from."""
    folder = tmp_path / "served"
    folder.mkdir()
    handler = functools.partial(Quiet, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", folder
        running.shutdown()
        thread.join()


def test_files_are_brought_once_and_checked(
    server: tuple[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address, served = server
    for name in ("1_one.npz", "2_two.npz"):
        np.savez(served / name, X=np.arange(len(name)), y=0)
    sums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in served.iterdir()}
    monkeypatch.setattr(fetching, "known_sets", lambda: sums)
    brought: list[str] = []
    found = fetching.fetch(tmp_path / "data", base_url=address, listen=lambda path: brought.append(path.name))
    assert sorted(brought) == ["1_one.npz", "2_two.npz"]
    assert [path.read_bytes() for path in found] == [(served / path.name).read_bytes() for path in found]
    for path in served.iterdir():
        path.unlink()
    # what is there and whole is not asked for again
    assert len(fetching.fetch(tmp_path / "data", ["two", "1_one"], base_url=address + "/")) == 2
    (tmp_path / "data" / "2_two.npz").write_bytes(b"damaged")
    with pytest.raises(InputError, match=r"404.*2_two"):
        fetching.fetch(tmp_path / "data", ["two"], base_url=address)


def test_another_file_than_is_known_is_not_kept(cli: Cli, server: tuple[str, Path], tmp_path: Path) -> None:
    address, served = server
    (served / "38_thyroid.npz").write_bytes(b"something else")
    ended = cli("bench", "fetch", "data", "--sets", "thyroid", "--base-url", address)
    assert ended.returncode == 3
    assert "38_thyroid.npz" in ended.stderr
    assert "hash" in ended.stderr
    assert not list((tmp_path / "data").iterdir())
    nobody = cli("bench", "fetch", "data", "--sets", "thyroid", "--base-url", "http://127.0.0.1:9")
    assert nobody.returncode == 3
    assert "could not be brought" in nobody.stderr


def test_the_sums_are_those_of_adbench() -> None:
    sums = fetching.known_sets()
    assert len(sums) == 43
    assert all(len(digest) == 64 and int(digest, 16) >= 0 for digest in sums.values())
    assert all(name.endswith(".npz") and name.split("_")[0].isdigit() for name in sums)
    with pytest.raises(UnknownNameError, match="mnist"):
        fetching.fetch(Path("data"), ["minst"])
