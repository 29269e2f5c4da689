"""The tutorial, step by step as a reader takes it, in an environment of its own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from places import ROOT

STEP = re.compile(r"^```(bash|python|yaml|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """A real virtual environment over the packages of this one, so that pip installs nothing else."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(folder)})
    # with addsitedir the lines of this environment's own .pth files count too: an editable install is found
    here = sysconfig.get_path("purelib")
    (Path(packages) / "base.pth").write_text(f"import site; site.addsitedir({here!r})\n")
    for command, module in (("pip", "pip"), ("llmdas-agent", "llmdas_agent")):
        script = folder / "bin" / command
        script.write_text(f'#!/bin/sh\nexec "{folder}/bin/python" -m {module} "$@"\n')
        script.chmod(0o755)
    return folder


def test_every_step_does_what_it_says(environment: Path, tmp_path: Path) -> None:
    variables = {
        **os.environ,
        "PATH": f"{environment / 'bin'}:{os.environ['PATH']}",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads it as the option's negative
        "PIP_NO_INDEX": "1",
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "COLUMNS": "200",
    }
    said, steps = "", STEP.findall((ROOT / "examples" / "plugin_tutorial.md").read_text(encoding="utf-8"))
    assert [kind for kind, _ in steps].count("bash") >= 5
    for kind, text in steps:
        if kind == "bash":
            done = subprocess.run(
                f"set -e\n{text}",
                shell=True,
                cwd=tmp_path,
                env=variables,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
            said = done.stdout
        elif kind == "text":
            for line in text.splitlines():
                assert line in said, said
        else:
            (tmp_path / text.split("\n")[0].removeprefix("# ")).write_text(text, encoding="utf-8")
