"""DRL against its definition, its seed, its devices, and beside scikit-learn's digits."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import skops.io
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from llmdas_drl.columns import seen_in
from llmdas_drl.detector import DRL

torch = pytest.importorskip("torch", reason="DRL is trained with PyTorch, which is not installed here")

Rows = np.ndarray


@pytest.fixture(scope="module")
def rows() -> Rows:
    return np.random.default_rng(0).normal(size=(200, 6)) @ np.random.default_rng(1).normal(size=(6, 6))


@pytest.fixture(scope="module")
def fitted(rows: Rows) -> DRL:
    return DRL(epochs=20, n_networks=4, random_state=0, device="cpu").fit(rows)


def test_the_score_is_the_mean_of_the_published_ones(fitted: DRL, rows: Rows) -> None:
    """The same networks, put together in PyTorch from the arrays, give the same scores."""

    def leaky(values: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.leaky_relu(values, 0.2)

    def layers(network: dict[str, Rows], name: str, x: torch.Tensor) -> torch.Tensor:
        first, second = (torch.as_tensor(network[f"{name}_{layer}"]) for layer in (0, 1))
        return leaky(x @ first.T) @ second.T

    def errors(network: dict[str, Rows], seen: Rows) -> Rows:
        x = torch.as_tensor(seen, dtype=torch.float32)
        summed = layers(network, "weights", x) @ torch.as_tensor(network["basis"])
        return ((leaky(layers(network, "encoder", x)) - summed) ** 2).mean(dim=1).numpy()

    anchored, gaussian = (seen_in(view, rows) for view in fitted.views_)
    order = (anchored, gaussian, anchored, gaussian)
    each = [errors(network, seen) for network, seen in zip(fitted.networks_, order, strict=True)]
    expected = np.mean([own / own.std() for own in each], axis=0)
    assert np.allclose(fitted.decision_function(rows), expected, rtol=1e-3, atol=1e-6)


def test_shapes_are_as_published_and_the_bases_are_orthonormal(fitted: DRL) -> None:
    for number, network in enumerate(fitted.networks_):
        width = 6 if number % 2 else 7  # the anchored columns and their constant
        assert {name: array.shape for name, array in network.items()} == {
            "encoder_0": (128, width),
            "encoder_1": (128, 128),
            "weights_0": (128, width),
            "weights_1": (5, 128),
            "basis": (5, 128),
        }
        assert np.allclose(network["basis"] @ network["basis"].T, np.eye(5), atol=1e-5)


def test_every_network_has_a_seed_of_its_own(fitted: DRL) -> None:
    assert len({network["basis"].tobytes() for network in fitted.networks_}) == 4


def test_the_terms_of_the_loss_by_hand() -> None:
    from llmdas_drl.training import _likeness, _loss, _Network, _Setting

    torch.manual_seed(0)
    network, basis = _Network(3, 8, 2), torch.linalg.qr(torch.randn(8, 2)).Q.T
    x = torch.randn(10, 3)
    with torch.no_grad():
        h, w = network.encoder(x).numpy(), network.weights(x).numpy()
        decoded = network.decoder(network.encoder(x)).numpy()
        error = ((h - w @ basis.numpy()) ** 2).sum(axis=1)
        decomposition = np.maximum(error, error / (h**2).sum(axis=1)).mean()
        cosine = (decoded * x.numpy()).sum(axis=1)
        cosine /= np.linalg.norm(decoded, axis=1) * np.linalg.norm(x.numpy(), axis=1)
        setting = _Setting(basis, 0.5, 0.0, torch.Generator().manual_seed(0))
        loss = float(_loss(network, x, setting))
        assert loss == pytest.approx(decomposition + 0.5 * (1 - cosine).mean(), rel=1e-4)
        chance = torch.Generator().manual_seed(1)
        chosen = torch.randperm(10, generator=torch.Generator().manual_seed(1))[:8]
        unit = w[chosen] / np.linalg.norm(w[chosen], axis=1, keepdims=True)
        cosines = unit @ unit.T
        expected = (cosines.sum() - np.trace(cosines)) / 8**2
        assert float(_likeness(torch.as_tensor(w), chance)) == pytest.approx(expected, rel=1e-4)


def test_a_seed_decides_the_scores_and_leaves_torch_s_own_state_alone(rows: Rows) -> None:
    def scores(seed: int) -> Rows:
        return DRL(epochs=3, random_state=seed, device="cpu").fit(rows).decision_function(rows)

    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    first = scores(1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert np.array_equal(first, scores(1))
    assert not np.array_equal(first, scores(2))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here")
def test_cuda_learns_nearly_the_same(rows: Rows) -> None:
    on = {name: DRL(epochs=3, random_state=0, device=name).fit(rows) for name in ("cpu", "cuda")}
    scores = {name: detector.decision_function(rows) for name, detector in on.items()}
    assert np.corrcoef(scores["cpu"], scores["cuda"])[0, 1] > 0.99


def test_it_is_saved_as_arrays_and_json_and_scores_without_torch(
    fitted: DRL, rows: Rows, tmp_path: Path
) -> None:
    data = skops.io.dumps(fitted)
    assert skops.io.get_untrusted_types(data=data) == ["llmdas_drl.detector.DRL"]
    names = zipfile.ZipFile(io.BytesIO(data)).namelist()
    assert {Path(name).suffix for name in names} == {".json", ".npy"}
    (tmp_path / "drl.skops").write_bytes(data)
    np.save(tmp_path / "rows.npy", rows)
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('no torch here', name='torch')")
    script = (
        "import numpy as np, skops.io;"
        "loaded = skops.io.load('drl.skops', trusted=['llmdas_drl.detector.DRL']);"
        "np.save('scores.npy', loaded.decision_function(np.load('rows.npy')))"
    )
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, env=os.environ, check=True)
    assert np.array_equal(np.load(tmp_path / "scores.npy"), fitted.decision_function(rows))


def test_it_tells_other_digits_from_the_one_it_learnt() -> None:
    X, y = load_digits(return_X_y=True)
    zeros = np.flatnonzero(y == 0)
    detector = DRL(random_state=0).fit(X[zeros[:100]])
    new = np.concatenate([zeros[100:], np.flatnonzero(y != 0)])
    assert roc_auc_score(y[new] != 0, detector.decision_function(X[new])) > 0.95
