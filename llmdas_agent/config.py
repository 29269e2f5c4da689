"""Frozen settings: what a program may use, when it is accepted, what a run may spend, where things lie."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import platformdirs

__all__ = ["Budget", "SandboxLimits", "data_dir"]


@dataclass(frozen=True, slots=True)
class SandboxLimits:
    """What one run of a synthesis program may use.

    Attributes
    ----------
    wall_seconds : float
        Time by the parent's clock, after which the whole process group is killed.
    cpu_seconds : int
        Processor time by the kernel's count.
    memory_mib : int
        Address space beyond what the worker holds before the program starts, MiB.
    result_mib : int
        Largest array that may come back, MiB.
    print_chars : int
        How much of what the program prints is kept, characters.
    score_rows : int
        Rows that the program may have scored by the detector, over all its calls.
    """

    wall_seconds: float = 30.0
    cpu_seconds: int = 30
    memory_mib: int = 2048
    result_mib: int = 256
    print_chars: int = 4000
    score_rows: int = 2_000_000


@dataclass(frozen=True, slots=True)
class Budget:
    """What one run of the agent may spend.

    Attributes
    ----------
    max_rounds : int
        Programs that may be proposed.
    max_seconds : float
        Time by the clock, seconds; a resumed run starts with what was left.
    max_cost : float or None
        US dollars that a chat model may cost; None for no cap.
    max_tokens : int or None
        Tokens that a chat model may read and write, over all requests; None for no cap.
    """

    max_rounds: int = 8
    max_seconds: float = 600.0
    max_cost: float | None = None
    max_tokens: int | None = None


def data_dir() -> Path:
    """Return the folder that holds the registry and the runs: ``LLMDAS_HOME``, or the platform's own.

    The folder need not exist yet.
    """
    chosen = os.environ.get("LLMDAS_HOME")
    return (
        Path(chosen).expanduser() if chosen else platformdirs.user_data_path("llmdas-agent", appauthor=False)
    )
