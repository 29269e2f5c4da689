"""The made rows themselves, to look at, in the columns of the user's table."""

from __future__ import annotations

import polars as pl
from sklearn.utils.validation import check_is_fitted

from ..errors import InputError
from .estimator import EnhancedDetector
from .members import hard_anomalies

__all__ = ["synthesize"]


def synthesize(model: EnhancedDetector, n_samples: int) -> pl.DataFrame:
    """Return hard anomalies such as a fitted detector learnt from.

    Parameters
    ----------
    model : EnhancedDetector
        Fitted in this process; a loaded model does not keep the rows that programs start from.
    n_samples : int
        Rows to be made.

    Returns
    -------
    polars.DataFrame
        In the columns fitted, words as words, times as times; columns without a single value are left out.

    Raises
    ------
    InputError
        When the model was loaded.
    ProgramError
        When the program breaks its contract on these rows.
    """
    check_is_fitted(model, "ensemble_")
    ensemble = model.ensemble_
    if ensemble.rows_ is None:
        raise InputError(
            "a loaded model does not hold its rows", where="model", hint="Fit it on the table again"
        )
    program = model.synthesizer_.proposal.program
    made = hard_anomalies(program, ensemble.base_, ensemble.rows_, n_samples, ensemble.seed)
    encoder = model.encoder_
    columns = encoder.decode(encoder.snap(made))
    return pl.DataFrame(
        {name: values.tolist() if values.dtype == object else values for name, values in columns.items()}
    )
