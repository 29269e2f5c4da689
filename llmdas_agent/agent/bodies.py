"""The JSON bodies of replies, which may hold anything: read without fail, and known as answers or not."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["is_answer", "json_object"]


def json_object(body: bytes) -> dict[str, Any] | None:
    """Return the JSON object that a body is; None where it is none, or nests too deeply to be read."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return data if isinstance(data, dict) else None


def is_answer(data: dict[str, Any]) -> bool:
    """Return whether a reply is what a chat model answers, in the form of one of OpenAI's two APIs.

    Parameters
    ----------
    data : dict
        The reply's body.
    """
    if data.get("error") or not isinstance(data.get("usage"), dict | None):
        return False
    choices, output = data.get("choices"), data.get("output")
    if isinstance(choices, list) and choices:
        return _holds_message(choices[0])
    return isinstance(output, list) and bool(output) and all(isinstance(one, dict) for one in output)


def _holds_message(choice: object) -> bool:
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(message, dict) or not isinstance(message.get("role"), str):
        return False
    content = message.get("content")
    if isinstance(content, list):
        return all(isinstance(part, str | dict) for part in content)
    return isinstance(content, str | None)
