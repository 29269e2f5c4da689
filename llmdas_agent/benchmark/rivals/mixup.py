def generate_hard_anomalies(n_samples, model, X_train, rng):
    """Rows between two training rows at random, the share drawn from Beta(0.2, 0.2) (Zhang et al., 2018)."""
    one = X_train[rng.integers(len(X_train), size=n_samples)]
    other = X_train[rng.integers(len(X_train), size=n_samples)]
    share = rng.beta(0.2, 0.2, size=(n_samples, 1))
    return share * one + (1.0 - share) * other
