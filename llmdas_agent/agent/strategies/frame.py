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


def generate_hard_anomalies(n_samples, model, X_train, rng):
    center = X_train.mean(axis=0)
    scale = X_train.std(axis=0)
    scale = np.where(scale > 1e-12 * (1.0 + np.abs(center)), scale, 0.0)
    Z = (X_train - center) / np.where(scale > 0, scale, 1.0)
    Z = np.where(scale > 0, Z, 0.0)
    Z = Z[rng.permutation(len(Z))[:1500]]
    spacing = own_spacing(Z)

    count = int(np.ceil(8 * n_samples / len(MAKERS))) + 20
    made = np.vstack([make(Z, spacing, count, rng) for make in MAKERS])
    rows = center + scale * made
    distance, index = nearest(made, Z)
    gap = distance / spacing[index]
    improbable = gap >= STRENGTH
    if improbable.sum() < 2 * n_samples:
        improbable = gap >= np.sort(gap)[-min(2 * n_samples, len(gap))]

    # borderline for this detector: a score that a normal row could have
    limit = np.quantile(model.predict_score(X_train), 0.95)
    hidden = improbable & (model.predict_score(rows) <= limit)
    open_ = np.flatnonzero(improbable & ~hidden)
    hidden = rng.permutation(np.flatnonzero(hidden))
    open_ = rng.permutation(open_)
    wanted = int(np.ceil(HIDDEN_SHARE * n_samples))
    wanted = min(len(hidden), max(wanted, n_samples - len(open_)))
    chosen = np.concatenate([hidden[:wanted], open_, hidden[wanted:]])[:n_samples]
    return rows[rng.permutation(chosen)]
