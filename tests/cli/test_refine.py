"""refine and rollback, as a user and a cron job meet them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from llmdas_agent.agent.refinement.breeding import Genome
from llmdas_agent.agent.refinement.walk import begin
from llmdas_agent.agent.runs import Event, only_one
from llmdas_agent.agent.settings import resolve
from llmdas_agent.cards import load_card
from llmdas_agent.cli.output import console
from llmdas_agent.cli.refine_view import RefineView
from llmdas_agent.config import Budget
from llmdas_agent.detectors import DetectorSource
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.registry import Registry
from llmdas_agent.report import BlindSpotProfile
from llmdas_agent.synthesizer import Synthesizer
from llmdas_agent.verification import SCENARIOS, ToyBench, verify

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

ON_FOUR_SCENARIOS = """
import sys
from llmdas_agent.agent.refinement import walk
from llmdas_agent.cli.main import main
from llmdas_agent.verification import SCENARIOS

names = ("few_rows", "gaussian", "scales", "copula")
arena = walk.Arena(tuple(one for one in SCENARIOS if one.name in names), search_pairs=2, duel_pairs=6)
walk.Arena = lambda: arena
sys.argv[0] = "llmdas-agent"
main()
"""
BROKEN = "def generate_hard_anomalies(n_samples, model, X_train, rng):\n    return X_train[0] / nothing\n"
HBOS = load_card(Path(__file__).resolve().parents[2] / "examples" / "cards" / "hbos.yaml")


@pytest.fixture(scope="module")
def hbos() -> Synthesizer:
    """One that passes, on a few scenarios: that is all that being registered asks for."""
    few = tuple(one for one in SCENARIOS if one.name in ("few_rows", "gaussian", "scales", "copula"))
    proposal = Genome(("local_step", "outward"), 1.5, 0.6).proposal()
    report = verify(proposal.program, ToyBench(DetectorSource.from_card(HBOS), 0, few))
    profile = BlindSpotProfile(detector="hbos", seed=0, families=())
    return Synthesizer("hbos", HBOS, proposal, report, profile, {"proposer": "by hand"})


@pytest.fixture
def small(tmp_path: Path) -> Cli:
    """Run the command line in a process of its own, on few scenarios."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", ON_FOUR_SCENARIOS, *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL)

    return run


def test_without_time_the_incumbent_is_measured_and_kept(small: Cli, hbos: Synthesizer) -> None:
    Registry().add(hbos)
    ended = small("refine", "hbos", "--minutes", "0", "--jobs", "2", "--json")
    assert ended.returncode == 0, ended.stderr
    data = json.loads(ended.stdout)
    assert (data["detector"], data["status"], data["rounds"], data["programs"]) == ("hbos", "kept", 0, 1)
    assert 0.5 < data["before"] == data["after"] < 1
    assert "0 s are spent" in data["stopped"]
    page = (Path(data["run"]) / "report.html").read_text(encoding="utf-8")
    assert "no program that passes on all scenarios" in page.lower()
    assert "round  0: best" in ended.stderr
    # what it found is there to be looked at, and other commands know what it is
    assert small("refine", "--resume", Path(data["run"]).name).stdout.startswith("hbos  kept")
    for command in (("replay",), ("add-detector", "--resume")):
        refused = small(*command, Path(data["run"]).name)
        assert refused.returncode == 3
        assert "refine" in refused.stderr


def test_rollback_takes_back_what_was_registered_last(cli: Cli, hbos: Synthesizer) -> None:
    Registry().add(hbos)
    other = replace(hbos, proposal=replace(hbos.proposal, strategy="another"))
    Registry().add(other)
    ended = cli("rollback", "hbos", "--json")
    assert json.loads(ended.stdout)["strategy"] == hbos.proposal.strategy
    refused = cli("rollback", "hbos")
    assert (refused.returncode, refused.stdout) == (4, "")
    assert "only one synthesizer" in refused.stderr


def test_a_cron_job_is_silent_where_nothing_has_changed(cli: Cli, hbos: Synthesizer) -> None:
    Registry().add(hbos)
    assert "nothing that its report depends on has changed" in cli("refine", "hbos", "--stale").stdout
    data = json.loads(cli("refine", "hbos", "--stale", "--json").stdout)
    assert data == {"detector": "hbos", "status": "unchanged", "reason": ""}


def test_a_cron_job_says_in_one_line_that_one_no_longer_passes(small: Cli, hbos: Synthesizer) -> None:
    program = SynthesisProgram(BROKEN)
    versions = hbos.report.versions | {"pyod": "1.0"}
    elsewhere = hbos.report.model_copy(update={"program_digest": program.digest, "versions": versions})
    Registry().add(replace(hbos, proposal=replace(hbos.proposal, program=program), report=elsewhere))
    ended = small("refine", "hbos", "--stale", "--minutes", "0")
    assert ended.returncode == 5, ended.stderr
    assert ended.stderr == ""
    assert ended.stdout.startswith("hbos  failing")
    assert "does not pass every check, and no program was found that does" in ended.stdout
    # with time for a round, one that passes takes its place
    ended = small("refine", "hbos", "--stale", "--rounds", "1", "--json")
    assert json.loads(ended.stdout)["status"] == "replaced"
    assert ended.returncode == 0
    assert small("refine", "hbos", "--stale").stdout.startswith("hbos  nothing")


def test_one_job_at_a_time(cli: Cli, home: Path) -> None:
    with only_one(home / "runs" / ".refine-all.lock", "refinement of all detectors"):
        ended = cli("refine", "--all", "--stale")
    assert ended.returncode == 9
    assert "another refinement of all detectors is at work" in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((), 2, "give a name, --all, or --resume RUN"),
        (("hbos", "--all"), 2, "give a name, --all, or --resume RUN"),
        (("ifroest",), 4, "Did you mean 'iforest'?"),
        (("--resume", "nothing", "--seed", "0"), 2, "--seed cannot be given with --resume"),
        (("--resume", "nothing"), 4, "there is no run 'nothing'"),
        (("iforest", "--model", "openai:"), 3, "names no model"),
    ],
)
def test_what_cannot_be_done_is_said(cli: Cli, arguments: tuple[str, ...], code: int, told: str) -> None:
    ended = cli("refine", *arguments)
    assert ended.returncode == code
    assert told in ended.stderr


def test_a_run_that_cannot_be_begun_leaves_nothing(cli: Cli, hbos: Synthesizer, home: Path) -> None:
    Registry().add(hbos)
    ended = cli(
        "refine",
        "hbos",
        "--model",
        "openai:unheard-of",
        "--base-url",
        "http://127.0.0.1:9/v1",
        "--max-cost",
        "1",
    )
    assert ended.returncode == 3
    assert "no price is known" in ended.stderr
    assert not list((home / "runs").glob("refine-*"))


def test_a_cap_that_is_refused_is_not_written_down(cli: Cli, hbos: Synthesizer) -> None:
    settings = resolve("openai:unheard-of", "http://127.0.0.1:9/v1")
    assert settings is not None
    folder = begin(hbos, improver=settings.id, budget=Budget(max_tokens=20_000), model=settings.as_dict())
    before = (folder.path / "run.json").read_bytes()
    ended = cli("refine", "--resume", folder.id, "--max-cost", "1")
    assert ended.returncode == 3
    assert "no price is known" in ended.stderr
    assert (folder.path / "run.json").read_bytes() == before


def test_a_refinement_at_work_keeps_its_caps(cli: Cli, hbos: Synthesizer, home: Path) -> None:
    folder = begin(hbos, improver="embedded", budget=Budget(1, 60.0))
    before = (folder.path / "run.json").read_bytes()
    with only_one(home / "runs" / ".hbos.lock", "run for 'hbos'"):
        ended = cli("refine", "--resume", folder.id, "--rounds", "5")
    assert ended.returncode == 9
    assert (folder.path / "run.json").read_bytes() == before


def test_the_live_view_shows_best_frontier_and_spending(hbos: Synthesizer) -> None:
    view = RefineView(console(stderr=True), "hbos")
    with view:
        for number, quality in enumerate((0.5, 0.5, 0.75)):
            data = {"quality": quality, "best": number + 1, "valid": 2, "programs": 4, "frontier": 2}
            view(Event("round", f"{number}", data))
        view(Event("spending", "3 requests, 10 + 20 tokens, unpriced"))
    screen = console()
    with screen.capture() as seen:
        screen.print(view.get_renderable())
    shown = seen.get()
    for told in (
        "hbos",
        "0.7500",
        "0.5000 at first",
        "▁▁█",
        "2 of 4 valid",
        "2 are the best somewhere",
        "unpriced",
    ):
        assert told in shown
