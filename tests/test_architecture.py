"""The shape of the package: which module may know which, what an import costs, what is explained."""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import pytest
from numpydoc.validate import validate

from places import ROOT

PACKAGE = "llmdas_agent"
HOME = ROOT / PACKAGE

# Each layer knows only those before it; units of one layer do not know each other.
LAYERS = [
    {"errors", "config"},
    {"files", "marked_yaml", "quiet", "workers"},
    {"cards", "programs", "report"},
    {"plugins", "verified"},
    {"detectors"},
    {"sandbox"},
    {"synthesizer"},
    {"registry"},
    {"enhance"},
    {"verification"},
    {"agent", "benchmark"},
    {"testing"},
    {"cli"},
    {"__main__"},
]
LAYER = {unit: depth for depth, units in enumerate(LAYERS) for unit in units}
# The half that may talk to a language model reaches a user's rows through nothing of its own.
NEVER = {("agent", "enhance"), ("benchmark", "agent")}

# Text that is run by the sandbox, never imported.
PROGRAM_TEXT = (HOME / "agent" / "strategies", HOME / "benchmark" / "rivals", HOME / "synthesizers")
MODULES = sorted(
    path for path in HOME.rglob("*.py") if not any(text in path.parents for text in PROGRAM_TEXT)
)

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 60


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def unit_of(module: str) -> str:
    """Return the part of the package that a module belongs to; the package itself is ''."""
    return module.split(".")[1] if "." in module else ""


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Yield what a module imports from this package, with the line; what only type checkers read excepted."""
    package = module_name(path) if path.name == "__init__.py" else module_name(path.parent / "__init__.py")
    unread = {
        node
        for block in ast.walk(tree(path))
        if isinstance(block, ast.If) and ast.unparse(block.test).endswith("TYPE_CHECKING")
        for statement in block.body
        for node in ast.walk(statement)
    }
    for node in ast.walk(tree(path)):
        if node in unread:
            continue
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = (
                ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            )
            source = ".".join(filter(None, [base, node.module]))
            # `from . import cards` names a module, `from .cards import load_card` a thing in one
            yield from ((f"{source}.{alias.name}", node.lineno) for alias in node.names)


def test_imports_are_read_as_python_reads_them() -> None:
    found = {name for name, _ in imports(HOME / "plugins" / "manager.py")}
    assert {"pluggy", f"{PACKAGE}.errors.PluginError", f"{PACKAGE}.plugins.builtin"} <= found
    # under TYPE_CHECKING in the package's own module
    assert f"{PACKAGE}.cards.DetectorCard" not in {name for name, _ in imports(HOME / "__init__.py")}


def test_every_part_of_the_package_has_its_layer() -> None:
    units = {unit_of(module_name(path)) for path in MODULES} - {""}
    assert units <= set(LAYER), f"give these a place in LAYERS: {sorted(units - set(LAYER))}"


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_imports_go_one_way(path: Path) -> None:
    unit = unit_of(module_name(path))
    wrong = []
    for name, line in imports(path):
        if name.split(".")[0] != PACKAGE:
            continue
        other = unit_of(name)
        if other not in LAYER or other == unit:
            continue
        if unit == "" or LAYER[other] >= LAYER[unit] or (unit, other) in NEVER:
            wrong.append(f"{path.relative_to(ROOT)}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_nothing_outside_the_product_is_imported(path: Path) -> None:
    foreign = {name.split(".")[0] for name, _ in imports(path)} & {
        "tests",
        "pytest",
        "hypothesis",
        "conftest",
    }
    assert not foreign or unit_of(module_name(path)) == "testing"


def loaded_after(statement: str) -> set[str]:
    """Return the modules that a fresh interpreter holds after a statement."""
    code = f"import sys\n{statement}\nimport json\nprint(json.dumps(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(json.loads(done.stdout))


LIGHT = {"numpy", "scipy", "sklearn", "pyod", "rich", "langgraph", "langchain_core", "pydantic", "polars"}
TALKS = {
    "langgraph",
    "langchain",
    "langchain_core",
    "langchain_openai",
    "openai",
    "httpx",
    f"{PACKAGE}.agent",
}
COSTS = {
    PACKAGE: LIGHT,
    f"{PACKAGE}.errors": LIGHT,
    f"{PACKAGE}.cli.main": LIGHT,
    f"{PACKAGE}.cli.cards": LIGHT,
    f"{PACKAGE}.plugins": LIGHT,
    f"{PACKAGE}.cards": {"numpy", "sklearn", "pyod", "rich", *TALKS},
    f"{PACKAGE}.registry": TALKS,
    f"{PACKAGE}.enhance": TALKS,
    f"{PACKAGE}.sandbox": TALKS,
    f"{PACKAGE}.verification": TALKS,
}


def exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize("module", [module for module in COSTS if exists(module)])
def test_an_import_loads_no_more_than_it_needs(module: str) -> None:
    assert not loaded_after(f"import {module}") & COSTS[module]


@cache
def imported(path: Path) -> ModuleType:
    return importlib.import_module(module_name(path))


# `python -m llmdas_agent` runs when it is imported.
PUBLIC = [
    path
    for path in MODULES
    if (path.name != "__main__.py" and not path.stem.startswith("_")) or path.name == "__init__.py"
]


def declared(path: Path) -> list[str]:
    for node in tree(path).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            names: list[str] = ast.literal_eval(node.value)
            return names
    return []


@pytest.mark.parametrize("path", PUBLIC, ids=module_name)
def test_a_module_explains_itself_and_names_what_is_public(path: Path) -> None:
    assert ast.get_docstring(tree(path)), "a module says in its first line what it is for"
    named = (ast.FunctionDef, ast.ClassDef)
    has_names = any(isinstance(node, named) for node in tree(path).body)
    assert declared(path) or not has_names, "a module that defines something has an __all__"


@pytest.mark.parametrize("path", PUBLIC, ids=module_name)
def test_what_is_public_exists_and_is_explained(path: Path) -> None:
    module = imported(path)
    for name in declared(path):
        value = getattr(module, name)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert (value.__doc__ or "").strip(), f"{module.__name__}.{name} has no docstring"


# Sections that are there are true. What can be named from outside, in a package's own __all__ or that of a
# module beside it, explains every parameter and says what comes back as well.
TRUE = {"PR02": "parameters that do not exist", "PR03": "parameters in another order"}
OWED = TRUE | {
    "PR01": "parameters that are not explained",
    "PR07": "a parameter without a sentence",
    "RT01": "nothing on what is returned",
}
# The help texts of commands are no numpydoc.
EXPLAINED = [path for path in PUBLIC if unit_of(module_name(path)) != "cli"]


@pytest.mark.parametrize("path", EXPLAINED, ids=module_name)
def test_public_functions_explain_their_parameters(path: Path) -> None:
    module = imported(path)
    outside = path.name == "__init__.py" or path.parent == HOME
    wrong = []
    for name in declared(path):
        value = getattr(module, name)
        if inspect.isfunction(value) and inspect.signature(value).parameters:
            found = validate(f"{module.__name__}.{name}")["errors"]
            rules = OWED if outside else TRUE
            wrong += [f"{name}: {rules[code]} ({text})" for code, text in found if code in rules]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_modules_and_functions_stay_small_enough_to_read(path: Path) -> None:
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MAX_MODULE_LINES, f"{lines} lines"
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            length = (node.end_lineno or 0) - node.lineno + 1
            assert length <= MAX_FUNCTION_LINES, f"{node.name} has {length} lines"
