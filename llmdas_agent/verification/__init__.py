"""Whether a program makes hard anomalies for a detector, decided on toy data whose true density is known."""

from .admission import admit
from .bench import FittedToy, ToyBench
from .families import FAMILIES
from .matching import Family
from .probe import probe
from .scenarios import SCENARIOS, Scenario, all_scenarios
from .verify import Trial, judge, try_program, verify

__all__ = [
    "FAMILIES",
    "SCENARIOS",
    "Family",
    "FittedToy",
    "Scenario",
    "ToyBench",
    "Trial",
    "admit",
    "all_scenarios",
    "judge",
    "probe",
    "try_program",
    "verify",
]
