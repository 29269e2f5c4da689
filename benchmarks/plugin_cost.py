"""What ten installed plugins add to a page of help and to `list`, in milliseconds.

Run ``python benchmarks/plugin_cost.py`` on an idle machine. With and without plugins are timed in turn, so
that whatever else the machine does falls on both.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PLUGINS = 10
REPETITIONS = 21
DETECTOR = """
from pathlib import Path
from llmdas_agent.plugins import DetectorEntry, hookimpl

@hookimpl
def llmdas_detectors():
    return [DetectorEntry(Path(__file__).with_name("{name}.yaml"))]
"""
COMMAND = """
from llmdas_agent.plugins import CommandEntry, hookimpl

@hookimpl
def llmdas_commands():
    return [CommandEntry("{name}", "Do nothing.", "{name}_app:app")]
"""
CARD = "name: {name}\nfull_name: A detector\nbuild:\n  class: pyod.models.hbos.HBOS\n"


def installed(site: Path, name: str, source: str, point: str) -> None:
    """Write a plugin as pip leaves it."""
    site.mkdir(exist_ok=True)
    (site / f"{name}.py").write_text(source.format(name=name))
    (site / f"{name}.yaml").write_text(CARD.format(name=name))
    info = site / f"{name}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[llmdas_agent]\n{point} = {name}\n")


def seconds(command: list[str], site: Path) -> float:
    """Return how long a command takes, start to end."""
    began = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "llmdas_agent", *command],
        env={**os.environ, "PYTHONPATH": str(site)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as room:
        sites = {name: Path(room) / name for name in ("none", "detectors", "commands")}
        sites["none"].mkdir()
        for number in range(PLUGINS):
            installed(sites["detectors"], f"detector{number}", DETECTOR, "plugin")
            installed(sites["commands"], f"command{number}", COMMAND, "commands")
        for command in (["--help"], ["list"]):
            taken: dict[str, list[float]] = {name: [] for name in sites}
            for _ in range(REPETITIONS):
                for name, site in sites.items():
                    taken[name].append(seconds(command, site))
            medians = {name: 1000 * statistics.median(values) for name, values in taken.items()}
            print(f"llmdas-agent {command[0]}: {medians['none']:.0f} ms without plugins")
            for name in ("detectors", "commands"):
                print(f"  ten plugins with {name} add {medians[name] - medians['none']:+.0f} ms")


if __name__ == "__main__":
    main()
