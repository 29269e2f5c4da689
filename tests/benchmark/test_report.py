"""What a benchmark leaves: tables that follow from the results, figures that are pictures, one whole page."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from labelled_sets import Benchmark
from llmdas_agent.benchmark.figures import Box, draw_boxes, draw_ranking, drawn
from llmdas_agent.benchmark.jobs import Outcome, Result
from llmdas_agent.benchmark.quoted import read_quoted
from llmdas_agent.benchmark.report import write_report
from llmdas_agent.benchmark.results import as_frame, mean_over_seeds, values_over_sets
from llmdas_agent.benchmark.statistics import Ranking
from llmdas_agent.benchmark.tables import Table, main_rows
from llmdas_agent.errors import InputError, StorageError, TableError
from places import ROOT

Cli = Callable[..., "subprocess.CompletedProcess[str]"]

EXPECTED = {
    "results.parquet",
    "report.html",
    "report.md",
    *(f"{name}.csv" for name in ("table1", "table2", "table4", "table5", "table-f1", "ablations", "methods")),
    *(f"{name}.csv" for name in ("classifiers", "figure4a", "figure4b")),
    *(
        f"{name}.{suffix}"
        for name in ("figure3", "critical-difference", "figure4a", "figure4b", "figure5-pca", "figure5-ecod")
        for suffix in ("png", "svg")
    ),
}


def table(benchmark: Benchmark, name: str) -> pl.DataFrame:
    return pl.read_csv(benchmark.folder / f"{name}.csv")


def test_every_table_and_figure_of_the_paper_is_there(benchmark: Benchmark) -> None:
    assert set(benchmark.report.files) == EXPECTED
    assert (benchmark.report.missing, benchmark.report.failures) == (0, 0)
    assert all((benchmark.folder / name).stat().st_size for name in EXPECTED)


def test_the_documentation_names_every_file_and_every_option(cli: Cli) -> None:
    text = (ROOT / "docs" / "benchmark.md").read_text(encoding="utf-8")
    for name in EXPECTED:
        stem = re.sub(r"figure5-\w+", "figure5-NAME", name.rpartition(".")[0])
        assert f"`{name}`" in text or f"`{stem}`" in text, name
    shown = set(re.findall(r"(--[a-z-]+) (?:[A-Z]{2,}|<)", cli("bench", "run", "--help").stdout))
    assert {"--detectors", "--programs", "--scheduler"} <= shown
    assert {option for option in shown if option not in text} == set()


def test_table_1_follows_from_the_results(benchmark: Benchmark) -> None:
    results = pl.read_parquet(benchmark.folder / "results.parquet")
    row = table(benchmark, "table1").row(
        by_predicate=(pl.col("detector") == "pca") & (pl.col("against") == "base"), named=True
    )
    mine = results.filter(
        (pl.col("detector") == "pca")
        & pl.col("program").is_in(["", "own"])
        & pl.col("classifier").is_in(["", "forest"])
    )
    by_set = {
        method: mine.filter(pl.col("method") == method)
        .group_by("set")
        .agg(pl.col("auc_pr").mean())
        .sort("set")["auc_pr"]
        for method in ("base", "enhanced")
    }
    gain = (by_set["enhanced"] - by_set["base"]).to_numpy()
    assert row["base"] == pytest.approx(by_set["base"].mean())
    assert row["gain"] == pytest.approx(gain.mean())
    assert (row["wins"], row["losses"], row["sets"]) == (np.sum(gain > 0), np.sum(gain < 0), 3)


def test_a_set_counts_once_however_many_seeds_it_has() -> None:
    outcomes = [
        Outcome(
            f"{name}{seed}",
            {"set": name, "detector": "pca", "program": "", "verified": True, "classifier": "", "seed": seed},
            {"n_train": 5, "n_test": 5, "n_columns": 2, "n_anomalies": 1},
            [Result("base", value, value, value)],
        )
        for name, seed, value in (("a", 0, 0.2), ("a", 1, 0.4), ("b", 0, 0.9))
    ]
    means = mean_over_seeds(as_frame(outcomes), "forest")
    assert means.select("set", "auc_pr", "seeds").rows() == [("a", pytest.approx(0.3), 2), ("b", 0.9, 1)]
    sets, values = values_over_sets(means, {"pca": main_rows("pca", "base")}, "auc_pr")
    assert sets == ["a", "b"]
    np.testing.assert_allclose(values["pca"], [0.3, 0.9])


def test_every_set_is_listed_the_losses_first(benchmark: Benchmark) -> None:
    for name in ("table4", "table5", "table-f1"):
        frame = table(benchmark, name)
        assert set(frame["set"]) == {"38_thyroid", "Band", "strip"}
        worst = np.minimum(
            frame["pca: enhanced"] - frame["pca: base, cured"],
            frame["ecod: enhanced"] - frame["ecod: base, cured"],
        )
        assert list(worst) == sorted(worst)
        assert "knn" in frame.columns


def test_one_row_for_every_method_set_and_seed(benchmark: Benchmark) -> None:
    results = pl.read_parquet(benchmark.folder / "results.parquet")
    by = ["set", "detector", "method", "program", "classifier", "seed"]
    assert results.select(by).is_duplicated().sum() == 0
    assert set(results["n_train"]) == {35}
    assert results.filter(pl.col("program") == "gaussian")["verified"].not_().all()
    assert results.select("auc_pr", "auc_roc", "f1").max_horizontal().max() <= 1


def test_rivals_and_ablations_have_their_own_columns(benchmark: Benchmark) -> None:
    assert table(benchmark, "table2").columns == ["detector", "base", "own", "of ecod", "of pca"]
    assert table(benchmark, "figure4a").columns[3:] == ["gaussian", "uniform", "smote", "mixup"]
    assert table(benchmark, "figure4b").columns[3:] == [
        "agnostic",
        "without predict_score",
        "random, not borderline",
    ]
    assert table(benchmark, "classifiers").columns == ["detector", "forest", "svc"]


def test_figures_are_pictures(benchmark: Benchmark) -> None:
    import matplotlib.image

    for path in benchmark.folder.glob("*.png"):
        pixels = matplotlib.image.imread(path)
        assert pixels.shape[1] > 900
        assert pixels[..., :3].std() > 0.02
        assert ET.parse(path.with_suffix(".svg")).getroot().tag.endswith("svg")


class Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: set[str] = set()
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name in ("src", "href"):
                self.addresses.append(value or "")
            if name == "id":
                self.ids.add(value or "")

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_needs_nothing_else_and_says_where_figures_come_from(benchmark: Benchmark) -> None:
    text = (benchmark.folder / "report.html").read_text()
    page = Page()
    page.feed(text)
    assert all(address.startswith(("data:image/svg+xml;base64,", "#")) for address in page.addresses)
    assert {address[1:] for address in page.addresses if address.startswith("#")} == page.ids
    assert "<script" not in text
    for told in (
        "llmdas-agent bench run sets/",
        "scikit-learn",
        "38_thyroid, Band, strip",
        "Table 1",
        "Figure 5",
    ):
        assert told in page.text


def test_markdown_names_pictures_that_are_there(benchmark: Benchmark) -> None:
    text = (benchmark.folder / "report.md").read_text()
    named = re.findall(r"\]\((.+?)\)", text)
    assert len(named) == 6
    assert all((benchmark.folder / name).exists() for name in named)
    widths = [line.count("|") for line in text.splitlines() if line.startswith("|")]
    assert min(widths) > 3


def test_an_unfinished_benchmark_has_a_report_that_says_so(benchmark: Benchmark, tmp_path: Path) -> None:
    shutil.copy(benchmark.folder / "run.json", tmp_path)
    lines = (benchmark.folder / "results.jsonl").read_bytes().splitlines(keepends=True)
    (tmp_path / "results.jsonl").write_bytes(b"".join(lines[:30]))
    made = write_report(tmp_path)
    assert made.missing == len(lines) - 30
    assert f"{made.missing} of {len(lines)} jobs are not done yet" in (tmp_path / "report.md").read_text()
    (tmp_path / "results.jsonl").write_bytes(b"")
    with pytest.raises(InputError, match="no result yet"):
        write_report(tmp_path)
    with pytest.raises(InputError, match="holds no benchmark"):
        write_report(tmp_path / "nowhere")


def test_failures_are_listed_and_have_no_part_in_means(benchmark: Benchmark, tmp_path: Path) -> None:
    shutil.copy(benchmark.folder / "run.json", tmp_path)
    text = (benchmark.folder / "results.jsonl").read_text().splitlines()
    first = next(i for i, line in enumerate(text) if json.loads(line)["about"]["detector"] == "knn")
    failed = json.loads(text[first])
    failed |= {"results": [], "failure": "ValueError: it broke"}
    text[first] = json.dumps(failed)
    (tmp_path / "results.jsonl").write_text("\n".join(text) + "\n")
    made = write_report(tmp_path)
    assert made.failures == 1
    assert pl.read_csv(tmp_path / "failures.csv")["why"].to_list() == ["ValueError: it broke"]
    results = pl.read_parquet(tmp_path / "results.parquet")
    assert results.filter(pl.col("detector") == "knn").height == 2


def test_where_all_failed_the_error_says_why(benchmark: Benchmark, tmp_path: Path) -> None:
    shutil.copy(benchmark.folder / "run.json", tmp_path)
    lines = map(json.loads, (benchmark.folder / "results.jsonl").read_text().splitlines())
    failed = [line | {"results": [], "portrait": None, "failure": "OSError: gone"} for line in lines]
    (tmp_path / "results.jsonl").write_text("".join(json.dumps(line) + "\n" for line in failed))
    told = (
        rf"{len(failed)} jobs failed, the first \(\w+ on \w+\) with OSError: gone\. .*failures\.csv lists all"
    )
    with pytest.raises(InputError, match=told):
        write_report(tmp_path)
    assert pl.read_csv(tmp_path / "failures.csv").height == len(failed)


def test_a_place_that_cannot_be_written_is_told_before_anything_is_made(
    benchmark: Benchmark, tmp_path: Path
) -> None:
    for name in ("run.json", "results.jsonl"):
        shutil.copy(benchmark.folder / name, tmp_path)
    (tmp_path / "report.html").mkdir()
    with pytest.raises(StorageError, match=r"report\.html: cannot be written \(is a directory\)"):
        write_report(tmp_path)
    assert len(list(tmp_path.iterdir())) == 3


def test_what_an_earlier_report_made_is_gone_and_files_of_others_stay(
    benchmark: Benchmark, tmp_path: Path
) -> None:
    for name in ("run.json", "results.jsonl"):
        shutil.copy(benchmark.folder / name, tmp_path)
    earlier = ("failures.csv", "synthesis.csv", "figure5-iforest.png", "figure5-iforest.svg")
    others = ("notes.csv", "table-notes.csv", "figure.png", "table1.txt")
    for name in (*earlier, *others):
        (tmp_path / name).write_text("")
    made = write_report(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        *made.files,
        *others,
        "run.json",
        "results.jsonl",
    }


def test_a_name_with_dollar_signs_is_drawn_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "quoted.csv"
    path.write_text("method,set,auc_pr\n$x_{$,,0.7\n")
    boxes = [Box(one.method, "quoted", one.auc_pr, one.mean) for one in read_quoted(path)]
    assert "$x_{$ (quoted)" in drawn(draw_boxes(boxes, "AUC-PR"))["svg"].decode()
    ranking = Ranking(("$x_{$", "b"), (1.0, 2.0), 0.5, (), 3)
    assert "$x_{$" in drawn(draw_ranking(ranking))["svg"].decode()


def test_quoted_figures_are_marked_as_quoted(benchmark: Benchmark, tmp_path: Path) -> None:
    path = tmp_path / "quoted.csv"
    path.write_text("method,set,auc_pr\nAnoLLM-135M,,0.71\nAnoLLM-360M,a,0.6\nAnoLLM-360M,b,0.8\n")
    quoted = read_quoted(path)
    (tmp_path / "numbered.csv").write_text("method,set,auc_pr\n1,,0.5\n")
    assert [one.method for one in read_quoted(tmp_path / "numbered.csv")] == ["1"]
    assert [(one.method, one.mean, len(one.auc_pr)) for one in quoted] == [
        ("AnoLLM-135M", 0.71, 0),
        ("AnoLLM-360M", pytest.approx(0.7), 2),
    ]
    shutil.copy(benchmark.folder / "run.json", tmp_path)
    shutil.copy(benchmark.folder / "results.jsonl", tmp_path)
    write_report(tmp_path, quoted)
    # letters are drawn as shapes, each labelled with the text in a comment
    drawing = (tmp_path / "figure3.svg").read_text()
    assert "AnoLLM-135M (quoted)" in drawing
    assert "quoted, not measured here" in drawing
    assert "quoted" not in (benchmark.folder / "figure3.svg").read_text()
    assert "AnoLLM" not in (tmp_path / "methods.csv").read_text()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("method,auc_pr\nA,0.5\n", "method, set and auc_pr"),
        ("method,set,auc_pr\nA,,1.5\n", "no number from 0 to 1"),
        ("method,set,auc_pr\nA,,high\n", "no number from 0 to 1"),
        ("method,set,auc_pr\nA,,0.5\nA,x,0.6\n", "both a mean and single sets"),
        ("method,set,auc_pr\nA,,0.5\nA,,0.6\n", "or two means"),
        ("method,set,auc_pr\nA,x,0.5\nA,x,0.6\n", "gives 'A' two values on one set"),
        ("method,set,auc_pr\nA,x,0.5\n,x,0.6\n", "a row without a method"),
    ],
)
def test_quoted_figures_that_cannot_be_used(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "q.csv").write_text(content)
    with pytest.raises(TableError, match=message):
        read_quoted(tmp_path / "q.csv")


def test_the_same_results_give_the_same_files(benchmark: Benchmark, tmp_path: Path) -> None:
    for name in ("run.json", "results.jsonl"):
        shutil.copy(benchmark.folder / name, tmp_path)
    write_report(tmp_path)
    for name in ("table4.csv", "figure3.svg", "report.html", "figure5-pca.svg"):
        assert (tmp_path / name).read_bytes() == (benchmark.folder / name).read_bytes(), name


def test_pictures_of_one_method_and_of_many_can_be_drawn() -> None:
    one = [Box("pca", "base", np.array([0.5]), 0.5)]
    assert drawn(draw_boxes(one, "AUC-PR"))["png"].startswith(b"\x89PNG")
    for count in (2, 3, 15):
        ranks = tuple(float(i + 1) for i in range(count))
        ranking = Ranking(tuple(f"method {i}" for i in range(count)), ranks, 0.01, ((0, 1),), 30)
        text = drawn(draw_ranking(ranking))["svg"].decode()
        assert all(f"method {i} " in text for i in range(count))


def test_numbers_in_tables_are_shown_as_readers_expect() -> None:
    frame = pl.DataFrame({"a|b": ["x"], "n": [3], "gain": [-0.00001], "p (t)": [0.00012], "none": [None]})
    shown = Table("t", "T", frame.cast({"none": pl.Float64}), decimals=3, signed=("gain",))
    assert list(shown.cells()) == [["x", "3", "0.000", "< .001", "–"]]
    assert "| a\\|b | n |" in shown.markdown()
