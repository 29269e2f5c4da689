"""score on a folder of tables: in one process, in several, and on a dask.distributed cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from commands import run_command
from dask_cluster import running_cluster

Cli = Callable[..., "subprocess.CompletedProcess[str]"]


def table(seed: int, rows: int) -> pl.DataFrame:
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(rows, 3)) * [1.0, 5.0, 0.2]
    frame = pl.DataFrame(numbers, schema=["a", "b", "c"], orient="row")
    return frame.with_columns(kind=pl.Series(rng.choice(["red", "blue"], size=rows)), id=pl.int_range(rows))


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model, three tables to be scored, and the scores of each by itself."""
    folder = tmp_path_factory.mktemp("scoring")
    table(0, 80).drop("id").write_csv(folder / "normal.csv")
    run_command("fit", "ecod", "normal.csv", "--output", "model/", cwd=folder).check_returncode()
    (folder / "tables").mkdir()
    (folder / "alone").mkdir()
    for number in (1, 2, 3):
        name = f"part-{number}.parquet"
        table(number, 20 * number).write_parquet(folder / "tables" / name)
        score = ["score", "model/", f"tables/{name}", "--id", "id", "--output", f"alone/{name}"]
        run_command(*score, cwd=folder).check_returncode()
    return folder


def same_scores(one: Path, other: Path) -> None:
    names = [path.name for path in sorted(one.iterdir())]
    assert names == [path.name for path in sorted(other.iterdir())]
    for name in names:
        mine, theirs = pl.read_parquet(one / name), pl.read_parquet(other / name)
        assert mine.columns == ["id", "score", "label", "p_value"]
        assert mine["id"].equals(theirs["id"])
        np.testing.assert_allclose(mine["score"], theirs["score"], rtol=1e-9)
        assert mine["label"].equals(theirs["label"])


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_every_table_of_a_folder_is_scored_as_by_itself(cli: Cli, place: Path, jobs: str) -> None:
    output = f"scores-{jobs}"
    ended = cli(
        "score", "model/", "tables/", "--id", "id", "--jobs", jobs, "--output", output, "--json", cwd=place
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert (told["tables"], told["rows"]) == (3, 120)
    assert "3 of 3" in ended.stderr
    same_scores(place / output, place / "alone")


def test_a_cluster_scores_a_folder(cli: Cli, place: Path, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra `bench` brings dask.distributed")
    with running_cluster(tmp_path, 2) as cluster:
        ended = cli(
            *("score", "model/", "tables/", "--id", "id", "--output", "scores-dask"),
            *("--backend", "dask", "--scheduler", cluster.address),
            cwd=place,
        )
    assert ended.returncode == 0, ended.stderr
    assert "of 120 rows in 3 tables labelled as anomalies" in ended.stdout
    same_scores(place / "scores-dask", place / "alone")


def test_a_table_that_cannot_be_scored_is_named_and_the_others_are_done(
    cli: Cli, place: Path, tmp_path: Path
) -> None:
    (tmp_path / "mixed").mkdir()
    table(1, 20).write_parquet(tmp_path / "mixed" / "good.parquet")
    table(1, 20).drop("a").write_parquet(tmp_path / "mixed" / "lacking.parquet")
    (tmp_path / "mixed" / "broken.parquet").write_bytes(b"nothing")
    ended = cli("score", place / "model", "mixed", "--id", "id", "--output", "scores")
    assert ended.returncode == 3
    assert "2 of 3 tables could not be scored" in ended.stderr
    assert "column 'a'" in ended.stderr
    assert "broken.parquet" in ended.stderr
    assert "lacking.parquet: lacks" in ended.stderr
    assert [path.name for path in (tmp_path / "scores").iterdir()] == ["good.parquet"]


def test_scores_that_cannot_be_written(cli: Cli, place: Path, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    ended = cli("score", "model/", "tables/", "--id", "id", "--output", tmp_path / "taken" / "in", cwd=place)
    assert ended.returncode == 10
    assert "cannot be written (not a directory)" in ended.stderr
    assert "scoring" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("tables",), 2, "--output DIR"),
        (("tables", "--output", "tables"), 2, "another folder"),
        (("tables", "--output", "out", "--backend", "dask"), 2, "--scheduler ADDRESS"),
        (("tables/part-1.parquet", "--jobs", "2"), 2, "are for a folder of tables"),
        (("alone/..", "--output", "out"), 3, "could not be scored"),
        (("model", "--output", "out"), 3, "holds no .parquet"),
    ],
)
def test_what_does_not_go_together_is_said(
    cli: Cli, place: Path, arguments: tuple[str, ...], code: int, message: str
) -> None:
    ended = cli("score", "model", *arguments, "--id", "id", cwd=place)
    assert ended.returncode == code, ended.stderr
    assert message in " ".join(ended.stderr.replace("│", " ").split())
