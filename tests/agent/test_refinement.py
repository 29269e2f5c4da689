"""Refinement: better programs are found, by no other than fair means, and an interruption changes nothing."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from fake_server import says as answers_with
from fake_server import serve, stalls
from hypothesis import given, settings
from hypothesis import strategies as st

from llmdas_agent.agent.embedded import STRATEGIES, compose
from llmdas_agent.agent.outbox import Outbox
from llmdas_agent.agent.refinement import Arena, Outcome, begin, refine, stale, walk
from llmdas_agent.agent.refinement.archive import Archive, Entry, frontier
from llmdas_agent.agent.refinement.asking import ChatImprover
from llmdas_agent.agent.refinement.breeding import Breeder, Genome
from llmdas_agent.agent.refinement.challenge import ranked
from llmdas_agent.agent.refinement.duel import duel
from llmdas_agent.agent.refinement.html import render
from llmdas_agent.agent.refinement.html.lineage import line_of
from llmdas_agent.agent.refinement.improvers import Task
from llmdas_agent.agent.refinement.pairing import pair as paired
from llmdas_agent.agent.refinement.parents import choose
from llmdas_agent.agent.refinement.quality import Quality
from llmdas_agent.agent.refinement.search import CHILDREN, rounds_of
from llmdas_agent.agent.refinement.stale import standing
from llmdas_agent.agent.refinement.together import together
from llmdas_agent.agent.runs import Event, RunFolder
from llmdas_agent.agent.settings import ModelSettings
from llmdas_agent.cards import load_card
from llmdas_agent.cli import refine as cli_refine
from llmdas_agent.config import Budget
from llmdas_agent.detectors import DetectorSource
from llmdas_agent.errors import InputError
from llmdas_agent.programs import Proposal, SynthesisProgram
from llmdas_agent.registry import Registry
from llmdas_agent.report import BlindSpotProfile, VerificationReport
from llmdas_agent.sandbox import check_source
from llmdas_agent.synthesizer import Synthesizer
from llmdas_agent.verification import SCENARIOS, ToyBench, judge, try_program, verify
from llmdas_agent.verification.threads import at_most

HBOS = load_card(Path(__file__).resolve().parents[2] / "examples" / "cards" / "hbos.yaml")
SOURCE = DetectorSource.from_card(HBOS)
BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
FOUR = tuple(BY_NAME[name] for name in ("few_rows", "gaussian", "scales", "copula"))
TINY = Arena(FOUR, search_pairs=2, duel_pairs=4)
MEDIOCRE = Genome(("local_step", "outward"), 5.0, 0.0)
"""It passes every check, and its rows are farther out than they need be."""

FOUNDERS = (Genome(("recombine",), 2.5, 0.3), Genome(("tail",), 2.5, 0.3))
"""Each is good where the other is not."""

BROKEN = "def generate_hard_anomalies(n_samples, model, X_train, rng):\n    return X_train[0] / nothing\n"


def report_on(proposal: Proposal) -> VerificationReport:
    return verify(proposal.program, ToyBench(SOURCE, 0, FOUR))


@pytest.fixture(scope="module")
def mediocre() -> Synthesizer:
    proposal = MEDIOCRE.proposal()
    profile = BlindSpotProfile(detector="hbos", seed=0, families=())
    return Synthesizer("hbos", HBOS, proposal, report_on(proposal), profile, {"proposer": "by hand"})


def begun(incumbent: Synthesizer, rounds: int = 2, **caps: float) -> RunFolder:
    Registry().add(incumbent)
    return begin(incumbent, improver="embedded", budget=Budget(rounds, 1e6, **caps))  # type: ignore[arg-type]


def kept(folder: RunFolder) -> list[object]:
    """Return all that a search found, without the time it took."""
    archive = [
        replace(one, report=one.report and one.report.model_copy(update={"seconds": 0.0}))
        for one in Archive(folder).entries
    ]
    return [*archive, *(replace(one, seconds=0.0) for one in rounds_of(folder))]


def test_from_a_mediocre_program_a_few_rounds_find_a_better_one(mediocre: Synthesizer) -> None:
    folder = begun(mediocre)
    events: list[Event] = []
    outcome = refine(folder, Breeder(), listen=events.append, arena=replace(TINY, duel_pairs=8))
    assert outcome.status == "replaced"
    assert outcome.duel is not None
    assert outcome.duel.p_value < 0.05
    assert outcome.duel.p_wilcoxon < 0.05
    assert outcome.duel.gain > 0.05
    assert len(outcome.duel.challenger) == 8
    registered = Registry().get("hbos")
    assert registered.report.accepted
    assert registered.provenance["run"] == folder.id
    assert registered.provenance["replaced"] == mediocre.proposal.program.digest
    assert registered.provenance["p_value"] == outcome.duel.p_value
    assert outcome.challenger is not None
    assert registered.proposal == Archive(folder)[outcome.challenger].proposal
    # it is kept, and not walked again
    assert Outcome.read(folder) == outcome
    assert refine(folder, Breeder(), arena=TINY) == outcome
    assert [event.step for event in events][-3:] == ["duel", "registered", "end"]
    # and the way back is one step
    assert Registry().rollback("hbos").proposal == mediocre.proposal


def test_proposers_are_told_of_no_scenario_and_no_seed_that_quality_is_measured_on() -> None:
    arena = Arena()
    assert {one.name for one in arena.shown} | {one.name for one in arena.apart} == set(BY_NAME)
    assert not {one.name for one in arena.shown} & {one.name for one in arena.apart}
    search, first, second = (
        {pair.partition("/")[2] for pair in TINY.held_apart(SOURCE, 0, purpose, earlier)._places}
        for purpose, earlier in (("search", 0), ("duel", 0), ("duel", 1))
    )
    assert search and first and second
    assert not (search & first or search & second or first & second or "0" in search | first | second)


def test_quality_is_the_verification_score_and_no_other_formula() -> None:
    program = MEDIOCRE.proposal().program
    quality = TINY.held_apart(SOURCE, 0, "search").measure([program])[0]
    assert len(quality.values) == 2
    for pair, value in quality.values.items():
        name, _, seed = pair.partition("/")
        alone = ToyBench(SOURCE, int(seed), (BY_NAME[name],))
        assert judge(try_program(program, alone)).score == value


@dataclass(frozen=True)
class Run:
    """A refinement that nothing disturbed, and the registry that it wrote to."""

    folder: RunFolder
    registry: Registry
    outcome: Outcome
    steps: list[str]


def ready(incumbent: Synthesizer) -> tuple[RunFolder, Registry]:
    """Return the folder of a refinement of one round, with two founders, and a registry of its own."""
    folder = begin(incumbent, improver="embedded", budget=Budget(1, 1e6))
    for child, genome in enumerate(FOUNDERS, start=2):
        Archive(folder).add(genome.proposal(), round=0, child=child, parents=())
    registry = Registry(folder.path / "registry")
    registry.add(incumbent)
    return folder, registry


@pytest.fixture(scope="module")
def whole(mediocre: Synthesizer) -> Run:
    folder, registry = ready(mediocre)
    events: list[Event] = []
    with at_most(2):
        outcome = refine(folder, Breeder(), registry=registry, listen=events.append, arena=TINY)
    return Run(folder, registry, outcome, [event.step for event in events])


def test_the_last_of_a_round_is_two_together(whole: Run) -> None:
    last = Archive(whole.folder).of_round(1)[-1]
    assert (last.child, last.parents, last.together) == (CHILDREN, (2, 3), True)
    assert last.proposal.program == together([genome.proposal().program for genome in FOUNDERS])
    assert last.valid


def test_any_number_of_jobs_comes_to_the_same(whole: Run, mediocre: Synthesizer) -> None:
    folder, registry = ready(mediocre)
    with at_most(1):
        outcome = refine(folder, Breeder(), registry=registry, arena=TINY)
    assert kept(folder) == kept(whole.folder)
    assert replace(outcome, seconds=0.0) == replace(whole.outcome, seconds=0.0)


class _InterruptedError(Exception):
    pass


def test_an_interruption_after_any_step_changes_nothing(whole: Run, mediocre: Synthesizer) -> None:
    assert whole.outcome.status == "replaced"
    assert set(whole.steps) == {
        "check", "quality", "round", "program", "stop", "duel", "registered", "end",
    }  # fmt: skip
    folder, registry = ready(mediocre)
    # the first event of each kind ends the walk, and it begins again from what lies in the folder
    ended: set[str] = set()

    def interrupt(event: Event) -> None:
        if event.step not in ended:
            ended.add(event.step)
            raise _InterruptedError

    while len(ended) < 8:
        with pytest.raises(_InterruptedError):
            refine(folder, Breeder(), registry=registry, listen=interrupt, arena=TINY)
    again = refine(folder, Breeder(), registry=registry, arena=TINY)
    assert kept(folder) == kept(whole.folder)
    told = (whole.outcome.challenger, whole.outcome.duel)
    assert (again.status, again.challenger, again.duel) == ("replaced", *told)
    # registered once, and not once for each walk
    for one in (registry, whole.registry):
        assert len(list((one.root / "hbos").glob("[0-9]*"))) == 2


def test_killed_in_the_middle_it_goes_on_to_the_same_end(whole: Run, mediocre: Synthesizer) -> None:
    folder, registry = ready(mediocre)
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[3]); import test_refinement as t;"
        "t.refine(t.RunFolder(Path(sys.argv[1])), t.Breeder(),"
        " registry=t.Registry(Path(sys.argv[2])), arena=t.TINY)"
    )
    command = [sys.executable, "-c", script, str(folder.path), str(registry.root), str(Path(__file__).parent)]
    process = subprocess.Popen(command, start_new_session=True)
    reported = folder.path / "attempts" / "05" / "report.json"
    while not reported.exists() and process.poll() is None:
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder.path / "outcome.json").exists()
    refine(folder, Breeder(), registry=registry, arena=TINY)
    assert kept(folder) == kept(whole.folder)


def test_a_program_does_not_win_against_itself_or_its_like() -> None:
    program = MEDIOCRE.proposal().program
    apart = replace(TINY, duel_pairs=4).held_apart(SOURCE, 0, "duel")
    with pytest.raises(InputError, match="the incumbent itself"):
        duel(program, program, apart)
    like = SynthesisProgram(program.source + "\n# another text, the same rows\n")
    met = duel(like, program, apart)
    assert (met.gain, met.p_value, met.p_wilcoxon, met.won) == (0.0, 1.0, 1.0, False)
    assert "not better beyond chance" in str(met)


def test_who_breaks_off_in_a_duel_loses() -> None:
    program, broken = MEDIOCRE.proposal().program, SynthesisProgram(BROKEN)
    apart = replace(TINY, duel_pairs=2).held_apart(SOURCE, 0, "duel")
    assert not duel(broken, program, apart).won
    assert duel(program, broken, apart).won


class _Silent:
    name = "silent"

    def improve(self, task: Task) -> Proposal | None:
        return None


class _Stubborn:
    """Writes programs that fail, each another."""

    name = "stubborn"

    def improve(self, task: Task) -> Proposal | None:
        return Proposal(SynthesisProgram(f"{BROKEN}# {task.asking}\n"), "none", "none", "broken")


@pytest.mark.parametrize(
    ("improver", "budget", "stopped"),
    [
        (_Silent(), Budget(9, 1e6), "nothing left"),
        (_Stubborn(), Budget(99, 1e6), "the last 10 rounds brought nothing better"),
        (_Stubborn(), Budget(2, 1e6), "2 rounds were walked"),
        (_Stubborn(), Budget(99, 0.0), "0 s are spent"),
    ],
)
def test_it_says_what_ended_it(
    improver: _Silent, budget: Budget, stopped: str, mediocre: Synthesizer
) -> None:
    Registry().add(mediocre)
    folder = begin(mediocre, improver=improver.name, budget=budget)
    outcome = refine(folder, improver, arena=TINY)
    assert stopped in outcome.stopped
    assert (outcome.status, outcome.challenger) == ("kept", None)
    assert outcome.before == outcome.after
    assert Registry().get("hbos").proposal == mediocre.proposal
    # a program that failed has no quality, not a low one
    assert [one.number for one in Archive(folder).entries if one.quality] == [1]


def test_a_run_that_ended_goes_on_under_higher_caps(mediocre: Synthesizer) -> None:
    Registry().add(mediocre)
    folder = begin(mediocre, improver="stubborn", budget=Budget(1, 1e6))
    assert refine(folder, _Stubborn(), arena=TINY).rounds == 1
    folder.allow(max_rounds=None)
    assert refine(folder, _Stubborn(), arena=TINY).rounds == 1
    folder.allow(max_rounds=3)
    assert refine(folder, _Stubborn(), arena=TINY).rounds == 3
    assert RunFolder(folder.path).budget.max_rounds == 3


def test_an_incumbent_that_does_not_pass_gives_way_to_one_that_does(mediocre: Synthesizer) -> None:
    broken = Proposal(SynthesisProgram(BROKEN), "none", "none", "broken")
    # as it was found on another machine, where it passed
    fine = mediocre.report.model_copy(update={"program_digest": broken.program.digest})
    incumbent = replace(mediocre, proposal=broken, report=fine)
    Registry().add(incumbent)
    folder = begin(incumbent, improver="openai:fake", budget=Budget(1, 1e6))
    outcome = refine(folder, Breeder(), arena=TINY)
    assert Registry().get("hbos").provenance["proposer"] == "embedded", "who went on with the run"
    assert outcome.before is None
    assert (outcome.status, outcome.duel) == ("replaced", None)
    assert "which the incumbent does not" in outcome.reason


class Kept(Archive):
    """An archive of these programs, which lies nowhere."""

    def __init__(self, *entries: Entry) -> None:
        self._entries = {one.number: one for one in entries}


def entry(
    number: int, *values: float, round: int = 0, parents: tuple[int, ...] = (), together: bool = False
) -> Entry:
    report = VerificationReport(
        detector="hbos", program_digest="", seed=0, verdicts=(), complete=True, seconds=0, versions={}
    )
    quality = Quality({f"a/{k}": value for k, value in enumerate(values)})
    proposal = compose([STRATEGIES[0]], 1.0 + number)
    return Entry(number, round, 1, parents, proposal, report, quality, together)


def test_the_frontier_holds_who_is_the_best_somewhere() -> None:
    found = [entry(1, 0.5, 0.5), entry(2, 0.9, 0.1), entry(3, 0.9, 0.7)]
    # of equals the older one counts
    assert frontier(found) == {2, 3}
    assert frontier([]) == set()


def test_parents_are_good_and_seldom_tried() -> None:
    good, poor = entry(1, 0.9, 0.9), entry(2, 0.1, 0.95)

    def drawn(*more: Entry) -> list[tuple[int, int | None]]:
        archive = Kept(good, poor, *more)
        pairs = [choose(archive, 9, np.random.default_rng(seed)) for seed in range(200)]
        return [(one.number, other.number if other else None) for one, other in pairs]

    assert set(drawn()) == {(1, 2), (2, 1)}
    assert drawn().count((1, 2)) > drawn().count((2, 1))
    failing = [replace(entry(k, round=1, parents=(1,)), report=None, quality=None) for k in range(3, 9)]
    assert drawn(*failing).count((1, 2)) < drawn(*failing).count((2, 1))


def test_the_best_goes_with_one_that_is_good_where_it_is_not_and_each_pair_once() -> None:
    best, clone, unlike = entry(1, 0.9, 0.5), entry(2, 0.89, 0.5), entry(3, 0.3, 0.8, round=1)
    assert paired(Kept(best, clone), 5) is None, "nothing that the best does not do itself"
    assert paired(Kept(best, clone, unlike), 5) == (best, unlike)
    assert paired(Kept(best, clone, unlike), 1) is None, "it was found in this round"
    tried = entry(4, 0.1, 0.1, round=2, parents=(3, 1), together=True)
    assert paired(Kept(best, clone, unlike, tried), 5) is None
    assert paired(Kept(best, clone, unlike, tried), 2) == (best, unlike)
    both = Proposal(together([best.proposal.program, unlike.proposal.program]), "", "", "")
    assert paired(Kept(best, unlike, replace(tried, parents=(3, 2), quality=None)), 5) == (best, unlike)
    leading = replace(entry(4, 0.99, 0.6, round=2, parents=(1, 2), together=True), proposal=both)
    assert paired(Kept(best, clone, unlike, leading), 5) == (best, unlike), "not four in one"


def test_two_together_may_challenge_only_where_they_are_better_than_each_alone() -> None:
    one, other = entry(2, *[0.7, 0.8] * 4), entry(3, *[0.8, 0.7] * 4)

    def first(*values: float) -> int:
        both = entry(4, *values, parents=(2, 3), together=True)
        found = (one, other, both)
        return ranked([one, both], {each.number: each.quality for each in found})[0].number  # type: ignore[misc]

    assert first(*[0.82, 0.83] * 4) == 4
    # its mean is higher, and owes that to one pair
    assert first(*[0.7, 0.8] * 3, 0.7, 1.0) == 2
    # better than one of them only
    assert first(*[0.71, 0.82] * 4) == 2


def test_what_came_of_two_together_is_told_with_both(mediocre: Synthesizer) -> None:
    folder = begun(mediocre)
    archive = Archive(folder)
    for number, parents in ((2, (1,)), (3, (1, 2)), (4, (2, 3)), (5, (4, 1))):
        proposal = Genome(("local_step",), 1.0 + number, 0.6).proposal()
        archive.add(proposal, round=number, child=1, parents=parents, together=number == 4)
    again = Archive(folder)
    assert again.entries == archive.entries
    told = [([one.number for one in step.parents], step.child.number) for step in line_of(again, 5)]
    assert told == [([1], 2), ([1], 3), ([2, 3], 4), ([4], 5)]
    assert [bool(step.lines) for step in line_of(again, 5)] == [True, True, False, True]
    ended = Outcome("kept", "it is so", "it is so", 5, None, 4, 5, 0, None, None, 1.0, {})
    page = " ".join(re.sub("<[^>]*>", "", render(folder, ended)).split())
    assert "program 2 with program 3 → program 4" in page
    assert "put together as they are, each making half of the rows" in page


genomes = st.builds(
    Genome,
    st.lists(st.sampled_from([one.name for one in STRATEGIES]), min_size=1, max_size=6).map(
        lambda names: tuple(sorted(names))
    ),
    st.floats(0.25, 8.0).map(lambda value: round(value, 3)),
    st.floats(0.0, 1.0).map(lambda value: round(value, 2)),
)


@given(genomes, genomes, st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_genomes_are_read_back_and_breed_programs_of_the_dialect(
    one: Genome, other: Genome, seed: int
) -> None:
    assert Genome.read(one.proposal().program) == [one]
    rng = np.random.default_rng(seed)
    for child in (one.mutated(rng), one.recombined(other, rng), Genome.newcomer(rng)):
        assert Genome.read(child.proposal().program) == [child]
        assert 1 <= len(child.makers) <= 6
        assert 0.25 <= child.strength <= 8.0
        assert 0.0 <= child.hidden_share <= 1.0
        check_source(child.proposal().program)


@given(st.text(max_size=300))
def test_a_text_that_is_no_embedded_program_has_no_genome(text: str) -> None:
    assert not Genome.read(SynthesisProgram(text))
    settings = f"MAKERS = (recombine,)\nSTRENGTH = {text!r}\nHIDDEN_SHARE = 0.5"
    assert not Genome.read(SynthesisProgram(settings))


def spoken(proposal: Proposal) -> str:
    return (
        f"BLIND SPOT: combinations\nBORDERLINE: near rows\nSTRATEGY: steps\n```python\n"
        f"{proposal.program.source}```"
    )


def test_a_chat_model_is_told_of_a_better_program_and_of_nothing_that_quality_is_measured_on(
    mediocre: Synthesizer,
) -> None:
    better = Genome(("local_step", "outward"), 1.5, 0.6).proposal()
    others = [Genome(("local_step",), 2.0 + k, 0.6).proposal() for k in range(2 * CHILDREN)]
    replies = ["I have no idea.", spoken(better), *map(spoken, others)]
    with serve(*map(answers_with, replies)) as server:
        settings = ModelSettings("openai", "fake", server.url)
        Registry().add(mediocre)
        folder = begin(mediocre, improver=settings.id, budget=Budget(2, 1e6), model=settings.as_dict())
        outcome = refine(folder, ChatImprover(settings, folder), arena=TINY)
        asked = len(server.asked)
        # the model is not asked for what puts two together
        assert asked == sum(one.round > 0 and not one.together for one in Archive(folder).entries)
        sent = [json.dumps(one.messages) for one in server.asked]
        # killed right before the end, and some of it lost: answers are taken from what was kept
        for name in ("outcome.json", "rounds.json"):
            (folder.path / name).unlink()
        for path in (folder.path / "attempts").glob("0[5-9]/*"):
            path.unlink()
        registry = Registry(folder.path / "registry")
        registry.add(mediocre)
        again = refine(folder, ChatImprover(settings, folder), registry=registry, arena=TINY)
        assert len(server.asked) == asked
    assert outcome.status == "replaced"
    assert again.challenger == outcome.challenger
    assert Registry().get("hbos").proposal.program in [one.program for one in (better, *others)]
    archive = Archive(folder)
    assert [verdict.code for verdict in archive[2].report.failures()] == ["reply"]  # type: ignore[union-attr]
    assert outcome.spending["requests"] == len(list(Outbox(folder.outbox).exchanges()))
    assert "STRENGTH = 5.0" in sent[0]
    assert "few_rows" in sent[0]
    assert "does better" not in sent[0]
    assert any("does better" in one and one.count("STRENGTH = ") == 2 for one in sent[CHILDREN:])
    secrets = {word for pair in archive[1].quality.values for word in pair.split("/")}  # type: ignore[union-attr]
    assert {"gaussian", "copula"} <= secrets
    assert not [word for word in secrets for one in sent if f'"{word}"' in one or f" {word} " in one]


def test_a_cap_on_tokens_ends_the_search_before_it_is_passed(mediocre: Synthesizer) -> None:
    usage = {"prompt_tokens": 9000, "completion_tokens": 50, "total_tokens": 9050}
    with serve(answers_with("no program", usage=usage)) as server:
        settings = ModelSettings("openai", "fake", server.url, max_tokens=100)
        Registry().add(mediocre)
        budget = Budget(5, 1e6, max_tokens=50_000)
        folder = begin(mediocre, improver=settings.id, budget=budget, model=settings.as_dict())
        outcome = refine(folder, ChatImprover(settings, folder), arena=TINY)
    assert "tokens are spent" in outcome.stopped
    assert outcome.status == "kept"
    assert 0 < outcome.spending["tokens_read"] + outcome.spending["tokens_written"] <= 50_000


def test_the_caps_of_refine_all_are_for_all_detectors_together(
    command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "Arena", lambda: TINY)
    usage = {"prompt_tokens": 9000, "completion_tokens": 50, "total_tokens": 9050}
    with serve(answers_with("no program", usage=usage)) as server:
        monkeypatch.setenv("LLMDAS_MAX_TOKENS", "100")
        flags = ("--model", "fake", "--base-url", server.url, "--max-tokens", "50000", "--rounds", "1")
        _, out, err = command("refine", "--all", *flags, "--json")
    outcomes = json.loads(out)["detectors"]
    assert [one["detector"] for one in outcomes] == ["ecod", "iforest", "ocsvm", "pca"], err
    spent = [one["spending"].get("tokens_read", 0) for one in outcomes]
    assert 0 < sum(spent) == 9000 * len(server.asked) <= 50_000
    assert "tokens are spent" in outcomes[-1]["stopped"]


def test_a_chat_model_is_waited_for_no_longer_than_the_time_of_the_search(mediocre: Synthesizer) -> None:
    with serve(stalls) as server:
        settings = ModelSettings("openai", "fake", server.url)
        Registry().add(mediocre)
        folder = begin(mediocre, improver=settings.id, budget=Budget(0, 1e6), model=settings.as_dict())
        refine(folder, ChatImprover(settings, folder), arena=TINY)
        (incumbents,) = rounds_of(folder)
        folder.allow(max_rounds=5, max_seconds=incumbents.seconds + 2)
        began = time.monotonic()
        outcome = refine(folder, ChatImprover(settings, folder), arena=TINY)
        assert 2 < time.monotonic() - began < 20
        assert len(server.asked) == 1
    assert (outcome.status, outcome.rounds) == ("kept", 0)
    assert "the run's time was over before the chat model had answered" in outcome.stopped


def test_a_synthesizer_is_verified_again_when_versions_change_and_only_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(stale, "ToyBench", partial(ToyBench, scenarios=FOUR))
    good = Genome(("local_step", "outward"), 1.5, 0.6).proposal()
    report = report_on(good)
    profile = BlindSpotProfile(detector="hbos", seed=0, families=())
    synthesizer = Synthesizer("hbos", HBOS, good, report, profile, {})
    assert standing(synthesizer).word == "unchanged"
    old = report.model_copy(update={"versions": report.versions | {"numpy": "1.0"}})
    found = standing(replace(synthesizer, report=old))
    assert found.word == "passes"
    assert "numpy 1.0 →" in found.reason
    assert standing(replace(synthesizer, report=old)).word == "unchanged"
    broken = Proposal(SynthesisProgram(BROKEN), "none", "none", "broken")
    found = standing(replace(synthesizer, proposal=broken, report=old))
    assert (found.word, "fails run" in found.reason) == ("fails", True)


def test_add_detector_refines_what_it_has_just_accepted(
    command: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "Arena", lambda: TINY)
    monkeypatch.setattr(cli_refine, "MINUTES", 0.0)
    card = Path(__file__).resolve().parents[2] / "examples" / "cards" / "hbos.yaml"
    code, out, _ = command("add-detector", card, "--refine", "--json")
    data = json.loads(out)
    assert (code, data["status"]) == (0, "accepted")
    refined = data["refinement"]
    assert (refined["detector"], refined["rounds"], refined["programs"]) == ("hbos", 0, 1)
    first = Archive(RunFolder(Path(refined["run"])))[1]
    assert first.proposal.program.digest == data["report"]["program_digest"]
    assert first.quality is not None or not first.accepted
