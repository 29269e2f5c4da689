"""The plain data that everything else passes around: errors, settings, programs and reports."""

from __future__ import annotations

import hashlib
import inspect
import json
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llmdas_agent import errors
from llmdas_agent.config import Budget, SandboxLimits, data_dir
from llmdas_agent.errors import CardError, LlmdasError, ProgramError, did_you_mean
from llmdas_agent.programs import ENTRY_POINT, SynthesisProgram
from llmdas_agent.report import BlindSpotProfile, FamilyScore, Verdict, VerificationReport

ERRORS = [
    value for value in vars(errors).values() if inspect.isclass(value) and issubclass(value, LlmdasError)
]


# -- errors --------------------------------------------------------------------------------------------------


def test_the_tree_in_the_docstring_is_the_tree_in_the_code() -> None:
    tree = errors.__doc__ or ""
    for kind in ERRORS:
        (line,) = [line for line in tree.splitlines() if f"{kind.__name__} " in line]
        drawn = [int(word) for word in line.split() if word.isdigit()]
        assert drawn == [kind.exit_code] or (issubclass(kind, errors.InputError) and kind.exit_code == 3)


def test_exit_codes_are_free_of_those_of_the_shell_and_distinct_by_family() -> None:
    families = [kind for kind in ERRORS if kind.__base__ is LlmdasError]
    codes = [kind.exit_code for kind in families]
    assert len(set(codes)) == len(codes)
    assert not {0, 1, 2, 126, 127, 130} & set(codes)
    assert {kind.exit_code for kind in ERRORS if issubclass(kind, errors.InputError)} == {3}


def test_an_error_says_where_what_and_what_to_do() -> None:
    error = CardError("is missing", where="a.yaml:3", hint="Add it")
    assert str(error) == "a.yaml:3: is missing. Add it"
    assert str(CardError("is missing")) == "is missing"
    assert error.as_dict() == {
        "error": "CardError",
        "what": "is missing",
        "where": "a.yaml:3",
        "hint": "Add it",
        "exit_code": 3,
    }


def test_a_program_error_points_to_its_line() -> None:
    error = ProgramError("augmented assignment", code="dialect", line=4)
    assert str(error).startswith("program line 4: ")
    assert (error.code, error.line) == ("dialect", 4)
    assert str(ProgramError("no function", code="signature")).startswith("program: ")


@pytest.mark.parametrize(
    ("word", "says"),
    [
        ("ifroest", "Did you mean 'iforest'?"),
        ("PCA", "Did you mean 'pca'?"),
        ("zzz", "Known: iforest, pca"),
    ],
)
def test_a_near_name_is_offered_and_else_all(word: str, says: str) -> None:
    assert did_you_mean(word, ["pca", "iforest"]) == says


@given(st.text(), st.lists(st.text(max_size=10), max_size=5))
def test_any_word_gets_one_of_the_known_names_or_their_list(word: str, known: list[str]) -> None:
    answer = did_you_mean(word, known)
    near = [name for name in known if answer == f"Did you mean '{name}'?"]
    assert near or answer == (f"Known: {', '.join(sorted(known))}" if known else "")


# -- settings ------------------------------------------------------------------------------------------------


def test_the_data_folder_is_the_one_named_or_the_platform_s(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMDAS_HOME", "~/here")
    assert data_dir() == Path.home() / "here"
    monkeypatch.setenv("LLMDAS_HOME", "")
    monkeypatch.setenv("XDG_DATA_HOME", "/data")
    assert data_dir() == Path("/data/llmdas-agent")


@pytest.mark.parametrize(
    "settings", [SandboxLimits(), Budget()], ids=lambda settings: type(settings).__name__
)
def test_settings_are_frozen_and_positive(settings: SandboxLimits | Budget) -> None:
    for name in settings.__slots__:
        value = getattr(settings, name)
        assert value is None or value > 0
        with pytest.raises(FrozenInstanceError):
            setattr(settings, name, 0)


# -- programs ------------------------------------------------------------------------------------------------


@given(st.text())
def test_a_digest_depends_on_the_lines_and_not_on_their_ends(source: str) -> None:
    program = SynthesisProgram(source)
    assert SynthesisProgram(source.replace("\r\n", "\n")).digest == program.digest
    assert SynthesisProgram(program.source.replace("\n", "\r\n")) == program
    assert program.source.endswith("\n") and not program.source.endswith("\n\n\n")
    assert SynthesisProgram(program.source + "#").digest != program.digest


def test_a_digest_is_the_sha_256_of_the_text_as_utf_8() -> None:
    assert SynthesisProgram("# größe\r\n").digest == hashlib.sha256("# größe\n".encode()).hexdigest()
    assert ENTRY_POINT == "generate_hard_anomalies"


# -- reports -------------------------------------------------------------------------------------------------


def report(*verdicts: Verdict, complete: bool = True) -> VerificationReport:
    return VerificationReport(
        detector="pca",
        program_digest="0" * 64,
        seed=0,
        verdicts=verdicts,
        complete=complete,
        seconds=1.5,
        versions={"numpy": "2"},
    )


PASSED = Verdict(code="parse", passed=True, message="It parses")
FAILED = Verdict(
    code="hardness", passed=False, message="Too easy", evidence={"share": [0.1, None]}, hint="Move"
)


def test_accepted_means_that_every_check_ran_and_passed() -> None:
    assert report(PASSED).accepted
    assert not report(PASSED, FAILED).accepted
    assert not report(PASSED, complete=False).accepted
    assert list(report(PASSED, FAILED).failures()) == [FAILED]
    assert report(PASSED, FAILED).verdict("hardness") == FAILED
    assert report(PASSED).verdict("hardness") is None


def test_a_report_goes_through_json_and_back_and_takes_nothing_else() -> None:
    whole = report(PASSED, FAILED)
    assert VerificationReport.model_validate_json(whole.model_dump_json()) == whole
    with pytest.raises(ValidationError):
        VerificationReport.model_validate({**json.loads(whole.model_dump_json()), "accepted": True})
    with pytest.raises(ValidationError):
        whole.seed = 1  # type: ignore[misc]


def test_a_profile_goes_through_json_and_back() -> None:
    family = FamilyScore(family="between", auroc=0.3, low=0.1, high=0.5)
    profile = BlindSpotProfile(detector="pca", seed=1, families=(family,), notes=("no fit on d = 200",))
    assert BlindSpotProfile.model_validate_json(profile.model_dump_json()) == profile
