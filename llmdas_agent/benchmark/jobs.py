"""What a benchmark consists of: independent jobs, each on one data set under one seed.

A job is plain data that can be sent to another process or machine. Its key says everything that its outcome
depends on, so that an outcome that is there under the same key is not computed again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import threading
import time
import warnings
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol

from threadpoolctl import threadpool_limits

from ..cards import DetectorCard, dump_card
from ..detectors import DetectorSource
from ..errors import ProgramError, in_a_line
from .datasets import load_dataset
from .paper_mode import paper_scores
from .peers import peer
from .portrait import Portrait, portrait_of
from .programs import Candidate
from .protocol import Split, one_class_split, score_as_given
from .provenance import versions
from .variants import AS_GIVEN, CURED, ENHANCED, PAPER_FORM, Scored, cured_scores, paper_form, whole_and_parts

__all__ = [
    "BaseJob",
    "DataFile",
    "EnhancedJob",
    "Job",
    "Mode",
    "Outcome",
    "PeerJob",
    "PortraitJob",
    "ProgramJob",
    "Result",
    "key_of",
    "run_job",
]

Mode = Literal["calibrated", "paper"]

# detectors print, warn and draw from global generators: two jobs in one process would disturb each other
_ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True, slots=True)
class DataFile:
    """A data set that lies in a file.

    Attributes
    ----------
    path : Path
        Where every worker finds it.
    digest : str
        SHA-256 of the file.
    """

    path: Path
    digest: str

    @property
    def name(self) -> str:
        """Name of the set."""
        return self.path.stem


@dataclass(frozen=True, slots=True)
class Result:
    """One method's scores of one data set, measured.

    Attributes
    ----------
    method : str
        ``base``, ``base, cured``, ``peer``, or a variant of the enhanced detector.
    auc_pr, auc_roc, f1 : float
        As in `Metrics`.
    weight : float or None
        The classifier's weight in the joined score.
    note : str
        What the method says of itself on this table.
    """

    method: str
    auc_pr: float
    auc_roc: float
    f1: float
    weight: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a job; plain data under `asdict`.

    Attributes
    ----------
    key : str
        The job's.
    about : dict
        Set, detector, program, whether that is verified, classifier and seed.
    size : dict
        Rows and columns of the split.
    results : list of Result
    portrait : Portrait or None
        What the figure of a single set shows.
    seconds : float
        How long the job took, seconds.
    failure : str
        Why there is no result; empty otherwise.
    """

    key: str
    about: dict[str, Any]
    size: dict[str, int] = field(default_factory=dict)
    results: list[Result] = field(default_factory=list)
    portrait: Portrait | None = None
    seconds: float = 0.0
    failure: str = ""


class Job(Protocol):
    """One of the kinds below."""

    kind: ClassVar[str]

    @property
    def data(self) -> DataFile:
        """The set that is measured on."""

    @property
    def seed(self) -> int:
        """Seeds everything that draws at random."""

    def about(self) -> dict[str, Any]:
        """Return how tables name this job."""

    def identity(self) -> dict[str, Any]:
        """Return what the outcome depends on besides the set, the seed and the versions."""

    def measure(self, split: Split) -> list[Result] | Portrait:
        """Fit, score and measure."""


@dataclass(frozen=True, slots=True)
class BaseJob:
    """A base alone: as its library gives it, and with its numerical faults cured."""

    kind: ClassVar[str] = "base"
    data: DataFile
    seed: int
    card: DetectorCard

    def about(self) -> dict[str, Any]:
        """As `Job`."""
        return _about(self, self.card.name)

    def identity(self) -> dict[str, Any]:
        """As `Job`."""
        return {"card": dump_card(self.card)}

    def measure(self, split: Split) -> list[Result]:
        """As `Job`."""
        source = DetectorSource.from_card(self.card)
        return [
            _result(AS_GIVEN, split, Scored(score_as_given(source, split, self.seed))),
            _result(CURED, split, Scored(cured_scores(source, split, self.seed))),
        ]


@dataclass(frozen=True, slots=True)
class ProgramJob:
    """A base enhanced by a program in the paper's form: base and classifier, nothing else.

    In this form programs are compared, since they are all that there is besides the base.
    """

    kind: ClassVar[str] = "program"
    data: DataFile
    seed: int
    card: DetectorCard
    candidate: Candidate
    classifier: str
    mode: Mode

    def about(self) -> dict[str, Any]:
        """As `Job`."""
        return _about(self, self.card.name, self.candidate, self.classifier)

    def identity(self) -> dict[str, Any]:
        """As `Job`."""
        return {
            "card": dump_card(self.card),
            "program": self.candidate.program.digest,
            "classifier": self.classifier,
            "mode": self.mode,
        }

    def measure(self, split: Split) -> list[Result] | Portrait:
        """As `Job`."""
        return [_result(PAPER_FORM, split, self._in_the_papers_form(split))]

    def _in_the_papers_form(self, split: Split) -> Scored:
        if self.mode == "calibrated":
            return paper_form(self.card, self.candidate, split, self.seed)
        source = DetectorSource.from_card(self.card)
        try:
            scores = paper_scores(source, self.candidate.program, self.classifier, split, self.seed)
        except ProgramError as error:
            note = f"the base alone: the program failed: {error}"
            return Scored(score_as_given(source, split, self.seed), 0.0, note)
        return Scored(scores, 1.0, "")


@dataclass(frozen=True, slots=True)
class EnhancedJob(ProgramJob):
    """A base enhanced by a program: the whole, and its parts; in mode ``paper`` they are the same."""

    kind: ClassVar[str] = "enhanced"

    def measure(self, split: Split) -> list[Result] | Portrait:
        """As `Job`."""
        return [_result(method, split, scored) for method, scored in self._scored(split).items()]

    def _scored(self, split: Split) -> dict[str, Scored]:
        form = self._in_the_papers_form(split)
        if self.mode == "paper":
            return {PAPER_FORM: form, ENHANCED: form}
        return {PAPER_FORM: form} | whole_and_parts(self.card, self.candidate, split, self.seed)


@dataclass(frozen=True, slots=True)
class PortraitJob(EnhancedJob):
    """A single set looked at closely: its rows in a plane, and scores before and after."""

    kind: ClassVar[str] = "portrait"

    def measure(self, split: Split) -> list[Result] | Portrait:
        """As `Job`."""
        source = DetectorSource.from_card(self.card)
        enhanced = self._scored(split)[ENHANCED].scores
        return portrait_of(source, self.candidate.program, enhanced, split, self.seed)


@dataclass(frozen=True, slots=True)
class PeerJob:
    """Another's detector, for comparison."""

    kind: ClassVar[str] = "peer"
    data: DataFile
    seed: int
    peer: str

    def about(self) -> dict[str, Any]:
        """As `Job`."""
        return _about(self, self.peer)

    def identity(self) -> dict[str, Any]:
        """As `Job`."""
        return {"peer": self.peer}

    def measure(self, split: Split) -> list[Result]:
        """As `Job`."""
        return [_result("peer", split, Scored(peer(self.peer).scores(split, self.seed)))]


def key_of(job: Job) -> str:
    """Return what identifies a job's outcome, 16 hexadecimal digits."""
    told = {
        "kind": job.kind,
        "set": job.data.name,
        "data": job.data.digest,
        "seed": job.seed,
        "about": job.about(),
        "versions": versions(),
        **job.identity(),
    }
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def run_job(job: Job) -> Outcome:
    """Do a job; what goes wrong in it becomes its outcome.

    One thread of linear algebra, so that the outcome does not depend on the machine's cores.
    """
    key, about = key_of(job), job.about()
    started = time.perf_counter()
    try:
        with (
            _ONE_AT_A_TIME,
            threadpool_limits(1),
            contextlib.redirect_stdout(io.StringIO()),
            warnings.catch_warnings(),
        ):
            # what a detector has to say of its libraries would drown the progress
            warnings.simplefilter("ignore")
            split = one_class_split(load_dataset(job.data.path))
            found = job.measure(split)
    except Exception as error:  # a stranger's detector may raise anything; it is named in the report
        return Outcome(key, about, failure=in_a_line(error), seconds=time.perf_counter() - started)
    seconds = time.perf_counter() - started
    size = {
        "n_train": len(split.X_train),
        "n_test": len(split.X_test),
        "n_columns": split.X_train.shape[1],
        "n_anomalies": int(split.y_test.sum()),
    }
    if isinstance(found, Portrait):
        return Outcome(key, about, size, portrait=found, seconds=seconds)
    return Outcome(key, about, size, found, seconds=seconds)


def _about(
    job: Job, detector: str, candidate: Candidate | None = None, classifier: str = ""
) -> dict[str, Any]:
    return {
        "set": job.data.name,
        "detector": detector,
        "program": candidate.label if candidate else "",
        "verified": candidate.verified if candidate else True,
        "classifier": classifier,
        "seed": job.seed,
    }


def _result(method: str, split: Split, scored: Scored) -> Result:
    return Result(method, **asdict(split.metrics(scored.scores)), weight=scored.weight, note=scored.note)
