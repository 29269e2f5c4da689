"""How one column of a table becomes numbers, and how numbers are carried back to what the column can hold."""

from __future__ import annotations

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.preprocessing import OrdinalEncoder

__all__ = ["CategoryColumn", "NumberColumn"]

Array = NDArray[np.float64]
Words = NDArray[np.object_]

_MAX_STEPS = 12
_REACH = 1e6
_LARGEST = 1e60
_LEAST = 1e-60
_MAX_LEVELS = 20
_RARE_SHARE = 0.005
_MISSING = "\x00missing"


class NumberColumn:
    """A column of numbers.

    It stays one column. A missing value becomes the median; where some were missing among the rows fitted,
    a second column says so. An infinite value, or one beyond ±1e60, lies one range beyond all that were seen:
    such are marks for something missing, and their squares would overflow. Differences below 1e-60 are none.

    Attributes
    ----------
    width : int
        Columns that it becomes, 1 or 2.
    """

    def fit(self, values: Array) -> Self:
        """Fit on values, shape (n,), NaN where missing, at least one that `holds`."""
        finite = values[self.holds(values)]
        finite = np.where(np.abs(finite) < _LEAST, 0.0, finite)
        low, high = float(finite.min()), float(finite.max())
        self.median_ = float(np.median(finite))
        self.reach_ = high - low or 1.0 + abs(high)
        self.low_, self.high_ = low, high
        self.width = 2 if np.isnan(values).any() else 1
        steps = np.unique(finite)
        self.steps_ = steps if len(steps) <= min(_MAX_STEPS, len(finite) / 2) else None
        return self

    @staticmethod
    def holds(values: Array) -> NDArray[np.bool_]:
        """Return which values are numbers that can be computed with."""
        return np.abs(values) <= _LARGEST

    def transform(self, values: Array) -> Array:
        """Return the column's numbers, shape (m, width), finite."""
        missing = np.isnan(values)
        number = np.where(missing, self.median_, values)
        number = np.where(number > _LARGEST, self.high_ + self.reach_, number)
        number = np.where(number < -_LARGEST, self.low_ - self.reach_, number)
        number = np.where(np.abs(number) < _LEAST, 0.0, number)
        number = self._bounded(number)
        return np.column_stack([number, missing.astype(np.float64)][: self.width])

    def snap(self, numbers: Array) -> Array:
        """Return made numbers, shape (m, width), as the column could hold them.

        A column of few distinct values takes the nearest of them, and a missing one is the median.
        """
        number = self._bounded(numbers[:, 0])
        if self.steps_ is not None:
            middles = (self.steps_[1:] + self.steps_[:-1]) / 2
            number = self.steps_[np.searchsorted(middles, number)]
        if self.width == 1:
            return number[:, None]
        missing = numbers[:, 1] > 0.5
        return np.column_stack([np.where(missing, self.median_, number), missing.astype(np.float64)])

    def decode(self, numbers: Array) -> Array:
        """Return the values that numbers stand for, shape (m,), NaN where missing."""
        return numbers[:, 0] if self.width == 1 else np.where(numbers[:, 1] > 0.5, np.nan, numbers[:, 0])

    def _bounded(self, number: Array) -> Array:
        # squares and products of what lies farther out would overflow
        return np.clip(number, self.low_ - _REACH * self.reach_, self.high_ + _REACH * self.reach_)


class CategoryColumn:
    """A column of words.

    It becomes one column of 0 and 1 for each of its frequent levels, up to 20, and one with the rarity of the
    row's level, −log of its share among the rows fitted. Rare levels share one rarity with levels that
    were never seen: an identifier, new in every row, so says nothing, while a new level in a column of few
    stands out. A missing value is a level like others.

    Attributes
    ----------
    width : int
        Columns that it becomes.
    """

    def fit(self, words: Words) -> Self:
        """Fit on words, shape (n,), None where missing."""
        rare = max(2, int(np.ceil(_RARE_SHARE * len(words))))
        self.encoder_ = OrdinalEncoder(
            min_frequency=rare,
            max_categories=_MAX_LEVELS + 1,
            handle_unknown="use_encoded_value",
            unknown_value=-1,
        ).fit(_levels(words))
        infrequent = self.encoder_.infrequent_categories_[0]
        merged = 0 if infrequent is None else 1
        self.n_levels_ = len(self.encoder_.categories_[0]) - (len(infrequent) if merged else 0)
        codes = self._codes(words)
        counts = np.bincount(codes, minlength=self.n_levels_ + 1)
        self.rarities_ = np.log((len(words) + 1) / (counts + 1))
        self.has_rare_ = bool(counts[-1])
        self.width = self.n_levels_ + 1
        return self

    def transform(self, words: Words) -> Array:
        """Return the column's numbers, shape (m, width)."""
        return self._numbers(self._codes(words))

    def snap(self, numbers: Array) -> Array:
        """Return made numbers, shape (m, width), as the nearest level's."""
        indicators = numbers[:, : self.n_levels_]
        if not self.n_levels_:
            return self._numbers(np.zeros(len(numbers), dtype=np.intp))
        codes = indicators.argmax(axis=1)
        if self.has_rare_:
            codes = np.where(indicators.max(axis=1) > 0.5, codes, self.n_levels_)
        return self._numbers(codes)

    def decode(self, numbers: Array) -> Words:
        """Return the words that numbers stand for, shape (m,), None where missing.

        One of the rare levels stands for all of them.
        """
        categories, rare = self.encoder_.categories_[0], self.encoder_.infrequent_categories_[0]
        frequent = [word for word in categories if rare is None or word not in set(rare)]
        levels = np.array([*frequent, categories[0] if rare is None else rare[0]], dtype=object)
        indicators = np.column_stack([numbers[:, : self.n_levels_], np.full(len(numbers), 0.5)])
        chosen = levels[indicators.argmax(axis=1)]
        return np.array([None if word == _MISSING else word for word in chosen], dtype=object)

    def _codes(self, words: Words) -> NDArray[np.intp]:
        """Return 0 ... n_levels - 1 for frequent levels and n_levels for all others."""
        codes = self.encoder_.transform(_levels(words))[:, 0].astype(np.intp)
        return np.where((codes < 0) | (codes >= self.n_levels_), self.n_levels_, codes)

    def _numbers(self, codes: NDArray[np.intp]) -> Array:
        table = np.eye(self.n_levels_ + 1)
        table[:, -1] = self.rarities_
        return table[codes]


def _levels(words: Words) -> Words:
    return np.array([_MISSING if word is None else word for word in words], dtype=object)[:, None]
