"""One whole benchmark of small sets, in the paper's own form."""

from __future__ import annotations

from pathlib import Path

import pytest

from labelled_sets import Benchmark, detector, write_sets
from llmdas_agent.benchmark.plan import Plan
from llmdas_agent.benchmark.report import write_report
from llmdas_agent.benchmark.running import run_plan
from llmdas_agent.workers import Processes


@pytest.fixture(scope="session")
def sets(tmp_path_factory: pytest.TempPathFactory, home_of_shared_fixtures: None) -> Path:
    folder = tmp_path_factory.mktemp("data") / "sets"
    write_sets(folder)
    return folder


@pytest.fixture(scope="session")
def benchmark(sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    folder = tmp_path_factory.mktemp("results")
    plan = Plan.of(
        sets,
        [detector("pca"), detector("ecod")],
        mode="paper",
        classifiers=("forest", "svc"),
        peers=("knn", "lunar"),
    )
    run_plan(plan, folder, Processes(1), command="llmdas-agent bench run sets/")
    return Benchmark(folder, sets, plan, write_report(folder))
