"""What a worker takes from itself before a program runs: the process layer, then the kernel layer."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

from llmdas_agent.sandbox import landlock, seccomp

__all__ = ["Limits", "confine_kernel", "confine_process", "isolate_network"]

NOBODY = 65534
# Landlock's rules are made through a descriptor; after that there is none to be had.
_FEW_FILES = 5
_CLONE_NEWNET = 0x40000000
_CLONE_NEWIPC = 0x08000000
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


@dataclass(frozen=True, slots=True)
class Limits:
    """What the kernel counts for one run.

    Attributes
    ----------
    cpu_seconds : int
        Processor time.
    memory_mib : int
        Address space beyond what the worker holds already, MiB.
    """

    cpu_seconds: int
    memory_mib: int


def confine_process(limits: Limits, keep: int) -> str:
    """Own group, no descriptors but one, no other user's rights, limits, and no life without the parent.

    Parameters
    ----------
    limits : Limits
        What the kernel shall count.
    keep : int
        The one descriptor that stays open besides the three standard ones, which lead to null.

    Returns
    -------
    str
        Why rights of root could not be given up, or nothing.
    """
    os.closerange(3, keep)
    os.closerange(keep + 1, 1 << 16)
    weakness = _drop_rights()
    set_limits(limits)
    if sys.platform == "linux":
        zygote = os.getppid()
        prctl(_PR_SET_DUMPABLE, 0)
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != zygote:
            os._exit(1)
    return weakness


def _drop_rights() -> str:
    if os.geteuid() != 0:
        return ""
    try:
        os.setgroups([])
        os.setresgid(NOBODY, NOBODY, NOBODY)
        os.setresuid(NOBODY, NOBODY, NOBODY)
    except OSError as error:
        return f"root cannot become user {NOBODY} here: {error.strerror}"
    return ""


def set_limits(limits: Limits) -> None:
    """Set the resource limits; none can be raised again."""
    bounds = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_NPROC: 0,
        resource.RLIMIT_NOFILE: _FEW_FILES,
        resource.RLIMIT_CPU: limits.cpu_seconds,
    }
    held = _address_space()
    if held:
        bounds[resource.RLIMIT_AS] = held + limits.memory_mib * 2**20
    for which, bound in bounds.items():
        hard = resource.getrlimit(which)[1]
        bound = bound if hard == resource.RLIM_INFINITY else min(bound, hard)
        resource.setrlimit(which, (bound, bound + 1 if which == resource.RLIMIT_CPU else bound))


def _address_space() -> int:
    """Return the bytes of address space held now, or 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def prctl(option: int, value: int) -> None:
    """Call prctl(2).

    Raises
    ------
    OSError
        When the kernel refuses.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def confine_kernel() -> dict[str, str]:
    """Give up files, network and new programs, by every means that the kernel offers.

    Returns
    -------
    dict of str to str
        For each means, an empty text when it holds, or why it does not.
    """
    if sys.platform != "linux":
        return dict.fromkeys(("landlock", "seccomp"), "only Linux has it")
    found = {}
    prctl(_PR_SET_NO_NEW_PRIVS, 1)
    for name, apply in (("landlock", _landlock), ("seccomp", seccomp.allow_computing_only)):
        try:
            apply()
        except OSError as error:
            found[name] = error.strerror or str(error)
        else:
            found[name] = ""
    return found


def _landlock() -> None:
    try:
        landlock.deny_all()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def isolate_network() -> str:
    """Move this process, and all that it will fork, to a network without interfaces.

    Returns
    -------
    str
        Why it could not be done, or nothing.
    """
    if sys.platform != "linux":
        return "only Linux has it"
    if os.geteuid() != 0:
        return "only root may make one without giving programs more to attack"
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET | _CLONE_NEWIPC):
        return os.strerror(ctypes.get_errno())
    return ""
