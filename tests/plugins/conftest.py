"""Wheels that are really built and really installed, beside the packages of this environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"

[project]
name = "{distribution}"
version = "1.2.3"
dependencies = [{dependencies}]

[project.entry-points.llmdas_agent]
{points}

[tool.hatch.build.targets.wheel]
packages = [{modules}]
"""

QUIET = ["--disable-pip-version-check", "--quiet", "--no-deps"]

Install = Callable[[Path, Path], None]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


def pip(*arguments: str | Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "pip", *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def wheel_of(package: Path) -> Path:
    """Build a package's wheel, without a build environment of its own."""
    pip("wheel", *QUIET, "--no-build-isolation", "--wheel-dir", package / "dist", package)
    (wheel,) = (package / "dist").glob("*.whl")
    return wheel


def install(wheel: Path, site: Path) -> None:
    """Install a wheel without its dependencies into a folder that is put on the path."""
    pip("install", *QUIET, "--no-index", "--target", site, wheel)


def write_package(
    package: Path, distribution: str, files: dict[str, str], points: str = "", dependencies: str = ""
) -> Path:
    """Write a package of these files, by path in it; its modules are the folders among them."""
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text, encoding="utf-8")
    modules = sorted({name.partition("/")[0] for name in files if "/" in name})
    project = PROJECT.format(
        distribution=distribution,
        dependencies=dependencies,
        points=points or f'{modules[0]} = "{modules[0]}"',
        modules=", ".join(f'"{module}"' for module in modules),
    )
    (package / "pyproject.toml").write_text(project, encoding="utf-8")
    return package


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run a line of a shell with the folder's plugins on the path, as a user with a terminal does."""
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    script = bin_folder / "llmdas-agent"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m llmdas_agent "$@"\n')
    script.chmod(0o755)

    def run(
        line: str, site: Path, *, cwd: Path = tmp_path, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            line,
            shell=True,
            cwd=cwd,
            env={
                **os.environ,
                "PATH": f"{bin_folder}:{os.environ['PATH']}",
                "PYTHONPATH": str(site),
                "COLUMNS": "200",
                **environment,
            },
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    return run
