"""The JSON bodies of replies, which may hold anything: read without fail, and known as answers or not."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["is_answer", "json_object", "malformed"]


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
    if data.get("error") or malformed(data):
        return False
    output = data.get("output")
    return bool(_messages(data)) or (_is_list_of_objects(output) and bool(output))


def malformed(data: dict[str, Any]) -> str:
    """Return what in a chat model's answer cannot be read, with its name; empty where all of it can.

    Parameters
    ----------
    data : dict
        The body of a reply; one without a message is no chat model's, and nothing in it is malformed.
    """
    messages = _messages(data)
    parts = [("usage", data.get("usage"), _is_usage)] if messages or data.get("output") else []
    for message in messages:
        parts.append(("message", message, _is_message))
        if _is_message(message):
            parts += [(name, message.get(name), is_sound) for name, is_sound in _OF_A_MESSAGE.items()]
    return next((f"{name} {value!r}" for name, value, is_sound in parts if not is_sound(value)), "")


def _messages(data: dict[str, Any]) -> list[Any]:
    """Return the messages of all choices; none where the first choice has none."""
    choices = data.get("choices")
    if not isinstance(choices, list):
        return []
    messages = [choice.get("message") if isinstance(choice, dict) else None for choice in choices]
    return messages if _is_message(next(iter(messages), None)) else []


def _is_message(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("role"), str)


def _is_content(value: object) -> bool:
    if isinstance(value, list):
        return all(isinstance(part, str | dict) for part in value)
    return isinstance(value, str | None)


def _is_list_of_objects(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _are_calls(value: object) -> bool:
    return value is None or (
        isinstance(value, list)
        and all(
            isinstance(call, dict)
            and isinstance(call.get("id"), str | None)
            and isinstance(call.get("function"), dict)
            and isinstance(call["function"].get("name"), str | None)
            for call in value
        )
    )


def _is_usage(value: object) -> bool:
    """Return whether counts are numbers and details objects, which whoever reads them relies on."""
    return value is None or (
        isinstance(value, dict)
        and all(isinstance(value.get(name), int | float | None) for name in _COUNTS)
        and all(isinstance(value.get(name), dict | None) for name in _DETAILS)
    )


_COUNTS = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens", "total_tokens")
_DETAILS = (
    "prompt_tokens_details",
    "completion_tokens_details",
    "input_tokens_details",
    "output_tokens_details",
)
_OF_A_MESSAGE = {
    "role": lambda value: value not in ("tool", "function"),
    "content": _is_content,
    "tool_calls": _are_calls,
    "function_call": lambda value: isinstance(value, dict | None),
    "name": lambda value: isinstance(value, str | None),
}
