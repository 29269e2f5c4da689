def tail(Z, spacing, count, rng):
    """Carry one to three columns of a row just past the end of what was seen in them."""
    n, d = Z.shape
    rows = Z[rng.integers(n, size=count)].copy()
    low, high = Z.min(axis=0), Z.max(axis=0)
    for _ in range(min(3, d)):
        column = rng.integers(d, size=count)
        past = STRENGTH * rng.uniform(0.05, 0.6, size=count)
        upper = rng.random(count) < 0.5
        value = np.where(upper, high[column] + past, low[column] - past)
        moved = (rng.random(count) < 0.5) & (high[column] > low[column])
        rows[np.arange(count)[moved], column[moved]] = value[moved]
    return rows
