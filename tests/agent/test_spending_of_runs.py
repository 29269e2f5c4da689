"""The budget of a run: told beforehand, held midway, shown at the end, raised without paying twice."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pexpect
import pytest
from chat_replies import BROKEN, CARD, COPIES, EASY, GOOD, reply
from fake_server import FakeServer, Received, Step, answers, by_turn, says, serve, stalls

from llmdas_agent.agent import graph
from llmdas_agent.agent.chat import ChatProposer
from llmdas_agent.agent.estimate import CHARACTERS_PER_TOKEN, estimate
from llmdas_agent.agent.replay import replay
from llmdas_agent.agent.runs import Result, RunFolder
from llmdas_agent.agent.settings import ModelSettings
from llmdas_agent.config import Budget
from llmdas_agent.registry import Registry

Command = Callable[..., tuple[int, str, str]]
LONGEST = 1500

pytestmark = pytest.mark.usefixtures("few_scenarios")


def settings(server: FakeServer) -> ModelSettings:
    return ModelSettings("openai", "fake", server.url, max_tokens=LONGEST, timeout=20)


def begin(server: FakeServer, budget: Budget, candidates: int = 1) -> RunFolder:
    model = settings(server)
    return graph.begin(CARD, proposer=model.id, model=model.as_dict(), budget=budget, candidates=candidates)


def walk(folder: RunFolder, server: FakeServer) -> graph.Result:
    return graph.run(folder, ChatProposer(settings(server), folder))


def worst(request: Received) -> int:
    return len(request.body) + LONGEST


def usage(read: int, written: int) -> dict[str, int]:
    return {"prompt_tokens": read, "completion_tokens": written}


def test_a_cap_ends_the_run_and_a_higher_one_goes_on(
    command: Command, card_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with serve(*[says(reply(text), usage=usage(2000, 400)) for text in (BROKEN, GOOD)]) as server:
        with monkeypatch.context() as environment:
            environment.setenv("LLMDAS_MODEL", "fake")
            environment.setenv("LLMDAS_BASE_URL", server.url)
            environment.setenv("LLMDAS_MAX_TOKENS", str(LONGEST))
            # the first question fits; the second, which is longer, does not
            code, out, err = command("add-detector", card_file, "--max-tokens", "12000", "--json")
        result = json.loads(out)
        assert (code, result["status"]) == (6, "budget_exceeded"), err
        assert "2,400 of 12,000 tokens are spent" in result["reason"]
        assert result["spending"] == {
            "requests": 1,
            "tokens_read": 2000,
            "tokens_written": 400,
            "cost_usd": None,
            "guessed": 0,
        }
        assert len(server.asked) == 1
        page = Path(result["run"], "report.html").read_text(encoding="utf-8")
        assert "1 request, 2,000 + 400 tokens, unpriced" in page, "the best attempt, to look at"
        assert "mine" not in Registry().names()
        assert "estimate  about 8 requests" in err
        assert err.index("estimate  ") < err.index("spent  1 request, 2,000 + 400 tokens, unpriced")

        name = Path(result["run"]).name
        assert command("add-detector", "--resume", name)[0] == 6, "the same cap ends it again"
        code, out, err = command("add-detector", "--resume", name, "--max-tokens", "20000")
        assert code == 0, err
        assert len(server.asked) == 2, "nothing was asked twice"
        # the run's own limit for an answer, which the environment has forgotten
        assert json.loads(server.asked[1].body)["max_tokens"] == LONGEST
    assert "spent       2 requests, 4,000 + 800 tokens, unpriced" in out
    folder = RunFolder(Path(result["run"]))
    assert "4,000 + 800 tokens, unpriced" in folder.page.read_text(encoding="utf-8")
    assert Registry().get("mine").provenance["spent"] == "2 requests, 4,000 + 800 tokens, unpriced"
    assert folder.result().spending["requests"] == 2  # type: ignore[union-attr]
    assert all(one.same for one in replay(folder))


def test_a_cap_that_the_first_question_could_pass_asks_nothing(command: Command, card_file: Path) -> None:
    with serve(says(reply(GOOD))) as server:
        flags = ("--model", "fake", "--base-url", server.url, "--max-tokens", "5000", "--json")
        code, out, _ = command("add-detector", card_file, *flags)
        assert not server.asked
    assert code == 6
    assert "0 of 5,000 tokens are spent, and the next request could take" in json.loads(out)["reason"]


def test_a_cap_in_money_needs_a_price(command: Command, card_file: Path, home: Path) -> None:
    flags = ("--model", "fake", "--base-url", "http://127.0.0.1:9/v1", "--max-cost", "1")
    code, _, err = command("add-detector", card_file, *flags)
    assert code == 3
    assert "no price is known" in err
    assert not list((home / "runs").glob("mine-*"))


def test_a_run_that_goes_on_keeps_the_caps_that_are_not_named(command: Command, card_file: Path) -> None:
    with serve(says(reply(COPIES))) as server:
        flags = ("--model", "fake", "--base-url", server.url, "--max-rounds", "1", "--max-tokens", "5000")
        code, out, _ = command("add-detector", card_file, *flags, "--json")
        assert code == 6
        folder = Path(json.loads(out)["run"])
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        # refused for want of a price, and for want of a key: nothing has changed then
        assert command("add-detector", "--resume", folder.name, "--max-cost", "1")[0] == 3
        hosted = ("--base-url", "https://api.openai.com/v1", "--max-tokens", "6000")
        assert command("add-detector", "--resume", folder.name, *hosted)[0] == 3
        assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before
        run = RunFolder(folder)
        run.allow(max_cost=2.5, max_tokens=None)
        run.keep_budget()
        assert run.result() is None, "it can go on"
        assert RunFolder(folder).budget == Budget(1, 600, max_cost=2.5, max_tokens=5000)
        assert not server.asked


def test_options_of_a_run_that_goes_on_hold_or_are_refused(command: Command, card_file: Path) -> None:
    with serve(says(reply(BROKEN))) as server:
        flags = ("--model", "fake", "--base-url", server.url, "--max-rounds", "1", "--json")
        run = Path(json.loads(command("add-detector", card_file, *flags)[1])["run"])
        for option in (("--candidates", "2"), ("--seed", "0"), ("--proposer", "embedded")):
            code, _, err = command("add-detector", "--resume", run.name, *option)
            assert (code, f"{option[0]} cannot be given with --resume" in err) == (2, True), err
        code, out, _ = command("add-detector", "--resume", run.name, "--max-rounds", "3", "--max-time", "500")
        assert code == 5
    assert "none of 3 programs passed" in out
    assert RunFolder(run).budget == Budget(3, 500.0)


def test_killed_while_a_higher_cap_is_written_down_a_run_goes_on_under_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    folder = graph.create(CARD, proposer="embedded", budget=Budget(max_tokens=10))
    folder.save_result(Result("budget_exceeded", "10 tokens are spent", None, 1.0))
    folder.allow(max_tokens=20)
    for moment in ("unlink", "replace"):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Path, moment, lambda *_: signal.raise_signal(signal.SIGINT))
            folder.keep_budget()
    again = RunFolder(folder.path)
    again.allow(max_tokens=20)
    again.keep_budget()
    assert again.result() is None


@pytest.mark.parametrize("first", [stalls, answers(429, retry_after="40")], ids=["silent", "busy"])
def test_a_server_that_does_not_answer_ends_the_run_in_its_time(first: Step) -> None:
    with serve(first) as server:
        # the time for measuring what the detector misses, and a little
        folder = begin(server, Budget(max_seconds=20))
        began = time.monotonic()
        result = graph.run(folder, ChatProposer(replace(settings(server), timeout=300), folder))
        assert time.monotonic() - began < 25
        assert len(server.asked) == 1
    assert (result.status, result.best) == ("budget_exceeded", None)
    assert "--max-time" in result.reason


def test_of_several_asked_side_by_side_those_that_were_paid_are_tried() -> None:
    with serve(*[says(reply(text), usage=usage(900, 100)) for text in (COPIES, GOOD, EASY)]) as server:
        probe = begin(server, Budget())
        walk(probe, server)
        first = worst(server.asked[0])
    answers = [says(reply(text), usage=usage(900, 100)) for text in (COPIES, GOOD, EASY)]
    with serve(*answers) as server:
        # as long as the first, whose address has another port
        folder = begin(server, Budget(max_tokens=first + 1000 + 10), candidates=3)
        result = walk(folder, server)
        assert len(server.asked) == 2
    assert (result.status, result.best) == ("accepted", 2)
    assert all(one.same for one in replay(folder))


def test_what_was_kept_costs_nothing_and_is_said_to() -> None:
    with serve(by_turn(reply(COPIES), reply(GOOD))) as server:
        folder = begin(server, Budget())
        walk(folder, server)
        told = [json.loads(line) for line in (folder.path / "journal.jsonl").read_text().splitlines()]
        assert [line["data"]["asked"] for line in told if line["step"] == "spending"] == [1, 1]
        events: list[str] = []
        replay(folder, listen=lambda event: events.append(event.message))
        assert len(server.asked) == 2
    assert len([one for one in events if "nothing more, the answer was kept" in one]) == 2


def test_a_question_that_a_cap_kept_back_is_not_told_as_one_that_was_kept() -> None:
    with serve(says(reply(COPIES), usage=usage(9000, 1000))) as server:
        folder = begin(server, Budget(max_tokens=19_000))
        result = walk(folder, server)
        assert (result.status, len(server.asked)) == ("budget_exceeded", 1)
    told = [json.loads(line) for line in (folder.path / "journal.jsonl").read_text().splitlines()]
    assert [line["data"]["asked"] for line in told if line["step"] == "spending"] == [1]


def test_the_outbox_says_what_it_cost(command: Command) -> None:
    with serve(says(reply(COPIES), usage=usage(700, 90))) as server:
        folder = begin(server, Budget(max_rounds=1))
        walk(folder, server)
    _, out, err = command("outbox", folder.path)
    assert "spent  1 request, 700 + 90 tokens, unpriced" in err
    assert "spent" not in out, "the bodies alone are on stdout"
    _, out, _ = command("outbox", folder.path, "--json")
    assert json.loads(out)["spending"]["tokens_written"] == 90
    assert "nothing was spent" in command("replay", folder.path)[1]


def test_what_the_embedded_proposer_spends(command: Command, card_file: Path) -> None:
    flags = ("--json", "--max-cost", "0", "--max-tokens", "1")
    code, out, err = command("add-detector", card_file, *flags)
    assert code == 0, err
    assert json.loads(out)["spending"] == {}
    assert "spent" not in err


def test_the_estimate_is_of_the_right_size() -> None:
    useless = [reply(f"# {number}\n{COPIES}") for number in range(6)]
    with serve(by_turn(*useless)) as server:
        folder = begin(server, Budget(max_rounds=4))
        proposer = ChatProposer(settings(server), folder)
        about = estimate(proposer, settings(server), CARD, folder.budget)
        graph.run(folder, proposer)
        sent = sum(len(one["content"]) for asked in server.asked for one in asked.messages)
        assert about.requests == len(server.asked) == 4
    assert 0.5 < about.read * CHARACTERS_PER_TOKEN / sent < 2
    assert about.cost is None, "unpriced"
    hosted = ModelSettings("openai", "gpt-4o-mini", "https://api.openai.com/v1")
    known = estimate(proposer, hosted, CARD, folder.budget)
    assert known.cost is not None
    assert 0 < known.cost < 1


def test_a_terminal_shows_the_spending_beside_the_work(on_two_scenarios: list[str], card_file: Path) -> None:
    first, second = says(reply(COPIES), usage=usage(2000, 400)), says(reply(GOOD), usage=usage(3000, 500))
    with serve(first, second) as server:
        flags = ["add-detector", str(card_file), "--model", "fake", "--base-url", server.url]
        child = pexpect.spawn(
            on_two_scenarios[0],
            [*on_two_scenarios[1:], *flags],
            env={**os.environ, "TERM": "xterm-256color"},
            dimensions=(40, 160),
            encoding="utf-8",
            timeout=240,
        )
        child.expect("running it confined.{0,40}1 request, 2,000 \\+ 400 tokens, unpriced")
        child.expect("running it confined.{0,40}2 requests, 5,000 \\+ 900 tokens, unpriced")
        child.expect("spent +2 requests, 5,000 \\+ 900 tokens")
        child.expect(pexpect.EOF)
        child.close()
    assert child.exitstatus == 0
