"""Servers that misbehave: each fault has its code, its sentence, and its number of tries."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path

import pytest
from fake_server import (
    FakeServer,
    Step,
    answers,
    drips,
    drips_headers,
    drips_without_length,
    page,
    resets,
    says,
    serve,
    stalls,
)
from pydantic import SecretStr

from llmdas_agent.agent import http_client
from llmdas_agent.agent.faults import HINTS, of_exception, of_reply
from llmdas_agent.agent.models import Answer, connect, offered_models
from llmdas_agent.agent.outbox import Outbox
from llmdas_agent.agent.settings import ModelSettings
from llmdas_agent.agent.spending import spent
from llmdas_agent.errors import ChatModelError
from places import ROOT

QUESTION = [("system", "You write programs."), ("human", "Write one.")]
KEY = SecretStr("sk-canary-7Qx2")


@pytest.fixture(autouse=True)
def no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http_client, "FIRST_WAIT", 0.01)


def settings(url: str, *, timeout: float = 5.0) -> ModelSettings:
    return ModelSettings("openai", "fake", url, timeout=timeout, key=KEY)


def ask(url: str, folder: Path, *, timeout: float = 5.0) -> Answer:
    return connect(settings(url, timeout=timeout), Outbox(folder)).ask(QUESTION)


def fault(url: str, folder: Path, *, timeout: float = 5.0) -> ChatModelError:
    with pytest.raises(ChatModelError) as caught:
        ask(url, folder, timeout=timeout)
    return caught.value


TOO_LONG = "This model's maximum context length is 2048 tokens. However, you requested 9000 tokens."
QUOTA = "You exceeded your current quota, please check your plan and billing details."


def _gives(body: str) -> Step:
    return lambda handler: handler.give(200, body)


STATUSES = {
    "401": (answers(401, "Incorrect API key provided: sk-canary-7Qx2"), "key_refused", 1),
    "402": (answers(402, "Insufficient credit"), "quota", 1),
    "403": (answers(403, "Country not supported"), "not_permitted", 1),
    "404": (answers(404, "The model does not exist", code="model_not_found"), "not_found", 1),
    "408": (answers(408, "Request timeout"), "timed_out", 3),
    "413": (answers(413, "Payload too large"), "too_long", 1),
    "422": (answers(422, "Extra inputs are not permitted"), "refused_request", 1),
    "429": (answers(429, "Rate limit reached"), "busy", 3),
    "429, come back soon": (answers(429, "Rate limit reached", retry_after="0.01"), "busy", 3),
    "429, come back tomorrow": (answers(429, "Rate limit reached", retry_after="86400"), "busy", 1),
    "429, no money": (answers(429, QUOTA, code="insufficient_quota"), "quota", 1),
    "500": (answers(500, "Internal error"), "server_failed", 3),
    "500, a page": (page(500), "server_failed", 3),
    "502": (page(502, "<html><title>502 Bad Gateway</title></html>"), "server_failed", 3),
    "503": (answers(503, "Loading model"), "server_failed", 3),
    "529": (answers(529, "Overloaded"), "server_failed", 3),
    "400": (answers(400, "Unknown parameter"), "refused_request", 1),
    "400, too long": (answers(400, TOO_LONG, code="context_length_exceeded"), "too_long", 1),
    "400, too long for llama.cpp": (
        answers(400, "the request exceeds the available context size, try increasing it"),
        "too_long",
        1,
    ),
    "an error with status 200": (
        lambda handler: handler.give(200, '{"error": "boom"}'),
        "refused_request",
        1,
    ),
    "a proxy's page": (page(200), "no_model_server", 1),
    "nothing": (lambda handler: handler.give(200, ""), "no_model_server", 1),
    "JSON of another kind": (lambda handler: handler.give(200, '{"status": "ok"}'), "no_model_server", 1),
    "no choices": (lambda handler: handler.give(200, '{"choices": []}'), "no_model_server", 1),
    **{
        f"choices that are none: {body[:70]}": (_gives(body), "no_model_server", 1)
        for body in (
            '{"choices": 1}',
            '{"choices": "busy"}',
            '{"choices": [{}]}',
            '{"choices": [{"message": null}]}',
            '{"choices": [{"message": {"content": "a"}}]}',
            '{"data": "none"}',
            '{"choices": ' + 200_000 * "[" + 200_000 * "]" + "}",
        )
    },
    **{
        f"malformed: {part}": (
            _gives(f'{{"choices": [{{"message": {{"role": "assistant", {part}}}}}]}}'),
            "malformed",
            1,
        )
        for part in (
            '"content": 17',
            '"content": [17]',
            '"content": "a", "tool_calls": "none"',
            '"content": "a", "tool_calls": [1]',
            '"content": "a", "tool_calls": [{}]',
            '"content": "a", "tool_calls": [{"type": "custom", "custom": {"name": "f", "input": "x"}}]',
            '"content": "a", "tool_calls": [{"function": "f"}]',
            '"content": "a", "tool_calls": [{"function": {"name": 1, "arguments": "{}"}}]',
            '"content": "a", "function_call": "f"',
            '"content": "a", "name": 3',
            '"content": "a", "role": "tool"',
        )
    },
    **{
        f"malformed usage: {usage}": (says("a", usage=usage), "malformed", 1)
        for usage in (
            "lots",
            [1],
            {"prompt_tokens": "12"},
            {"prompt_tokens": 12, "completion_tokens": "3"},
            {"prompt_tokens": 1, "completion_tokens": 3, "prompt_tokens_details": "none"},
        )
    },
    "malformed second choice": (
        _gives('{"choices": [{"message": {"role": "assistant", "content": "a"}}, 3]}'),
        "malformed",
        1,
    ),
    "an error beside an answer": (
        _gives('{"error": "boom", "choices": [{"message": {"role": "assistant", "content": "a"}}]}'),
        "refused_request",
        1,
    ),
    "a redirect": (
        lambda handler: handler.give(307, "", location="http://elsewhere.example/v1/chat/completions"),
        "redirected",
        1,
    ),
}


@pytest.mark.parametrize("name", STATUSES)
def test_what_a_server_answers(name: str, tmp_path: Path) -> None:
    step, code, tries = STATUSES[name]
    with serve(step) as server:
        error = fault(server.url, tmp_path)
    assert error.code == code
    assert error.hint, "it says what to do"
    assert error.as_dict()["code"] == code
    assert len(server.asked) == tries
    assert (f", {tries} times in a row" in error.what) == (tries > 1)
    assert KEY.get_secret_value() not in str(error) + repr(error)
    assert not error.__cause__, "no chain behind it that may quote a header"


def test_a_key_that_no_header_may_hold_is_quoted_nowhere(tmp_path: Path) -> None:
    with serve(says("hello")) as server, pytest.raises(ChatModelError) as caught:
        broken = replace(settings(server.url), key=SecretStr(f"{KEY.get_secret_value()}\r"))
        connect(broken, Outbox(tmp_path)).ask(QUESTION)
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"Illegal header value b'Bearer ***'" in kept
    assert KEY.get_secret_value() not in str(caught.value) + kept.decode()


@pytest.mark.parametrize(
    "name", [one for one in STATUSES if one.startswith(("choices that are none", "malformed"))]
)
def test_a_reply_that_was_no_answer_is_asked_for_again(name: str, tmp_path: Path) -> None:
    with serve(STATUSES[name][0], says("hello")) as server:
        fault(server.url, tmp_path)
        assert ask(server.url, tmp_path).text == "hello"
    assert spent(tmp_path).requests == 2


def test_what_is_malformed_is_said(tmp_path: Path) -> None:
    with serve(says("a", usage={"prompt_tokens": "12"})) as server:
        error = fault(server.url, tmp_path)
    assert error.what == "the reply is malformed: its usage {'prompt_tokens': '12'}"
    assert "the run's outbox holds the whole reply" in error.hint


@pytest.mark.parametrize("key", ["x", "e", "none", "hello"])
def test_a_placeholder_for_a_key_leaves_bodies_as_they_are(key: str, tmp_path: Path) -> None:
    with serve(says("hello, none the next")) as server:
        connect(replace(settings(server.url), key=SecretStr(key)), Outbox(tmp_path)).ask(QUESTION)
        (kept,) = Outbox(tmp_path).exchanges()
        assert kept.request.body == server.asked[0].body
    assert b"hello, none the next" in kept.reply.body  # type: ignore[union-attr]
    assert key not in kept.request.head, "a head holds no key, however short"


def test_the_servers_own_words_are_told(tmp_path: Path) -> None:
    with serve(answers(403, "Country \x1b[31mnot\x1b[0m supported")) as server:
        assert "the server answers 403: Country [31mnot [0m supported" in str(fault(server.url, tmp_path))
    with serve(page(502)) as server:
        assert "a page titled 'Sign in'" in str(fault(server.url, tmp_path))


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with serve(says("stolen")) as other:
        step: Step = lambda handler: handler.give(308, "", location=f"{other.url}/chat/completions")  # noqa: E731
        with serve(step) as server:
            assert other.root in str(fault(server.url, tmp_path))
        assert other.connections == 0


@pytest.mark.parametrize(
    "step", [answers(429), answers(500), answers(408), resets], ids=["429", "500", "408", "reset"]
)
def test_one_bad_moment_is_bridged(step: Step, tmp_path: Path) -> None:
    with serve(step, says("hello")) as server:
        assert ask(server.url, tmp_path).text == "hello"
        assert len(server.asked) == 2
    replies = sorted(path.name for path in tmp_path.glob("*.reply.http"))
    assert [name[:4] for name in replies] == ["0001", "0002"], "both tries are kept"


@pytest.mark.parametrize("as_date", [False, True])
def test_a_server_that_asks_to_wait_is_waited_for(as_date: bool, tmp_path: Path) -> None:
    asked = formatdate(time.time() + 2, usegmt=True) if as_date else "0.4"
    with serve(answers(429, retry_after=asked), says("hello")) as server:
        began = time.monotonic()
        assert ask(server.url, tmp_path).text == "hello"
        assert time.monotonic() - began >= 0.4


def test_a_server_that_asks_to_wait_too_long_is_not(tmp_path: Path) -> None:
    with serve(answers(429, retry_after="7200")) as server:
        assert "it asks to wait 7200 s" in str(fault(server.url, tmp_path))


def test_nobody_there(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        error = fault(f"http://127.0.0.1:{taken.getsockname()[1]}/v1", tmp_path)
    assert (error.code, error.hint) == ("unreachable", HINTS["unreachable"])


def test_no_such_host(tmp_path: Path) -> None:
    assert fault("http://nowhere.invalid/v1", tmp_path).code == "unreachable"


@pytest.mark.parametrize(
    ("step", "code", "tries"),
    [
        (stalls, "timed_out", 1),
        (drips, "timed_out", 1),
        (drips_headers, "timed_out", 1),
        (drips_without_length, "timed_out", 1),
        (resets, "connection_lost", 3),
    ],
)
def test_a_reply_that_does_not_end(step: Step, code: str, tries: int, tmp_path: Path) -> None:
    with serve(step) as server:
        began = time.monotonic()
        error = fault(server.url, tmp_path, timeout=0.6)
        assert time.monotonic() - began < 5
        assert (error.code, len(server.asked)) == (code, tries)


def test_tls_asked_of_a_server_without_it(tmp_path: Path) -> None:
    with serve(says("hello")) as server:
        error = fault(server.url.replace("http://", "https://"), tmp_path)
    assert error.code == "no_tls"
    assert "http://" in error.hint


@pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command makes the certificate")
def test_a_certificate_of_an_unknown_authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=127.0.0.1",
            ),
            *("-addext", "subjectAltName=IP:127.0.0.1", "-out", str(certificate), "-keyout", str(key)),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with serve(says("hello"), tls=context) as server:
        error = fault(server.url, tmp_path / "outbox")
        assert error.code == "no_tls"
        assert "SSL_CERT_FILE" in error.hint
        assert server.asked == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ask(server.url, tmp_path / "outbox").text == "hello", "the hint works"


def test_an_unknown_model_is_told_with_the_nearest_known(tmp_path: Path) -> None:
    with serve(answers(404, "model not found"), models=("fake-7b", "other")) as server:
        error = fault(server.url, tmp_path)
    assert error.code == "not_found"
    assert "has no model 'fake'" in error.what
    assert "Did you mean 'fake-7b'?" in error.hint


@pytest.mark.parametrize("step", [page(404), page(200), answers(404), answers(405)])
def test_a_missing_v1_is_found_out(step: Step, tmp_path: Path) -> None:
    with serve(step) as server:
        error = fault(server.root, tmp_path)
    assert error.code == "no_v1"
    assert f"--base-url {server.root}/v1" in error.hint


def test_the_servers_models(tmp_path: Path) -> None:
    with serve(says("hello"), models=("a", "b")) as server:
        assert offered_models(settings(server.url), Outbox(tmp_path)) == ["a", "b"]


class TestAnswers:
    def test_an_empty_one(self, tmp_path: Path) -> None:
        with serve(says(None)) as server:
            assert ask(server.url, tmp_path) == Answer("")

    def test_a_refusal(self, tmp_path: Path) -> None:
        with serve(says(None, refusal="I will not.")) as server:
            assert ask(server.url, tmp_path).refusal == "I will not."

    def test_a_content_filter(self, tmp_path: Path) -> None:
        with serve(says("", finish="content_filter")) as server:
            assert "content filter" in ask(server.url, tmp_path).refusal

    def test_one_cut_at_the_token_limit(self, tmp_path: Path) -> None:
        with serve(says("def", finish="length")) as server:
            assert ask(server.url, tmp_path) == Answer("def", cut=True)

    def test_one_with_half_a_character(self, tmp_path: Path) -> None:
        with serve(says("a\ud800b")) as server:
            assert ask(server.url, tmp_path).text == "a?b"


class TestOtherPackages:
    """Models that are not reached through this package's own client raise what they like."""

    class StrangeError(Exception):
        def __init__(self, words: str, status_code: int | None = None) -> None:
            super().__init__(words)
            self.status_code = status_code

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (StrangeError("bad key", 401), "key_refused"),
            (StrangeError("slow down", 429), "busy"),
            (StrangeError("maximum context length is 10 tokens", 400), "too_long"),
            (StrangeError("prompt is too long: 9000 tokens"), "too_long"),
            (ConnectionRefusedError(111, "refused"), "unreachable"),
            (ConnectionResetError(104, "reset"), "connection_lost"),
            (TimeoutError("slow"), "timed_out"),
            (ssl.SSLCertVerificationError("self-signed certificate"), "no_tls"),
            (socket.gaierror(-2, "Name or service not known"), "unreachable"),
            (KeyError("choices"), "other"),
        ],
    )
    def test_are_told_by_the_same_table(self, error: Exception, code: str) -> None:
        wrapped = RuntimeError("while asking")
        wrapped.__cause__ = error
        for one in (error, wrapped):
            told = of_exception(one, where="anthropic:x").error
            assert told.code == code
            assert told.hint == HINTS[code]
        assert "anthropic:x" in str(told)


def test_a_reply_of_any_bytes_is_an_answer_or_a_fault() -> None:
    for status in range(200, 600):
        for body in (
            b"",
            b"\xff\xfe",
            b"[]",
            b"<html>",
            b'{"error": {"message": 5}}',
            b"null",
        ):
            found = of_reply(status, {"retry-after": "soon"}, body, where="x")
            assert found is not None
            assert found.error.code in HINTS


def test_the_page_for_readers_lists_every_fault() -> None:
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8")
    listed = set(re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE))
    assert listed == set(HINTS) | {"not_kept"}


def test_settings_without_a_key_send_none(tmp_path: Path) -> None:
    def header(server: FakeServer) -> str | None:
        return server.asked[-1].headers.get("authorization")

    with serve(says("hello")) as server:
        connect(settings(server.url), Outbox(tmp_path / "a")).ask(QUESTION)
        assert header(server) == f"Bearer {KEY.get_secret_value()}"
        connect(replace(settings(server.url), key=None), Outbox(tmp_path / "b")).ask(QUESTION)
        assert header(server) is None
