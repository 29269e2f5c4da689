"""Programs that make hard anomalies for many detectors, each in its own way, with one strength to turn."""

from __future__ import annotations

from llmdas_agent.programs import SynthesisProgram

__all__ = ["good_program"]

_FRAME = '''
import numpy as np

STRENGTH = {strength}
HIDDEN = {hidden}


def nearest(A, B, k):
    """Index of each row's nearest row of B, and its distance to the k-th nearest."""
    squared = (A**2).sum(axis=1)[:, None] + (B**2).sum(axis=1)[None, :] - 2.0 * A @ B.T
    squared = np.maximum(squared, 0.0)
    return squared.argmin(axis=1), np.sqrt(np.partition(squared, k - 1, axis=1)[:, k - 1])


def generate_hard_anomalies(n_samples, model, X_train, rng):
    n, d = X_train.shape
    center, scale = X_train.mean(axis=0), X_train.std(axis=0)
    scale[scale == 0] = 1.0
    Z = (X_train - center) / scale
    correlation = Z.T @ Z / n + 0.05 * np.eye(d)
    variances, axes = np.linalg.eigh(correlation)
    white = axes / np.sqrt(variances)
    k = min(5, n - 1)
    own = nearest(Z @ white, Z @ white, k + 1)[1]
    total = 30 * n_samples
    C = candidates(Z, own, axes, variances, total, rng)
    who, distance = nearest(C @ white, Z @ white, 1)
    apart = distance / own[who]
    far_enough = np.flatnonzero(apart > STRENGTH)
    if len(far_enough) < 2 * n_samples:
        far_enough = np.argsort(-apart)[: 2 * n_samples]
    C = C[far_enough] * scale + center
    order = np.argsort(model.predict_score(C))
    hidden = int(HIDDEN * n_samples)
    kept = np.concatenate([order[:hidden], rng.permutation(order[hidden:])[: n_samples - hidden]])
    return C[kept]
'''

_CANDIDATES = {
    "recombination": '''
def candidates(Z, own, axes, variances, total, rng):
    """Ordinary values of every column, in combinations that do not occur."""
    n, d = Z.shape
    first, second = Z[rng.integers(n, size=total)], Z[rng.integers(n, size=total)]
    swapped = rng.random((total, d)) < 0.5
    return np.where(swapped, first, second)
''',
    "step": '''
def candidates(Z, own, axes, variances, total, rng):
    """A step of one to four times the row's own neighbourhood, in any direction."""
    n, d = Z.shape
    base = rng.integers(n, size=total)
    direction = rng.normal(size=(total, d))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    length = own[base] * rng.uniform(1.0, 4.0, size=total)
    return Z[base] + length[:, None] * direction
''',
    "complement": '''
def candidates(Z, own, axes, variances, total, rng):
    """A step along the directions in which normal rows hardly vary."""
    n, d = Z.shape
    kept = max(1, int((np.cumsum(variances) < 0.4 * variances.sum()).sum()))
    basis = axes[:, :kept] * np.sqrt(variances[:kept])
    direction = rng.normal(size=(total, kept))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    base = rng.integers(n, size=total)
    length = own[base] * rng.uniform(1.0, 4.0, size=total)
    return Z[base] + (length[:, None] * direction) @ basis.T
''',
    "between": '''
def candidates(Z, own, axes, variances, total, rng):
    """Rows on the way from one normal row to another, moved a little off it."""
    n, d = Z.shape
    first, second = rng.integers(n, size=total), rng.integers(n, size=total)
    share = rng.uniform(0.25, 0.75, size=(total, 1))
    direction = rng.normal(size=(total, d))
    direction /= np.linalg.norm(direction, axis=1, keepdims=True)
    off = own[first] * rng.uniform(0.0, 2.0, size=total)
    path = Z[first] + share * (Z[second] - Z[first])
    return path + off[:, None] * direction @ (axes * np.sqrt(variances)).T
''',
}
_CANDIDATES["mixed"] = (
    "".join(
        text.replace("def candidates", f"def {name}").strip("\n") + "\n\n\n"
        for name, text in _CANDIDATES.items()
    )
    + '''
def candidates(Z, own, axes, variances, total, rng):
    """A quarter of each kind."""
    ways = (recombination, step, complement, between)
    return np.vstack([way(Z, own, axes, variances, total // 4 + 1, rng) for way in ways])
'''
)


def good_program(name: str, strength: float = 1.0, hidden: float = 0.5) -> SynthesisProgram:
    """Return the program of this name, whose rows keep `strength` neighbourhoods away from normal rows.

    The share `hidden` of them are those that the detector scores lowest.
    """
    frame = _FRAME.format(strength=strength, hidden=hidden).strip()
    return SynthesisProgram(frame + "\n\n\n" + _CANDIDATES[name].strip())
