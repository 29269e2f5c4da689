"""The same jobs on a real dask.distributed cluster of several worker processes, one of them killed midway."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dask_cluster import Running, running_cluster
from labelled_sets import Benchmark, detector
from llmdas_agent.benchmark.journal import Journal
from llmdas_agent.benchmark.plan import Plan
from llmdas_agent.benchmark.running import run_plan
from llmdas_agent.errors import InputError, LlmdasError
from llmdas_agent.workers import Cluster, Processes

pytest.importorskip("distributed", reason="the extra `bench` brings dask.distributed")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    # workers import the functions of this file
    with running_cluster(tmp_path_factory.mktemp("cluster"), 3, importable=Path(__file__).parent) as running:
        yield running


def slow_square(number: int) -> tuple[int, int]:
    time.sleep(0.2)
    return number * number, os.getpid()


def poison(number: int) -> int:
    if number == 3:
        raise ValueError("three is too many")
    return number


def test_the_jobs_of_a_killed_worker_are_done_by_others(
    benchmark: Benchmark, cluster: Running, tmp_path: Path
) -> None:
    plan = Plan.of(
        benchmark.sets,
        [detector("pca"), detector("ecod")],
        mode="paper",
        peers=("knn",),
        parts=("rivals",),
    )
    total = len(plan.jobs())

    def kill_one(done: int, total: int, seconds_left: float | None) -> None:
        if done == total // 4 and cluster.workers[0].poll() is None:
            cluster.workers[0].send_signal(signal.SIGKILL)
            cluster.workers[0].wait()

    run_plan(plan, tmp_path, Cluster(cluster.address), command="", tell=kill_one)
    assert cluster.workers[0].poll() is not None
    found = Journal(tmp_path).outcomes()
    whole = Journal(benchmark.folder).outcomes()
    assert len(found) == total
    for key, outcome in found.items():
        assert not outcome.failure
        assert (outcome.about, outcome.results) == (whole[key].about, whole[key].results)


def test_workers_share_the_jobs(cluster: Running) -> None:
    found = list(Cluster(cluster.address).results(slow_square, range(12)))
    assert sorted(square for square, _ in found) == [number * number for number in range(12)]
    assert len({pid for _, pid in found} - {os.getpid()}) > 1


def test_a_job_that_fails_on_the_cluster_does_not_stop_the_others(cluster: Running) -> None:
    found = []
    with pytest.raises(LlmdasError, match="could not do every job: ValueError: three is too many"):
        for number in Cluster(cluster.address).results(poison, range(6)):
            found.append(number)
    assert sorted(found) == [0, 1, 2, 4, 5]


def test_a_scheduler_that_does_not_answer_is_named() -> None:
    with pytest.raises(InputError, match=r"tcp://127\.0\.0\.1:9: no dask scheduler answers"):
        list(Cluster("tcp://127.0.0.1:9").results(poison, [1]))
    with pytest.raises(InputError, match="no dask scheduler answers"):
        list(Cluster("nonsense://").results(poison, [1]))


def suicide(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_process_that_is_killed_ends_a_local_run_with_a_hint() -> None:
    with pytest.raises(LlmdasError, match="a worker process was killed"):
        list(Processes(2).results(suicide, range(4)))
