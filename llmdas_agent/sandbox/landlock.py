"""Landlock: no path opened, made or removed, no TCP port bound or reached, no process outside signalled."""

from __future__ import annotations

import ctypes
import os

__all__ = ["abi", "deny_all"]

_CREATE_RULESET = 444
_RESTRICT_SELF = 446
_VERSION = 1
# Rights that each version of the interface knows; a kernel refuses a set that names one it does not know.
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 5: 16}
_NET_RIGHTS_SINCE = 4
_SCOPES_SINCE = 6


class _Attributes(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


def _syscall(number: int, *arguments: object) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    result: int = libc.syscall(ctypes.c_long(number), *arguments)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


def abi() -> int:
    """Return the version of the kernel's Landlock.

    Raises
    ------
    OSError
        When the kernel has none, or has it switched off.
    """
    return _syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))


def deny_all() -> None:
    """Deny the calling process everything that Landlock knows, for good.

    ``no_new_privs`` must be set.

    Raises
    ------
    OSError
        When the kernel has no Landlock, or refuses.
    """
    version = abi()
    rights = max(count for since, count in _FILE_RIGHTS.items() if since <= version)
    attributes = _Attributes(files=(1 << rights) - 1)
    size = 8
    if version >= _NET_RIGHTS_SINCE:
        attributes.net, size = 0b11, 16
    if version >= _SCOPES_SINCE:
        attributes.scoped, size = 0b11, 24
    ruleset = _syscall(_CREATE_RULESET, ctypes.byref(attributes), ctypes.c_size_t(size), ctypes.c_uint32(0))
    try:
        _syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    finally:
        os.close(ruleset)
