"""Which chat model is asked, where, and with which limits: from flags, environment or file."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr

from ..config import data_dir
from ..errors import InputError, did_you_mean
from .http_client import is_local

__all__ = ["OPENAI_URL", "ModelSettings", "key_in", "resolve", "settings_file", "strip_keys", "withdraw_keys"]

OPENAI_URL = "https://api.openai.com/v1"
MAX_TOKENS = 4096
TIMEOUT = 300.0

_FILE_FIELDS = ("model", "base_url", "max_tokens", "timeout")


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """A chat model and how it is reached.

    Attributes
    ----------
    provider, name : str
        As in ``openai:gpt-4o-mini``.
    base_url : str or None
        Where a server that speaks the OpenAI protocol listens; None for other providers.
    max_tokens : int
        Longest answer, tokens.
    timeout : float
        Longest wait for a whole answer, seconds.
    key : SecretStr or None
        From the environment alone; part of no representation.
    """

    provider: str
    name: str
    base_url: str | None = None
    max_tokens: int = MAX_TOKENS
    timeout: float = TIMEOUT
    key: SecretStr | None = field(default=None, repr=False, compare=False)

    @property
    def id(self) -> str:
        """The model as ``--model`` takes it."""
        return f"{self.provider}:{self.name}"

    @property
    def local(self) -> bool:
        """Whether it runs on this machine."""
        return self.base_url is not None and is_local(urlsplit(self.base_url).hostname or "")

    @classmethod
    def from_dict(cls, kept: Mapping[str, Any]) -> ModelSettings:
        """Return what `as_dict` gave, without a key."""
        provider, _, name = kept["model"].partition(":")
        return cls(provider, name, kept["base_url"], kept["max_tokens"], kept["timeout"])

    def as_dict(self) -> dict[str, Any]:
        """Return what a run folder keeps: everything but the key."""
        return {
            "model": self.id,
            "base_url": self.base_url,
            "max_tokens": self.max_tokens,
            "timeout": self.timeout,
        }


def resolve(
    model: str | None = None,
    base_url: str | None = None,
    *,
    begun_with: Mapping[str, Any] | None = None,
) -> ModelSettings | None:
    """Return the chat model that flags, environment and file ask for, in this order.

    Parameters
    ----------
    model, base_url : str, optional
        The flags, or what a run was begun with.
    begun_with : mapping, optional
        The limits of a run that goes on, as `ModelSettings.as_dict` gives them; they go before the file.

    Returns
    -------
    ModelSettings or None
        None when no model is named anywhere: then the embedded proposer writes the programs.

    Raises
    ------
    InputError
        When a setting cannot be used, or a hosted server is to be asked without a key.
    """
    stored = {**_from_file(), **(begun_with or {})}
    env = os.environ
    spec = model or env.get("LLMDAS_MODEL") or stored.get("model")
    if not spec:
        if base_url:
            raise InputError(
                "no model is named",
                where="--base-url",
                hint="Add --model openai:NAME with a name of the server's",
            )
        return None
    provider, _, name = spec.partition(":") if ":" in spec else ("openai", ":", spec)
    if not provider or not name:
        raise InputError(f"'{spec}' names no model", where="--model", hint="Write it as openai:NAME")
    settings = ModelSettings(
        provider,
        name,
        max_tokens=int(_number("LLMDAS_MAX_TOKENS", stored.get("max_tokens", MAX_TOKENS), least=1)),
        timeout=_number("LLMDAS_TIMEOUT", stored.get("timeout", TIMEOUT), least=0.1),
    )
    if provider != "openai":
        return settings
    url = base_url
    if url is None:
        url = env.get("LLMDAS_BASE_URL") or env.get("OPENAI_BASE_URL") or stored.get("base_url") or OPENAI_URL
    settings = replace(settings, base_url=_checked(url), key=key_in("LLMDAS_API_KEY", "OPENAI_API_KEY"))
    if settings.key is None and settings.base_url == OPENAI_URL:
        raise InputError(
            "no key for OpenAI's server",
            where="LLMDAS_API_KEY, OPENAI_API_KEY",
            hint="Set one of them, or name another server with --base-url",
        )
    return settings


def key_in(*variables: str) -> SecretStr | None:
    """Return the key in the first of these environment variables that has one.

    Parameters
    ----------
    *variables : str
        Their names. White space around a key, such as the line end of the file that it came from, is no part
        of it.

    Raises
    ------
    InputError
        When it holds what no header may hold; the key itself is not quoted.
    """
    for variable in variables:
        key = os.environ.get(variable, "").strip()
        if key and not (key.isascii() and key.isprintable() and " " not in key):
            raise InputError(
                "the key holds a space, a line end or a character that is not ASCII",
                where=variable,
                hint="Copy the key again, alone and on one line",
            )
        if key:
            return SecretStr(key)
    return None


def withdraw_keys(*, tracing: bool) -> None:
    """Take all keys out of this process's environment, once the model has its own.

    Libraries start programs of their own (joblib asks ``lscpu`` for the number of cores), and these inherit
    the environment.

    Parameters
    ----------
    tracing : bool
        Whether the key of a tracing service is still needed.
    """
    for name in _keys():
        if not (tracing and name.startswith(("LANGSMITH_", "LANGCHAIN_"))):
            del os.environ[name]


def strip_keys() -> None:
    """Take white space from around all keys of the environment, for packages that read their own there."""
    for name in _keys():
        os.environ[name] = os.environ[name].strip()


def _keys() -> list[str]:
    return [name for name in os.environ if name.endswith("_API_KEY")]


def settings_file() -> Path:
    """Return where settings may be kept; it need not exist."""
    return data_dir() / "config.toml"


def _from_file() -> dict[str, Any]:
    path = settings_file()
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path)) from None
    for name in found:
        if "key" in name.lower() or "secret" in name.lower():
            hint = "Keys come from the environment alone: LLMDAS_API_KEY or OPENAI_API_KEY"
            raise InputError(f"'{name}' does not belong in a file", where=str(path), hint=hint)
        if name not in _FILE_FIELDS:
            hint = did_you_mean(name, _FILE_FIELDS)
            raise InputError(f"'{name}' is no setting", where=str(path), hint=hint)
    for name in ("model", "base_url"):
        if not isinstance(found.get(name, ""), str):
            raise InputError(f"'{name}' is no text", where=str(path))
    return found


def _number(variable: str, stored: object, *, least: float) -> float:
    """Return a number from the environment, or the stored one."""
    text = os.environ.get(variable)
    try:
        number = float(text) if text else float(str(stored))
    except ValueError:
        number = math.nan
    if not least <= number < math.inf:
        where = variable if text else str(settings_file())
        raise InputError(f"'{text or stored}' is no number from {least:g} up", where=where)
    return number


def _checked(url: str) -> str:
    """Return an address without a slash at its end, if it is one that can be asked."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise InputError(
            f"'{url}' is no address of a server",
            where="--base-url",
            hint="For example http://localhost:11434/v1",
        )
    if parts.username or parts.password or parts.query or parts.fragment:
        # said without the address, which holds what may be a secret
        raise InputError(
            "the address holds a user, a password or a query",
            where="--base-url",
            hint="Give the address alone, and the key in LLMDAS_API_KEY",
        )
    return url.rstrip("/")
