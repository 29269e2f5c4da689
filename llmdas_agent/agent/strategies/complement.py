def complement(Z, spacing, count, rng):
    """Step along the directions in which normal rows hardly vary: short, and improbable all the same."""
    n = len(Z)
    center = Z.mean(axis=0)
    size, axes = np.linalg.svd(Z - center, full_matrices=False)[1:]
    deviation = size / np.sqrt(n)
    low = np.arange(len(deviation)) >= len(deviation) // 2
    if not low.any():
        low[-1] = True
    directions = axes[low]
    reach = deviation[low] + 0.02 * np.median(spacing)
    steps = rng.normal(size=(count, len(directions))) * reach
    length = STRENGTH * np.exp(rng.uniform(np.log(2.0), np.log(6.0), size=(count, 1)))
    return Z[rng.integers(n, size=count)] + (length * steps) @ directions
