def between(Z, spacing, count, rng):
    """Stand between rows that are far from each other: inside the hull of the data, outside its mass."""
    n = len(Z)
    first = Z[rng.integers(n, size=count)]
    others = rng.integers(n, size=(count, 6))
    far = np.linalg.norm(Z[others] - first[:, None, :], axis=2).argmax(axis=1)
    second = Z[others[np.arange(count), far]]
    return first + rng.uniform(0.25, 0.75, size=(count, 1)) * (second - first)
