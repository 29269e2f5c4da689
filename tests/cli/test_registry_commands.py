"""list, show, verify, remove and probe, as a user meets them."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from llmdas_agent.registry import Registry

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

COPIES = (
    "def generate_hard_anomalies(n_samples, model, X_train, rng):\n"
    "    return X_train[rng.integers(len(X_train), size=n_samples)]\n"
)


def test_list_names_every_detector_and_its_synthesizer(cli: Cli) -> None:
    rows = {row["name"]: row for row in json.loads(cli("list", "--json").stdout)["detectors"]}
    assert {"ecod", "iforest", "ocsvm", "pca"} <= set(rows)
    assert rows["pca"]["synthesizer"] == "shipped"
    assert rows["pca"]["class"] == "pyod.models.pca.PCA"
    plain = cli("list").stdout
    assert all(name in plain for name in rows)


def test_show_tells_the_whole_story(cli: Cli) -> None:
    shown = cli("show", "ecod").stdout
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


def test_verify_accepts_what_is_shipped_and_refuses_copies(cli: Cli, tmp_path: Path) -> None:
    shipped = Registry().get("iforest").folder
    assert shipped is not None
    good = cli("verify", shipped / "program.py", "--detector", "iforest")
    assert good.returncode == 0, good.stderr
    assert "passes" in good.stdout
    (tmp_path / "copies.py").write_text(COPIES)
    bad = cli("verify", "copies.py", "--detector", "iforest", "--json")
    data = json.loads(bad.stdout)
    assert (bad.returncode, data["accepted"]) == (5, False)
    failed = {verdict["code"]: verdict["hint"] for verdict in data["verdicts"] if not verdict["passed"]}
    assert "move away" in failed["novelty"]


@pytest.mark.parametrize(
    ("source", "code", "told"),
    [
        ("def generate_hard_anomalies(:\n", "parse", "line 1"),
        ("import os\n" + COPIES, "dialect", "os"),
        ("x = 1\n", "signature", "generate_hard_anomalies"),
    ],
)
def test_verify_says_what_is_wrong_with_the_text(
    cli: Cli, tmp_path: Path, source: str, code: str, told: str
) -> None:
    (tmp_path / "program.py").write_text(source)
    ended = cli("verify", "program.py", "--detector", "iforest", "--json")
    assert ended.returncode == 5
    last = json.loads(ended.stdout)["verdicts"][-1]
    assert (last["code"], last["passed"]) == (code, False)
    assert told in last["message"] + last["hint"]


def test_verify_without_a_file(cli: Cli) -> None:
    ended = cli("verify", "nowhere.py", "--detector", "iforest")
    assert (ended.returncode, ended.stderr.count("\n")) == (3, 1)
    assert "nowhere.py" in ended.stderr


def test_remove_only_what_was_registered(cli: Cli) -> None:
    ended = cli("remove", "pca")
    assert ended.returncode == 4
    assert "comes with the package" in ended.stderr


def test_probe_gives_the_profile_as_data(cli: Cli) -> None:
    data = json.loads(cli("probe", "ecod", "--json").stdout)
    families = {family["family"]: family["auroc"] for family in data["families"]}
    assert families["recombination"] < 0.7 < families["far"]
    assert list(families.values()) == sorted(families.values())


def test_doctor_lists_the_layers(cli: Cli, home: Path) -> None:
    data = json.loads(cli("doctor", "--json").stdout)
    assert {layer["state"] for layer in data["sandbox"]} <= {"active", "missing", "weaker"}
    assert data["sandbox_grade"].partition(":")[0] in {"full", "reduced", "refused"}
    assert data["data_dir"] == str(home)
    assert data["versions"]["RestrictedPython"] == "9.0"
