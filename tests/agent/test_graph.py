"""The agent graph: every status, every interruption, and nothing registered that did not pass."""

from __future__ import annotations

import inspect
import json
import os
import signal
import socket
import sqlite3
import time
from itertools import product
from pathlib import Path

import pytest
from chat_replies import BROKEN, CARD, COPIES
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import GOOD, Scripted, go_on_and_be_killed

from commands import exit_code_of
from llmdas_agent.agent import graph
from llmdas_agent.agent.embedded import EmbeddedProposer
from llmdas_agent.agent.proposers import Brief
from llmdas_agent.agent.runs import Event, RunFolder, only_one
from llmdas_agent.cards import DetectorCard, load_card
from llmdas_agent.config import Budget
from llmdas_agent.errors import (
    BusyError,
    ChatModelError,
    DetectorError,
    ModelFolderError,
    StorageError,
    UnknownNameError,
)
from llmdas_agent.programs import Proposal
from llmdas_agent.registry import Registry

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "cards"
HBOS = load_card(EXAMPLES / "hbos.yaml")

pytestmark = pytest.mark.usefixtures("few_scenarios")

NODES = ["read_card", "probe", "propose", "run", "verify", "revise", "register"]
"""The steps that a run takes whose first program fails and whose second passes, each as it first comes."""


def run(proposer: object, **settings: object) -> tuple[RunFolder, graph.Result]:
    folder = graph.begin(HBOS, proposer="scripted", **settings)  # type: ignore[arg-type]
    return folder, graph.run(folder, proposer)  # type: ignore[arg-type]


def test_a_broken_program_then_a_copying_one_then_a_good_one() -> None:
    proposer = Scripted(BROKEN, COPIES, GOOD)
    events: list[Event] = []
    folder = graph.begin(HBOS, proposer="scripted")
    result = graph.run(folder, proposer, listen=events.append)
    assert (result.status, result.best) == ("accepted", 3)
    first, second, third = (folder.report(number) for number in (1, 2, 3))
    assert [verdict.code for verdict in first.failures()] == ["run"]
    assert "nothing" in next(first.failures()).message
    assert {"novelty", "validity"} <= {verdict.code for verdict in second.failures()}
    assert third.accepted
    registered = Registry().get("hbos")
    assert registered.proposal.program.source == GOOD
    assert registered.provenance["run"] == folder.id
    # each brief carries the reports on all programs before it, which is all the feedback there is
    assert [len(brief.attempts) for brief in proposer.briefs] == [0, 1, 2]
    assert proposer.briefs[2].attempts[1].report == second
    steps = [event.step for event in events if event.step != "check"]
    assert steps == ["card", "profile", *["proposal", "revision"] * 2, "proposal", "registered", "end"]
    journal = [json.loads(line) for line in (folder.path / "journal.jsonl").read_text().splitlines()]
    assert [line["step"] for line in journal] == [event.step for event in events]
    assert journal[-2]["message"] == f"'hbos' in {registered.folder}"


def test_exhausted_registers_nothing_and_keeps_the_best_attempt() -> None:
    folder, result = run(Scripted(BROKEN, COPIES), budget=Budget(max_rounds=2))
    assert (result.status, result.best) == ("exhausted", 2)
    assert "none of 2 programs passed" in result.reason
    assert "1 failed 'run'" in result.reason, "it says which check how many did not pass"
    assert "hbos" not in Registry().names()
    assert (folder.attempt_folder(2) / "program.py").read_text() == COPIES


def test_a_proposer_with_nothing_left_ends_as_exhausted() -> None:
    _, result = run(Scripted(COPIES))
    assert (result.status, result.best) == ("exhausted", 1)
    assert "nothing left to try" in result.reason
    assert "all failed" in result.reason
    assert "'validity'" in result.reason


def test_spent_time_ends_as_budget_exceeded() -> None:
    _, result = run(Scripted(COPIES, GOOD), budget=Budget(max_rounds=5, max_seconds=0.01))
    assert (result.status, result.best) == ("budget_exceeded", 1)
    assert "hbos" not in Registry().names()


def test_the_detector_is_tried_before_anything_is_proposed(home: Path) -> None:
    bad = DetectorCard.model_validate(
        {"name": "bad", "full_name": "Bad", "build": {"class": "pyod.models.hbos.HBS"}}
    )
    with pytest.raises(DetectorError, match="Did you mean 'HBOS'"):
        graph.begin(bad, proposer="scripted")
    assert not (home / "runs").exists()


def test_a_run_is_begun_with_the_same_settings_with_and_without_a_trial() -> None:
    assert inspect.signature(graph.begin) == inspect.signature(graph.create)


def test_two_runs_for_one_name_at_once(home: Path) -> None:
    class Nested(Scripted):
        refused: BusyError | None = None

        def propose(self, brief: Brief) -> Proposal | None:
            before = sorted((home / "runs").iterdir())
            with pytest.raises(BusyError, match="another run for 'hbos'") as caught:
                graph.begin(HBOS, proposer="scripted")
            Nested.refused = caught.value
            assert sorted((home / "runs").iterdir()) == before, "the one refused leaves nothing behind"
            return super().propose(brief)

    _, result = run(Nested(GOOD))
    assert result.status == "accepted"
    assert Nested.refused is not None


def test_a_run_killed_at_every_step_in_turn_goes_on_to_the_same_end(home: Path) -> None:
    folder = graph.begin(CARD, proposer="scripted")
    for node, moment in product(NODES, ["before", "after"]):
        ended = exit_code_of(go_on_and_be_killed, folder.id, str(home), node, moment)
        assert ended == -signal.SIGKILL, (node, moment)
        assert folder.result() is None
    result = graph.run(folder, Scripted(COPIES, GOOD))
    assert (result.status, result.best) == ("accepted", 2)
    registered = Registry().get("mine")
    assert registered.proposal.program.source == GOOD
    assert registered.folder is not None
    assert registered.folder.name == "0001", "registered once, however often the step ran"
    assert sorted(path.name for path in (folder.path / "attempts").iterdir()) == ["01", "02"]


def test_a_run_that_ended_is_not_walked_again() -> None:
    folder, result = run(Scripted(COPIES), budget=Budget(max_rounds=1))
    again = Scripted(GOOD)
    assert graph.run(folder, again) == result
    assert again.briefs == []


@pytest.mark.parametrize(
    ("began", "higher"),
    [(Budget(max_rounds=1), {"max_rounds": 2}), (Budget(max_seconds=0.01), {"max_seconds": 600.0})],
)
def test_a_run_that_its_budget_ended_goes_on_under_a_higher_one(
    began: Budget, higher: dict[str, float]
) -> None:
    folder, ended = run(Scripted(COPIES), budget=began)
    assert ended.status in ("exhausted", "budget_exceeded")
    folder.allow(**higher)
    proposer = Scripted(COPIES, GOOD)
    result = graph.run(folder, proposer)
    assert (result.status, result.best) == ("accepted", 2)
    assert [len(brief.attempts) for brief in proposer.briefs] == [1], "what was tried is not tried again"
    assert result.seconds > ended.seconds


def test_a_budget_that_changes_nothing_comes_to_the_same_end() -> None:
    folder, ended = run(Scripted(COPIES), budget=Budget(max_rounds=1))
    folder.allow(max_seconds=900.0)
    again = Scripted(COPIES, GOOD)
    result = graph.run(folder, again)
    assert (result.status, result.reason, again.briefs) == (ended.status, ended.reason, [])
    assert RunFolder(folder.path).budget == Budget(1, 900.0)


def test_an_interrupted_run_with_fewer_rounds_than_it_walked_says_so() -> None:
    class Interrupted(Scripted):
        def propose(self, brief: Brief) -> Proposal | None:
            if len(brief.attempts) == 2:
                raise KeyboardInterrupt
            return super().propose(brief)

    folder = graph.begin(HBOS, proposer="scripted")
    with pytest.raises(KeyboardInterrupt):
        graph.run(folder, Interrupted(BROKEN, COPIES, GOOD))
    folder.allow(max_rounds=1)
    result = graph.run(folder, Scripted(BROKEN, COPIES, GOOD))
    assert (result.status, result.best) == ("exhausted", 2)
    assert result.reason.startswith("none of 2 programs passed")


def test_the_checkpoint_holds_plain_values_only() -> None:
    folder, _ = run(Scripted(GOOD))
    with sqlite3.connect(folder.checkpoint) as connection:
        kinds = {row[0] for row in connection.execute("select distinct type from checkpoints")}
        size = sum(len(row[0]) for row in connection.execute("select checkpoint from checkpoints"))
    assert kinds == {"msgpack"}
    assert size < 100_000
    assert os.environ["LANGGRAPH_STRICT_MSGPACK"] == "true"


def test_tracing_in_the_environment_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(2)
        host, port = listener.getsockname()
        for name in ("LANGSMITH_TRACING", "LANGCHAIN_TRACING_V2"):
            monkeypatch.setenv(name, "true")
        monkeypatch.setenv("LANGSMITH_ENDPOINT", f"http://{host}:{port}")
        monkeypatch.setenv("LANGSMITH_API_KEY", "canary")
        _, result = run(Scripted(GOOD))
        assert result.status == "accepted"
        with pytest.raises(TimeoutError):
            listener.accept()


def test_the_same_seed_gives_the_same_run() -> None:
    first, _ = run(EmbeddedProposer(), seed=3)
    second, _ = run(EmbeddedProposer(), seed=3)
    assert first.proposal(1) == second.proposal(1)
    one, two = (folder.report(1).model_dump(exclude={"seconds"}) for folder in (first, second))
    assert one == two


def test_unknown_and_damaged_runs(home: Path) -> None:
    folder, _ = run(Scripted(COPIES), budget=Budget(max_rounds=1))
    with pytest.raises(UnknownNameError, match=f"Did you mean '{folder.id}'"):
        RunFolder.find(folder.id[:-1])
    # the lock of a refinement lies beside the runs, and is none
    lock = only_one(folder.path.parent / ".hbos.lock", "run for 'hbos'")
    with lock, pytest.raises(UnknownNameError, match="there is no run 'zzz'") as unknown:
        RunFolder.find("zzz")
    assert unknown.value.hint == f"Known: {folder.id}"
    (folder.path / "run.json").write_text("{")
    with pytest.raises(ModelFolderError, match="no whole run"):
        RunFolder.find(folder.id)


@pytest.mark.parametrize(
    "name",
    [
        "result.json",
        "profile.json",
        "attempts/01/report.json",
        "attempts/01/proposal.json",
        "checkpoint.sqlite",
    ],
)
def test_a_damaged_file_of_a_run_is_named(name: str) -> None:
    folder = graph.begin(HBOS, proposer="scripted")
    broken = Scripted(COPIES, BROKEN)

    def fails(brief: Brief) -> Proposal | None:
        if len(brief.attempts) == 1:
            raise ChatModelError("no answer", code="busy")
        return Scripted.propose(broken, brief)

    broken.propose = fails  # type: ignore[method-assign]
    with pytest.raises(ChatModelError):
        graph.run(folder, broken)
    path = folder.path / name
    path.write_bytes(path.read_bytes()[:30] + b"\xff" * 30)
    with pytest.raises(ModelFolderError, match="is damaged") as caught:
        graph.run(folder, Scripted(COPIES, BROKEN))
    assert caught.value.where == str(path)
    if name == "checkpoint.sqlite":
        assert "Remove it" in caught.value.hint
        path.unlink()
        assert graph.run(folder, Scripted(COPIES)).status == "exhausted", "the hint works"


def test_a_lock_that_cannot_be_taken_is_told(tmp_path: Path) -> None:
    # a folder in its place stands for one that may not be written, which root may
    (tmp_path / "lock").mkdir()
    with pytest.raises(StorageError) as caught:
        only_one(tmp_path / "lock", "run")
    assert caught.value.where == str(tmp_path / "lock")


@given(st.text(max_size=200))
@settings(max_examples=30, deadline=None)
def test_any_event_is_one_line_of_the_journal(text: str) -> None:
    path = Path(os.environ["LLMDAS_HOME"]) / f"run-{time.monotonic_ns()}"
    path.mkdir(parents=True)
    (path / "run.json").write_text('{"detector": "x", "seed": 0, "proposer": "p", "budget": {}}')
    folder = RunFolder(path)
    folder.record(Event("card", text, {"text": text}))
    lines = (path / "journal.jsonl").read_text(encoding="utf-8").split("\n")
    assert len(lines) == 2
    assert json.loads(lines[0])["data"]["text"] == text
