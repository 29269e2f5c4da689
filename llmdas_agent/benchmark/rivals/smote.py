import numpy as np


def generate_hard_anomalies(n_samples, model, X_train, rng):
    """Rows between a borderline row and one of its five nearest neighbours (Chawla et al., 2002).

    The borderline rows, the tenth of the training rows that the detector scores highest, stand for the
    minority class of SMOTE, which has none here.
    """
    scores = model.predict_score(X_train)
    borderline = X_train[np.argsort(scores)[-max(6, len(X_train) // 10) :]]
    scale = np.maximum(X_train.std(axis=0), 1e-12)
    Z = borderline / scale
    chosen = rng.integers(len(Z), size=n_samples)
    mate = np.empty(n_samples, dtype=int)
    for i in range(n_samples):
        distance = np.sum((Z - Z[chosen[i]]) ** 2, axis=1)
        near = np.argsort(distance)[1:6]
        mate[i] = near[rng.integers(len(near))]
    share = rng.random((n_samples, 1))
    return borderline[chosen] + share * (borderline[mate] - borderline[chosen])
