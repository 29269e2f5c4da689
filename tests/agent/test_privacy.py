"""What leaves the machine and to whom: questions, to the model alone; and a key is written nowhere."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from fake_server import answers, says, serve

from places import ROOT

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

CANARY = "sk-canary-9f8e7d6c5b4a"
CARD = ROOT / "detector_cards" / "pca.yaml"
COPIES = (
    "def generate_hard_anomalies(n_samples, model, X_train, rng):\n"
    "    print(model)\n"
    "    return X_train[rng.integers(len(X_train), size=n_samples)]\n"
)

CONNECTIONS = """
import json, os, socket, sys
seen = set()
def watch(event, arguments):
    if event == "socket.connect" and arguments[0].family in (socket.AF_INET, socket.AF_INET6):
        seen.add(arguments[1][1])
    if event in ("socket.getaddrinfo", "socket.gethostbyname"):
        seen.add(str(arguments[0]))
sys.addaudithook(watch)
from functools import partial
from llmdas_agent.agent import steps
from llmdas_agent.cli.main import main
from llmdas_agent.verification import SCENARIOS, ToyBench
steps.ToyBench = partial(ToyBench, scenarios=SCENARIOS[:2])
sys.argv = ["llmdas-agent", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    print(json.dumps({"ended": end.code, "seen": sorted(map(str, seen))}))
"""


def test_with_tracing_in_the_environment_nobody_but_the_model_is_told(home: Path) -> None:
    with serve(says("{}")) as elsewhere, serve(says(COPIES)) as model:
        strangers = {
            "LANGSMITH_TRACING": "true",
            "LANGCHAIN_TRACING_V2": "true",
            "LANGSMITH_API_KEY": "ls-canary",
            "LANGSMITH_ENDPOINT": elsewhere.root,
            "LANGCHAIN_ENDPOINT": elsewhere.root,
            "LANGSMITH_GATEWAY": elsewhere.root,
            "OPENAI_PROXY": elsewhere.root,
            "OPENAI_API_BASE": elsewhere.url,
            "HTTP_PROXY": elsewhere.root,
            "ALL_PROXY": elsewhere.root,
            "OTEL_EXPORTER_OTLP_ENDPOINT": elsewhere.root,
        }
        flags = ["--model", "openai:fake", "--base-url", model.url, "--max-rounds", "2"]
        ended = subprocess.run(
            [sys.executable, "-c", CONNECTIONS, "add-detector", str(CARD), *flags],
            capture_output=True,
            text=True,
            timeout=240,
            env={**os.environ, **strangers},
        )
        # a tracer sends from a thread, a moment later
        time.sleep(0.3)
        told = json.loads(ended.stdout.splitlines()[-1])
        assert told["ended"] == 5, ended.stderr
        assert len(model.asked) == 2
        assert elsewhere.connections == 0
        assert set(told["seen"]) <= {"127.0.0.1", str(model.server_address[1])}
    for one in model.asked:
        assert set(one.headers) <= {
            *("host", "accept", "accept-encoding", "connection", "content-type", "content-length"),
            *("user-agent", "idempotency-key"),
        }


def test_the_flag_lets_the_tracing_service_see_it(on_two_scenarios: list[str]) -> None:
    with serve(says("{}"), prefix="") as tracing, serve(says(COPIES)) as model:
        environment = {
            "LANGSMITH_TRACING": "true",
            "LANGSMITH_API_KEY": "ls-canary",
            "LANGSMITH_ENDPOINT": tracing.root,
        }
        flags = ["--model", "openai:fake", "--base-url", model.url, "--max-rounds", "1", "--tracing"]
        subprocess.run(
            [*on_two_scenarios, "add-detector", str(CARD), *flags],
            capture_output=True,
            timeout=240,
            env={**os.environ, **environment},
        )
        assert tracing.connections > 0, "the test above would see a connection if there were one"


@pytest.mark.parametrize(
    ("variable", "end"), [("OPENAI_API_KEY", ""), ("LLMDAS_API_KEY", ""), ("LLMDAS_API_KEY", "\r\n")]
)
def test_a_key_is_in_nothing_that_is_written_or_said(
    variable: str, end: str, on_two_scenarios: list[str], home: Path, tmp_path: Path
) -> None:
    quoted = f"Incorrect API key provided: {CANARY}. You can find your key at https://example.com"
    steps = [says(COPIES), says(f"{CANARY}\n```python\n{COPIES}```"), answers(401, quoted)]
    with serve(*steps) as server:
        environment = {
            variable: CANARY + end,
            "OPENAI_LOG": "debug",
            "LLMDAS_DEBUG": "1",
            "TMPDIR": str(tmp_path),
        }
        process = subprocess.Popen(
            [
                *(*on_two_scenarios, "--debug", "add-detector", str(CARD), "--json"),
                *("--model", "openai:fake", "--base-url", server.url),
            ],
            env={**os.environ, **environment},
            stdout=(tmp_path / "stdout").open("wb"),
            stderr=(tmp_path / "stderr").open("wb"),
        )
        environments = _environments_of_children(process)
        assert process.wait(timeout=240) == 12
        assert server.asked[0].headers["authorization"] == f"Bearer {CANARY}"
    assert len(server.asked) == 3
    written = [path for folder in (home, tmp_path) for path in folder.rglob("*") if path.is_file()]
    assert any(path.match("0003.*.reply.http") for path in written)
    assert any(path.name == "checkpoint.sqlite" for path in written)
    holding = [path for path in written if CANARY.encode() in path.read_bytes()]
    assert holding == []
    assert environments, "the sandbox was seen at work"
    assert not any(CANARY in value for environment in environments for value in environment.values())


def _environments_of_children(process: subprocess.Popen[bytes]) -> list[dict[str, str]]:
    """Collect the environments of all processes below one while it runs."""
    found: dict[int, dict[str, str]] = {}
    parent = psutil.Process(process.pid)
    own = parent.cmdline()
    while process.poll() is None:
        # a child may end, or belong to another namespace, between two looks
        with suppress(psutil.Error):
            for child in parent.children(recursive=True):
                # between fork and exec a child still wears its parent's memory
                if child.cmdline() != own:
                    found[child.pid] = child.environ()
        time.sleep(0.02)
    return list(found.values())


CURIOUS = """
import json, os, subprocess, sys
import numpy as np

TELL = "import json, os; print(json.dumps(sorted(os.environ)))"
names = set(os.environ)

class Curious:
    def fit(self, X, y=None):
        names.update(os.environ, json.loads(subprocess.check_output([sys.executable, "-c", TELL])))
        with open(os.environ["SEEN_FILE"], "w") as seen:
            json.dump(sorted(names), seen)
        self.center_ = np.median(X, axis=0)
        return self

    def decision_function(self, X):
        return np.abs(X - self.center_).max(axis=1)
"""


@pytest.mark.parametrize("with_model", [True, False])
def test_no_key_is_in_the_environment_when_a_detectors_code_runs(
    with_model: bool, on_two_scenarios: list[str], tmp_path: Path
) -> None:
    (tmp_path / "curious_detector.py").write_text(CURIOUS, encoding="utf-8")
    card = tmp_path / "curious.yaml"
    card.write_text(
        "name: curious\nfull_name: Curious\ndescription: Looks around.\n"
        "build:\n  class: curious_detector.Curious\n",
        encoding="utf-8",
    )
    seen = tmp_path / "seen.json"
    keys = {"LLMDAS_API_KEY": CANARY, "OPENAI_API_KEY": CANARY, "OTHER_API_KEY": CANARY}
    environment = {"PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "SEEN_FILE": str(seen), **keys}
    with serve(says(COPIES)) as server:
        flags = ["--model", "openai:fake", "--base-url", server.url] if with_model else []
        ended = subprocess.run(
            [*on_two_scenarios, "add-detector", str(card), "--max-rounds", "1", *flags],
            capture_output=True,
            text=True,
            timeout=240,
            env={**os.environ, **environment},
        )
        assert ended.returncode in (0, 5), ended.stderr
        assert len(server.asked) == with_model
    names = json.loads(seen.read_text(encoding="utf-8"))
    assert "SEEN_FILE" in names
    assert not keys.keys() & set(names)


def test_a_command_that_reads_a_table_loads_nothing_that_talks(tmp_path: Path) -> None:
    table, model = tmp_path / "normal.csv", tmp_path / "model"
    table.write_text("a,b\n" + "\n".join(f"{k % 7},{k % 5}.5" for k in range(60)) + "\n", encoding="utf-8")
    script = (
        "import sys, json\nfrom llmdas_agent.cli.main import main\n"
        f"sys.argv = ['llmdas-agent', 'fit', 'pca', {str(table)!r}, '--output', {str(model)!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end\n"
        "print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))\n"
    )
    ended = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240)
    assert ended.returncode == 0, ended.stderr
    loaded = set(json.loads(ended.stdout.splitlines()[-1]))
    talks = {
        "langchain_core",
        "langchain_openai",
        "langgraph",
        "langsmith",
        "openai",
        "httpx",
        "httpx2",
        "tiktoken",
    }
    assert not loaded & talks
