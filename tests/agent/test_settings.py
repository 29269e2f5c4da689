"""Which chat model is asked: flags before environment before file, and no key but from the environment."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from fake_server import page, says, serve

from llmdas_agent.agent.models import connect
from llmdas_agent.agent.outbox import Outbox
from llmdas_agent.agent.settings import OPENAI_URL, ModelSettings, resolve, withdraw_keys
from llmdas_agent.errors import InputError

Cli = Callable[..., "subprocess.CompletedProcess[str]"]
LOCAL = "http://localhost:11434/v1"


@pytest.fixture
def file(home: Path) -> Callable[[str], None]:
    def write(text: str) -> None:
        (home / "config.toml").write_text(text, encoding="utf-8")

    return write


def test_nothing_named_is_no_model() -> None:
    assert resolve() is None


def test_flags_go_before_the_environment_and_that_before_the_file(
    file: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(*flags: str | None) -> tuple[str, str | None]:
        settings = resolve(*flags)
        assert settings is not None
        return settings.name, settings.base_url

    file('model = "openai:of-file"\nbase_url = "http://file/v1"\nmax_tokens = 100\ntimeout = 7')
    assert found() == ("of-file", "http://file/v1")
    assert (resolve().max_tokens, resolve().timeout) == (100, 7.0)  # type: ignore[union-attr]
    monkeypatch.setenv("OPENAI_BASE_URL", "http://openai-env/v1")
    assert found() == ("of-file", "http://openai-env/v1")
    monkeypatch.setenv("LLMDAS_BASE_URL", "http://own-env/v1/")
    monkeypatch.setenv("LLMDAS_MODEL", "of-env")
    monkeypatch.setenv("LLMDAS_MAX_TOKENS", "200")
    assert found() == ("of-env", "http://own-env/v1")
    assert resolve().max_tokens == 200  # type: ignore[union-attr]
    assert found("openai:of-flag", "http://flag/v1") == ("of-flag", "http://flag/v1")


def test_own_key_goes_before_openais(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "theirs")
    assert resolve("m", LOCAL).key.get_secret_value() == "theirs"  # type: ignore[union-attr]
    monkeypatch.setenv("LLMDAS_API_KEY", "ours")
    settings = resolve("m", LOCAL)
    assert settings.key.get_secret_value() == "ours"  # type: ignore[union-attr]
    assert "ours" not in repr(settings) + json.dumps(settings.as_dict())  # type: ignore[union-attr]


@pytest.mark.parametrize("around", ["{}\n", "{}\r\n", " {}\t", "{}"])
def test_white_space_around_a_key_is_none_of_it(around: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMDAS_API_KEY", "\r\n")
    monkeypatch.setenv("OPENAI_API_KEY", around.format("sk-canary"))
    assert resolve("m", LOCAL).key.get_secret_value() == "sk-canary"  # type: ignore[union-attr]


@pytest.mark.parametrize("key", ["sk-canary\r\nsk-other", "sk-canary 2", "sk-canary\x7f", "sk-canary\u00e9"])
def test_a_key_that_no_header_may_hold_is_refused_unquoted(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMDAS_API_KEY", key)
    with pytest.raises(InputError, match="LLMDAS_API_KEY: the key holds") as caught:
        resolve("m", LOCAL)
    assert "canary" not in str(caught.value)


def test_openai_itself_needs_a_key_and_a_local_server_needs_none() -> None:
    with pytest.raises(InputError, match="no key for OpenAI's server"):
        resolve("openai:gpt-4o-mini")
    settings = resolve("openai:qwen2.5-coder:7b", LOCAL)
    assert settings == ModelSettings("openai", "qwen2.5-coder:7b", LOCAL)
    assert settings.local


def test_what_a_run_keeps_is_read_back() -> None:
    settings = resolve("m", LOCAL)
    assert settings is not None
    assert ModelSettings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ((None, LOCAL), "no model is named"),
        (("openai:", LOCAL), "names no model"),
        ((":x", LOCAL), "names no model"),
        (("x", ""), "no address of a server"),
        (("x", "localhost:11434"), "no address of a server"),
        (("x", "ftp://host/v1"), "no address of a server"),
        (("x", "http://anna:secret@host/v1"), "holds a user, a password or a query"),
        (("x", "http://host/v1?key=secret"), "holds a user, a password or a query"),
    ],
)
def test_flags_that_cannot_be_used(flags: tuple[str | None, str], said: str) -> None:
    with pytest.raises(InputError, match=said) as caught:
        resolve(*flags)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('api_key = "sk-1"', "does not belong in a file"),
        ('modle = "x"', "Did you mean 'model'"),
        ("model = 5", "'model' is no text"),
        ("model = ", "cannot be read"),
        ('model = "x"\nbase_url = "http://h/v1"\ntimeout = "soon"', "'soon' is no number"),
        ('model = "x"\nbase_url = "http://h/v1"\nmax_tokens = 0', "'0' is no number"),
    ],
)
def test_files_that_cannot_be_used(text: str, said: str, file: Callable[[str], None]) -> None:
    file(text)
    with pytest.raises(InputError, match=said) as caught:
        resolve()
    assert "config.toml" in str(caught.value)
    assert "sk-1" not in str(caught.value)


@pytest.mark.parametrize("value", ["soon", "-1", "nan", "inf"])
def test_numbers_of_the_environment_that_are_none(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMDAS_TIMEOUT", value)
    with pytest.raises(InputError, match="LLMDAS_TIMEOUT"):
        resolve("m", LOCAL)


@pytest.mark.skipif(
    importlib.util.find_spec("langchain") is not None, reason="the langchain package is installed"
)
def test_another_provider_names_the_packages_to_install(tmp_path: Path) -> None:
    settings = resolve("google_genai:gemini-pro")
    assert settings is not None
    with pytest.raises(InputError, match="pip install langchain langchain-google-genai"):
        connect(settings, Outbox(tmp_path))


@pytest.mark.skipif(
    importlib.util.find_spec("langchain") is None, reason="the langchain package is not installed"
)
@pytest.mark.parametrize(("spec", "said"), [("anthropic:x", "langchain.anthropic"), ("nobody:x", "nobody")])
def test_another_provider_whose_own_package_is_missing(spec: str, said: str, tmp_path: Path) -> None:
    settings = resolve(spec)
    assert settings is not None
    with pytest.raises(InputError, match=said):
        connect(settings, Outbox(tmp_path))


def test_white_space_around_another_providers_key_is_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOBODY_API_KEY", "sk-canary\r\n")
    settings = resolve("nobody:x")
    assert settings is not None
    with pytest.raises(InputError):  # there is no such package; it would read its key right then
        connect(settings, Outbox(tmp_path))
    assert os.environ["NOBODY_API_KEY"] == "sk-canary"


def test_every_request_has_its_limits(tmp_path: Path) -> None:
    with serve(says("hello")) as server:
        settings = ModelSettings("openai", "fake", server.url, max_tokens=77, timeout=9)
        connect(settings, Outbox(tmp_path)).ask([("human", "hi")])
        sent = json.loads(server.asked[0].body)
    assert sent["max_tokens"] == 77
    assert sent["model"] == "fake"
    assert set(sent) == {"model", "messages", "max_tokens", "stream"}


def test_openais_own_server_is_asked_in_its_own_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    settings = resolve("openai:gpt-4o-mini")
    assert settings is not None
    assert settings.base_url == OPENAI_URL
    model = connect(settings, Outbox(tmp_path))._model
    payload = model._get_request_payload([("human", "hi")])  # type: ignore[union-attr]
    assert payload["max_completion_tokens"] == settings.max_tokens
    assert model.max_retries == 0  # type: ignore[union-attr]


def test_keys_can_be_withdrawn_from_what_children_inherit(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "LLMDAS_API_KEY", "ANTHROPIC_API_KEY", "LANGSMITH_API_KEY", "OTHER"):
        monkeypatch.setenv(name, "canary")
    settings = resolve("m", LOCAL)
    withdraw_keys(tracing=True)
    assert sorted(name for name, value in os.environ.items() if value == "canary") == [
        "LANGSMITH_API_KEY",
        "OTHER",
    ]
    withdraw_keys(tracing=False)
    assert sorted(name for name, value in os.environ.items() if value == "canary") == ["OTHER"]
    assert settings.key.get_secret_value() == "canary"  # type: ignore[union-attr]


class TestDoctor:
    def found(self, cli: Cli, *flags: str) -> dict[str, object]:
        ended = cli("doctor", "--json", *flags)
        assert ended.returncode == 0, ended.stderr
        told: dict[str, object] = json.loads(ended.stdout)["chat_model"]
        return told

    def test_none(self, cli: Cli) -> None:
        assert "embedded proposer" in str(self.found(cli)["found"])

    def test_one_that_answers(self, cli: Cli) -> None:
        with serve(says("hello")) as server:
            told = self.found(cli, "--model", "openai:fake", "--base-url", server.url)
            assert told["works"]
            assert server.asked == [], "it is asked for its models, not to talk"

    def test_a_model_that_the_server_has_not(self, cli: Cli) -> None:
        with serve(says("hello")) as server:
            told = self.found(cli, "--model", "openai:fkae", "--base-url", server.url)
        assert (told["works"], "Did you mean 'fake'?" in str(told["found"])) == (False, True)

    def test_an_address_without_v1(self, cli: Cli) -> None:
        with serve(page(404)) as server:
            told = self.found(cli, "--model", "openai:fake", "--base-url", server.root)
        assert f"--base-url {server.url}" in str(told["found"])

    def test_nobody_there(self, cli: Cli) -> None:
        told = self.found(cli, "--model", "openai:fake", "--base-url", "http://127.0.0.1:9/v1")
        assert "Start the server" in str(told["found"])
