def generate_hard_anomalies(n_samples, model, X_train, rng):
    """Training rows with Gaussian noise of each column's own standard deviation."""
    rows = X_train[rng.integers(len(X_train), size=n_samples)]
    return rows + X_train.std(axis=0) * rng.normal(size=rows.shape)
