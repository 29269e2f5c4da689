"""A ring: normal rows around an empty middle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import i0e

from .warps import WarpedScenario

__all__ = ["RingScenario"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RingScenario(WarpedScenario):
    """A circle in the first two columns with standard Gaussian noise on all columns, seen through warps.

    With radius R the first two columns have the density ``exp(-(r² + R²) / 2) I0(r R) / 2π`` at a distance r
    from the middle, which makes that distance Rice-distributed (Rice 1945).

    Attributes
    ----------
    radius : float
        Of the circle, in deviations of the noise.
    """

    radius: float

    def flat_sample(self, n: int, rng: np.random.Generator) -> Array:
        """Return `n` rows of the ring, shape (n, d)."""
        angle = rng.uniform(0, 2 * np.pi, size=n)
        Z = rng.normal(size=(n, self.d))
        Z[:, :2] += self.radius * np.column_stack([np.cos(angle), np.sin(angle)])
        return Z

    def flat_log_density(self, Z: Array) -> Array:
        """Return the log-density of the ring, shape (m,)."""
        r = np.hypot(Z[:, 0], Z[:, 1])
        # i0e(x) = exp(-x) I0(x), so that nothing overflows
        on_ring = -0.5 * (r - self.radius) ** 2 + np.log(i0e(r * self.radius))
        noise = -0.5 * (Z[:, 2:] ** 2).sum(axis=1)
        return np.asarray(on_ring + noise - 0.5 * self.d * np.log(2 * np.pi))
