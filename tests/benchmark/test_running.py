"""Jobs, the journal that survives any kill, and the same outcomes whoever does the jobs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labelled_sets import Benchmark, detector
from llmdas_agent.benchmark.jobs import BaseJob, DataFile, EnhancedJob, Outcome, PeerJob, key_of, run_job
from llmdas_agent.benchmark.journal import Journal, Record
from llmdas_agent.benchmark.plan import Plan
from llmdas_agent.benchmark.programs import Candidate, rival
from llmdas_agent.benchmark.running import Pace, run_plan
from llmdas_agent.errors import BusyError, InputError, UnknownNameError
from llmdas_agent.programs import SynthesisProgram
from llmdas_agent.workers import Processes


def without_time(folder: Path) -> dict[str, object]:
    return {
        key: dataclasses.replace(outcome, seconds=0.0, portrait=None)
        for key, outcome in Journal(folder).outcomes().items()
    }


def test_a_plan_is_detectors_by_programs_by_classifiers_by_seeds(benchmark: Benchmark) -> None:
    jobs = benchmark.plan.jobs()
    kinds = [job.kind for job in jobs]
    usable_peers = len(benchmark.plan.peers)
    per_detector = {"base": 1, "enhanced": 2, "program": 1 + 4 + 3}  # classifiers; a swap, rivals, ablations
    for kind, count in per_detector.items():
        assert kinds.count(kind) == 3 * 2 * count
    assert kinds.count("peer") == 3 * usable_peers
    assert kinds.count("portrait") == 2
    assert len({key_of(job) for job in jobs}) == len(jobs)


def test_the_portrait_is_found_without_adbenchs_number(benchmark: Benchmark) -> None:
    drawn = {job.data.name for job in benchmark.plan.jobs() if job.kind == "portrait"}
    assert drawn == {"38_thyroid"}


def test_what_cannot_be_measured_is_said_beforehand(sets: Path) -> None:
    plan = Plan.of(sets, [detector("pca")], portrait="musk", peers=(), mode="paper")
    assert any("Figure 5 left out: there is no set 'musk'" in note for note in plan.notes)
    assert any("Table 2 left out" in note for note in plan.notes)
    with pytest.raises(InputError, match="one classifier, its own"):
        Plan.of(sets, [detector("pca")], classifiers=("svc",))
    with pytest.raises(InputError, match="no classifier 'tree'"):
        Plan.of(sets, [detector("pca")], classifiers=("tree",), mode="paper")
    with pytest.raises(UnknownNameError, match="knn"):
        Plan.of(sets, [detector("pca")], peers=("knnn",))


def test_a_key_depends_on_everything_that_an_outcome_depends_on(benchmark: Benchmark) -> None:
    job = next(job for job in benchmark.plan.jobs() if isinstance(job, EnhancedJob))
    other_program = dataclasses.replace(rival("gaussian"), label=job.candidate.label)
    other_card = job.card.model_copy(
        update={"build": job.card.build.model_copy(update={"params": {"whiten": True}})}
    )
    changed = [
        dataclasses.replace(job, seed=job.seed + 1),
        dataclasses.replace(job, data=DataFile(job.data.path, "0" * 64)),
        dataclasses.replace(job, candidate=other_program),
        dataclasses.replace(job, classifier="svc"),
        dataclasses.replace(job, mode="calibrated"),
        dataclasses.replace(job, card=other_card),
    ]
    keys = {key_of(one) for one in (job, *changed)}
    assert len(keys) == 1 + len(changed)
    assert key_of(dataclasses.replace(job)) == key_of(job)


def test_what_goes_wrong_in_a_job_is_its_outcome(tmp_path: Path, benchmark: Benchmark) -> None:
    card = detector("pca").card
    (tmp_path / "broken.npz").write_bytes(b"nothing")
    found = run_job(BaseJob(DataFile(tmp_path / "broken.npz", "0"), 0, card))
    assert found.failure.startswith("TableError: ")
    assert not found.results
    refused = card.model_copy(
        update={"build": card.build.model_copy(update={"params": {"n_components": 99}})}
    )
    job = BaseJob(benchmark.plan.files[0], 0, refused)
    assert "n_components" in run_job(job).failure


def test_a_failing_program_leaves_the_base_alone(benchmark: Benchmark) -> None:
    source = "def generate_hard_anomalies(n_samples, model, X_train, rng):\n    return undefined\n"
    own = Candidate("own", SynthesisProgram(source), verified=False)
    data, card = benchmark.plan.files[0], detector("ecod").card
    found = run_job(EnhancedJob(data, 0, card, own, "forest", "paper"))
    base = run_job(BaseJob(data, 0, card))
    assert not found.failure
    assert "the program failed" in found.results[0].note
    assert (found.results[0].auc_pr, found.results[0].weight) == (base.results[0].auc_pr, 0.0)


def test_all_outcomes_are_there_and_none_twice(benchmark: Benchmark) -> None:
    lines = (benchmark.folder / "results.jsonl").read_text().splitlines()
    keys = [json.loads(line)["key"] for line in lines]
    assert len(keys) == len(set(keys)) == len(benchmark.plan.jobs())
    assert set(keys) == set(Journal(benchmark.folder).planned().jobs)
    assert not any(outcome.failure for outcome in Journal(benchmark.folder).outcomes().values())


def test_a_second_run_measures_only_what_is_new(benchmark: Benchmark, tmp_path: Path) -> None:
    plan = Plan.of(benchmark.sets, [detector("ecod")], mode="paper", peers=("knn",), parts=())
    told: list[tuple[int, int, float | None]] = []
    run_plan(plan, tmp_path, Processes(1), command="", tell=lambda *now: told.append(now))
    assert told[0] == (0, 9, None)
    assert [now[0] for now in told] == list(range(10))
    assert told[-1][2] == pytest.approx(0.0)
    told.clear()
    run_plan(plan, tmp_path, Processes(1), command="", tell=lambda *now: told.append(now))
    assert told == [(9, 9, None)]
    more = Plan.of(benchmark.sets, [detector("ecod")], mode="paper", peers=("knn",), parts=(), seeds=2)
    run_plan(more, tmp_path, Processes(1), command="", tell=lambda *now: told.append(now))
    assert told[1][:2] == (9, 18)
    whole = without_time(benchmark.folder)
    found = without_time(tmp_path)
    assert len(found) == 18
    common = found.keys() & whole.keys()
    assert len(common) == 9
    assert all(found[key] == whole[key] for key in common)


def test_time_left_is_told_by_kind_of_job_and_rows(tmp_path: Path) -> None:
    for name, rows in (("large", 15_000), ("small", 3_000)):
        y = np.zeros(rows, dtype=int)
        y[-9:] = 1
        np.savez(tmp_path / f"{name}.npz", X=np.zeros((rows, 2)), y=y)
    (tmp_path / "broken.npz").write_bytes(b"")
    plan = Plan.of(tmp_path, [detector("pca")], peers=("knn",), parts=())
    jobs = {key_of(job): job for job in plan.jobs()}
    pace = Pace(jobs)
    assert [job.data.name for job in jobs.values()][::3] == ["large", "small", "broken"]
    # the peer is quick, and nothing is known of the others yet
    seconds = {"peer": 8.0, "base": 16.0, "enhanced": 80.0}
    for key, job in list(jobs.items())[:3]:
        pace.finished(Outcome(key, job.about(), seconds=seconds[job.kind]))
    # a quarter of the rows and an eighth of the time, a 64th for the broken one; two at a time by the clock
    expected = 104 / 8 + 104 / 64
    assert pace.seconds_left(104.0) == pytest.approx(expected)
    assert pace.seconds_left(52.0) == pytest.approx(expected / 2)
    key = list(jobs)[3]
    pace.finished(Outcome(key, jobs[key].about(), seconds=17.0))
    # a peer is slower than it seemed, which says nothing of the others
    assert pace.seconds_left(121.0) == pytest.approx(96 / 8 + 96 / 64 + 25 / 72)


def test_processes_give_what_one_gives(benchmark: Benchmark, tmp_path: Path) -> None:
    plan = Plan.of(benchmark.sets, [detector("pca")], mode="paper", peers=("knn",), parts=("ablations",))
    run_plan(plan, tmp_path, Processes(2), command="")
    whole = without_time(benchmark.folder)
    found = without_time(tmp_path)
    assert len(found) == len(plan.jobs())
    assert {key: whole[key] for key in found} == found


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(share=st.floats(0, 1))
def test_a_journal_cut_anywhere_holds_all_that_was_whole(
    benchmark: Benchmark, tmp_path_factory: pytest.TempPathFactory, share: float
) -> None:
    content = (benchmark.folder / "results.jsonl").read_bytes()[:40_000]
    cut = content[: int(share * len(content))]
    journal = Journal(tmp_path_factory.mktemp("cut"))
    journal.results.write_bytes(cut)
    whole = Journal(benchmark.folder).outcomes()
    assert len(journal.outcomes()) == cut.count(b"\n")
    added = next(iter(whole.values()))
    with journal.writing(Record("", {}, {}, {}, [])):
        journal.append(dataclasses.replace(added, key="new"))
    assert len(journal.outcomes()) == cut.count(b"\n") + 1
    for key, outcome in journal.outcomes().items():
        assert key == "new" or outcome == whole[key]


def test_a_damaged_line_costs_its_own_outcome_alone(benchmark: Benchmark, tmp_path: Path) -> None:
    plan = Plan.of(benchmark.sets, [detector("ecod")], mode="paper", peers=(), parts=())
    run_plan(plan, tmp_path, Processes(1), command="")
    journal = Journal(tmp_path)
    lines = journal.results.read_bytes().splitlines()
    whole = without_time(tmp_path)
    damaged = [b"\xff\x00", b'{"a":1}', b"[]", lines[3][:100], b'{"key":[],"about":{}}', b""]
    journal.results.write_bytes(b"\n".join([*lines[:3], *damaged, *lines[4:]]) + b"\n")
    assert journal.damaged() == [4, 5, 6, 7, 8, 9]
    assert len(without_time(tmp_path)) == len(lines) - 1
    told: list[tuple[int, int, float | None]] = []
    run_plan(plan, tmp_path, Processes(1), command="", tell=lambda *now: told.append(now))
    assert [now[:2] for now in told] == [(len(lines) - 1, len(lines)), (len(lines), len(lines))]
    assert without_time(tmp_path) == whole


@pytest.mark.parametrize("content", ["[]", "{", "{}", '{"jobs": 5}', '{"detector": "pca"}'])
def test_a_damaged_record_is_named(tmp_path: Path, content: str) -> None:
    (tmp_path / "run.json").write_text(content)
    with pytest.raises(InputError, match=r"run\.json: is damaged, or no record of a benchmark"):
        Journal(tmp_path).planned()


def test_two_benchmarks_never_write_into_one_folder(tmp_path: Path, benchmark: Benchmark) -> None:
    with FileLock(tmp_path / ".lock"), pytest.raises(BusyError, match="another benchmark"):
        run_plan(benchmark.plan, tmp_path, Processes(1), command="")


def test_numbers_come_back_as_they_were_written(benchmark: Benchmark) -> None:
    job = PeerJob(benchmark.plan.files[0], 0, "knn")
    again = run_job(job)
    kept = Journal(benchmark.folder).outcomes()[key_of(job)]
    assert np.array_equal(
        [kept.results[0].auc_pr, kept.results[0].auc_roc], [again.results[0].auc_pr, again.results[0].auc_roc]
    )
