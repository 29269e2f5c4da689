"""The network and its training, in PyTorch; what comes out are plain arrays."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .detector import DRL

__all__ = ["train"]

_SLOPE = 0.2
_TINY = 1e-8
_SHARE = 0.8
"""Share of a batch whose weights are pushed apart, drawn anew for every batch."""


class _Network(nn.Module):
    """Encoder d→h→h, weight network d→h→b, decoder h→d: all without biases.

    Both of the encoder's layers end in LeakyReLU; the weights are linear in what their first layer makes.
    """

    def __init__(self, d: int, hidden: int, n_basis: int) -> None:
        super().__init__()
        self.encoder = _layers(d, hidden, hidden).append(nn.LeakyReLU(_SLOPE))
        self.weights = _layers(d, hidden, n_basis)
        self.decoder = nn.Linear(hidden, d, bias=False)


@dataclass(frozen=True)
class _Setting:
    """What the loss needs to know."""

    basis: Tensor
    a: float
    s: float
    chance: torch.Generator


def train(detector: DRL, X: NDArray[np.float64], seed: int) -> dict[str, NDArray[np.float32]]:
    """Train on rows and return the arrays that score others.

    Parameters
    ----------
    detector : DRL
        Whose parameters decide.
    X : array, shape (n, d)
        Finite.
    seed : int
        The same seed, on the same kind of device, gives the same arrays.

    Returns
    -------
    dict of array
        ``encoder_0`` (h, d), ``encoder_1`` (h, h), ``weights_0`` (h, d), ``weights_1`` (b, h) and
        ``basis`` (b, h).
    """
    device = _device(detector.device)
    # the caller's own random state stays as it was
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = _Network(X.shape[1], detector.hidden, detector.n_basis)
        basis = torch.linalg.qr(torch.randn(detector.hidden, detector.n_basis)).Q.T.contiguous()
    network.to(device)
    setting = _Setting(basis.to(device), detector.a, detector.s, torch.Generator().manual_seed(seed))
    rows = torch.as_tensor(X, dtype=torch.float32, device=device)
    optimizer = torch.optim.Adam(
        network.parameters(), lr=detector.learning_rate, weight_decay=detector.weight_decay
    )
    decay = torch.optim.lr_scheduler.ExponentialLR(optimizer, detector.decay)
    for _ in range(detector.epochs):
        for batch in islice(_batches(rows, detector.batch_size, setting.chance), detector.max_batches):
            optimizer.zero_grad()
            _loss(network, batch, setting).backward()  # type: ignore[no-untyped-call]  # torch has it so
            optimizer.step()
        decay.step()
    arrays = {
        "encoder_0": network.encoder[0].weight,
        "encoder_1": network.encoder[2].weight,
        "weights_0": network.weights[0].weight,
        "weights_1": network.weights[2].weight,
        "basis": basis,
    }
    return {name: array.detach().cpu().numpy().copy() for name, array in arrays.items()}


def _layers(d: int, hidden: int, out: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(d, hidden, bias=False), nn.LeakyReLU(_SLOPE), nn.Linear(hidden, out, bias=False)
    )


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(wanted)


def _batches(rows: Tensor, size: int, chance: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(len(rows), generator=chance).to(rows.device)
    return (rows[order[start : start + size]] for start in range(0, len(rows), size))


def _loss(network: _Network, x: Tensor, setting: _Setting) -> Tensor:
    hidden, w = network.encoder(x), network.weights(x)
    error = ((hidden - w @ setting.basis) ** 2).sum(dim=1)
    decomposition = torch.maximum(error, error / ((hidden**2).sum(dim=1) + _TINY)).mean()
    alignment = (1 - nn.functional.cosine_similarity(network.decoder(hidden), x, dim=1, eps=_TINY)).mean()
    return decomposition + setting.a * alignment + setting.s * _likeness(w, setting.chance)


def _likeness(w: Tensor, chance: torch.Generator) -> Tensor:
    """Return the sum of the cosines between different rows of a random part of `w`, over its size squared."""
    n = max(int(_SHARE * len(w)), 1)
    part = w[torch.randperm(len(w), generator=chance)[:n].to(w.device)]
    part = nn.functional.normalize(part, dim=1, eps=_TINY)
    # the sum over all pairs is the squared length of the sum
    total = (part.sum(dim=0) ** 2).sum() - (part**2).sum()
    return total / n**2
