"""A chat model of any kind: the question put to it, and its answer."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from ..errors import ChatModelError, InputError, LlmdasError, did_you_mean
from .faults import of_exception
from .http_client import ModelClient
from .outbox import Message, Outbox
from .settings import OPENAI_URL, ModelSettings, strip_keys

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel
    from langchain_core.messages import AIMessage

__all__ = ["Answer", "ChatModel", "connect", "diagnosed", "offered_models"]

_CUT = {"length", "max_tokens", "max_output_tokens"}
"""How providers say that the token limit ended an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a chat model said.

    Attributes
    ----------
    text : str
        Its words; empty when there were none.
    cut : bool
        Whether the token limit ended them.
    refusal : str
        Why it would not answer, if it said so.
    """

    text: str
    cut: bool = False
    refusal: str = ""


class ChatModel:
    """A chat model with an outbox.

    Parameters
    ----------
    model : BaseChatModel or None
        Any chat model of langchain-core; None where the outbox is offline.
    outbox : Outbox
        Where questions and answers are kept.
    name : str
        What it is called in reports.
    settings : ModelSettings, optional
        Of a model that `connect` made, or that it made in the run that is walked again.
    tracing : bool
        Whether a tracing service that the environment names may be told of the conversation.
    """

    def __init__(
        self,
        model: BaseChatModel | None,
        outbox: Outbox,
        *,
        name: str,
        settings: ModelSettings | None = None,
        tracing: bool = False,
    ) -> None:
        self._model = model
        self._outbox = outbox
        self._settings = settings
        self._tracing = tracing
        self.name = name

    def ask(
        self, messages: Sequence[tuple[str, str]], *, attempt: str = "", until: float = math.inf
    ) -> Answer:
        """Put a conversation to the model.

        Parameters
        ----------
        messages : sequence of (str, str)
            Role (``system``, ``human`` or ``ai``) and text.
        attempt : str
            What it is asked for: the same conversation gets the same answer for the same attempt, and another
            one for another.
        until : float
            When the time for it is over, by `time.monotonic`.

        Returns
        -------
        Answer

        Raises
        ------
        ChatModelError
            When none comes.
        BudgetExceededError
            When asking could pass a cap, or the time is over.
        """
        self._outbox.attempt, self._outbox.until = attempt, until
        on_wire = self._settings is not None and self._settings.provider == "openai"
        return _read_answer(self._invoke(messages) if on_wire else self._kept(messages))

    def _invoke(self, messages: Sequence[tuple[str, str]]) -> AIMessage:
        from langsmith import tracing_context

        try:
            # Tracing would send the conversation to a third party whenever the environment asks for it.
            with tracing_context(enabled=self._tracing):
                assert self._model is not None, "an offline outbox has the answer, or says that it has none"
                return self._model.invoke(list(messages))
        except ChatModelError as error:
            if self._settings is None or error.code not in ("not_found", "no_model_server"):
                raise
            raise diagnosed(error, self._settings, self._outbox) from None
        except LlmdasError:
            raise
        except Exception as error:  # every provider's package raises its own
            raise of_exception(error, where=self.name).error from None

    def _kept(self, messages: Sequence[tuple[str, str]]) -> AIMessage:
        """Ask a model whose wire is not ours, and keep the messages themselves."""
        from langchain_core.messages import AIMessage

        asked: dict[str, Any] = {"model": self.name, "messages": [list(one) for one in messages]}
        if self._settings is not None:
            asked["max_tokens"] = self._settings.max_tokens
        body = json.dumps(asked, indent=1).encode()
        kept = self._outbox.answer(body)
        if kept is not None and kept.head != "REPLY":
            raise ChatModelError(kept.body.decode(), code=kept.status, where=self.name)
        if kept is not None:
            return AIMessage.model_validate(json.loads(kept.body))
        exchange = self._outbox.sent(Message(f"INVOKE {self.name}{_longest_answer(self._model)}", body))
        try:
            reply = self._invoke(messages)
        except ChatModelError as error:
            self._outbox.received(exchange, Message(f"FAULT {error.code}", error.what.encode()))
            if error.code == "timed_out":
                self._outbox.require_time()
            raise
        # a provider may put anything into its metadata, and half a character into its words
        body = json.dumps(reply.model_dump(), default=repr).encode()
        self._outbox.received(exchange, Message("REPLY", body))
        return reply


def connect(settings: ModelSettings, outbox: Outbox, *, tracing: bool = False) -> ChatModel:
    """Return the chat model of these settings; nothing is sent yet.

    Parameters
    ----------
    settings : ModelSettings
        Which one.
    outbox : Outbox
        Where its conversation is kept.
    tracing : bool
        As in `ChatModel`.

    Raises
    ------
    InputError
        When its provider's package is not installed; the hint names the package.
    """
    if settings.provider != "openai":
        other = _other_provider(settings)
        return ChatModel(other, outbox, name=settings.id, settings=settings, tracing=tracing)
    from langchain_openai import ChatOpenAI
    from langchain_openai.chat_models.base import BaseChatOpenAI

    hosted = settings.base_url == OPENAI_URL
    # Servers other than OpenAI's know `max_tokens`, which OpenAI's newer models refuse.
    kind = ChatOpenAI if hosted else BaseChatOpenAI
    model = kind(
        model=settings.name,
        base_url=settings.base_url,
        api_key=settings.key or SecretStr("none"),
        max_tokens=settings.max_tokens,
        timeout=settings.timeout,
        max_retries=0,  # the client below tries again where that helps
        http_client=_client(settings, outbox),
        openai_proxy="",
        use_responses_api=None if hosted else False,
        cache=False,
    )
    return ChatModel(model, outbox, name=settings.id, settings=settings, tracing=tracing)


def offered_models(settings: ModelSettings, outbox: Outbox) -> list[str]:
    """Ask a server for the names of its models.

    Raises
    ------
    ChatModelError
        When it does not say.
    """
    headers = {"authorization": f"Bearer {settings.key.get_secret_value()}"} if settings.key else {}
    with _client(settings, outbox) as client:
        data = client.get(f"{settings.base_url}/models", headers=headers).json()
    entries = data.get("data") or data.get("models") or []
    names = [entry.get("id") or entry.get("name") for entry in entries if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str)]


def _client(settings: ModelSettings, outbox: Outbox) -> ModelClient:
    return ModelClient(outbox, timeout=settings.timeout, key=settings.key, local=settings.local)


def diagnosed(error: ChatModelError, settings: ModelSettings, outbox: Outbox) -> ChatModelError:
    """Say what is behind a "not found": an address without ``/v1``, or a model that the server has not.

    Parameters
    ----------
    error : ChatModelError
        With code ``not_found`` or ``no_model_server``.
    settings : ModelSettings
        What was asked for.
    outbox : Outbox
        Where the requests that find it out are kept.

    Returns
    -------
    ChatModelError
        A plainer one, or the same where nothing more can be found out.
    """
    settings = replace(settings, timeout=min(settings.timeout, 10.0))
    base = settings.base_url or ""
    try:
        names = offered_models(settings, outbox)
    except ChatModelError:  # then it is the address; the first error is told where the second try fails too
        if base.endswith("/v1"):
            return error
        try:
            offered_models(replace(settings, base_url=f"{base}/v1"), outbox)
        except ChatModelError:
            return error
        hint = f"Add it: --base-url {base}/v1"
        return ChatModelError("the address lacks the /v1 of the API", code="no_v1", where=base, hint=hint)
    if settings.name in names:
        return error
    hint = did_you_mean(settings.name, names) or "It offers none"
    return ChatModelError(
        f"the server has no model '{settings.name}'", code="not_found", where=base, hint=hint
    )


def _other_provider(settings: ModelSettings) -> BaseChatModel:
    """Return a model through langchain's own table of providers."""
    package = f"langchain-{settings.provider.replace('_', '-')}"
    strip_keys()
    try:
        from langchain.chat_models import init_chat_model
    except ImportError:
        raise InputError(
            f"'{settings.id}' needs packages that are not installed",
            where="--model",
            hint=f"Run: pip install langchain {package}",
        ) from None
    try:
        made: BaseChatModel = init_chat_model(
            settings.name,
            model_provider=settings.provider,
            max_tokens=settings.max_tokens,
            timeout=settings.timeout,
            max_retries=2,
        )
    except ImportError as error:
        raise InputError(
            f"'{settings.id}' needs a package that is not installed", where="--model", hint=str(error)
        ) from None
    except Exception as error:  # each provider's package refuses in its own way
        raise InputError(f"'{settings.id}' cannot be set up: {error}", where="--model") from None
    return made


def _longest_answer(model: BaseChatModel | None) -> str:
    """Return the line of a request's head that says how long a model object lets an answer be, if it does."""
    limits = (getattr(model, name, None) for name in ("max_tokens", "max_output_tokens", "num_predict"))
    known = next((limit for limit in limits if isinstance(limit, int) and limit > 0), None)
    return "" if known is None else f"\nmax-tokens: {known}"


def _read_answer(reply: AIMessage) -> Answer:
    said: dict[str, Any] = reply.response_metadata
    details = said.get("incomplete_details")
    ends = [said.get("finish_reason"), said.get("stop_reason"), said.get("done_reason")]
    ends.append(details.get("reason") if isinstance(details, dict) else None)
    endings = {str(end).lower() for end in ends if end}
    refusal = reply.additional_kwargs.get("refusal") or ""
    if "content_filter" in endings and not refusal:
        refusal = "the provider's content filter ended the answer"
    # a lone surrogate can be said in JSON, and can be written nowhere
    text = str(reply.text).encode("utf-8", "replace").decode()
    return Answer(text, cut=bool(endings & _CUT), refusal=str(refusal))
