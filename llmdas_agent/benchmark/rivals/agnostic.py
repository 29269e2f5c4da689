import numpy as np


def generate_hard_anomalies(n_samples, model, X_train, rng):
    """Borderline rows moved a little in every direction: what one writes who knows nothing of the detector.

    Of eight steps for every row asked for, those with the lowest scores are kept.
    """
    scores = model.predict_score(X_train)
    borderline = X_train[np.argsort(scores)[-max(2, len(X_train) // 5) :]]
    starts = borderline[rng.integers(len(borderline), size=8 * n_samples)]
    made = starts + 0.5 * X_train.std(axis=0) * rng.normal(size=starts.shape)
    return made[np.argsort(model.predict_score(made))[:n_samples]]
