"""What `plugin new` and `export` write, and what they leave alone."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from llmdas_agent.cards import load_card
from llmdas_agent.errors import InputError
from llmdas_agent.plugins.scaffold import Package
from llmdas_agent.registry import Registry
from llmdas_agent.synthesizer import Synthesizer


def test_names_follow_from_the_detector_s_and_its_card_is_one(tmp_path: Path) -> None:
    package = Package.at(tmp_path / "here", "my-odd_one")
    package.write_new()
    project = tomllib.loads((tmp_path / "here" / "pyproject.toml").read_text())["project"]
    assert project["name"] == "llmdas-my-odd-one"
    assert project["entry-points"]["llmdas_agent"] == {"my-odd_one": "llmdas_my_odd_one.plugin"}
    assert load_card(package.card).build.class_path == "llmdas_my_odd_one.detector.MyOddOne"
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "{{" in path.read_text()]


def test_a_name_that_no_package_or_class_may_have_is_made_one_or_refused(tmp_path: Path) -> None:
    for name in ("agent", "agent-", "agent__"):
        with pytest.raises(InputError, match="would be named llmdas-agent"):
            Package.at(tmp_path / name, name)
    trailing = Package.at(tmp_path / "trailing", "a-")
    trailing.write_new()
    project = tomllib.loads((tmp_path / "trailing" / "pyproject.toml").read_text())["project"]
    assert project["name"] == "llmdas-a"
    keyword = Package.at(tmp_path / "keyword", "none")
    keyword.write_new()
    assert "class NoneDetector(BaseDetector)" in (keyword.module_folder / "detector.py").read_text()
    assert load_card(keyword.card).build.class_path == "llmdas_none.detector.NoneDetector"
    # one that is there already has the name that its author gave it
    pca = Registry().get("pca")
    shared = Package.at(tmp_path / "shared", "pca")
    shared.write_synthesizer(pca.card, pca.write)
    assert Package.at(tmp_path / "shared", "agent").distribution == "llmdas-pca"


def test_what_is_there_is_never_overwritten(tmp_path: Path) -> None:
    Package.at(tmp_path / "new", "mine").write_new()
    with pytest.raises(InputError, match="is there already"):
        Package.at(tmp_path / "new", "mine").write_new()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="holds no package of ours"):
        Package.at(tmp_path / "foreign", "mine")
    with pytest.raises(InputError, match="Allowed: lower-case letters"):
        Package.at(tmp_path / "other", "My Detector")


def test_an_export_makes_a_package_or_joins_one_and_keeps_the_author_s_card(tmp_path: Path) -> None:
    pca = Registry().get("pca")
    package = Package.at(tmp_path / "shared", "pca")
    package.write_synthesizer(pca.card, pca.write)
    brought = Synthesizer.read(package.module_folder / "synthesizers" / "pca", "plugin")
    assert brought.proposal == pca.proposal and brought.report == pca.report
    assert load_card(package.card) == pca.card
    # a card that says the same stays as it was written
    written = "# words of the author's\n" + package.card.read_text()
    package.card.write_text(written)
    again = Package.at(tmp_path / "shared", "pca")
    again.write_synthesizer(pca.card, pca.write)
    assert again.card.read_text() == written
    ecod = Registry().get("ecod")
    Package.at(tmp_path / "shared", "ecod").write_synthesizer(ecod.card, ecod.write)
    assert sorted(path.stem for path in package.card.parent.glob("*.yaml")) == ["ecod", "pca"]
