from __future__ import annotations

import datetime as dt
import re
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from llmdas_agent.enhance import read_table, scores_table, write_table
from llmdas_agent.enhance.spelling import counters, slips
from llmdas_agent.errors import StorageError, TableError


def test_reads_types_gaps_and_quotes(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(
        '\ufeffnumber,word,truth,late\n1, "a,b",true,1\n\nNA,?,FALSE,2\ninf,ü,True,x\n'.replace(
            ', "', ',"'
        ).encode()
    )
    frame = read_table(path).frame
    assert frame.columns == ["number", "word", "truth", "late"]
    assert frame["number"].to_list() == [1.0, None, float("inf")]
    assert frame["word"].to_list() == ["a,b", None, "ü"]
    assert frame["truth"].to_list() == [True, False, True]
    # one word in the last line makes the column one of words
    assert frame["late"].to_list() == ["1", "2", "x"]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "t.csv"
    path.write_text(f'"a,1"{separator}b\n1{separator}2\n' if separator != "," else "a,b\n1,2\n")
    assert read_table(path).frame.row(0) == (1.0, 2.0)


def test_tsv_parquet_and_csv_agree(tmp_path: Path) -> None:
    frame = pl.DataFrame({"x": [1.5, None, 3.0], "word": ["a", None, "b"], "truth": [True, False, None]})
    frame.write_csv(tmp_path / "t.csv")
    frame.write_csv(tmp_path / "t.tsv", separator="\t")
    frame.write_parquet(tmp_path / "t.parquet")
    for name in ("t.csv", "t.tsv", "t.parquet"):
        assert read_table(tmp_path / name).frame.equals(frame)


def test_identifiers_are_carried_and_columns_dropped(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("id,a,b\n007,1,2\nNA,3,4\n none ,5,6\n,7,8\n")
    table = read_table(path, id_column="id", drop=["b"])
    assert table.frame.columns == ["a"]
    assert table.ids is not None
    assert table.ids.to_list() == ["007", "NA", " none ", None]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_name_is_no_pattern(tmp_path: Path, suffix: str) -> None:
    for name, value in [("t[1]", 1.0), ("t1", 2.0)]:
        write_table(tmp_path / f"{name}{suffix}", pl.DataFrame({"x": [value]}))
    assert read_table(tmp_path / f"t[1]{suffix}").frame["x"].to_list() == [1.0]


def test_columns_of_words_stay_words_and_a_comma_is_a_point_between_semicolons(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("code;amount;truth\n01;1,5;true\nNA;-2;false\n")
    frame = read_table(path, words=["code", "truth"]).frame
    assert frame["code"].to_list() == ["01", None]
    assert frame["amount"].to_list() == [1.5, -2.0]
    assert frame["truth"].to_list() == ["true", "false"]


def test_points_between_thousands_are_no_decimal_points(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("mixed;points;commas\n1.234;1.5;1,5\n12,5;2;2\n")
    frame = read_table(path).frame
    assert frame["mixed"].to_list() == ["1.234", "12,5"]
    assert slips(frame) == {"mixed": ("12,5", "number")}
    assert (frame["points"].to_list(), frame["commas"].to_list()) == ([1.5, 2.0], [1.5, 2.0])


def test_a_slip_that_makes_words_of_numbers_is_found(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    rows = "\n".join(f"{n},{n}a,{n},{'x' if n % 5 else n}" for n in range(40))
    path.write_text(f"amount,code,whole,half\n{rows}\n12.5 EUR,1a,7,x\n")
    assert slips(read_table(path).frame) == {"amount": ("12.5 EUR", "number")}
    days = "\n".join(f"2024-01-{day:02}" for day in range(1, 31))
    path.write_text(f"day\n{days}\n2024-02-30\n")
    assert slips(read_table(path).frame) == {"day": ("2024-02-30", "time")}


@pytest.mark.parametrize(
    "values", [["1,234.50", "12"], ["0,5", "1,5"], ["1.234,5", "7"], ["12 %", "5%"], ["$1", "2"]]
)
def test_numbers_written_for_a_reader_are_found(tmp_path: Path, values: list[str]) -> None:
    write_table(tmp_path / "t.csv", pl.DataFrame({"amount": values, "code": ["1a", "7"]}))
    assert slips(read_table(tmp_path / "t.csv").frame) == {"amount": (values[0], "number")}


def test_text_without_a_slip_is_none() -> None:
    """As it comes from a Parquet file, whose text stays text."""
    frame = pl.DataFrame(
        {"empty": pl.Series([None, None], dtype=pl.String), "digits": ["1", "2"], "word": ["a", "1"]}
    )
    assert slips(frame) == {}


def when(path: Path, *values: str, times: Collection[str] = ()) -> pl.Series:
    """Write a column of dates and read it."""
    path.write_text("\n".join(["x,when", *(f"{row},{value}" for row, value in enumerate(values))]) + "\n")
    return read_table(path, times=times).frame["when"]


def test_dates_and_times_in_iso_8601_are_times(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    read = when(path, "2024-01-31", "", " 2024-02-01 13:05", "2024-02-01T13:05:59.25")
    day = dt.datetime(2024, 1, 31)
    later = day + dt.timedelta(days=1, hours=13, minutes=5)
    assert read.to_list() == [day, None, later, later + dt.timedelta(seconds=59.25)]
    in_utc = when(path, "2024-01-31T00:00Z", "2024-01-31 02:00:00+02:00", "2024-01-30 19:00:00-05")
    assert in_utc.to_list() == [dt.datetime(2024, 1, 31, tzinfo=dt.UTC)] * 3
    frame = pl.DataFrame({"x": [1.0, 2.0, 3.0], "when": [day, later, None]})
    frame.write_csv(path)
    frame.write_parquet(tmp_path / "t.parquet")
    assert read_table(path).frame.equals(read_table(tmp_path / "t.parquet").frame)


@pytest.mark.parametrize(
    "other",
    [
        "31/01/2024",
        "20240131",
        "2024-1-31",
        "2024-02-30",
        "2024-01-31T10",
        "2024-01-31T10:00Z",
        "monday",
        "2024",
    ],
)
def test_what_is_no_such_time_makes_a_column_of_words(tmp_path: Path, other: str) -> None:
    assert when(tmp_path / "t.csv", "2024-01-31", other).to_list() == ["2024-01-31", other]


def test_a_column_of_times_stays_one_or_says_which_value_is_none(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    assert when(path, "", "NA", times=["when"]).dtype == pl.Datetime("us")
    for other in ("31/01/2024", "20240131", "2024-01-31T10:00+01:00"):
        with pytest.raises(
            TableError, match=r"column 'when': held times .* '" + re.escape(other) + "' in row 3"
        ):
            when(path, "2024-01-31", "2024-01-31 10:00", other, times=["when"])


def test_what_counts_on_from_row_to_row_is_found(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    day = dt.datetime(2024, 1, 1)
    clock = [day + dt.timedelta(days=row // 5) for row in range(40)]
    frame = pl.DataFrame(
        {
            "index": range(40),
            "falling": range(40, 0, -1),
            "clock": clock,
            "born": rng.permutation(clock),
            "sorted": sorted(rng.integers(0, 9, 40)),
            "one": [1.0] + [None] * 39,
            "same": [day] * 40,
        }
    )
    assert counters(frame) == ["index", "falling", "clock"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", b"a,b\n1,2\n1,2,3\n", r"t\.csv:3: has 3 fields where the header has 2"),
        ("t.csv", b'a,b\n"x\ny",2\n1\n', r"t\.csv:4: has 1 fields"),
        ("t.csv", b"", "is empty"),
        ("t.csv", b"a,b\n", "has a header and no rows"),
        ("t.csv", b"a,b,a\n1,2,3\n", r"t\.csv:1: has two columns named 'a'"),
        ("t.csv", b"a,,c\n1,2,3\n", r"t\.csv:1: column 2 has no name"),
        ("t.csv", b"a,b\n1,2\n1,\xe9\n", r"t\.csv:3: is not UTF-8"),
        ("t.csv", b"\x89PNG\r\n\x1a\n\x00\x00", "is not UTF-8"),
        ("t.csv", b"a\x00,b\n1,2\n", "is not a table of text"),
        ("t.csv", b'a,b\n1,"2\n3,4\n', r"t\.csv:2: has a quote that opens or closes no field"),
        (
            "t.csv",
            b'a,b\n1,2\n1,"' + b"3,4\n" * 50_000,
            r"t\.csv:3: has a quote that opens or closes no field",
        ),
        ("t.csv", b'a,b\n1,"2"x\n3,4\n', r"t\.csv:2: has a quote that opens or closes no field"),
        (
            "t.csv",
            b'a,b\n1,2\n5" pipe,6\n9" pipe,3\n',
            r"t\.csv:3: has a quote that opens or closes no field",
        ),
        ("t.csv", b'a,b\n1,"2\n3\n4",5\n', r"t\.csv:2: has 3 fields where the header has 2"),
        ("t.csv", b"a,b\r\r\n1,2\r\r\n3,4\r\r\n", r"t\.csv:1: ends in a CR without LF"),
        ("t.csv", b"\na,b\n1,2\n", "has nothing in its first line"),
        ("t.parquet", b"a,b\n1,2\n", "is no Parquet file"),
        ("t.xlsx", b"", r"has the suffix '\.xlsx'.*\.csv, \.tsv, \.parquet"),
    ],
)
def test_files_that_are_no_tables(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(TableError, match=message):
        read_table(tmp_path / name)


def test_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no such file"):
        read_table(tmp_path / "none.csv")
    with pytest.raises(TableError, match="is a folder"):
        read_table(tmp_path)
    path = tmp_path / "t.csv"
    path.write_text("name,a\nx,1\n")
    with pytest.raises(TableError, match=r"has no column 'nmae'. Did you mean 'name'"):
        read_table(path, id_column="nmae")
    with pytest.raises(TableError, match="no column left"):
        read_table(path, id_column="name", drop=["a"])


def _scores(n: int, ids: pl.Series | None = None) -> pl.DataFrame:
    rng = np.random.default_rng(0)
    return scores_table(scores=rng.random(n), labels=np.zeros(n, dtype=int), p_values=np.ones(n), ids=ids)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_scores_come_back_in_row_order(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    scores = np.array([0.1, 5.25, 1e-9])
    ids = pl.Series("row", ["x", "a", "m"])
    frame = scores_table(
        scores=scores, labels=np.array([0, 1, 0]), p_values=np.array([0.5, 0.01, 1.0]), ids=ids
    )
    write_table(path, frame)
    table = read_table(path, id_column="row")
    assert table.frame.columns == ["score", "label", "p_value"]
    np.testing.assert_array_equal(table.frame["score"].to_numpy(), scores)
    assert table.ids is not None
    assert table.ids.to_list() == ["x", "a", "m"]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_an_identifier_named_like_a_score_is_refused() -> None:
    with pytest.raises(TableError, match=r"column 'score': is also a column of the output"):
        _scores(1, pl.Series("score", [1]))


def test_an_identifier_that_has_no_text_is_told(tmp_path: Path) -> None:
    odd = _scores(2, pl.Series("id", [[1], [2]]))
    with pytest.raises(TableError, match=r"output: cannot be written as text.*\.parquet"):
        write_table(tmp_path / "out.csv", odd)
    write_table(tmp_path / "out.parquet", odd)
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_a_full_disk_leaves_the_old_file(tmp_path: Path) -> None:
    """A file-size limit makes the kernel refuse the write, as a full disk does."""
    path = tmp_path / "out.csv"
    path.write_text("before\n")
    code = f"""
import resource, signal
import polars as pl
from llmdas_agent.enhance import write_table
from llmdas_agent.errors import StorageError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    write_table({str(path)!r}, pl.DataFrame({{"score": range(5000)}}))
except StorageError as error:
    print(error)
"""
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "cannot be written (file too large)" in told.stdout
    assert "Free some space" in told.stdout
    assert path.read_text() == "before\n"
    assert [p.name for p in tmp_path.iterdir()] == ["out.csv"]


def test_a_disk_with_no_space_left(tmp_path: Path) -> None:
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(tmp_path)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("this user may not mount a small file system")
    try:
        with pytest.raises(StorageError, match="no space left on device"):
            write_table(tmp_path / "out.csv", _scores(5000))
        assert not list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)
