def components(Z, spacing, count, rng):
    """Exchange principal-component scores between rows: inside the subspace that normal rows span."""
    n = len(Z)
    center = Z.mean(axis=0)
    left, size, axes = np.linalg.svd(Z - center, full_matrices=False)
    scores = left * size
    kept = max(1, int(np.searchsorted(np.cumsum(size**2), 0.95 * np.sum(size**2))) + 1)
    rows = scores[rng.integers(n, size=count)].copy()
    for j in range(min(kept, rows.shape[1])):
        moved = rng.random(count) < 0.6
        rows[moved, j] = scores[rng.integers(n, size=int(moved.sum())), j] * rng.choice([-1.0, 1.0])
    return center + rows @ axes
