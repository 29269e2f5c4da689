"""Hard anomalies by between, local_step, outward; by local_step where those would be too probable."""

import numpy as np

# least distance from normal rows, in multiples of their own spacing
STRENGTH = 1.25
# share of the rows that the detector is to take for normal, where there are so many
HIDDEN_SHARE = 0.6


def between(Z, spacing, count, rng):
    """Stand between rows that are far from each other: inside the hull of the data, outside its mass."""
    n = len(Z)
    first = Z[rng.integers(n, size=count)]
    others = rng.integers(n, size=(count, 6))
    far = np.linalg.norm(Z[others] - first[:, None, :], axis=2).argmax(axis=1)
    second = Z[others[np.arange(count), far]]
    return first + rng.uniform(0.25, 0.75, size=(count, 1)) * (second - first)


def local_step(Z, spacing, count, rng):
    """Step away from a row by a few times its own spacing, in all columns or in some."""
    n, d = Z.shape
    chosen = rng.integers(n, size=count)
    steps = rng.normal(size=(count, d))
    share = np.where(rng.random((count, 1)) < 0.5, 1.0, rng.uniform(0.05, 0.6, size=(count, 1)))
    moved = rng.random((count, d)) < share
    moved[np.arange(count), rng.integers(d, size=count)] = True
    steps = np.where(moved, steps, 0.0)
    steps = steps / np.maximum(np.linalg.norm(steps, axis=1, keepdims=True), 1e-12)
    length = STRENGTH * spacing[chosen] * np.exp(rng.uniform(0.0, np.log(4.0), size=count))
    return Z[chosen] + length[:, None] * steps


def outward(Z, spacing, count, rng):
    """Stretch rows away from the centre of the data."""
    n = len(Z)
    center = np.median(Z, axis=0)
    rows = Z[rng.integers(n, size=count)]
    return center + (rows - center) * (1.0 + STRENGTH * rng.uniform(0.2, 1.5, size=(count, 1)))


MAKERS = (between, local_step, outward)


def nearest(rows, reference):
    """Return each row's distance to the reference, and which reference row is nearest, in blocks."""
    distance = np.empty(len(rows))
    index = np.empty(len(rows), dtype=int)
    norms = np.sum(reference**2, axis=1)
    for start in range(0, len(rows), 512):
        block = rows[start : start + 512]
        squared = np.sum(block**2, axis=1)[:, None] + norms - 2.0 * block @ reference.T
        index[start : start + 512] = squared.argmin(axis=1)
        distance[start : start + 512] = np.sqrt(np.maximum(squared.min(axis=1), 0.0))
    return distance, index


def own_spacing(reference):
    """Return each reference row's mean distance to its five nearest others."""
    norms = np.sum(reference**2, axis=1)
    k = min(5, len(reference) - 1)
    spacing = np.empty(len(reference))
    for start in range(0, len(reference), 512):
        block = reference[start : start + 512]
        squared = np.sum(block**2, axis=1)[:, None] + norms - 2.0 * block @ reference.T
        squared[np.arange(len(block)), np.arange(start, start + len(block))] = np.inf
        close = np.partition(np.maximum(squared, 0.0), k - 1, axis=1)[:, :k]
        spacing[start : start + 512] = np.sqrt(close).mean(axis=1)
    return np.maximum(spacing, 1e-9 + 0.05 * np.median(spacing))


def gap(rows, reference, spacing):
    """Return how far each row is from the nearest normal one, in multiples of that one's own spacing."""
    distance, index = nearest(rows, reference)
    return distance / spacing[index]


def whitening(Z):
    """Return the map that makes all directions of the normal rows alike, shrunk where there are few rows."""
    covariance = np.cov(Z, rowvar=False).reshape(Z.shape[1], Z.shape[1])
    size, axes = np.linalg.eigh(covariance)
    size = np.maximum(size, 0.0) + 0.02 * size.mean()
    return axes / np.sqrt(size)


def generate_hard_anomalies(n_samples, model, X_train, rng):
    center = X_train.mean(axis=0)
    scale = X_train.std(axis=0)
    scale = np.where(scale > 1e-12 * (1.0 + np.abs(center)), scale, 0.0)
    seen = X_train[rng.permutation(len(X_train))[:1500]]
    Z = np.where(scale > 0, (seen - center) / np.where(scale > 0, scale, 1.0), 0.0)
    spacing = own_spacing(Z)
    white = whitening(Z)
    white_spacing = own_spacing(Z @ white)

    count = int(np.ceil(8 * n_samples / len(MAKERS))) + 20
    aimed = np.vstack([make(Z, spacing, count, rng) for make in MAKERS])
    reserve = local_step(Z, spacing, 4 * n_samples + 20, rng)
    made = np.vstack([aimed, reserve])
    far = np.maximum(gap(made, Z, spacing), gap(made @ white, Z @ white, white_spacing))
    improbable = far >= STRENGTH
    first = np.arange(len(made)) < len(aimed)
    order = np.lexsort((rng.random(len(made)), ~first, ~improbable))

    # borderline for this detector: a score that a normal row could have, in the same batch
    asked = order[: 3 * n_samples]
    scores = model.predict_score(np.vstack([seen, center + scale * made[asked]]))
    hidden = scores[len(seen) :] <= np.quantile(scores[: len(seen)], 0.95)
    kept = asked[hidden & improbable[asked]][: int(np.ceil(HIDDEN_SHARE * n_samples))]
    rest = order[~np.isin(order, kept)][: n_samples - len(kept)]
    return center + scale * made[rng.permutation(np.concatenate([kept, rest]))]
