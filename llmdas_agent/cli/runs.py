"""``outbox`` and ``replay``: what left the machine in a run, and the run again without it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .output import JsonOption, console, emit_json

if TYPE_CHECKING:
    from ..agent.outbox import Message
    from ..agent.replay import Replayed

__all__ = ["outbox", "replay"]

RunArgument = Annotated[str, typer.Argument(metavar="RUN", help="A run's name, or its folder.")]


def outbox(run: RunArgument, as_json: JsonOption = False) -> None:
    """Print what a run sent to its chat model, and what came back.

    \b
    Examples:
      llmdas-agent outbox hbos-20260101-120000-ab12
      llmdas-agent outbox hbos-20260101-120000-ab12 | less
      llmdas-agent outbox hbos-20260101-120000-ab12 --json

    The bodies are printed byte for byte; credentials are never kept.
    """
    from ..agent.outbox import Outbox
    from ..agent.runs import RunFolder
    from ..agent.spending import spent

    folder = RunFolder.find(run)
    exchanges = list(Outbox(folder.outbox).exchanges())
    total = spent(folder.outbox)
    if as_json:
        emit_json(
            {
                "exchanges": [
                    {"number": one.number, "request": _as_data(one.request), "reply": _as_data(one.reply)}
                    for one in exchanges
                ],
                "spending": total.as_dict(),
            }
        )
        return
    said = f"spent  {total}" if exchanges else "nothing left this machine in this run"
    console(stderr=True).print(said, soft_wrap=True)
    for one in exchanges:
        _write(f"=== {one.number} sent ===", one.request)
        if one.reply is None:
            _write_bytes(b"=== no reply came ===\n\n")
        else:
            _write(f"=== {one.number} received ===", one.reply)


def replay(run: RunArgument, as_json: JsonOption = False) -> None:
    """Make a run's programs and reports again from its folder, without asking anybody.

    \b
    Examples:
      llmdas-agent replay hbos-20260101-120000-ab12

    Nothing is registered, and the run's folder stays as it is. Exit code 0: everything came out the same.
    8: something differs, as it may under other versions of the packages that the findings depend on.
    """
    from ..agent.replay import replay as again
    from ..agent.runs import RunFolder
    from ..errors import ModelFolderError
    from .live import LiveView

    folder = RunFolder.find(run)
    with LiveView(console(stderr=True)) as view:
        found = again(folder, listen=view)
    same = all(one.same for one in found)
    if as_json:
        emit_json(
            {
                "same": same,
                "attempts": [
                    {"number": one.number, "same_program": one.same_program, "differing": list(one.differing)}
                    for one in found
                ],
            }
        )
    else:
        for one in found:
            console().print(f"program {one.number}  {_told(one)}")
        console().print("no model was asked, and nothing was spent")
    if not same:
        raise ModelFolderError(
            "the run did not come out the same",
            where=str(folder.path),
            hint="Compare the versions in its reports with those of `llmdas-agent doctor`",
        )


def _told(one: Replayed) -> str:
    if not one.same_program:
        return "[red]another program[/]"
    return f"[red]differs in {', '.join(one.differing)}[/]" if one.differing else "[green]the same[/]"


def _as_data(message: Message | None) -> dict[str, Any] | None:
    if message is None:
        return None
    return {"head": message.head, "body": message.body.decode("utf-8", "backslashreplace")}


def _write(title: str, message: Message) -> None:
    _write_bytes(f"{title}\n".encode() + message.to_bytes() + b"\n\n")


def _write_bytes(raw: bytes) -> None:
    """Write to stdout as it is; to a terminal without the characters that would steer it."""
    if sys.stdout.isatty():
        text = raw.decode("utf-8", "replace")
        sys.stdout.write(
            "".join(letter if letter.isprintable() or letter in "\n\t" else "�" for letter in text)
        )
    else:
        sys.stdout.buffer.write(raw)
