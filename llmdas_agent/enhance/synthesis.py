"""The made rows themselves, to look at, in the columns of the user's table."""

from __future__ import annotations

import polars as pl
from sklearn.utils.validation import check_is_fitted

from ..errors import InputError
from .ensemble import others
from .estimator import EnhancedDetector
from .members import hard_anomalies

__all__ = ["synthesize"]


def synthesize(model: EnhancedDetector, n_samples: int) -> pl.DataFrame:
    """Return hard anomalies such as the first member of a fitted detector learnt from.

    Parameters
    ----------
    model : EnhancedDetector
        Fitted in this process; a loaded model does not keep the rows that programs start from.
    n_samples : int
        Rows to be made.

    Returns
    -------
    polars.DataFrame
        In the columns fitted, words as words; columns without a single value are left out.

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
    member, fold = ensemble.members_[0], ensemble.folds(len(ensemble.rows_))[0]
    normal = ensemble.rows_[others(fold, len(ensemble.rows_))]
    program = model.synthesizer_.proposal.program
    made = hard_anomalies(program, member.base_, normal, n_samples, member.seed)
    encoder = model.encoder_
    return pl.DataFrame(encoder.decode(encoder.snap(made)))
