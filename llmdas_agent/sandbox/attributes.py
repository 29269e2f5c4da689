"""Which attributes of which types a program may read, and what it is told about all others."""

from __future__ import annotations

import collections
import difflib
import functools
import random
import re
import string
import types
from collections.abc import Callable
from typing import Any

import numpy as np

from llmdas_agent.sandbox.allowed import missing_member, names
from llmdas_agent.sandbox.oracle import ScoreModel
from llmdas_agent.sandbox.stand_ins import Namespace, serial

__all__ = ["guarded_getattr", "guarded_hasattr", "hide_items"]


_NDARRAY = """
    T all any argmax argmin argpartition argsort astype choose clip compress conj copy cumprod cumsum
    diagonal dot dtype fill flat flatten imag item itemsize mT max mean min nbytes ndim nonzero partition
    prod ptp put ravel real repeat reshape round searchsorted shape size sort squeeze std strides sum
    swapaxes take tolist trace transpose var
"""
_GENERATOR = """
    beta binomial bytes chisquare choice dirichlet exponential f gamma geometric gumbel hypergeometric
    integers laplace logistic lognormal logseries multinomial multivariate_hypergeometric
    multivariate_normal negative_binomial noncentral_chisquare noncentral_f normal pareto permutation
    permuted poisson power random rayleigh shuffle spawn standard_cauchy standard_exponential standard_gamma
    standard_normal standard_t triangular uniform vonmises wald weibull zipf
"""
_RANDOM_STATE = """
    beta binomial bytes chisquare choice dirichlet exponential f gamma geometric gumbel hypergeometric
    laplace logistic lognormal logseries multinomial multivariate_normal negative_binomial
    noncentral_chisquare noncentral_f normal pareto permutation poisson power rand randint randn random
    random_integers random_sample rayleigh seed shuffle standard_cauchy standard_exponential standard_gamma
    standard_normal standard_t tomaxint triangular uniform vonmises wald weibull zipf
"""
_STR = """
    capitalize casefold center count endswith expandtabs find format index isalnum isalpha isascii isdecimal
    isdigit isidentifier islower isnumeric isspace istitle isupper join ljust lower lstrip partition
    removeprefix removesuffix replace rfind rindex rjust rpartition rsplit rstrip split splitlines
    startswith strip swapcase title translate upper zfill
"""
_DICT = "clear copy fromkeys get items keys pop popitem setdefault update values"
_SET = """
    add clear copy difference difference_update discard intersection intersection_update isdisjoint issubset
    issuperset pop remove symmetric_difference symmetric_difference_update union update
"""
_LIST = "append clear copy count extend index insert pop remove reverse sort"
_PY_RANDOM = """
    betavariate choice choices expovariate gammavariate gauss getrandbits lognormvariate normalvariate
    paretovariate randint random randrange sample seed shuffle triangular uniform vonmisesvariate
    weibullvariate
"""

_TEXT: dict[type, str] = {
    np.ndarray: _NDARRAY,
    np.dtype: "alignment byteorder char itemsize kind name names ndim shape str type",
    np.ufunc: "accumulate at nargs nin nout outer reduce reduceat",
    np.random.Generator: _GENERATOR,
    np.random.RandomState: _RANDOM_STATE,
    np.finfo: "bits eps epsneg max min resolution smallest_normal smallest_subnormal tiny",
    np.iinfo: "bits max min",
    str: _STR,
    list: _LIST,
    tuple: "count index",
    dict: _DICT,
    set: _SET,
    frozenset: "copy difference intersection isdisjoint issubset issuperset symmetric_difference union",
    collections.deque: _LIST + " appendleft extendleft maxlen popleft rotate",
    collections.OrderedDict: _DICT + " move_to_end",
    collections.defaultdict: _DICT,
    collections.Counter: _DICT + " elements most_common subtract total",
    int: "as_integer_ratio bit_count bit_length conjugate denominator imag is_integer numerator real",
    bool: "conjugate imag real",
    float: "as_integer_ratio conjugate imag is_integer real",
    complex: "conjugate imag real",
    range: "count index start step stop",
    slice: "indices start step stop",
    random.Random: _PY_RANDOM,
    types.GeneratorType: "close send",
    functools._lru_cache_wrapper: "cache_clear",
    ScoreModel: "predict_score",
}
_ALLOWED: dict[type, frozenset[str]] = {kind: names(text) for kind, text in _TEXT.items()}

_NUMPY_SCALAR = names(
    """
    T all any astype bit_count clip conj conjugate copy denominator dtype flatten imag is_integer item
    itemsize max mean min nbytes ndim numerator prod ravel real repeat reshape round shape size squeeze std
    sum tolist transpose var
    """
)
_NUMPY_RESULT = names(
    """
    Q R S U Vh counts eigenvalues eigenvectors indices inverse_indices logabsdet sign values count index
    """
)
_SCIENCE = names(
    """
    fit fit_predict fit_transform inverse_transform partial_fit predict predict_log_proba predict_proba
    score score_samples transform decision_function mahalanobis get_covariance get_precision kneighbors
    kneighbors_graph radius_neighbors radius_neighbors_graph sample bic aic error_norm get_params classes
    n_features_in_ query query_ball_point query_ball_tree query_pairs query_radius count_neighbors
    sparse_distance_matrix
    two_point_correlation kernel_density data n m leafsize maxes mins find_simplex
    simplices neighbors vertices equations volume area points coplanar convex_hull point_region regions
    ridge_points ridge_vertices transform_ cdf entropy evaluate expect fit integrate integrate_box
    integrate_box_1d integrate_gaussian interval isf logcdf logpdf logpmf logsf mean median moment pdf pmf
    ppf resample rvs sf stats std support var set_bandwidth factor covariance inv_cov covariance_factor
    scotts_factor silverman_factor dataset neff weights random random_base2 integers reset x fun success
    message nit nfev njev status jac hess hess_inv grad cost optimality active_mask converged root
    iterations function_calls statistic pvalue correlation df slope intercept rvalue stderr intercept_stderr
    low high confidence_interval confidence_level standard_error bootstrap_distribution null_distribution
    mean variance skewness kurtosis minmax nobs mode count bin_edges binnumber zscore critical_values
    significance_level lowerlimit binsize extrapoints cumcount frequency quantiles probabilities cdf lb ub
    tocsr toarray todense tocoo nonzero sum T shape nnz indices indptr dot multiply diagonal max min keys
    get items values
    """
)
_FITTED = re.compile(r"[a-z][A-Za-z0-9_]*[a-z0-9A-Z]_")
_SCIENCE_ROOTS = frozenset({"scipy", "sklearn"})
_CLASS_ATTRIBUTES: dict[type, frozenset[str]] = {dict: frozenset({"fromkeys"})}

MODEL_HINT = "The model offers only predict_score(X), higher = more abnormal"


class _SafeFormatter(string.Formatter):
    """``str.format`` without attribute access inside the braces."""

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        """Return what a replacement field names, which must be a whole argument."""
        if "." in field_name or "[" in field_name:
            raise AttributeError("'.' and '[' are not available inside format fields: use an f-string")
        return super().get_field(field_name, args, kwargs)


def _allowed_names(kind: type) -> frozenset[str]:
    """Return the fixed list of attributes for a type; `_is_allowed` adds those that estimators fit."""
    exact = _ALLOWED.get(kind)
    if exact is not None:
        return exact
    if issubclass(kind, np.generic):
        return _NUMPY_SCALAR
    if issubclass(kind, np.dtype):
        return _ALLOWED[np.dtype]
    root = kind.__module__.partition(".")[0]
    if root == "numpy" and issubclass(kind, tuple):
        return _NUMPY_RESULT
    if root in _SCIENCE_ROOTS:
        return _SCIENCE
    if issubclass(kind, BaseException):
        return frozenset({"args"})
    return frozenset()


def _is_allowed(kind: type, name: str) -> bool:
    if name in _allowed_names(kind):
        return True
    return kind.__module__.startswith("sklearn.") and _FITTED.fullmatch(name) is not None


def _plain_args(error: BaseException) -> tuple[Any, ...]:
    """Return an exception's arguments as plain values: exceptions of C code can carry live objects."""
    plain = (str, int, float, bool, type(None))
    return tuple(argument if type(argument) in plain else str(argument) for argument in error.args)


def guarded_getattr(ob: Any, name: str, *default: Any) -> Any:
    """Read an attribute that the type's list allows.

    Raises
    ------
    AttributeError
        For every other attribute, with what the type does offer.
    """
    if type(name) is not str:
        raise TypeError("attribute names are strings")
    try:
        return _lookup(ob, name)
    except AttributeError:
        if default:
            return default[0]
        raise


def guarded_hasattr(ob: Any, name: str) -> bool:
    """Say whether a program may read this attribute, and it exists."""
    try:
        guarded_getattr(ob, name)
    except AttributeError:
        return False
    return True


def hide_items() -> None:
    """Let no item of a dict stand for an attribute of Python's own.

    Results of scipy and scikit-learn are dicts whose items are attributes, and numpy takes the address of a
    value's memory from its ``__array_interface__``.
    """
    waiting: list[Any] = [dict]
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        if "__getattr__" in vars(kind):
            kind.__getattr__ = _without_dunders(kind.__getattr__)


def _without_dunders(read: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    def look(ob: Any, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return read(ob, name)

    return look


def _lookup(ob: Any, name: str) -> Any:
    kind = type(ob)
    if kind is Namespace:
        try:
            return ob.members[name]
        except KeyError:
            raise AttributeError(". ".join(missing_member(ob.name, name, ob.members))) from None
    if kind is type and name in _CLASS_ATTRIBUTES.get(ob, ()):
        return getattr(ob, name)
    if name.startswith("_") or not _is_allowed(kind, name):
        raise AttributeError(_refusal(ob, kind, name))
    if kind is str and name == "format":
        return functools.partial(_SafeFormatter().format, ob)
    if isinstance(ob, BaseException) and name == "args":
        return _plain_args(ob)
    value = getattr(ob, name)
    if isinstance(value, types.ModuleType):
        raise AttributeError(_refusal(ob, kind, name))
    return _lent(value) if kind.__module__.partition(".")[0] in _SCIENCE_ROOTS else value


def _lent(value: Any) -> Any:
    """Return what a scientific object holds, so that nothing done with it misleads its compiled code."""
    if isinstance(value, np.ndarray) and value.dtype.kind in "iu":
        return value.copy()  # places in memory, say of a sparse matrix, that are followed without a look
    # what can be called and is an object of its own, such as a linear operator, keeps its attributes
    own = type(value).__module__.partition(".")[0] in _SCIENCE_ROOTS
    return serial(value) if callable(value) and not own else value


def _refusal(ob: Any, kind: type, name: str) -> str:
    if kind is ScoreModel:
        return f"the model has no '{name}'. {MODEL_HINT}"
    text = f"'{kind.__name__}' has no attribute '{name}' here"
    if isinstance(ob, BaseException):
        return f"{text}. Use str(error)"
    near = difflib.get_close_matches(name, _allowed_names(kind), n=3, cutoff=0.6)
    return f"{text}. Near: {', '.join(near)}" if near else text
