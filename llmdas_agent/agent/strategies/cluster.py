def cluster(Z, spacing, count, rng):
    """Put tight groups of rows where there were none: each row has close neighbours, all of them abnormal."""
    n, d = Z.shape
    groups = max(4, count // 25)
    anchors = rng.integers(n, size=groups)
    directions = rng.normal(size=(groups, d))
    directions = directions / np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
    length = STRENGTH * spacing[anchors] * rng.uniform(1.5, 4.0, size=groups)
    centers = Z[anchors] + length[:, None] * directions
    member = rng.integers(groups, size=count)
    jitter = rng.normal(size=(count, d)) * (0.5 * spacing[anchors[member]] / np.sqrt(d))[:, None]
    return centers[member] + jitter
