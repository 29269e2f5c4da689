"""What a run has spent, read from its outbox, and the cap that no request passes.

Every request that left counts once, a second try as well. A reply's own usage metadata says what it took.
Where none came, as when the run was killed or the connection broke, the request counts at its worst case,
since it may have been billed: as many tokens as its body has bytes, and the longest answer that it allows. A
refusal costs nothing, and so does an answer that is taken from the outbox.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeGuard

from ..config import Budget
from ..errors import BudgetExceededError, InputError
from .outbox import Exchange, Message, Outbox
from .prices import Tokens, price
from .settings import ModelSettings

__all__ = ["Purse", "Spending", "cost", "dollars", "left", "list_price", "spent"]

_NEVER_LEFT = ("unreachable", "no_tls")
"""Faults before any request could be read."""

_UNSURE = ("408", "502", "504", "524")
"""Statuses behind which a model may have written an answer, whether or not it came through."""


@dataclass(frozen=True, slots=True)
class Spending:
    """Tokens and money.

    Attributes
    ----------
    requests : int
        Questions that left, with second tries.
    read, written : int
        Tokens of prompts and of answers.
    cost : Decimal or None
        US dollars; None as soon as one request has no known price.
    guessed : int
        Requests among them whose usage nobody told, counted at their worst case.
    """

    requests: int = 0
    read: int = 0
    written: int = 0
    cost: Decimal | None = Decimal(0)
    guessed: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of prompts and answers together."""
        return self.read + self.written

    def __add__(self, other: Spending) -> Spending:
        priced = self.cost is not None and other.cost is not None
        return Spending(
            self.requests + other.requests,
            self.read + other.read,
            self.written + other.written,
            self.cost + other.cost if priced else None,  # type: ignore[operator]
            self.guessed + other.guessed,
        )

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data; the cost is None where it is not known."""
        return {
            "requests": self.requests,
            "tokens_read": self.read,
            "tokens_written": self.written,
            "cost_usd": None if self.cost is None else float(self.cost),
            "guessed": self.guessed,
        }

    def __str__(self) -> str:
        requests = "1 request" if self.requests == 1 else f"{self.requests} requests"
        words = f"{requests}, {self.read:,} + {self.written:,} tokens, {dollars(self.cost)}"
        return f"{words} ({self.guessed} at the worst case)" if self.guessed else words


def dollars(cost: Decimal | None) -> str:
    """Return an amount for a person; one that is not known is called *unpriced*."""
    if cost is None:
        return "unpriced"
    if 0 < cost < Decimal("0.0001"):
        return "under $0.0001"
    return f"${cost:.2f}" if cost == 0 or cost >= 10 else f"${cost:.4f}"


def spent(folder: Path) -> Spending:
    """Return what the exchanges of an outbox have cost.

    Parameters
    ----------
    folder : Path
        ``RUN/outbox``; it need not exist.
    """
    return sum((_of(one) for one in Outbox(folder).exchanges() if one.request.body), Spending())


def left(budget: Budget, used: Spending) -> Budget:
    """Return what a budget's caps leave after some of it was spent; its rounds and time stay.

    Parameters
    ----------
    budget : Budget
        For all together.
    used : Spending
        What some have spent. Nothing is left of the cost where nobody knows theirs.
    """
    max_cost, max_tokens = budget.max_cost, budget.max_tokens
    if max_cost is not None:
        max_cost = 0.0 if used.cost is None else max(0.0, float(Decimal(str(max_cost)) - used.cost))
    if max_tokens is not None:
        max_tokens = max(0, max_tokens - used.tokens)
    return replace(budget, max_cost=max_cost, max_tokens=max_tokens)


class Purse:
    """Lets a request leave while its worst case fits what is left.

    Parameters
    ----------
    folder : Path
        The outbox, which says what is spent.
    budget : callable
        Returns the caps of the moment, which may change while a run stands.
    """

    def __init__(self, folder: Path, budget: Callable[[], Budget]) -> None:
        self._folder = folder
        self._budget = budget

    def require_price(self, model: ModelSettings) -> None:
        """Raise where the cost is capped and the model's price is not known.

        Raises
        ------
        InputError
            With what to do instead.
        """
        if self._budget().max_cost is not None and list_price(model, Tokens(1, 1)) is None:
            raise _unpriced(model.id)

    def __call__(self, request: Message) -> None:
        """Raise where a request may not leave.

        Raises
        ------
        BudgetExceededError
            When it could pass a cap.
        InputError
            When nobody can tell whether it would.
        """
        budget = self._budget()
        max_cost, max_tokens = budget.max_cost, budget.max_tokens
        if not request.body or (max_cost is None and max_tokens is None):
            return
        worst, before = _worst(request), spent(self._folder)
        if worst is None:
            raise InputError(
                "no cap can be held for a model whose longest answer is not known",
                where=request.head.partition("\n")[0],
                hint="Set max_tokens on the model object",
            )
        if max_tokens is not None and before.tokens + worst.read + worst.written > max_tokens:
            raise _exceeded(
                f"{before.tokens:,} of {max_tokens:,} tokens are spent, and the next request could take "
                f"{worst.read + worst.written:,}",
                "--max-tokens",
            )
        if max_cost is not None:
            most = cost(request, worst)
            if most is None or before.cost is None:
                raise _unpriced(request.head.partition("\n")[0])
            if before.cost + most > Decimal(str(max_cost)):
                raise _exceeded(
                    f"{dollars(before.cost)} of {dollars(Decimal(str(max_cost)))} are spent, and the next "
                    f"request could cost {dollars(most)}",
                    "--max-cost",
                )


def cost(request: Message, tokens: Tokens, at: datetime | None = None) -> Decimal | None:
    """Return what a request costs that takes so many tokens; None where no price is known.

    Parameters
    ----------
    request : Message
        Its head says who is asked, its body which model.
    tokens : Tokens
        What it takes.
    at : datetime, optional
        When it left; now where left out.
    """
    at = at or datetime.now(UTC)
    verb, _, asked = request.head.partition("\n")[0].partition(" ")
    if verb != "INVOKE":
        return price(tokens, str(request.data.get("model", "")), url=asked, at=at)
    provider, _, name = asked.partition(":")
    return price(tokens, name, provider=provider, at=at) if name else None


def list_price(model: ModelSettings, tokens: Tokens) -> Decimal | None:
    """Return what tokens of a model cost now, US dollars; None where no price is known."""
    now = datetime.now(UTC)
    if model.base_url is not None:
        return price(tokens, model.name, url=model.base_url, at=now)
    return price(tokens, model.name, provider=model.provider, at=now)


def _unpriced(where: str) -> InputError:
    return InputError(
        "no price is known for this model, so a cap on the cost cannot be held",
        where=where,
        hint="Cap the tokens instead: --max-tokens",
    )


def _exceeded(what: str, flag: str) -> BudgetExceededError:
    hint = f"Go on with a higher {flag}; what was answered is not asked again"
    return BudgetExceededError(what, where=flag, hint=hint)


def _of(exchange: Exchange) -> Spending:
    reply, request = exchange.reply, exchange.request
    if reply is not None and _is_free(reply):
        return Spending(requests=1)
    told = _told(reply.data) if reply is not None else None
    tokens = told or _worst(request) or Tokens(len(request.body), 0)
    amount = cost(request, tokens, exchange.at)
    return Spending(1, tokens.read, tokens.written, amount, guessed=0 if told else 1)


def _is_free(reply: Message) -> bool:
    """Return whether a server refused, or was never reached."""
    kind = reply.head.partition(" ")[0]
    if kind == "FAULT":
        return reply.status in _NEVER_LEFT
    if kind == "HTTP" and reply.status == "200":
        # an error alone: what comes with a choice may have been written, and billed
        return bool(reply.data.get("error")) and not reply.data.keys() & {"usage", "choices", "output"}
    return kind == "HTTP" and reply.status not in _UNSURE


def _worst(request: Message) -> Tokens | None:
    """Return the most that a request can take: no tokenizer makes more tokens than there are bytes.

    None where the longest answer is not known.
    """
    body = request.data
    limits = [body.get(name) for name in ("max_tokens", "max_completion_tokens", "max_output_tokens")]
    limits += [int(number) for number in re.findall(r"^max-tokens: (\d+)$", request.head, re.MULTILINE)]
    longest = max((limit for limit in limits if isinstance(limit, int)), default=None)
    return None if longest is None else Tokens(len(request.body), longest)


def _told(reply: dict[str, Any]) -> Tokens | None:
    """Return what a reply says it took, in the words of OpenAI's two APIs or of langchain-core."""
    usage = reply.get("usage") or reply.get("usage_metadata")
    if not isinstance(usage, dict):
        return None
    read = usage.get("prompt_tokens", usage.get("input_tokens"))
    written = usage.get("completion_tokens", usage.get("output_tokens"))
    if not (_is_count(read) and _is_count(written) and read > 0):  # no question is without a token
        return None
    names = ("prompt_tokens_details", "input_tokens_details", "input_token_details")
    found: dict[str, Any] = next((usage[name] for name in names if isinstance(usage.get(name), dict)), {})
    cached = found.get("cached_tokens", found.get("cache_read"))
    return Tokens(read, written, min(cached, read) if _is_count(cached) else 0)


def _is_count(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
