"""probe, as a user meets it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

from llmdas_agent.report import BlindSpotProfile

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def test_a_profile_is_printed_drawn_and_kept_beside_its_card(cli: Cli, home: Path, tmp_path: Path) -> None:
    assert cli("card", "new", "mine", "--output", "mine.yaml").returncode == 0
    ended = cli("probe", "mine.yaml", "--picture", "mine.svg", "--keep", "--json")
    assert ended.returncode == 0, ended.stderr
    kept = BlindSpotProfile.model_validate_json((tmp_path / "mine.profile.json").read_bytes())
    assert kept.model_dump(mode="json") == json.loads(ended.stdout)
    assert kept.detector == "mine"
    assert "<svg" in (tmp_path / "mine.svg").read_text()
    assert {path.name for path in tmp_path.iterdir()} == {"mine.yaml", "mine.svg", "mine.profile.json"}


def test_nothing_is_written_unless_asked_and_a_name_s_profile_lies_in_the_data_folder(
    cli: Cli, home: Path, tmp_path: Path
) -> None:
    ended = cli("probe", "ecod", "--keep")
    assert ended.returncode == 0, ended.stderr
    assert "recombination" in ended.stdout
    path = home / "profiles" / "ecod.json"
    assert str(path) in ended.stdout
    assert BlindSpotProfile.model_validate_json(path.read_bytes()).detector == "ecod"
    assert list(tmp_path.iterdir()) == []


def test_a_picture_of_no_known_kind_is_refused_before_the_measuring(cli: Cli, tmp_path: Path) -> None:
    ended = cli("probe", "ecod", "--picture", "ecod.txt", timeout=60)
    assert ended.returncode == 3
    assert ".pdf, .png or .svg" in ended.stderr
    assert list(tmp_path.iterdir()) == []
