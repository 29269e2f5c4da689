"""fit, score and synthesize on real tables, and what each kind of bad input gets."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from sklearn.metrics import roc_auc_score

from commands import run_command

ROOT = Path(__file__).resolve().parents[2]
Cli = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Breast cancer tables as the example writes them, and a model fitted on them."""
    place = tmp_path_factory.mktemp("tables")
    subprocess.run([sys.executable, ROOT / "examples" / "breast_cancer.py"], cwd=place, check=True)
    run_command("fit", "iforest", "normal.csv", "--output", "model/", cwd=place).check_returncode()
    return place


@pytest.fixture
def copy(folder: Path, tmp_path: Path) -> Path:
    shutil.copytree(folder, tmp_path / "copy")
    return tmp_path / "copy"


def test_scores_of_a_real_table(cli: Cli, copy: Path) -> None:
    ended = cli("score", "model/", "new.csv", "--output", "scores.csv", cwd=copy)
    assert ended.returncode == 0, ended.stderr
    scores = pl.read_csv(copy / "scores.csv")
    truth = pl.read_csv(copy / "truth.csv")
    assert scores.columns == ["score", "label", "p_value"]
    assert scores.height == truth.height
    malignant = (truth["diagnosis"] == "malignant").to_numpy()
    assert roc_auc_score(malignant, scores["score"].to_numpy()) > 0.9
    assert scores["p_value"].is_between(0, 1, closed="right").all()
    assert scores.filter(pl.col("label") == 1)["p_value"].max() < 0.5
    assert f"{scores['label'].sum()} of {truth.height} rows" in ended.stdout


def test_scores_go_to_stdout_with_ids_and_without_dropped_columns(cli: Cli, copy: Path) -> None:
    table = pl.read_csv(copy / "new.csv").with_row_index("patient").with_columns(note=pl.lit("x, y"))
    table.write_csv(copy / "ids.csv")
    refused = cli("score", "model/", "ids.csv", cwd=copy)
    assert refused.returncode == 3
    assert "--drop patient" in refused.stderr
    ended = cli("score", "model/", "ids.csv", "--id", "patient", "--drop", "note", cwd=copy)
    rows = list(csv.DictReader(ended.stdout.splitlines()))
    assert list(rows[0]) == ["patient", "score", "label", "p_value"]
    assert [int(row["patient"]) for row in rows] == list(range(table.height))


def test_a_table_is_not_written_over(cli: Cli, copy: Path) -> None:
    before = (copy / "new.csv").read_bytes()
    (copy / "again.csv").symlink_to("new.csv")
    for words in (
        ("score", "model", "new.csv", "-o", "again.csv"),
        ("synthesize", "pca", "new.csv", "-o", "new.csv"),
    ):
        ended = cli(*words, cwd=copy)
        assert ended.returncode == 2
        assert "--output is the table itself" in ended.stderr
    assert (copy / "new.csv").read_bytes() == before


def test_the_same_seed_gives_the_same_scores_and_formats_agree(cli: Cli, copy: Path) -> None:
    table = pl.read_csv(copy / "normal.csv")
    table.write_parquet(copy / "normal.parquet")
    assert cli("fit", "iforest", "normal.parquet", "--output", "again", cwd=copy).returncode == 0
    first = cli("score", "model", "new.csv", cwd=copy).stdout
    assert first == cli("score", "again", "new.csv", cwd=copy).stdout


def test_fit_tells_what_each_part_contributes(cli: Cli, copy: Path) -> None:
    ended = cli("fit", "ecod", "normal.csv", "--output", "ecod", "--json", cwd=copy)
    data = json.loads(ended.stdout)
    assert data["rows"] == 250
    told = data["weights"]
    assert set(told) == {"base", "neighbours", "tails", "classifier"}
    # 250 rows: the neighbours are trusted, and the base still speaks
    assert 0.5 < told["base"] < told["neighbours"] < 1
    assert 0 <= told["classifier"] < 1
    assert data["reason"]


def test_made_rows_look_like_the_table(cli: Cli, copy: Path) -> None:
    rng = np.random.default_rng(0)
    table = pl.DataFrame(
        {
            "amount": rng.lognormal(size=200),
            "visits": rng.integers(0, 4, 200),
            "city": rng.choice(["Oslo", "Bergen", "Tromsø"], 200),
        }
    ).with_columns(pl.when(pl.col("visits") == 0).then(None).otherwise(pl.col("amount")).alias("amount"))
    table.write_csv(copy / "mixed.csv")
    ended = cli("synthesize", "iforest", "mixed.csv", "--rows", "40", "--output", "made.csv", cwd=copy)
    assert ended.returncode == 0, ended.stderr
    made = pl.read_csv(copy / "made.csv")
    assert made.columns == table.columns
    assert made.height == 40
    assert set(made["city"].to_list()) <= {"Oslo", "Bergen", "Tromsø"}
    assert set(made["visits"].to_list()) <= {0.0, 1.0, 2.0, 3.0}


BAD_TABLES = {
    "no header only": ("a,b\n", "has a header and no rows"),
    "empty": ("", "is empty"),
    "one row": ("a,b\n1,2\n", "rows"),
    "ragged": ("a,b\n1,2\n1,2,3\n", "bad.csv:3"),
    "two columns of one name": ("a,a\n1,2\n2,3\n", "two columns named 'a'"),
    "nothing in it": ("a,b\n,\n,\n,\n", "no column with a value"),
}


@pytest.mark.parametrize("kind", BAD_TABLES)
def test_a_bad_table_gets_one_line(cli: Cli, tmp_path: Path, kind: str) -> None:
    text, told = BAD_TABLES[kind]
    (tmp_path / "bad.csv").write_text(text)
    ended = cli("fit", "iforest", "bad.csv", "--output", "model")
    assert ended.returncode == 3
    assert told in ended.stderr
    assert ended.stderr.count("\n") == 1
    assert not (tmp_path / "model").exists()


def test_a_word_among_numbers_is_told(cli: Cli, copy: Path) -> None:
    table = pl.read_csv(copy / "normal.csv", infer_schema=False)
    first = table.columns[0]
    table = table.with_columns(
        pl.when(pl.int_range(pl.len()) == 7).then(pl.lit("12 EUR")).otherwise(first).alias(first)
    )
    table.write_csv(copy / "slip.csv")
    ended = cli("fit", "iforest", "slip.csv", "--output", "other/", "--json", cwd=copy)
    assert ended.returncode == 0, ended.stderr
    assert json.loads(ended.stdout)["word_columns"] == [first]
    assert (
        f"slip.csv: column '{first}' is read as words, since '12 EUR' is no number as it stands"
        in ended.stderr
    )


def test_a_file_is_read_as_the_one_fitted_was(cli: Cli, copy: Path) -> None:
    rng = np.random.default_rng(0)
    branch = pl.Series("branch", rng.choice(["01", "02", "03", "A1"], size=200, p=[0.32, 0.32, 0.32, 0.04]))
    table = pl.DataFrame({"branch": branch, "x": rng.normal(size=200), "y": rng.normal(size=200)})
    table.write_csv(copy / "branches.csv")
    assert cli("fit", "pca", "branches.csv", "--output", "branches/", cwd=copy).returncode == 0
    numbers = table.filter(pl.col("branch") != "A1")
    numbers.write_csv(copy / "numbers.csv")
    told = {}
    for name in ("branches", "numbers"):
        ended = cli("score", "branches/", f"{name}.csv", "--output", f"{name}-scores.csv", cwd=copy)
        assert ended.returncode == 0, ended.stderr
        told[name] = pl.read_csv(copy / f"{name}-scores.csv")["score"].to_numpy()
    alike = (branch != "A1").to_numpy()
    np.testing.assert_allclose(told["numbers"], told["branches"][alike], rtol=1e-9)


def test_dates_of_a_csv_are_the_times_of_a_parquet(cli: Cli, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    days = pl.Series("day", rng.integers(0, 900, 120)).cast(pl.Date)
    table = pl.DataFrame({"x": rng.normal(size=120), "day": days}).with_row_index("row")
    table.write_csv(tmp_path / "t.csv")
    table.write_parquet(tmp_path / "t.parquet")
    ended = cli("fit", "ecod", "t.csv", "--output", "model", "--json")
    assert json.loads(ended.stdout)["time_columns"] == ["day"]
    assert ended.stderr.count("\n") == 1
    assert "t.csv: column 'row' counts on from row to row" in ended.stderr
    assert cli("score", "model", "t.csv").stdout == cli("score", "model", "t.parquet").stdout
    slip = (tmp_path / "t.csv").read_text().replace(str(days[7]), "3/4/1971")
    (tmp_path / "slip.csv").write_text(slip)
    refused = cli("score", "model", "slip.csv")
    assert refused.returncode == 3
    assert "slip.csv: column 'day': held times" in refused.stderr
    assert "'3/4/1971' in row" in refused.stderr


def test_a_column_without_values_is_ignored_and_named(cli: Cli, copy: Path) -> None:
    table = pl.read_csv(copy / "normal.csv").with_columns(nothing=pl.lit(None))
    table.write_csv(copy / "hollow.csv")
    ended = cli("fit", "iforest", "hollow.csv", "--output", "hollow", cwd=copy)
    assert ended.returncode == 0, ended.stderr
    assert re_words(ended.stdout, "ignored", "nothing")


def test_unknown_detectors_and_missing_files(cli: Cli, copy: Path) -> None:
    unknown = cli("fit", "ifroest", "normal.csv", "--output", "m", cwd=copy)
    assert (unknown.returncode, "Did you mean 'iforest'?" in unknown.stderr) == (4, True)
    missing = cli("fit", "iforest", "none.csv", "--output", "m", cwd=copy)
    assert (missing.returncode, "none.csv: no such file" in missing.stderr) == (3, True)


def test_columns_other_than_those_fitted(cli: Cli, copy: Path) -> None:
    table = pl.read_csv(copy / "new.csv")
    table.drop("mean radius").write_csv(copy / "fewer.csv")
    fewer = cli("score", "model", "fewer.csv", cwd=copy)
    assert (fewer.returncode, "lacks column 'mean radius'" in fewer.stderr) == (3, True)
    table.select(table.columns[::-1]).write_csv(copy / "reordered.csv")
    assert (
        cli("score", "model", "reordered.csv", cwd=copy).stdout
        == cli("score", "model", "new.csv", cwd=copy).stdout
    )


def test_damaged_and_newer_models(cli: Cli, copy: Path) -> None:
    victim = next((copy / "model").glob("*.skops"))
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    damaged = cli("score", "model", "new.csv", cwd=copy)
    assert (damaged.returncode, victim.name in damaged.stderr) == (8, True)
    manifest = json.loads((copy / "model" / "manifest.json").read_text())
    (copy / "model" / "manifest.json").write_text(json.dumps(manifest | {"format": 99}))
    newer = cli("score", "model", "new.csv", cwd=copy)
    assert (newer.returncode, "newer" in newer.stderr) == (8, True)
    assert cli("score", "nowhere", "new.csv", cwd=copy).returncode == 8


def test_a_full_disk_leaves_the_old_scores(copy: Path) -> None:
    (copy / "scores.csv").write_text("old\n")
    # a limit on file size stands in for the disk: the kernel refuses the write all the same
    script = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400, 400));"
        "sys.argv = ['llmdas-agent', 'score', 'model', 'new.csv', '--output', 'scores.csv'];"
        "from llmdas_agent.cli.main import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=copy, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 10
    assert "Free some space" in ended.stderr
    assert (copy / "scores.csv").read_text() == "old\n"
    assert not list(copy.glob(".scores*"))


def test_ctrl_c_leaves_no_half_written_model(copy: Path) -> None:
    command = [sys.executable, "-m", "llmdas_agent", "fit", "iforest", "normal.csv", "--output", "half"]
    # the moment of the interruption: the first run of a program, when the base is already fitted
    script = (
        "import os, signal, sys; from llmdas_agent.enhance import members\n"
        "members.run_program = lambda *a, **k: os.kill(os.getpid(), signal.SIGINT)\n"
        f"sys.argv = {['llmdas-agent', *command[3:]]!r}\n"
        "from llmdas_agent.cli.main import main; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=copy, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 130
    assert "Traceback" not in ended.stderr
    assert not [path for path in copy.iterdir() if "half" in path.name]


def test_commands_on_tables_never_load_what_talks_to_a_model(copy: Path) -> None:
    script = (
        "import sys, json\nfrom llmdas_agent.cli.main import main\n"
        "fit, score = ['fit', 'iforest', 'normal.csv', '-o', 'm'], ['score', 'm', 'new.csv', '-o', 's.csv']\n"
        "for words in (fit, score):\n"
        "    sys.argv = ['llmdas-agent', *words]\n"
        "    try:\n        main()\n    except SystemExit as end:\n        assert not end.code, end.code\n"
        "print(json.dumps(list(sys.modules)), file=sys.stderr)\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", script], cwd=copy, capture_output=True, text=True, check=True
    )
    loaded = json.loads(ended.stderr.strip().splitlines()[-1])
    talking = (
        "llmdas_agent.agent",
        "langgraph",
        "langchain",
        "langchain_core",
        "openai",
        "langsmith",
        "httpx",
    )
    assert not [name for name in loaded if name.startswith(talking)]


def re_words(text: str, *words: str) -> bool:
    return any(all(word in line for word in words) for line in text.splitlines())
