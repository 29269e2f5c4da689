"""What the helper does once, so that workers find everything loaded: they cannot open a file any more."""

from __future__ import annotations

import ctypes
import importlib
import inspect
import json
import os
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from llmdas_agent.sandbox.allowed import MODULES
from llmdas_agent.sandbox.confinement import Limits, confine_kernel, confine_process

__all__ = ["probe", "warm_up"]


def warm_up(*, scientific: bool) -> None:
    """Use once what loads code or reads files at its first use."""
    ctypes.CDLL(None)
    warnings.simplefilter("ignore")  # workers have nobody to warn
    X = np.random.default_rng(0).normal(size=(60, 3))
    X @ X.T
    np.linalg.svd(X)
    np.linalg.eigh(np.cov(X.T))
    np.linalg.inv(np.cov(X.T))
    np.fft.fft(X[:, 0])
    np.median(X, axis=0)
    np.percentile(X, [5, 95], axis=0)
    np.histogram(X[:, 0])
    np.einsum("ij,kj->ik", X, X)
    f"{X} {X[0, 0]:.3f} {X.dtype}".encode()
    warnings.warn("once", stacklevel=1)
    if scientific:
        _fit_estimators(X)
        _use_scipy(X)


def _fit_estimators(X: NDArray[np.float64]) -> None:
    """Fit one of each allowed estimator: threadpoolctl, joblib and others read files the first time."""
    labels = (X[:, 0] > 0).astype(int)
    for module in MODULES:
        if not module.startswith("sklearn."):
            continue
        for name in sorted(MODULES[module]):
            estimator = getattr(importlib.import_module(module), name, None)
            if inspect.isclass(estimator) and hasattr(estimator, "fit"):
                _fit(estimator, X, labels)


def _fit(estimator: Any, X: NDArray[np.float64], labels: NDArray[np.int64]) -> None:
    table = labels if estimator.__name__.startswith("Label") else np.abs(X)
    try:
        fitted = estimator().fit(table, labels)
        repr(fitted)
        for use in ("transform", "predict", "score_samples", "kneighbors"):
            if hasattr(fitted, use):
                getattr(fitted, use)(table)
    except (TypeError, ValueError):
        return  # defaults that do not suit this small table; what loads at first use has loaded


def _use_scipy(X: NDArray[np.float64]) -> None:
    from scipy import linalg, optimize, spatial, stats

    stats.gaussian_kde(X.T).resample(3, seed=0)
    stats.norm.rvs(size=3, random_state=0)
    stats.norm.fit(X[:, 0])
    stats.qmc.Sobol(2, seed=0).random(4)
    stats.multivariate_normal(X.mean(axis=0), np.cov(X.T)).logpdf(X)
    spatial.cKDTree(X).query(X, k=2)
    spatial.ConvexHull(X)
    linalg.sqrtm(np.cov(X.T))
    linalg.logm(np.cov(X.T))
    for method in ("Nelder-Mead", "BFGS", "L-BFGS-B", "SLSQP"):
        optimize.minimize(lambda x: (x**2).sum(), X[0], method=method)
    optimize.linprog([1.0, 1.0], A_ub=[[-1.0, -1.0]], b_ub=[-1.0])
    optimize.linear_sum_assignment(np.eye(3))


def probe() -> tuple[str, dict[str, str]]:
    """Confine a throw-away child, and return what it found.

    Returns
    -------
    process : str
        What the process layer could not do, or nothing.
    kernel : dict of str to str
        For each means of the kernel, why it does not hold, or nothing.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            process = confine_process(Limits(cpu_seconds=5, memory_mib=512), keep=writer)
            found: dict[str, Any] = {"process": process, "kernel": confine_kernel()}
        except BaseException as error:
            found = {"error": f"{type(error).__name__}: {error}"}
        os.write(writer, json.dumps(found).encode())
        os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        told = json.loads(pipe.read())
    os.waitpid(pid, 0)
    if "error" in told:
        raise OSError(told["error"])
    return told["process"], told["kernel"]
