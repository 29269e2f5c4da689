"""Seccomp: of all system calls, only those remain that computing with the descriptors already open needs.

Everything else fails with EPERM: opening files, sockets, new processes and threads, signals to anyone,
tracing, and memory that can be executed.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct

__all__ = ["allow_computing_only"]

_PR_SET_SECCOMP = 22
_MODE_FILTER = 2
_X86_64 = """
    read=0 write=1 close=3 fstat=5 mmap=9 mprotect=10 munmap=11 brk=12 rt_sigprocmask=14 rt_sigreturn=15
    readv=19 writev=20 sched_yield=24 mremap=25 madvise=28 nanosleep=35 getpid=39 exit=60 gettimeofday=96
    getrusage=98 sysinfo=99 times=100 gettid=186 time=201 futex=202 sched_getaffinity=204
    restart_syscall=219 clock_gettime=228 clock_getres=229 clock_nanosleep=230 exit_group=231 getcpu=309
    getrandom=318 membarrier=324 rseq=334
"""
_AARCH64 = """
    close=57 read=63 write=64 readv=65 writev=66 fstat=80 exit=93 exit_group=94 futex=98 nanosleep=101
    clock_gettime=113 clock_getres=114 clock_nanosleep=115 sched_getaffinity=123 sched_yield=124
    restart_syscall=128 rt_sigprocmask=135 rt_sigreturn=139 times=153 getrusage=165 getcpu=168
    gettimeofday=169 getpid=172 gettid=178 sysinfo=179 brk=214 munmap=215 mremap=216 mmap=222 mprotect=226
    madvise=233 getrandom=278 membarrier=283 rseq=293
"""
# The architecture's number in the kernel's audit records, and its system calls.
_MACHINES = {"x86_64": (0xC000003E, _X86_64), "aarch64": (0xC00000B7, _AARCH64)}

_LOAD_WORD = 0x20
_JUMP_IF_EQUAL = 0x15
_JUMP_IF_AT_LEAST = 0x35
_JUMP_IF_SET = 0x45
_RETURN = 0x06
_ALLOW = 0x7FFF0000
_REFUSE = 0x00050000 | errno.EPERM
_X32_BIT = 0x40000000
_AT_NUMBER, _AT_MACHINE, _AT_THIRD_ARGUMENT = 0, 4, 32
_PROT_EXEC = 4


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _filter(machine: str) -> bytes:
    """Return the filter in the kernel's classic BPF."""
    audit, text = _MACHINES[machine]
    calls = {name: int(number) for name, number in (entry.split("=") for entry in text.split())}
    mapping = [calls.pop("mmap"), calls.pop("mprotect")]
    numbers = sorted(calls.values())
    steps = [
        _instruction(_LOAD_WORD, _AT_MACHINE),
        _instruction(_JUMP_IF_EQUAL, audit, 1, 0),
        _instruction(_RETURN, _REFUSE),
        _instruction(_LOAD_WORD, _AT_NUMBER),
        _instruction(_JUMP_IF_AT_LEAST, _X32_BIT, 0, 1),
        _instruction(_RETURN, _REFUSE),
        _instruction(_JUMP_IF_EQUAL, mapping[0], 1, 0),
        _instruction(_JUMP_IF_EQUAL, mapping[1], 0, 4),
        _instruction(_LOAD_WORD, _AT_THIRD_ARGUMENT),
        _instruction(_JUMP_IF_SET, _PROT_EXEC, 1, 0),
        _instruction(_RETURN, _ALLOW),
        _instruction(_RETURN, _REFUSE),
    ]
    for place, number in enumerate(numbers):
        steps.append(_instruction(_JUMP_IF_EQUAL, number, len(numbers) - place, 0))
    steps += [_instruction(_RETURN, _REFUSE), _instruction(_RETURN, _ALLOW)]
    return b"".join(steps)


def allow_computing_only() -> None:
    """Put the filter on the calling process, for good.

    ``no_new_privs`` must be set.

    Raises
    ------
    OSError
        When the kernel has no seccomp, or the machine is of a kind that the filter is not written for.
    """
    machine = platform.machine()
    if machine not in _MACHINES:
        raise OSError(errno.ENOSYS, f"the filter is not written for {machine} machines")
    text = _filter(machine)
    program = _Program(len(text) // 8, text)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_SECCOMP, ctypes.c_ulong(_MODE_FILTER), ctypes.byref(program), 0, 0):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
