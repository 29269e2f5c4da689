"""What holds a program on this machine, layer by layer, for people to read."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from llmdas_agent.errors import SandboxError
from llmdas_agent.sandbox.helper import Helper, helper_for

__all__ = ["OVERRIDE", "Layer", "layers", "require_layers"]

OVERRIDE = "LLMDAS_ALLOW_WEAK_SANDBOX"
"""Set to ``1`` to run programs although the kernel confines nothing; it is logged every time."""

_log = logging.getLogger(__name__)
_WHAT = {
    "landlock": "no file, no TCP port, no signal to others",
    "seccomp": "no system call but those for computing: no files, sockets, processes, threads",
}
_HOW = {
    "landlock": "needs Linux 5.13 or newer with 'landlock' among the modules in /sys/kernel/security/lsm",
    "seccomp": "needs Linux with CONFIG_SECCOMP_FILTER on x86_64 or aarch64",
}


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the sandbox.

    Attributes
    ----------
    name : str
        ``language``, ``process``, ``limits``, ``landlock`` or ``seccomp``.
    state : {"active", "missing", "weaker"}
        Whether it holds here.
    detail : str
        What it does, or why it does not and what would bring it.
    """

    name: str
    state: Literal["active", "missing", "weaker"]
    detail: str


def layers() -> list[Layer]:
    """Return every layer with its state on this machine, found by confining a throw-away process.

    Raises
    ------
    SandboxError
        When the sandbox cannot be started at all.
    """
    helper = helper_for(scientific=False)
    found = [
        Layer("language", "active", f"RestrictedPython {version('RestrictedPython')}, allow-listed names"),
        _process_layer(),
        Layer("limits", "active", "wall clock, processor time, memory, output, score queries"),
    ]
    for name, why in helper.kernel.items():
        state: Literal["active", "missing"] = "missing" if why else "active"
        found.append(Layer(name, state, f"{why}: {_HOW[name]}" if why else _WHAT[name]))
    return found


def _process_layer() -> Layer:
    what = "own session, empty environment, no descriptors, killed as a group"
    if sys.platform != "linux":
        return Layer("process", "weaker", f"{what}; only Linux also ends it with its helper")
    user = "as user nobody" if os.geteuid() == 0 else "as this user"
    return Layer("process", "active", f"{what}, {user}")


def require_layers(helper: Helper) -> None:
    """Refuse to run programs when the kernel confines nothing, unless the user has allowed it.

    Raises
    ------
    SandboxError
        When no kernel layer holds and the override is not set.
    """
    if any(not why for why in helper.kernel.values()):
        return
    reasons = "; ".join(f"{name}: {why}" for name, why in helper.kernel.items())
    if os.environ.get(OVERRIDE) != "1":
        raise SandboxError(
            f"this machine's kernel confines nothing ({reasons})",
            hint=f"Run on Linux 5.13 or newer, or set {OVERRIDE}=1 for programs that you have read yourself",
        )
    _log.warning("%s=1: programs run without a kernel layer (%s)", OVERRIDE, reasons)
