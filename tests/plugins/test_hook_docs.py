"""Every hook has its page, with its exact signature and an example that runs as it stands."""

from __future__ import annotations

import inspect
import re
import tomllib
from pathlib import Path

import pytest

from llmdas_agent.plugins import hookspecs
from places import ROOT

from .conftest import Shell, install, wheel_of, write_package

DOCS = ROOT / "docs"
HOOKS = {name: spec for name, spec in vars(hookspecs).items() if hasattr(spec, "llmdas_agent_spec")}


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)


def test_every_hook_has_the_prefix_and_a_page_and_no_page_is_left_over() -> None:
    assert len(HOOKS) >= 5
    assert all(name.startswith("llmdas_") and name in hookspecs.__all__ for name in HOOKS)
    assert {page.stem for page in (DOCS / "hooks").glob("*.md")} == set(HOOKS)


def test_no_hook_stops_at_its_first_result() -> None:
    assert not any(spec.llmdas_agent_spec["firstresult"] for spec in HOOKS.values())


@pytest.mark.parametrize("name", HOOKS)
def test_the_page_gives_the_exact_signature_and_the_overview_leads_to_it(name: str) -> None:
    signature = f"def {name}{inspect.signature(HOOKS[name])}".replace("'", "")
    page = (DOCS / "hooks" / f"{name}.md").read_text(encoding="utf-8")
    assert f"```python\n{signature}\n```" in page
    assert f"[{name}](hooks/{name}.md)" in (DOCS / "plugins.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", HOOKS)
def test_the_example_runs(name: str, tmp_path: Path, shell: Shell) -> None:
    page = (DOCS / "hooks" / f"{name}.md").read_text(encoding="utf-8")
    named = [block for language in ("python", "yaml") for block in blocks(page, language)]
    files = {block.split("\n")[0].removeprefix("# "): block for block in named if block.startswith("# ")}
    (toml,) = blocks(page, "toml")
    ((point, module),) = tomllib.loads(toml)["project"]["entry-points"]["llmdas_agent"].items()
    package = {path: text for path, text in files.items() if "/" in path}
    if not any(path.endswith("__init__.py") for path in package):
        package[f"{module.split('.')[0]}/__init__.py"] = ""
    folder = write_package(tmp_path / "package", "an-example", package, f'{point} = "{module}"')
    for path, text in files.items():
        (tmp_path / "package" / path).write_text(text, encoding="utf-8")
    install(wheel_of(folder), tmp_path / "site")
    (commands,) = blocks(page, "bash")
    (expected,) = blocks(page, "text")
    done = shell(f"set -e\n{commands}", tmp_path / "site", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "warning" not in done.stderr, done.stderr
    for line in expected.splitlines():
        assert line in done.stdout, done.stdout
