"""What a chat model costs: counted once, priced or called unpriced, and never more than the cap."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from fake_server import FakeServer, Step, answers, resets, says, serve
from genai_prices import data_snapshot
from genai_prices.types import ClauseEquals, ModelInfo, ModelPrice, Provider
from hypothesis import HealthCheck, given
from hypothesis import settings as examples
from hypothesis import strategies as st
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from llmdas_agent.agent import http_client
from llmdas_agent.agent.models import ChatModel, connect
from llmdas_agent.agent.outbox import Outbox
from llmdas_agent.agent.prices import Tokens, price
from llmdas_agent.agent.settings import ModelSettings
from llmdas_agent.agent.spending import Purse, Spending, spent
from llmdas_agent.config import Budget
from llmdas_agent.errors import BudgetExceededError, ChatModelError, InputError

QUESTION = [("system", "You write programs."), ("human", "Write one.")]
LONGEST = 500
IN, OUT = Decimal("3"), Decimal("15")
"""Dollars for a million tokens read and written, at the loopback provider."""


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "FIRST_WAIT", 0.01)


@pytest.fixture
def priced() -> Iterator[None]:
    """A provider on loopback in the price tables, beside the real ones."""
    model = ModelInfo(
        id="fake", match=ClauseEquals(equals="fake"), prices=ModelPrice(input_mtok=IN, output_mtok=OUT)
    )
    own = Provider(id="loopback", name="Loopback", api_pattern=r"http://127\.0\.0\.1", models=[model])
    known = data_snapshot.get_snapshot().providers
    data_snapshot.set_custom_snapshot(data_snapshot.DataSnapshot([*known, own], from_auto_update=False))
    yield
    data_snapshot.set_custom_snapshot(None)


def used(read: object, written: object) -> dict[str, object]:
    return {"prompt_tokens": read, "completion_tokens": written}


def without_usage(**more: object) -> Step:
    """Answer without a word of what it took."""
    message = {"role": "assistant", "content": "a"}
    reply = {"id": "1", "model": "fake", "choices": [{"index": 0, "message": message}], **more}
    return lambda handler: handler.give(200, json.dumps(reply))


def model(server: FakeServer, folder: Path, **caps: Any) -> ChatModel:
    settings = ModelSettings("openai", "fake", server.url, max_tokens=LONGEST, timeout=5.0)
    return connect(settings, Outbox(folder, permit=Purse(folder, lambda: Budget(**caps))))


def cost(read: int, written: int) -> Decimal:
    return (read * IN + written * OUT) / 1_000_000


class TestCounting:
    def test_the_usage_that_replies_tell(self, tmp_path: Path, priced: None) -> None:
        with serve(says("a", usage=used(1200, 300)), says("b", usage=used(1500, 20))) as server:
            asked = model(server, tmp_path)
            asked.ask(QUESTION, attempt="1")
            asked.ask(QUESTION, attempt="2")
        assert spent(tmp_path) == Spending(2, 2700, 320, cost(2700, 320))
        assert str(spent(tmp_path)) == "2 requests, 2,700 + 320 tokens, $0.0129"

    def test_a_model_without_a_price_is_unpriced_and_not_free(self, tmp_path: Path) -> None:
        with serve(says("a", usage=used(1200, 300))) as server:
            model(server, tmp_path).ask(QUESTION)
        found = spent(tmp_path)
        assert (found.tokens, found.cost) == (1500, None)
        assert found.as_dict()["cost_usd"] is None
        assert "unpriced" in str(found)
        assert "$" not in str(found)

    def test_nothing_asked_is_nothing_spent(self, tmp_path: Path) -> None:
        assert spent(tmp_path / "none") == Spending()
        assert str(Spending()) == "0 requests, 0 + 0 tokens, $0.00"

    def test_second_tries_count_once_each(self, tmp_path: Path, priced: None) -> None:
        steps = [answers(429), resets, says("a", usage=used(100, 10))]
        with serve(*steps) as server:
            model(server, tmp_path).ask(QUESTION)
            body = len(server.asked[0].body)
        found = spent(tmp_path)
        # the refusal was for nothing; what broke off may have been billed, at most so much
        assert (found.requests, found.guessed) == (3, 1)
        assert (found.read, found.written) == (100 + body, 10 + LONGEST)
        assert found.cost == cost(found.read, found.written)
        assert "(1 at the worst case)" in str(found)

    @pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
    def test_a_refusal_is_free(self, status: int, tmp_path: Path) -> None:
        with serve(answers(status)) as server, pytest.raises(ChatModelError):
            model(server, tmp_path).ask(QUESTION)
        assert spent(tmp_path).tokens == 0

    def test_so_is_a_server_that_is_not_there(self, tmp_path: Path) -> None:
        with serve(says("a")) as server:
            asked = model(server, tmp_path)
        with pytest.raises(ChatModelError) as caught:
            asked.ask(QUESTION)
        assert caught.value.code == "unreachable"
        assert (spent(tmp_path).requests, spent(tmp_path).tokens) == (1, 0)

    @pytest.mark.parametrize(
        "usage",
        [
            None,
            {},
            used(0, 0),
            used(0, 5),
            used(-1, 5),
            used("12", 5),
            used(5, None),
            used(True, 5),
            used(1.5, 5),
            "free",
        ],
        ids=str,
    )
    def test_nonsense_counts_at_the_worst_case(self, usage: object, tmp_path: Path) -> None:
        with serve(says("a", usage=usage)) as server:
            # what is malformed is a fault, and is counted all the same
            try:
                model(server, tmp_path).ask(QUESTION)
            except ChatModelError as error:
                assert error.code == "malformed"
            body = len(server.asked[0].body)
        assert spent(tmp_path) == Spending(1, body, LONGEST, None, guessed=1)

    @pytest.mark.parametrize("error", [None, {}, "", "busy, but see below"], ids=str)
    def test_an_answer_beside_an_error_counts_at_the_worst_case(self, error: object, tmp_path: Path) -> None:
        with serve(without_usage(error=error)) as server:
            with suppress(ChatModelError):  # an answer beside an error is a fault
                model(server, tmp_path).ask(QUESTION)
            body = len(server.asked[0].body)
        assert spent(tmp_path) == Spending(1, body, LONGEST, None, guessed=1)

    def test_what_the_provider_had_in_its_cache_costs_what_it_says(self) -> None:
        now = datetime.now(UTC)
        url = "https://api.openai.com/v1"
        plain = price(Tokens(1000, 0), "gpt-4o-mini", url=url, at=now)
        cached = price(Tokens(1000, 0, cached=1000), "gpt-4o-mini", url=url, at=now)
        assert plain is not None
        assert cached is not None
        assert 0 < cached < plain

    @pytest.mark.parametrize("name", ["gpt-4o-mini:free", "mai-ds-r1:free", "no-such-model"])
    def test_no_price_in_the_tables_is_no_price(self, name: str) -> None:
        # the tables name some models without a price, and the library makes that zero
        assert price(Tokens(1000, 1000), name, provider="azure", at=datetime.now(UTC)) is None

    def test_an_object_that_streams_counts_once(self, tmp_path: Path) -> None:
        class Streams(GenericFakeChatModel):
            def _stream(self, *_: Any, **__: Any) -> Iterator[ChatGenerationChunk]:
                usage = {"input_tokens": 40, "output_tokens": 6, "total_tokens": 46}
                for text, told in (("he", None), ("llo", None), ("", usage)):
                    chunk = AIMessageChunk(content=text, usage_metadata=told)  # type: ignore[arg-type]
                    yield ChatGenerationChunk(message=chunk)

            def _generate(self, *arguments: Any, **more: Any) -> Any:
                from langchain_core.language_models.chat_models import generate_from_stream

                return generate_from_stream(self._stream(*arguments, **more))

        asked = ChatModel(Streams(messages=iter([])), Outbox(tmp_path), name="mine")
        assert asked.ask(QUESTION).text == "hello"
        assert spent(tmp_path) == Spending(1, 40, 6, None)


class TestKept:
    """A reply is kept under its model, its parameters, its messages and its attempt, and paid once."""

    def test_the_same_question_for_the_same_attempt(self, tmp_path: Path) -> None:
        with serve(says("a", usage=used(9, 1)), says("b", usage=used(9, 1))) as server:
            first = [model(server, tmp_path).ask(QUESTION, attempt=name).text for name in ("1.1", "1.2")]
            again = [model(server, tmp_path).ask(QUESTION, attempt=name).text for name in ("1.2", "1.1")]
            assert (first, again) == (["a", "b"], ["b", "a"])
            assert len(server.asked) == 2
        assert spent(tmp_path).requests == 2

    def test_another_parameter_or_model_or_message_is_another_question(self, tmp_path: Path) -> None:
        with serve(says("a")) as server:
            settings = ModelSettings("openai", "fake", server.url, max_tokens=LONGEST, timeout=5.0)
            for one in (
                settings,
                settings,
                ModelSettings("openai", "fake", server.url, max_tokens=LONGEST + 1, timeout=5.0),
                ModelSettings("openai", "fake", server.url, max_tokens=LONGEST, timeout=9.0),
                ModelSettings("openai", "other", server.url, max_tokens=LONGEST, timeout=5.0),
            ):
                connect(one, Outbox(tmp_path)).ask(QUESTION, attempt="1")
            connect(settings, Outbox(tmp_path)).ask([*QUESTION, ("ai", "x"), ("human", "y")], attempt="1")
            assert len(server.asked) == 4, "a time-out is no part of a question"

    def test_an_answer_that_was_none_is_asked_for_again(self, tmp_path: Path) -> None:
        empty: Step = lambda handler: handler.give(200, '{"choices": []}')  # noqa: E731
        with serve(empty, says("a")) as server:
            with pytest.raises(ChatModelError):
                model(server, tmp_path).ask(QUESTION)
            assert model(server, tmp_path).ask(QUESTION).text == "a"


class TestCap:
    """The server bills; the cap holds against its bill, whatever it says and however it fails."""

    @given(st.integers(min_value=0, max_value=12_000), st.integers(min_value=0), st.booleans())
    @examples(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    def test_it_is_never_passed(
        self, tmp_path: Path, priced: None, cap: int, seed: int, in_money: bool
    ) -> None:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        # the server answers from threads of its own, where hypothesis may not draw
        chance, words_chance = random.Random(seed), random.Random(seed + 1)
        bill: list[tuple[int, int]] = []

        def billing(handler: Any) -> None:
            # a tokenizer of bytes, and a template with some tokens for each message
            texts = [one["content"].encode() for one in handler.question.messages]
            read, written = sum(map(len, texts)) + 10 * len(texts), chance.randint(0, LONGEST)
            bill.append((read, written))
            step = chance.choice([says("a", usage=used(read, written)), says("a", usage=None), resets])
            step(handler)

        amount = cost(0, cap) if in_money else Decimal(cap)
        caps = {"max_cost": float(amount)} if in_money else {"max_tokens": cap}

        def billed() -> Decimal:
            total = [cost(*one) if in_money else Decimal(sum(one)) for one in bill]
            return sum(total, Decimal(0))

        with serve(billing) as server:
            asked = model(server, folder, **caps)
            with pytest.raises(BudgetExceededError) as caught:
                for number in range(100):
                    words = "ein Wörtchen 你好 \n" * words_chance.randint(0, 30)
                    with suppress(ChatModelError):  # three resets in a row
                        asked.ask([*QUESTION, ("ai", words), ("human", "?")], attempt=str(number))
        assert billed() <= amount
        assert ("--max-cost" if in_money else "--max-tokens") in str(caught.value)

    def test_a_request_that_might_pass_it_never_leaves(self, tmp_path: Path) -> None:
        with serve(says("a", usage=used(60, 10))) as server:
            model(server, tmp_path).ask(QUESTION, attempt="1")
            worst = len(server.asked[0].body) + LONGEST
            model(server, tmp_path, max_tokens=70 + worst).ask(QUESTION, attempt="2")
            with pytest.raises(BudgetExceededError, match=f"140 of {139 + worst} tokens are spent"):
                model(server, tmp_path, max_tokens=139 + worst).ask(QUESTION, attempt="3")
            assert len(server.asked) == 2
            assert len(list(tmp_path.glob("*.request.http"))) == 2, "the outbox holds what left, only"
            kept = model(server, tmp_path, max_tokens=1).ask(QUESTION, attempt="1")
            assert kept.text == "a", "what is kept may always be used"

    def test_a_retry_is_checked_as_well(self, tmp_path: Path) -> None:
        with serve(resets) as server:
            model(server, tmp_path / "a")
            with pytest.raises(ChatModelError):
                model(server, tmp_path / "a").ask(QUESTION)
            worst = len(server.asked[0].body) + LONGEST
            with pytest.raises(BudgetExceededError):
                model(server, tmp_path / "b", max_tokens=2 * worst).ask(QUESTION)
            assert len(server.asked) == 3 + 2

    def test_the_cost_of_an_unpriced_model_cannot_be_capped(self, tmp_path: Path) -> None:
        with serve(says("a")) as server:
            with pytest.raises(InputError, match=r"no price is known.*--max-tokens"):
                model(server, tmp_path, max_cost=100).ask(QUESTION)
            assert not server.asked

    def test_an_object_must_say_how_long_its_answers_may_be(self, tmp_path: Path) -> None:
        class Bounded(GenericFakeChatModel):
            max_tokens: int = 20

        def ask(kind: type[GenericFakeChatModel], folder: Path, cap: int) -> str:
            outbox = Outbox(folder, permit=Purse(folder, lambda: Budget(max_tokens=cap)))
            return ChatModel(kind(messages=iter([AIMessage("a")])), outbox, name="mine").ask(QUESTION).text

        with pytest.raises(InputError, match="Set max_tokens on the model object"):
            ask(GenericFakeChatModel, tmp_path / "a", 10_000)
        with pytest.raises(BudgetExceededError):
            ask(Bounded, tmp_path / "b", 30)
        assert ask(Bounded, tmp_path / "c", 10_000) == "a"
        assert spent(tmp_path / "c").written == 20, "it told no usage, so the longest answer counts"


LOADED = "import sys\n{}\nsys.stderr.write(str('genai_prices' in sys.modules))"
HELP = (
    "from llmdas_agent.cli.main import main\nsys.argv = ['llmdas-agent', 'add-detector', '--help']\n"
    "try:\n    main()\nexcept SystemExit:\n    pass"
)


@pytest.mark.parametrize("statement", ["import llmdas_agent", HELP, "import llmdas_agent.agent.graph"])
def test_the_tables_of_prices_are_loaded_late(statement: str) -> None:
    ended = subprocess.run([sys.executable, "-c", LOADED.format(statement)], capture_output=True, text=True)
    assert ended.stderr.endswith("False"), ended.stderr
