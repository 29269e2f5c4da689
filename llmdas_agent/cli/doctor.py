"""``doctor``: what this machine offers."""

from __future__ import annotations

from typing import Any

from .output import BaseUrlOption, JsonOption, ModelOption, console, emit_json

__all__ = ["doctor"]

_PACKAGES = (
    "llmdas-agent",
    "numpy",
    "scipy",
    "scikit-learn",
    "pyod",
    "RestrictedPython",
    "langgraph",
    "langchain-openai",
    "openai",
    "polars",
)


def doctor(model: ModelOption = None, base_url: BaseUrlOption = None, as_json: JsonOption = False) -> None:
    """Show the sandbox's layers, the chat model, the plugins, the versions and the folders in use.

    \b
    Examples:
      llmdas-agent doctor
      llmdas-agent doctor --json
      llmdas-agent doctor --model openai:qwen2.5-coder --base-url http://localhost:11434/v1

    Where a chat model is named, by a flag or by the settings, its server is asked for its models.
    """
    import platform
    from importlib.metadata import version

    from rich.markup import escape
    from rich.table import Table

    from ..config import data_dir
    from ..plugins import load_plugins
    from ..sandbox import grade, layers

    versions = {"python": platform.python_version(), **{name: version(name) for name in _PACKAGES}}
    found = layers()
    plugins = load_plugins()
    chat = _chat_model(model, base_url)
    if as_json:
        emit_json(
            {
                "sandbox": [{"name": one.name, "state": one.state, "detail": one.detail} for one in found],
                "sandbox_grade": grade(found),
                "chat_model": chat,
                "versions": versions,
                "data_dir": str(data_dir()),
                "detectors": sorted(plugins.detectors),
                "plugin_problems": [str(problem) for problem in plugins.problems],
            }
        )
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("sandbox layer", no_wrap=True)
    table.add_column("state", no_wrap=True)
    table.add_column("detail")
    colours = {"active": "green", "weaker": "yellow", "missing": "red"}
    for one in found:
        table.add_row(one.name, f"[{colours[one.state]}]{one.state}[/]", escape(one.detail))
    screen = console()
    screen.print(table)
    screen.print(f"\nsandbox   {escape(grade(found))}")
    screen.print(f"chat model   {escape(chat['found'])}", soft_wrap=True)
    screen.print("versions   " + ", ".join(f"{name} {number}" for name, number in versions.items()))
    screen.print(f"registry and runs   {escape(str(data_dir()))}", soft_wrap=True)
    screen.print("detectors   " + ", ".join(sorted(plugins.detectors)))


def _chat_model(model: str | None, base_url: str | None) -> dict[str, Any]:
    """Try the chat model that would be asked, and say what was found."""
    import tempfile
    from pathlib import Path

    from ..agent.models import connect, diagnosed, offered_models
    from ..agent.outbox import Outbox
    from ..agent.settings import resolve
    from ..errors import ChatModelError, LlmdasError, did_you_mean

    try:
        settings = resolve(model, base_url)
        if settings is None:
            return {"model": None, "found": "none is set; the embedded proposer writes the programs"}
        told: dict[str, Any] = {"model": settings.id, "base_url": settings.base_url, "works": False}
        with tempfile.TemporaryDirectory() as room:
            outbox = Outbox(Path(room))
            connect(settings, outbox)
            if settings.base_url is None:
                return told | {"works": True, "found": f"{settings.id}: its package is installed"}
            try:
                offered = offered_models(settings, outbox)
            except ChatModelError as error:
                raise diagnosed(error, settings, outbox) from None
    except LlmdasError as error:
        return {"model": model, "base_url": base_url, "works": False, "found": str(error)}
    if offered and settings.name not in offered:
        hint = did_you_mean(settings.name, offered)
        return told | {"offered": offered, "found": f"{settings.base_url} has no '{settings.name}'. {hint}"}
    return told | {
        "works": True,
        "offered": offered,
        "found": f"{settings.id} answers at {settings.base_url}",
    }
