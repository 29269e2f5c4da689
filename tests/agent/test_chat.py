"""A chat model as the proposer: from the first question to a registered synthesizer, over real HTTP."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from chat_replies import BROKEN, CARD, COPIES, EASY, GOOD, reply
from fake_server import FakeServer, answers, by_turn, says, serve, stalls
from langchain_core.language_models import FakeListChatModel, GenericFakeChatModel
from langchain_core.messages import AIMessage

from llmdas_agent.agent import graph
from llmdas_agent.agent.chat import ChatProposer
from llmdas_agent.agent.embedded import STRATEGIES, EmbeddedProposer, compose
from llmdas_agent.agent.models import ChatModel
from llmdas_agent.agent.outbox import Outbox
from llmdas_agent.agent.prompts import NAMES, Prompts
from llmdas_agent.agent.replay import replay
from llmdas_agent.agent.replies import take_program
from llmdas_agent.agent.runs import RunFolder
from llmdas_agent.agent.settings import ModelSettings
from llmdas_agent.cards import dump_card
from llmdas_agent.config import Budget
from llmdas_agent.errors import BudgetExceededError, ChatModelError
from llmdas_agent.registry import Registry
from llmdas_agent.report import BlindSpotProfile
from llmdas_agent.sandbox import check_source
from places import ROOT

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
Command = Callable[..., tuple[int, str, str]]

pytestmark = pytest.mark.usefixtures("few_scenarios")


def settings(server: FakeServer) -> ModelSettings:
    return ModelSettings("openai", "fake", server.url, timeout=20)


def begin(server: FakeServer, **more: object) -> tuple[RunFolder, ChatProposer]:
    model = settings(server)
    folder = graph.begin(CARD, proposer=model.id, model=model.as_dict(), **more)  # type: ignore[arg-type]
    return folder, ChatProposer(model, folder)


def test_a_broken_reply_then_an_easy_one_then_an_accepted_one(
    cli: Cli, command: Command, tmp_path: Path, home: Path
) -> None:
    card = tmp_path / "mine.yaml"
    card.write_text(dump_card(CARD.model_copy(update={"description": None})), encoding="utf-8")
    with serve(says("It counts."), says(reply(BROKEN)), says(EASY), says(reply(GOOD))) as server:
        ended = cli("add-detector", card, "--model", "openai:fake", "--base-url", server.url, "--json")
    assert ended.returncode == 0, ended.stderr
    result = json.loads(ended.stdout)
    assert (result["status"], result["rounds"]) == ("accepted", 3)

    folder = RunFolder(Path(result["run"]))
    assert [verdict.code for verdict in folder.report(1).failures()] == ["run"]
    assert [verdict.code for verdict in folder.report(2).failures()] == ["hardness"]
    proposal = folder.proposal(3)
    assert proposal.blind_spot == "wrong combinations of ordinary values"
    assert proposal.borderline == "rows with correlated columns"
    registered = Registry(home / "synthesizers").get("mine")
    assert registered.proposal.program == proposal.program
    assert registered.provenance["proposer"] == "openai:fake"
    assert registered.provenance["prompts"] == folder.prompts_digest()

    # what lies on disk is what the server received and sent, byte for byte
    exchanges = list(Outbox(folder.path / "outbox").exchanges())
    assert [one.request.body for one in exchanges] == [one.body for one in server.received]
    assert json.loads(exchanges[-1].reply.body)["choices"][0]["message"]["content"] == reply(GOOD)  # type: ignore[union-attr]

    describe, first, second, third = (one.messages for one in server.received)
    assert "Describe this anomaly detector" in describe[1]["content"]
    assert "It counts." in first[1]["content"]
    assert "recombination" in first[1]["content"]
    assert [one["role"] for one in third] == ["system", "user", "assistant", "user", "assistant", "user"]
    assert "name 'nothing' is not defined" in second[3]["content"]
    (hardness,) = folder.report(2).failures()
    assert hardness.hint in third[5]["content"]
    assert take_program(EASY).source in third[4]["content"]

    _, printed, _ = command("outbox", folder.id)
    for one in server.received:
        assert one.body.decode() in printed
    assert len(json.loads(command("outbox", folder.id, "--json")[1])["exchanges"]) == 4

    before = {path: path.read_bytes() for path in sorted(folder.path.rglob("*")) if path.is_file()}
    code, out, err = command("replay", folder.id, "--json")
    assert code == 0, err
    assert [one["same_program"] for one in json.loads(out)["attempts"]] == [True] * 3
    assert {path: path.read_bytes() for path in sorted(folder.path.rglob("*")) if path.is_file()} == before


def test_replay_says_what_differs() -> None:
    with serve(says(reply(COPIES))) as server:
        folder, proposer = begin(server, budget=Budget(max_rounds=1))
        graph.run(folder, proposer)
    path = folder.attempt_folder(1) / "report.json"
    kept = json.loads(path.read_text())
    next(one for one in kept["verdicts"] if one["code"] == "novelty")["message"] = "changed"
    path.write_text(json.dumps(kept))
    (found,) = replay(folder)
    assert (found.same_program, found.differing) == (True, ("novelty",))
    for one in (folder.path / "outbox").glob("*.reply.http"):
        one.unlink()
    with pytest.raises(ChatModelError) as caught:
        replay(folder)
    assert caught.value.code == "not_kept"


def test_replay_of_a_run_without_a_model(cli: Cli) -> None:
    folder = graph.begin(CARD, proposer="embedded", budget=Budget(max_rounds=1))
    graph.run(folder, EmbeddedProposer())
    assert all(one.same for one in replay(folder))
    nothing = cli("outbox", folder.id)
    assert (nothing.stdout, "nothing left this machine" in nothing.stderr) == ("", True)


USELESS = {
    "empty": (says(""), "the reply was empty"),
    "no code": (says("I think it is a good detector."), "holds no Python function"),
    "cut": (says(f"```python\n{GOOD[:-60]}", finish="length"), "cut at the token limit"),
    "refused in words": (says("I'm sorry, but I can't help with that."), "the model would not answer"),
    "refused in form": (says(None, refusal="It is against my rules."), "against my rules"),
}


@pytest.mark.parametrize("name", USELESS)
def test_answers_without_a_program_end_as_exhausted(name: str, home: Path) -> None:
    step, said = USELESS[name]
    with serve(step) as server:
        folder, proposer = begin(server, budget=Budget(max_rounds=2))
        result = graph.run(folder, proposer)
    assert (result.status, result.best) == ("exhausted", 2)
    assert "mine" not in Registry().names()
    (verdict,) = folder.report(2).verdicts
    assert (verdict.code, verdict.passed) == ("reply", False)
    assert said in verdict.message
    assert said in server.asked[1].messages[-1]["content"], "the next message says what was missing"


class TestCandidates:
    def test_the_best_verified_one_wins(self) -> None:
        weaker = compose([STRATEGIES[0]], 1.8).program.source
        with serve(says(reply(COPIES)), says(reply(GOOD)), says(reply(weaker))) as server:
            folder, proposer = begin(server, candidates=3, budget=Budget(max_rounds=5))
            result = graph.run(folder, proposer)
        reports = [folder.report(number) for number in (1, 2, 3)]
        assert [report.accepted for report in reports] == [False, True, True]
        improbable = [report.verdict("validity").evidence["improbable"] for report in reports]  # type: ignore[union-attr]
        assert improbable[1] > improbable[2]
        assert (result.status, result.best) == ("accepted", 2)
        assert len({one.body for one in server.asked}) == 1, "all were asked the same, side by side"
        assert all(one.same for one in replay(folder))

    def test_the_same_answer_twice_is_verified_once(self) -> None:
        with serve(says(reply(COPIES))) as server:
            folder, proposer = begin(server, candidates=2, budget=Budget(max_rounds=3))
            graph.run(folder, proposer)
        assert len(server.asked) == 5
        assert folder.has_report(3)

    def test_a_round_with_the_same_answer_twice_is_replayed(self) -> None:
        with serve(says(reply(COPIES)), says(reply(COPIES)), says(reply(GOOD))) as server:
            folder, proposer = begin(server, candidates=3)
            assert graph.run(folder, proposer).best == 2
        assert [one.same for one in replay(folder)] == [True, True]

    def test_a_round_never_asks_for_more_than_the_budget(self) -> None:
        with serve(says(reply(BROKEN)), says(reply(COPIES)), says(reply(EASY))) as server:
            folder, proposer = begin(server, candidates=8, budget=Budget(max_rounds=2))
            result = graph.run(folder, proposer)
        assert (result.status, len(server.asked)) == ("exhausted", 2)

    def test_they_need_a_model(self, cli: Cli, card_file: Path) -> None:
        ended = cli("add-detector", card_file, "--candidates", "2")
        assert ended.returncode == 2
        assert "--model" in ended.stderr


def test_a_conversation_that_is_too_long_is_shortened() -> None:
    too_long = answers(400, "maximum context length is 4096 tokens", code="context_length_exceeded")
    steps = [says(reply(BROKEN)), says(reply(EASY)), too_long, says(reply(GOOD))]
    with serve(*steps) as server:
        folder, proposer = begin(server)
        result = graph.run(folder, proposer)
    assert (result.status, result.best) == ("accepted", 3)
    assert [len(one.messages) for one in server.asked] == [2, 4, 6, 4]
    assert "hardness: FAILED" in server.asked[-1].messages[-1]["content"]
    assert all(one.same for one in replay(folder))


def test_a_fault_ends_as_error_and_the_run_goes_on_later(
    command: Command, card_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(says(reply(COPIES)), answers(401, "bad key"), says(reply(GOOD))) as server:
        with monkeypatch.context() as environment:
            environment.setenv("LLMDAS_MODEL", "fake")
            environment.setenv("LLMDAS_BASE_URL", server.url)
            code, _, err = command("add-detector", card_file)
        assert code == 12
        (run,) = {word for line in err.splitlines() for word in line.split() if word.startswith("mine-")}
        assert f"add-detector --resume {run}" in err
        assert err.splitlines()[-1].startswith(
            f"error: {server.url}/chat/completions: the server answers 401"
        )
        assert RunFolder.find(run).result().status == "error"  # type: ignore[union-attr]
        # the run knows its model; the environment may have forgotten it
        code, out, err = command("add-detector", "--resume", run, "--json")
        assert code == 0, err
        assert [len(one.messages) for one in server.asked] == [2, 4, 4]
    assert json.loads(out)["status"] == "accepted"


def test_a_run_that_goes_on_with_another_model_is_told_as_its_and_replayed(
    command: Command, card_file: Path
) -> None:
    with serve(says(reply(COPIES)), answers(402), says(reply(GOOD))) as server:
        begun = command("add-detector", card_file, "--model", "openai:dear", "--base-url", server.url)
        assert begun[0] == 12
        (run,) = {word for word in begun[2].split() if word.startswith("mine-")}
        assert command("add-detector", "--resume", run, "--model", "openai:cheap")[0] == 0
    assert Registry().get("mine").provenance["proposer"] == "openai:cheap"
    assert [one.same for one in replay(RunFolder.find(run))] == [True, True]


class TestModelObjects:
    """Any chat model of langchain-core drives the graph, and its run is kept and replayed alike."""

    def test_one_of_them(self) -> None:
        folder = graph.begin(CARD, proposer="mine")
        model = FakeListChatModel(responses=[reply(COPIES), reply(GOOD)])
        result = graph.run(folder, ChatProposer(model, folder))
        assert (result.status, result.best) == ("accepted", 2)
        assert all(one.same for one in replay(folder))
        first = next(Outbox(folder.path / "outbox").exchanges())
        assert first.request.head == "INVOKE mine"
        assert "# The contract" in json.loads(first.request.body)["messages"][1][1]

    @pytest.mark.parametrize(
        "answer",
        [AIMessage("a\ud800b"), AIMessage("a?b", response_metadata={"raw": b"\xff", "safety": object()})],
        ids=["half a character", "metadata of any kind"],
    )
    def test_whatever_one_says_is_kept(self, answer: AIMessage, tmp_path: Path) -> None:
        model = ChatModel(GenericFakeChatModel(messages=iter([answer])), Outbox(tmp_path), name="mine")
        assert model.ask([("human", "Write one.")]).text == "a?b"
        assert model.ask([("human", "Write one.")]).text == "a?b", (
            "from the outbox: there is no second answer"
        )

    def test_how_it_says_that_it_was_cut(self) -> None:
        for ending in (
            {"stop_reason": "max_tokens"},
            {"done_reason": "length"},
            {"finish_reason": "MAX_TOKENS"},
        ):
            folder = graph.begin(CARD, proposer="mine", budget=Budget(max_rounds=1))
            model = GenericFakeChatModel(messages=iter([AIMessage(GOOD[:-60], response_metadata=ending)]))
            graph.run(folder, ChatProposer(model, folder))
            assert "cut at the token limit" in folder.report(1).verdicts[0].message

    def test_one_whose_context_is_small(self) -> None:
        class Small(GenericFakeChatModel):
            def _generate(self, messages: Any, *more: Any, **settings: Any) -> Any:
                if len(messages) > 4:
                    raise ValueError("prompt is too long: 9000 tokens")
                return super()._generate(messages, *more, **settings)

        folder = graph.begin(CARD, proposer="mine")
        texts = iter([reply(BROKEN), reply(EASY), reply(GOOD)])
        result = graph.run(folder, ChatProposer(Small(messages=texts), folder))
        assert (result.status, result.best) == ("accepted", 3)
        assert all(one.same for one in replay(folder))

    def test_one_that_is_slower_than_the_run_may_be(self, tmp_path: Path) -> None:
        class Slow(GenericFakeChatModel):
            def _generate(self, messages: Any, *more: Any, **settings: Any) -> Any:
                time.sleep(0.2)
                raise TimeoutError("slow")

        model = ChatModel(Slow(messages=iter([])), Outbox(tmp_path), name="mine")
        with pytest.raises(BudgetExceededError, match="--max-time"):
            model.ask([("human", "Write one.")], until=time.monotonic() + 0.1)
        with pytest.raises(ChatModelError) as caught:
            model.ask([("human", "Write one.")])
        assert caught.value.code == "timed_out"

    def test_what_it_raises_is_told(self) -> None:
        folder = graph.begin(CARD, proposer="mine")
        with pytest.raises(ChatModelError, match=r"mine: .*(StopIteration|generator)"):
            graph.run(folder, ChatProposer(GenericFakeChatModel(messages=iter([])), folder))
        assert folder.result().status == "error"  # type: ignore[union-attr]


class TestPrompts:
    def test_a_users_own_goes_before_the_packages(self, home: Path) -> None:
        own = home / "prompts" / "system.md"
        own.parent.mkdir(parents=True)
        own.write_text("You are terse.", encoding="utf-8")
        with serve(says(reply(COPIES))) as server:
            folder, proposer = begin(server, budget=Budget(max_rounds=1))
            own.write_text("You are verbose.", encoding="utf-8")
            graph.run(folder, proposer)
            assert server.asked[0].messages[0]["content"] == "You are terse."
        assert all(one.same for one in replay(folder)), "a run keeps the prompts that it was begun with"

    @pytest.mark.parametrize(
        ("text", "said"), [("Costs $5", "dollar sign"), ("Use $cards", "'$cards' is no field of this prompt")]
    )
    def test_one_that_cannot_be_filled_in_is_refused(
        self, text: str, said: str, cli: Cli, home: Path, card_file: Path
    ) -> None:
        own = home / "prompts" / "propose.md"
        own.parent.mkdir(parents=True)
        own.write_text(text, encoding="utf-8")
        ended = cli("add-detector", card_file, "--model", "x", "--base-url", "http://127.0.0.1:9/v1")
        assert ended.returncode == 3
        assert f"{own}: " in ended.stderr
        assert said in ended.stderr
        assert not list((home / "runs").glob("mine-*")), "nothing half-made stays behind"

    def test_each_uses_all_its_fields(self, tmp_path: Path) -> None:
        prompts = Prompts(tmp_path)
        for name, fields in NAMES.items():
            filled = prompts.fill(name, **{field: f"<<{field}>>" for field in fields})
            assert all(f"<<{field}>>" in filled for field in fields)

    def test_the_contract_that_they_show_is_one_that_the_sandbox_takes(self, tmp_path: Path) -> None:
        text = Prompts(tmp_path).fill("propose", **dict.fromkeys(NAMES["propose"], ""))
        code = text.partition("```python\n")[2].partition("```")[0]
        from llmdas_agent.programs import SynthesisProgram

        check_source(SynthesisProgram(code.replace("...", "rows = X_train", 1)))

    def test_a_detectors_own_errors_stay_out(self) -> None:
        with serve(says(reply(COPIES))) as server:
            folder, proposer = begin(server, budget=Budget(max_rounds=1))
            graph.run(folder, proposer)
            profile = BlindSpotProfile.model_validate_json((folder.path / "profile.json").read_bytes())
            noted = profile.model_copy(update={"notes": ("/home/anna/patients.csv not found",)})
            folder.save_profile(noted)
            from llmdas_agent.agent.proposers import Brief

            proposer.propose(Brief(CARD, folder.profile(), ()))
        assert b"anna" not in server.asked[-1].body


def test_the_python_of_the_page_for_model_users_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"^```python\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    monkeypatch.chdir(ROOT)
    scope: dict[str, object] = {}
    exec(compile(code, "docs/models.md", "exec"), scope)
    assert scope["result"].status == "exhausted"  # type: ignore[attr-defined]


EVERY_WRITE = """
import os, pathlib, signal, sys
from functools import partial
# once, not in every child
import langchain_openai
import pyod.models.pca
import llmdas_agent.verification.html
from llmdas_agent.agent import graph, steps
from llmdas_agent.agent.chat import ChatProposer
from llmdas_agent.agent.runs import RunFolder
from llmdas_agent.agent.settings import ModelSettings
from llmdas_agent.cards import load_card
from llmdas_agent.verification import SCENARIOS, ToyBench

home, url, card, candidates = sys.argv[1:]
side_by_side = int(candidates)
steps.ToyBench = partial(ToyBench, scenarios=SCENARIOS[:1])
model = ModelSettings("openai", "fake", url, timeout=20)
written = pathlib.Path.replace

def walk(last):
    "Walk the graph and be killed after the last-th write."
    runs = sorted(pathlib.Path(os.environ["LLMDAS_HOME"], "runs").glob("mine-*"))
    if runs:
        folder = RunFolder(runs[0])
    else:
        asked = dict(proposer=model.id, model=model.as_dict(), candidates=side_by_side)
        folder = graph.begin(load_card(card), **asked)
    left = last
    def replace(self, target):
        nonlocal left
        done = written(self, target)
        # with candidates, between what is asked and answered only: all else is the same
        counted = candidates == "1" or target.parent.name == "outbox"
        left -= counted
        if counted and left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return done
    pathlib.Path.replace = replace
    result = graph.run(folder, ChatProposer(model, folder))
    os._exit(0 if result.status == "accepted" else 1)

def child(last):
    pid = os.fork()
    if pid == 0:
        walk(last)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])

kills = 0
while True:
    os.environ["LLMDAS_HOME"] = os.path.join(home, str(kills))
    ended = child(kills + 1)
    if ended == 0:
        break
    assert ended == -signal.SIGKILL, ended
    kills += 1
    ended = child(0)
    assert ended == 0, (kills, ended)
print(kills)
"""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("candidates", [1, 2])
def test_a_run_killed_after_any_write_asks_nothing_twice(
    candidates: int, tmp_path: Path, card_file: Path
) -> None:
    with serve(by_turn(reply(COPIES), reply(GOOD))) as server:
        ended = subprocess.run(
            [sys.executable, "-c", EVERY_WRITE, str(tmp_path), server.url, str(card_file), str(candidates)],
            capture_output=True,
            text=True,
            timeout=880,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )
        assert ended.returncode == 0, ended.stderr
        kills = int(ended.stdout)
        if candidates == 1:
            assert kills >= 20, "prompts, profile, requests, replies, programs, reports, registry, result"
        # two rounds for every walk, however it was interrupted
        assert len(server.asked) == 2 * candidates * (kills + 1)
    programs = {
        (tmp_path / str(number) / "synthesizers" / "mine" / "0001" / "program.py").read_text()
        for number in range(kills + 1)
    }
    assert programs == {take_program(GOOD).source}


@pytest.mark.parametrize(
    ("limit", "status", "code"),
    [(("--max-rounds", "1"), "exhausted", 5), (("--max-time", "20"), "budget_exceeded", 6)],
    ids=["rounds", "time"],
)
def test_no_accepted_program_means_a_non_zero_exit_and_nothing_registered(
    home: Path, tmp_path: Path, on_two_scenarios: list[str], limit: tuple[str, str], status: str, code: int
) -> None:
    card = ROOT / "examples" / "cards" / "gmm.yaml"
    with serve(says(reply(COPIES)), stalls) as server:
        model = ["--model", "openai:some-model", "--base-url", server.url]
        command = [*on_two_scenarios, "add-detector", str(card), *limit, "--json", *model]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == code, ended.stderr
    data = json.loads(ended.stdout)
    assert data["status"] == status
    assert "def generate_hard_anomalies" in Path(data["program"]).read_text()
    assert "<strong>Not accepted</strong>" in Path(data["html"]).read_text(encoding="utf-8")
    assert not (home / "synthesizers" / "gmm").exists()
