"""What holds a program on this machine, layer by layer, for people to read."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from llmdas_agent.errors import SandboxError
from llmdas_agent.sandbox.helper import Helper, helper_for

__all__ = ["OVERRIDE", "Layer", "grade", "layers", "require_layers"]

OVERRIDE = "LLMDAS_ALLOW_WEAK_SANDBOX"
"""Set to ``1`` to run programs although the kernel confines nothing; it is logged every time."""

_log = logging.getLogger(__name__)
_KERNEL = {
    "landlock": (
        "no file, no TCP port, no signal to others",
        "needs Linux 5.13 or newer with 'landlock' in the kernel's lsm= parameter",
    ),
    "seccomp": (
        "only the system calls of computing: no files, sockets, processes, threads",
        "needs Linux with CONFIG_SECCOMP_FILTER on x86_64 or aarch64",
    ),
    "namespaces": ("a network without interfaces", "seccomp closes the network too, where it is active"),
}
_ENOUGH = ("landlock", "seccomp")
"""Kernel layers of which one at least must hold; a network of its own is not enough."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer of the sandbox.

    Attributes
    ----------
    name : str
        ``language``, ``process``, ``limits``, ``landlock``, ``seccomp`` or ``namespaces``.
    state : {"active", "missing", "weaker"}
        Whether it holds here.
    detail : str
        What it does, or why it does not and what would bring it.
    """

    name: str
    state: Literal["active", "missing", "weaker"]
    detail: str


def layers() -> list[Layer]:
    """Find out what holds on this machine, by confining a throw-away process.

    Returns
    -------
    list of Layer
        Every layer there is, from the language to the kernel.

    Raises
    ------
    SandboxError
        When the sandbox cannot be started at all.
    """
    helper = helper_for(scientific=False)
    return [
        Layer("language", "active", f"RestrictedPython {version('RestrictedPython')}, allow-listed names"),
        _process_layer(helper.process),
        Layer("limits", "active", "wall clock, processor time, memory, output, score queries"),
        *(_kernel_layer(name, why) for name, why in helper.kernel.items()),
    ]


def grade(found: Iterable[Layer]) -> str:
    """Say in one sentence what the layers amount to.

    Parameters
    ----------
    found : iterable of Layer
        As `layers` returns them.

    Returns
    -------
    str
        Beginning with ``full``, ``reduced`` or ``refused``.
    """
    state = {layer.name: layer.state for layer in found}
    held = [name for name in _ENOUGH if state.get(name) == "active"]
    if len(held) == len(_ENOUGH) and "weaker" not in state.values():
        return "full: every layer that programs need is active"
    if held:
        return f"reduced: of the kernel layers only {' and '.join(held)} holds, or a layer is weaker"
    return f"refused: no kernel layer holds, and programs run only with {OVERRIDE}=1"


def _process_layer(weakness: str) -> Layer:
    what = "own session, empty environment, no descriptors, killed as a group"
    if weakness:
        return Layer("process", "weaker", f"{what}; {weakness}")
    if sys.platform != "linux":
        return Layer("process", "weaker", f"{what}; only Linux also ends it with its helper")
    return Layer("process", "active", f"{what}, as {'user nobody' if os.geteuid() == 0 else 'this user'}")


def _kernel_layer(name: str, why: str) -> Layer:
    what, how = _KERNEL[name]
    return Layer(name, "missing", f"{why}; {how}") if why else Layer(name, "active", what)


def require_layers(helper: Helper) -> None:
    """Refuse to run programs when the kernel confines nothing, unless the user has allowed it.

    Raises
    ------
    SandboxError
        When no kernel layer holds and the override is not set.
    """
    if any(not helper.kernel[name] for name in _ENOUGH):
        return
    reasons = "; ".join(f"{name}: {helper.kernel[name]}" for name in _ENOUGH)
    if os.environ.get(OVERRIDE) != "1":
        raise SandboxError(
            f"this machine's kernel confines nothing ({reasons})",
            hint=f"Run on Linux 5.13 or newer, or set {OVERRIDE}=1 for programs that you have read yourself",
        )
    _log.warning("%s=1: a program runs without a kernel layer (%s)", OVERRIDE, reasons)
