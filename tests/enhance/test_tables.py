from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_matrix

from llmdas_agent.enhance import TableEncoder
from llmdas_agent.errors import TableError

unhurried = settings(deadline=None)
odd_floats = st.floats(allow_nan=True, allow_infinity=True, width=64)


@given(
    hnp.arrays(np.float64, st.tuples(st.integers(2, 20), st.integers(1, 4)), elements=odd_floats),
    hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(4, 4)), elements=odd_floats),
)
@unhurried
def test_whatever_the_numbers_the_encoded_table_is_finite_and_bounded(
    fitted: np.ndarray, new: np.ndarray
) -> None:
    if not (np.abs(fitted) <= 1e60).any():
        return
    encoder = TableEncoder().fit(fitted)
    Z = encoder.transform(new[:, : fitted.shape[1]])
    assert (np.abs(Z) < 1e70).all()
    assert Z.shape == (len(new), encoder.width_)


def test_plain_numbers_stay_as_they_are() -> None:
    X = np.random.default_rng(0).normal(size=(30, 3))
    np.testing.assert_array_equal(TableEncoder().fit(X).transform(X), X)


def test_nothing_is_learnt_from_rows_that_are_scored(mixed: pl.DataFrame) -> None:
    encoder = TableEncoder().fit(mixed[:150])
    whole = encoder.transform(mixed[150:])
    for row in range(5):
        np.testing.assert_array_equal(encoder.transform(mixed[150 + row : 151 + row])[0], whole[row])


def test_missing_numbers_become_the_median_and_are_marked() -> None:
    X = np.array([[1.0, 1.0], [2.0, 2.0], [np.nan, 3.0], [9.0, 4.0]])
    encoder = TableEncoder().fit(X)
    np.testing.assert_array_equal(encoder.transform(X)[2], [2.0, 1.0, 3.0])
    # none was missing in the second column, so nothing marks it there
    np.testing.assert_array_equal(encoder.transform([[1.0, np.nan]])[0], [1.0, 0.0, 2.5])


def test_infinite_numbers_lie_one_range_beyond() -> None:
    encoder = TableEncoder().fit(np.array([[0.0], [10.0], [np.inf]]))
    np.testing.assert_array_equal(encoder.transform([[np.inf], [-np.inf]])[:, 0], [20.0, -10.0])


def test_a_level_never_seen_is_rarer_than_all_that_were() -> None:
    frame = pl.DataFrame({"x": ["a"] * 60 + ["b"] * 40})
    encoder = TableEncoder().fit(frame)
    a, b, unseen, missing = encoder.transform(pl.DataFrame({"x": ["a", "b", "zzz", None]}))
    np.testing.assert_array_equal(a[:2], [1.0, 0.0])
    np.testing.assert_array_equal(unseen[:2], [0.0, 0.0])
    assert a[2] < b[2] < unseen[2]
    np.testing.assert_array_equal(unseen, missing)


def test_a_column_of_identifiers_says_nothing() -> None:
    frame = pl.DataFrame({"id": [f"r{i}" for i in range(100)], "x": list(range(100))})
    encoder = TableEncoder().fit(frame)
    assert encoder.width_ == 2
    seen = encoder.transform(frame)[:, 0]
    new = encoder.transform(pl.DataFrame({"id": ["r100", "r101"], "x": [1, 2]}))[:, 0]
    assert np.unique(np.concatenate([seen, new])).size == 1


def test_many_levels_do_not_become_many_columns() -> None:
    rng = np.random.default_rng(0)
    frame = pl.DataFrame({"x": [f"c{k}" for k in rng.geometric(0.05, size=3000)]})
    assert TableEncoder().fit(frame).width_ == 21


def test_arrays_and_frames_agree(mixed: pl.DataFrame) -> None:
    encoder = TableEncoder().fit(mixed)
    Z = encoder.transform(mixed)
    for same in (mixed.to_pandas(), mixed.to_numpy(), mixed.to_arrow(), mixed.select(sorted(mixed.columns))):
        np.testing.assert_array_equal(encoder.transform(same), Z)
    assert TableEncoder().fit(mixed.to_pandas()).width_ == encoder.width_


def test_pandas_own_types() -> None:
    frame = pd.DataFrame(
        {
            "whole": pd.array([1, 2, None, 4], dtype="Int64"),
            "kind": pd.Categorical(["a", "b", "a", None]),
            "when": pd.to_datetime(["2024-01-01", "2024-01-03", None, "2024-01-02"]),
            "mixed": [1, "x", None, 2.5],
            "truth": [True, False, True, True],
        }
    )
    Z = TableEncoder().fit(frame).transform(frame)
    assert np.isfinite(Z).all()
    assert Z[0, 0] == 1.0
    times = TableEncoder().fit(frame[["when"]]).transform(frame[["when"]])[:, 0]
    assert times[0] < times[3] < times[1]


def test_times_of_polars_are_numbers() -> None:
    frame = pl.DataFrame({"day": [dt.date(2024, 1, d) for d in (1, 2, 4)] + [None]})
    Z = TableEncoder().fit(frame).transform(frame)
    assert Z[2, 0] - Z[1, 0] == 2 * (Z[1, 0] - Z[0, 0])
    assert Z[3, 1] == 1.0


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("day", [20240101], "column 'day': held times when it was fitted and holds numbers now"),
        ("day", ["2024-01-01"], "column 'day': held times when it was fitted and holds text now"),
        ("year", [dt.date(2024, 1, 1)], "column 'year': held numbers when it was fitted and holds times now"),
        ("word", [dt.date(2024, 1, 1)], "column 'word': held text when it was fitted and holds times now"),
    ],
)
def test_times_are_taken_for_nothing_else(column: str, values: list[object], message: str) -> None:
    fitted = pl.DataFrame(
        {"day": [dt.date(2024, 1, 1), dt.date(2024, 1, 9)], "year": [2023, 2024], "word": ["a", "b"]}
    )
    encoder = TableEncoder().fit(fitted)
    assert (encoder.times_, encoder.words_) == (("day",), ("word",))
    with pytest.raises(TableError, match=message):
        encoder.transform(fitted[:1].with_columns(pl.Series(column, values)))
    nothing = encoder.transform(fitted.with_columns(pl.lit(None).alias(column)))
    assert np.isfinite(nothing).all()


def test_text_among_numbers_is_named_where_it_stands() -> None:
    encoder = TableEncoder().fit(pl.DataFrame({"x": [1.0, 2.0]}))
    with pytest.raises(TableError, match=r"'n\.k\.' in row 3"):
        encoder.transform(pl.DataFrame({"x": ["1", None, "n.k.", "2"]}))


def test_no_rows_are_refused_whatever_the_columns(mixed: pl.DataFrame) -> None:
    for table in (mixed, mixed.select("size").to_numpy()):
        with pytest.raises(TableError, match=r"table: has no rows\. Give at least one"):
            TableEncoder().fit(table).transform(table[:0])


def test_made_rows_are_snapped_to_what_the_columns_can_hold(mixed: pl.DataFrame) -> None:
    encoder = TableEncoder().fit(mixed)
    Z = encoder.transform(mixed)
    made = encoder.snap(Z + np.random.default_rng(0).normal(size=Z.shape))
    width = encoder.encoders_[0].width
    possible = {tuple(row) for row in Z[:, width:].round(9)}
    blocks = [
        (start, encoder_.width)
        for start, encoder_ in zip(encoder.starts_[1:], encoder.encoders_[1:], strict=False)
    ]
    for start, size in blocks:
        known = {tuple(row) for row in Z[:, start : start + size].round(9)}
        assert {tuple(row) for row in made[:, start : start + size].round(9)} <= known
    assert len(possible) > 10
    np.testing.assert_allclose(encoder.snap(Z), Z)


def test_decoding_undoes_encoding(mixed: pl.DataFrame) -> None:
    encoder = TableEncoder().fit(mixed)
    decoded = encoder.decode(encoder.transform(mixed))
    np.testing.assert_allclose(decoded["size"], mixed["size"].to_numpy())
    assert list(decoded["colour"]) == mixed["colour"].to_list()
    assert list(decoded) == mixed.columns


def test_masked_values_are_missing() -> None:
    X = np.array([[1.0, 5.0], [2.0, 6.0], [9e9, 7.0]])
    masked = np.ma.masked_greater(X, 1e6)
    expected = TableEncoder().fit(np.where(X > 1e6, np.nan, X))
    np.testing.assert_array_equal(TableEncoder().fit(masked).transform(masked), expected.transform(masked))
    assert expected.transform(masked)[2].tolist() == [1.5, 1.0, 7.0]


def test_numbers_in_an_array_of_objects_are_decoded_as_numbers() -> None:
    X = np.array([[1.5, "a"], [2.5, "b"], [4.5, "a"]], dtype=object)
    encoder = TableEncoder().fit(X)
    assert list(encoder.decode(encoder.transform(X))["column_0"]) == [1.5, 2.5, 4.5]


def test_columns_without_a_value_are_left_out_by_name() -> None:
    frame = pl.DataFrame({"a": [1.0, 2.0], "b": [None, None], "c": pl.Series([None, None], dtype=pl.String)})
    encoder = TableEncoder().fit(frame)
    assert encoder.ignored_ == ("column 'b'", "column 'c'")
    assert encoder.transform(frame.with_columns(b=pl.lit(3.0))).shape == (2, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop("size"), "lacks column 'size', which was fitted"),
        (lambda f: f.rename({"size": "sise"}), "Did you mean 'sise'"),
        (lambda f: f.with_columns(extra=pl.lit(1)), "--drop extra"),
        (lambda f: f.with_columns(size=pl.lit("large")), "column 'size': held numbers .* 'large' in row 1"),
        (lambda f: f.to_numpy()[:, :2], "X has 2 features, but EnhancedDetector is expecting 4 features"),
        (lambda f: csr_matrix(np.eye(4)), "sparse"),
        (lambda f: f.lazy(), r"is a lazy frame.*X\.collect\(\)"),
        (lambda f: f.with_columns(size=pl.lit([1, 2])), "column 'size': holds List"),
        (lambda f: np.zeros((3, 4), dtype=complex), "Complex data not supported"),
    ],
)
def test_tables_other_than_those_fitted(mixed: pl.DataFrame, change, message: str) -> None:
    encoder = TableEncoder().fit(mixed)
    with pytest.raises(TableError, match=message):
        encoder.transform(change(mixed))


@pytest.mark.parametrize("make", [pd.DataFrame, pl.DataFrame, lambda d: np.array(list(d.values())).T])
@pytest.mark.parametrize(
    ("fitted", "row"),
    [
        (["01", "02", "A1"], "01"),
        (["true", "false", "unknown"], "true"),
        (["1.0", "2.0", "n.k."], "2.0"),
        (["1", "2", "3a"], "1"),
    ],
)
def test_words_stay_words_where_a_table_happens_to_hold_none_but_numbers(
    make: Callable[[dict[str, list[str]]], object], fitted: list[str], row: str
) -> None:
    encoder = TableEncoder().fit(make({"x": fitted * 20, "y": ["5"] * 60}))
    alone = encoder.transform(make({"x": [row], "y": ["5"]}))
    beside = encoder.transform(make({"x": [row, fitted[2]], "y": ["5", "5"]}))
    np.testing.assert_array_equal(alone[0], beside[0])
    assert alone[0].max() >= 1.0


def test_one_spelling_for_numbers_among_words_of_any_type() -> None:
    mixed = pd.DataFrame({"x": [1.0, 2, True, "n.k.", 2.5, Decimal(3)] * 10})
    encoder = TableEncoder().fit(mixed)
    whole = encoder.transform(mixed[:6])
    for value, expected in [
        (np.int64(1), 0),
        (2.0, 1),
        (np.True_, 2),
        ("n.k.", 3),
        (Decimal("2.5"), 4),
        (3, 5),
    ]:
        row = encoder.transform(pd.DataFrame({"x": [value]}))[0]
        np.testing.assert_array_equal(row, whole[expected], err_msg=repr(value))


def test_decimals_are_numbers() -> None:
    encoder = TableEncoder().fit(pd.DataFrame({"x": [Decimal("1.5"), Decimal("NaN"), None, Decimal(9)]}))
    np.testing.assert_array_equal(encoder.transform(pd.DataFrame({"x": [Decimal("2.5")]}))[0], [2.5, 0.0])
    assert encoder.words_ == ()


def test_numbers_where_words_were_fitted_are_words() -> None:
    encoder = TableEncoder().fit(pl.DataFrame({"code": ["1", "2", "3a"] * 10}))
    words = encoder.transform(pl.DataFrame({"code": ["1", "2"]}))
    np.testing.assert_array_equal(encoder.transform(pl.DataFrame({"code": [1, 2]})), words)
    np.testing.assert_array_equal(encoder.transform(pl.DataFrame({"code": [1.0, 2.0]})), words)
