"""list, show, remove and probe, as a user meets them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from html import unescape
from pathlib import Path

import pytest

from llmdas_agent.registry import Registry
from test_registry import make

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def test_list_names_every_detector_and_its_synthesizer(cli: Cli) -> None:
    rows = {row["name"]: row for row in json.loads(cli("list", "--json").stdout)["detectors"]}
    assert {"ecod", "iforest", "ocsvm", "pca"} <= set(rows)
    assert rows["pca"]["synthesizer"] == "shipped"
    assert rows["pca"]["class"] == "pyod.models.pca.PCA"
    plain = cli("list").stdout
    assert all(name in plain for name in rows)


def test_what_a_proposer_wrote_is_shown_as_it_stands(cli: Cli) -> None:
    mine = make()
    strategy, blind_spot = "swap [/columns] by rank", "rows of [bold] and [/]"
    proposal = replace(mine.proposal, strategy=strategy, blind_spot=blind_spot)
    Registry().add(replace(mine, proposal=proposal, provenance={"proposer": "[/red]"}))
    listed, shown = cli("list"), cli("show", "mine")
    assert (listed.returncode, shown.returncode) == (0, 0), listed.stderr + shown.stderr
    assert strategy in listed.stdout
    assert all(text in shown.stdout for text in (strategy, blind_spot, "proposer [/red]"))


@pytest.mark.parametrize("damage", ["report.json", "current"])
def test_list_goes_on_where_one_is_damaged(cli: Cli, damage: str) -> None:
    folder = Registry().add(make()).folder
    assert folder is not None
    if damage == "current":
        (folder.parent / damage).write_bytes(b"")
    else:
        (folder / damage).unlink()
    ended = cli("list", "--json")
    assert ended.returncode == 0, ended.stderr
    rows = {row["name"]: row for row in json.loads(ended.stdout)["detectors"]}
    assert rows["pca"]["fault"] is None
    assert rows["mine"]["fault"]
    assert (rows["mine"]["synthesizer"], rows["mine"]["class"]) == (None, None)
    assert "cannot be used" in next(line for line in cli("list").stdout.splitlines() if "mine" in line)
    shown = cli("show", "mine")
    assert (shown.returncode, shown.stderr.count("\n")) == (8, 1)
    assert damage in shown.stderr


def test_show_tells_the_whole_story(cli: Cli) -> None:
    # long lines are wrapped
    shown = " ".join(cli("show", "ecod").stdout.split())
    synthesizer = Registry().get("ecod")
    for told in (
        synthesizer.card.full_name,
        synthesizer.proposal.blind_spot,
        synthesizer.proposal.borderline,
        "recombination",
        "validity",
        "shipped",
    ):
        assert told in shown
    data = json.loads(cli("show", "ecod", "--json").stdout)
    assert data["source"] == synthesizer.proposal.program.source
    assert data["digest"] == synthesizer.proposal.program.digest
    assert data["html"] is None


def test_show_writes_the_report_again(cli: Cli, tmp_path: Path) -> None:
    ended = cli("show", "ecod", "--html", "pages/ecod.html")
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (0, "pages/ecod.html")
    page = unescape((tmp_path / "pages" / "ecod.html").read_text(encoding="utf-8"))
    synthesizer = Registry().get("ecod")
    assert "Accepted" in page
    assert synthesizer.proposal.borderline in page
    assert synthesizer.provenance["registered"] in page


def test_remove_only_what_was_registered(cli: Cli) -> None:
    ended = cli("remove", "pca")
    assert ended.returncode == 4
    assert "comes with the package" in ended.stderr


def test_probe_gives_the_profile_as_data(cli: Cli) -> None:
    data = json.loads(cli("probe", "ecod", "--json").stdout)
    families = {family["family"]: family["auroc"] for family in data["families"]}
    assert families["recombination"] < 0.7 < families["far"]
    assert list(families.values()) == sorted(families.values())


def test_a_seed_of_more_than_32_bits_is_a_wrong_command_line(cli: Cli) -> None:
    ended = cli("probe", "ecod", "--seed", str(2**32))
    assert ended.returncode == 2
    assert "4294967295" in ended.stderr


def test_doctor_lists_the_layers(cli: Cli, home: Path) -> None:
    data = json.loads(cli("doctor", "--json").stdout)
    assert {layer["state"] for layer in data["sandbox"]} <= {"active", "missing", "weaker"}
    assert data["sandbox_grade"].partition(":")[0] in {"full", "reduced", "refused"}
    assert data["data_dir"] == str(home)
    assert data["versions"]["RestrictedPython"] == "9.0"
