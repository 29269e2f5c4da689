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
