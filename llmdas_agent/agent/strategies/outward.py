def outward(Z, spacing, count, rng):
    """Stretch rows away from the centre of the data."""
    n = len(Z)
    center = np.median(Z, axis=0)
    rows = Z[rng.integers(n, size=count)]
    return center + (rows - center) * (1.0 + STRENGTH * rng.uniform(0.2, 1.5, size=(count, 1)))
