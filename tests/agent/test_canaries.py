"""A user's table holds values that occur nowhere else: none of them reaches the half that talks."""

from __future__ import annotations

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from chat_replies import COPIES, reply
from fake_server import by_turn, says, serve

from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.registry import Registry
from places import ROOT

Command = Callable[..., tuple[int, str, str]]

NUMBER = 735141.29375
NAME = "Anna-Kanarienvogel"
COLUMN = "blood_sugar_of_kanari"
CANARIES = [
    NAME.encode(),
    COLUMN.encode(),
    str(NUMBER).encode(),
    str(int(NUMBER)).encode(),
    *(struct.pack(form, NUMBER) for form in ("<d", ">d", "<f", ">f")),
]

RAISES = """
def generate_hard_anomalies(n_samples, model, X_train, rng):
    raise ValueError(f"cannot use {X_train[:5].tolist()} and {X_train.max()}")
"""
PRINTS = """
def generate_hard_anomalies(n_samples, model, X_train, rng):
    print(X_train.tolist(), model.predict_score(X_train).tolist())
    return X_train[:n_samples] + nothing
"""
# runs on toy data, and quotes what it was given where it sees the user's
TELLS = """
    if X_train.max() > 700000:
        raise ValueError(f"cannot use {X_train.max():.5f}")
"""

MODEL = ("--model", "openai:fake", "--base-url")
TALKING = {
    "add-detector": ("add-detector", ROOT / "detector_cards" / "pca.yaml", "--max-rounds", "3", *MODEL),
    "compare": ("compare", "--models", "fake", "--detectors", "tells", "--max-rounds", "3", "--base-url"),
    "refine": ("refine", "tells", "--rounds", "1", "--minutes", "2", "--jobs", "1", *MODEL),
}
"""Commands of the half that talks, each up to the address of its model."""


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "patients.csv"
    rows = [f"{k % 7 + 0.25},{k % 5}.5,{NAME if k % 9 else 'Bert'}" for k in range(120)]
    rows[3] = f"{NUMBER},1.5,{NAME}"
    path.write_text("\n".join([f"{COLUMN},b,who", *rows]) + "\n", encoding="utf-8")
    return path


def holds_a_canary(raw: bytes) -> bool:
    return any(canary in raw for canary in CANARIES)


def files(*folders: Path) -> dict[Path, bytes]:
    found = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    return {path: path.read_bytes() for path in found}


def run(words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, **environment}, timeout=240, check=False
    )


def register_one_that_tells() -> None:
    """Register a program that quotes the user's rows in an error."""
    shipped = Registry().get("pca")
    head, rest = shipped.proposal.program.source.split("(n_samples, model, X_train, rng):\n", 1)
    docstring_end = rest.index('"""', rest.index('"""') + 3) + 4 if rest.lstrip().startswith('"""') else 0
    body = rest[:docstring_end] + TELLS.lstrip("\n") + rest[docstring_end:]
    program = SynthesisProgram(f"{head}(n_samples, model, X_train, rng):\n{body}")
    Registry().add(
        replace(
            shipped,
            name="tells",
            card=shipped.card.model_copy(update={"name": "tells"}),
            proposal=replace(shipped.proposal, program=program),
            report=shipped.report.model_copy(update={"program_digest": program.digest}),
            origin="registered",
            folder=None,
        )
    )


@pytest.mark.parametrize("talking", TALKING)
def test_no_value_of_a_table_reaches_the_half_that_talks(
    talking: str, command: Command, on_two_scenarios: list[str], home: Path, table: Path, tmp_path: Path
) -> None:
    register_one_that_tells()
    assert command("fit", "pca", table, "--output", tmp_path / "model")[0] == 0
    assert command("score", tmp_path / "model", table, "--output", tmp_path / "scores.csv")[0] == 0
    _, quoted, _ = command("fit", "tells", table, "--output", tmp_path / "other")
    # the search would find them: a program quoted one, and the model knows the others
    assert holds_a_canary(quoted.encode()), quoted
    assert any(map(holds_a_canary, files(tmp_path / "model").values()))

    before = files(home)
    (tmp_path / "tmp").mkdir()
    noise = {"OPENAI_LOG": "debug", "LLMDAS_DEBUG": "1", "TMPDIR": str(tmp_path / "tmp")}
    with serve(*[says(reply(text)) for text in (RAISES, PRINTS, COPIES)]) as server:
        ended = run([*on_two_scenarios, *map(str, TALKING[talking]), server.url], noise)
        assert ended.returncode in (0, 5), ended.stderr
        sent = [one.body + repr(one.headers).encode() for one in server.received]
    assert len(sent) >= 2, "it revised"
    assert any(b"cannot use" in body for body in sent), "what a program raised on toy data is its feedback"
    after = files(home, tmp_path / "tmp")
    written = {path: raw for path, raw in after.items() if before.get(path) != raw}
    names = {path.name for path in written}
    assert {"journal.jsonl", "report.json", "profile.json", "run.json"} <= names
    assert [path for path, raw in written.items() if holds_a_canary(raw)] == []
    assert [body for body in sent if holds_a_canary(body)] == []
    assert not holds_a_canary(ended.stdout.encode() + ended.stderr.encode())


LEAKY = f'''
"""A detector that quotes what it knows of its owner in every error."""
import numpy as np

class Leaky:
    def fit(self, X, y=None):
        if X.shape[1] > 15 or len(X) < 60:
            raise ValueError("cannot learn from this; the last patient was {NAME}, {NUMBER}")
        self.center_ = np.median(X, axis=0)
        return self

    def decision_function(self, X):
        return np.abs(X - self.center_).max(axis=1)
'''


def test_what_a_detector_raises_stays_out_of_the_conversation(home: Path, tmp_path: Path) -> None:
    (tmp_path / "leaky_detector.py").write_text(LEAKY, encoding="utf-8")
    card = tmp_path / "leaky.yaml"
    card.write_text(
        "name: leaky\nfull_name: Leaky\nbuild:\n  class: leaky_detector.Leaky\n", encoding="utf-8"
    )
    with serve(by_turn(*map(reply, (RAISES, COPIES, PRINTS)))) as server:
        flags = ["add-detector", str(card), "--max-rounds", "3", *MODEL, server.url]
        # on all scenarios: it does not fit them all
        ended = run([sys.executable, "-m", "llmdas_agent", *flags], {"PYTHONPATH": str(tmp_path)})
        assert ended.returncode == 5, ended.stderr
        assert len(server.asked) == 4, "it was asked for a description first"
        assert not any(holds_a_canary(one.body) for one in server.asked)
    (profile,) = (home / "runs").glob("leaky-*/profile.json")
    assert holds_a_canary(profile.read_bytes()), "its owner is told of the scenarios that it does not fit"
