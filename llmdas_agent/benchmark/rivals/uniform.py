def generate_hard_anomalies(n_samples, model, X_train, rng):
    """Rows drawn evenly from the box that the training rows span, a tenth wider on every side."""
    low, high = X_train.min(axis=0), X_train.max(axis=0)
    margin = 0.1 * (high - low)
    return rng.uniform(low - margin, high + margin, size=(n_samples, X_train.shape[1]))
