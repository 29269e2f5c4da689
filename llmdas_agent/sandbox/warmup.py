"""What the helper does once, so that workers find everything loaded: they cannot open a file any more."""

from __future__ import annotations

import ctypes
import json
import os
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from llmdas_agent.sandbox.confinement import Limits, confine_kernel, confine_process

__all__ = ["probe_kernel", "warm_up"]


def warm_up(*, scientific: bool) -> None:
    """Use once what loads code or reads files at its first use."""
    ctypes.CDLL(None)
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
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
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.warn("once", stacklevel=1)
    if scientific:
        _warm_up_science(X)


def _warm_up_science(X: Any) -> None:
    from scipy import optimize, spatial, stats
    from sklearn import cluster, covariance, decomposition, mixture, neighbors, preprocessing

    estimators: list[Callable[[], Any]] = [
        lambda: neighbors.NearestNeighbors().fit(X).kneighbors(X),
        lambda: neighbors.LocalOutlierFactor().fit_predict(X),
        lambda: neighbors.KernelDensity().fit(X).score_samples(X),
        lambda: decomposition.PCA(2).fit_transform(X),
        lambda: covariance.MinCovDet(random_state=0).fit(X),
        lambda: covariance.LedoitWolf().fit(X),
        lambda: cluster.KMeans(2, n_init=1, random_state=0).fit(X),
        lambda: cluster.DBSCAN().fit(X),
        lambda: preprocessing.StandardScaler().fit_transform(X),
        lambda: preprocessing.QuantileTransformer(n_quantiles=10).fit_transform(X),
        lambda: mixture.GaussianMixture(2, random_state=0).fit(X).sample(5),
        lambda: stats.gaussian_kde(X.T).resample(3, seed=0),
        lambda: stats.norm.rvs(size=3, random_state=0),
        lambda: stats.qmc.Sobol(2, seed=0).random(4),
        lambda: spatial.cKDTree(X).query(X, k=2),
        lambda: spatial.ConvexHull(X),
        lambda: optimize.minimize(lambda x: (x**2).sum(), X[0]),
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for use in estimators:
            use()


def probe_kernel() -> dict[str, str]:
    """Confine a throw-away child; return, for each means of the kernel, why it does not hold, or nothing."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            confine_process(Limits(cpu_seconds=5, memory_mib=512), keep=writer)
            os.write(writer, json.dumps(confine_kernel()).encode())
        except BaseException as error:
            os.write(writer, json.dumps({"error": f"{type(error).__name__}: {error}"}).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    os.waitpid(pid, 0)
    found: dict[str, str] = json.loads(text)
    if "error" in found:
        raise OSError(found["error"])
    return found
