def recombine(Z, spacing, count, rng):
    """Take columns of one row from another row: every value is ordinary, the combination is not."""
    n, d = Z.shape
    rows = Z[rng.integers(n, size=count)]
    donors = Z[rng.integers(n, size=count)]
    share = rng.uniform(0.1, 0.6, size=(count, 1))
    taken = rng.random((count, d)) < share
    taken[np.arange(count), rng.integers(d, size=count)] = True
    rows = np.where(taken, donors, rows)
    independent = rng.random(count) < 0.3
    shuffled = np.column_stack([Z[rng.integers(n, size=count), j] for j in range(d)])
    return np.where(independent[:, None], shuffled, rows)
