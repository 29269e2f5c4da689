"""Cards: what is read, what is refused and in which words, and what the commands on cards do."""

from __future__ import annotations

import importlib
import inspect
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from typer.testing import CliRunner

import detector_cards
from llmdas_agent.cards import (
    DetectorCard,
    card_schema,
    card_template,
    dump_card,
    load_card,
    parse_card,
)
from llmdas_agent.cli.cards import app
from llmdas_agent.detectors import DetectorSource
from llmdas_agent.errors import CardError, DetectorError, InputError, LlmdasError, StorageError
from places import ROOT

SHIPPED = sorted(Path(detector_cards.__file__).parent.glob("*.yaml"))
EXAMPLES = sorted((ROOT / "examples" / "cards").glob("*.yaml"))
GOOD = """\
name: hbos
full_name: Histograms
build:
  class: pyod.models.hbos.HBOS
  params:
    n_bins: 10
blind_spots:
  - what: Broken correlations.
    why: One histogram a column.
"""


def refusal(text: str) -> str:
    with pytest.raises(CardError) as caught:
        parse_card(text, where="f.yaml")
    return str(caught.value)


# -- cards that come with the package ------------------------------------------------------------------------


def test_the_promised_cards_are_there() -> None:
    assert {path.stem for path in SHIPPED} == {"pca", "iforest", "ocsvm", "ecod"}
    assert {"hbos", "copod", "loda", "gmm", "isolation_forest", "knn", "lof"} <= {
        path.stem for path in EXAMPLES
    }
    assert len(SHIPPED + EXAMPLES) >= 24


@pytest.mark.parametrize("path", SHIPPED + EXAMPLES, ids=lambda path: path.stem)
def test_each_card_tells_a_reader_all_and_builds_its_detector(path: Path) -> None:
    card = load_card(path)
    assert card.missing_for_a_reader() == ()
    assert len(card.blind_spots) >= 3
    assert card.strengths and card.weaknesses and card.best_for and card.avoid_when and card.paper
    assert parse_card(dump_card(card)) == card
    DetectorSource.from_card(card).try_out()


@pytest.mark.parametrize("path", SHIPPED + EXAMPLES, ids=lambda path: path.stem)
def test_the_defaults_a_card_prints_are_the_class_s_own(path: Path) -> None:
    card = load_card(path)
    module, _, name = card.build.class_path.rpartition(".")
    parameters = inspect.signature(getattr(importlib.import_module(module), name)).parameters
    defaults = {key: parameter.default for key, parameter in parameters.items()}
    assert card.default_params == {key: defaults[key] for key in card.default_params}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_card_is_named_as_its_file(path: Path) -> None:
    assert load_card(path).name == path.stem


def auroc(name: str, X: Any, normal: Any, anomalies: Any) -> float:
    path = next(path for path in SHIPPED + EXAMPLES if path.stem == name)
    detector = DetectorSource.from_card(load_card(path)).make(0)
    detector.fit(X)
    scores = detector.decision_function(np.vstack([normal, anomalies]))
    return float(roc_auc_score(np.r_[np.zeros(len(normal)), np.ones(len(anomalies))], scores))


@pytest.mark.parametrize("name", ["pca", "ecod", "copod", "hbos"])
def test_broken_correlations_are_the_blind_spot_the_cards_say(name: str) -> None:
    rng = np.random.default_rng(0)
    X, normal = (rng.normal(size=(n, 1)) + 0.3 * rng.normal(size=(n, 6)) for n in (1000, 500))
    broken = np.column_stack([rng.permutation(column) for column in normal.T])
    assert auroc(name, X, normal, broken) < 0.7
    assert auroc("gmm", X, normal, broken) > 0.95


@pytest.mark.parametrize("name", ["pca", "ecod", "copod", "gmm"])
def test_the_gap_between_groups_is_the_blind_spot_the_cards_say(name: str) -> None:
    rng = np.random.default_rng(0)
    X, normal = (rng.choice([-3.0, 3.0], size=(n, 1)) + 0.5 * rng.normal(size=(n, 6)) for n in (1000, 500))
    between = 0.5 * rng.normal(size=(300, 6))
    assert auroc(name, X, normal, between) < 0.5
    assert auroc("iforest", X, normal, between) > 0.95


def test_units_and_distance_blind_the_detectors_whose_cards_say_so() -> None:
    rng = np.random.default_rng(0)
    X, normal = rng.normal(size=(1000, 20)), rng.normal(size=(500, 20))
    wild, wide = rng.normal(size=(300, 20)), 1000 * 3 * rng.normal(size=(300, 20))
    wild[:, 3] = 1000.0
    assert auroc("ecod", X, normal, wild) < 0.6
    assert auroc("iforest", X, normal, wild) < 0.75
    assert auroc("ocsvm", 1000 * X, 1000 * normal, wide) == pytest.approx(0.5)
    assert auroc("pca", 1000 * X, 1000 * normal, wide) > 0.99


# -- what is refused, and in which words ---------------------------------------------------------------------


def changed(old: str, new: str) -> str:
    assert old in GOOD
    return GOOD.replace(old, new)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "f.yaml:1: is empty"),
        ("# only a remark\n", "f.yaml:1: is empty"),
        ("- a\n", "f.yaml:1: holds a list where fields are expected"),
        ("just words", "f.yaml:1: holds 'just words' where fields are expected"),
        ("name: [", "f.yaml:1: is not valid YAML"),
        ("name: a\n\tfull_name: b", "f.yaml:2: is not valid YAML"),
        ("name: a\n--- \nname: b", "f.yaml:2: is not valid YAML"),
        ("name: *x", "f.yaml:1: is not valid YAML: found undefined alias"),
        ("name: a\x00b", "f.yaml:1: holds the character U+0000"),
        ("name: a\nfull_name: \ud800", "f.yaml:2: holds the character U+D800"),
        ('name: a\nfull_name: "\\ud800"', "f.yaml:2: field 'full_name': holds the control character U+D800"),
        ('name: a\nfull_name: "\\e[2J"', "f.yaml:2: field 'full_name': holds the control character U+001B"),
        ("? [a]\n: 1", "f.yaml:1: has a field whose name is not text"),
        (
            "name: a\nbuild: {class: a.b, class: c.d}",
            "f.yaml:2: field 'build.class': is already given in line 2",
        ),
        ("name: a\nx: &x 1\nsteps: [*x]", "f.yaml:3: field 'steps[0]': is an alias"),
        ("name: &a [*a]", "field 'name[0]': is an alias"),
        ("name: !!python/object:os.system {}", "field 'name': has a tag"),
        ("name: !!int word", "field 'name': is no readable number"),
        ("name: " + "1" * 5000, "field 'name': is no readable number"),
        ("name: 18446744073709551616", "field 'name': is a whole number beyond 64 bits"),
        ("name: " + "[" * 2_000, "f.yaml: is nested too deeply"),
        ("- " * 2_000, "f.yaml: is nested too deeply"),
        ("#" * 70_000, "f.yaml: is larger than 64 KiB"),
        (GOOD + "name: again\n", "f.yaml:10: field 'name': is already given in line 1. Keep one"),
        (changed("name: hbos", "name: HB OS"), "f.yaml:1: field 'name': found 'HB OS'. Allowed: lower-case"),
        (changed("name: hbos", "name: 2024-01-01"), "field 'name': found '2024-01-01'. Allowed: lower-case"),
        (changed("name: hbos", "name:"), "f.yaml:1: field 'name': found nothing. Allowed: lower-case"),
        (changed("Histograms", "7"), "f.yaml:2: field 'full_name': found 7. Allowed: text"),
        (changed("Histograms", "' '"), "field 'full_name': found ' '. Allowed: text that is not empty"),
        (changed("Histograms", "x" * 4001), "Allowed: text of at most 4000 characters"),
        (
            changed("pyod.models.hbos.HBOS", "HBOS"),
            "f.yaml:4: field 'build.class': found 'HBOS'. Allowed: a dotted path",
        ),
        (
            changed("n_bins: 10", "n_bins: {a: 1}"),
            "f.yaml:6: field 'build.params.n_bins': found fields. Allowed: a finite number, text, true",
        ),
        (
            changed("n_bins: 10", "n_bins: [[1]]"),
            "field 'build.params.n_bins': found a list. Allowed: a finite number",
        ),
        (
            changed("n_bins: 10", "n_bins: .nan"),
            "field 'build.params.n_bins': found nan. Allowed: a finite number",
        ),
        (
            changed("    n_bins: 10", "    1: 10"),
            "f.yaml:6: field 'build.params.1': is no name of a parameter",
        ),
        (
            changed("  params:\n    n_bins: 10", "  params: 10"),
            "f.yaml:5: field 'build.params': found 10. Allowed: parameters below it",
        ),
        (GOOD + "steps: one\n", "f.yaml:10: field 'steps': found 'one'. Allowed: a list"),
        (GOOD + "steps:\n  - one\n  - 2\n", "f.yaml:12: field 'steps[1]': found 2. Allowed: text"),
        (GOOD + "paper: Li\n", "f.yaml:10: field 'paper': found 'Li'. Allowed: fields below it: id, short"),
        (
            changed("    why: One histogram a column.\n", ""),
            "f.yaml:8: field 'blind_spots[0].why': is missing",
        ),
        (changed("  class: pyod.models.hbos.HBOS\n", ""), "f.yaml:3: field 'build.class': is missing"),
        ("full_name: Histograms\nbuild: {class: a.b}", "f.yaml:1: field 'name': is missing"),
        (GOOD + "x: 1\n", "f.yaml:10: field 'x': is not a field of a card. Known: assumptions, avoid_when"),
        (
            GOOD + "class: a.b\n",
            "f.yaml:10: field 'class': is not a field of a card. It belongs below 'build'",
        ),
        (
            changed("    why", "    wy"),
            "f.yaml:9: field 'blind_spots[0].wy': is not a field of a card (1 more after this one). Did",
        ),
    ],
)
def test_a_refusal_names_line_field_found_and_allowed(text: str, says: str) -> None:
    assert says in refusal(text)


@pytest.mark.parametrize(
    ("wrong", "meant"), [("fullname", "full_name"), ("Name", "name"), ("bulid", "build")]
)
def test_a_misspelt_field_is_named_before_the_one_it_leaves_missing(wrong: str, meant: str) -> None:
    text = re.sub(rf"(?m)^{meant}:", f"{wrong}:", GOOD)
    assert f"field '{wrong}': is not a field of a card" in refusal(text)
    assert refusal(text).endswith(f"Did you mean '{meant}'?")


def test_several_findings_are_counted_in_the_first() -> None:
    text = GOOD.replace("name: hbos", "name: X Y").replace("Histograms", "3") + "steps: one\n"
    assert refusal(text).startswith("f.yaml:1: field 'name': found 'X Y' (2 more after this one)")


def test_aliases_cannot_make_a_small_card_large() -> None:
    lines = ["name: a", "steps: &a0 [x, x]"]
    lines += [f"k{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30)]
    assert "is an alias" in refusal("\n".join(lines))


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    with pytest.raises(CardError, match=r"card\.yaml: no such file\. `llmdas-agent card new NAME`"):
        load_card(path)
    with pytest.raises(CardError, match="cannot be read"):
        load_card(tmp_path)
    with pytest.raises(CardError, match="cannot be read"):
        load_card("a\0b")
    path.write_bytes(b"name: hbos\nfull_name: \xff\n")
    with pytest.raises(CardError, match=r"card\.yaml:2: is not UTF-8 text"):
        load_card(path)
    path.write_bytes(b"#" * 70_000)
    with pytest.raises(CardError, match="is larger than 64 KiB"):
        load_card(path)


def test_a_card_with_windows_line_ends_and_a_byte_order_mark_is_read(tmp_path: Path) -> None:
    path = tmp_path / "card.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_card(path) == parse_card(GOOD)


@given(st.text() | st.text("ab:- \n\t\"'&*!<>|?{}[],#%@0123.name"))
def test_any_text_is_a_card_or_a_card_error(text: str) -> None:
    try:
        assert isinstance(parse_card(text), DetectorCard)
    except CardError as error:
        assert str(error).startswith("card")


FIELDS = st.sampled_from([*DetectorCard.model_fields, "class", "params", "what", "why", "nmae"])
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(FIELDS, inner, max_size=4)
)


@given(st.dictionaries(FIELDS, TREES, max_size=6))
def test_any_tree_of_fields_is_a_card_or_an_error_that_names_the_field(tree: dict[str, Any]) -> None:
    try:
        assert isinstance(parse_card(json.dumps(tree)), DetectorCard)
    except CardError as error:
        assert re.match(r"card:1(: field '|$)", error.where)


CLEAN = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=60) | st.text(
    "ab :-#'\"\n\t|>&*!%@`{}[],?~0.eE_"
)
TEXT = CLEAN.filter(str.strip)
IDENTIFIER = st.from_regex(r"\A[A-Za-z_][A-Za-z0-9_]{0,9}\Z")
SCALAR = (
    st.none()
    | st.booleans()
    | st.integers(1 - 2**63, 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | CLEAN
)
PARAMS = st.dictionaries(IDENTIFIER, SCALAR | st.lists(SCALAR, max_size=3), max_size=3)
CARDS = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"\A[a-z][a-z0-9_-]{0,20}\Z"),
        "full_name": TEXT,
        "build": st.fixed_dictionaries(
            {"class": st.lists(IDENTIFIER, min_size=2, max_size=4).map(".".join), "params": PARAMS}
        ),
    },
    optional={
        "description": TEXT,
        "steps": st.lists(TEXT, max_size=3),
        "blind_spots": st.lists(st.fixed_dictionaries({"what": TEXT, "why": TEXT}), max_size=2),
        "paper": st.fixed_dictionaries({"short": TEXT}, optional={"id": TEXT}),
        "default_params": PARAMS,
    },
).map(DetectorCard.model_validate)  # fmt: skip


@given(CARDS)
def test_a_card_written_and_read_is_the_same_card(card: DetectorCard) -> None:
    assert parse_card(dump_card(card)) == card


# -- template and schema -------------------------------------------------------------------------------------


def test_the_template_is_a_card_that_builds_hbos_and_names_every_field() -> None:
    text = card_template("my-detector")
    card = parse_card(text)
    assert card.name == "my-detector"
    assert card.missing_for_a_reader() == ()
    source = DetectorSource.from_card(card)
    source.try_out()
    assert source.class_path == "pyod.models.hbos.HBOS"
    assert all(f"\n{field}:" in text for field in DetectorCard.model_fields)


@pytest.mark.parametrize("name", ["", "My", "a b", "9a", "a" * 65, "../a", "a\n"])
def test_the_template_refuses_a_name_that_no_card_may_have(name: str) -> None:
    with pytest.raises(CardError, match="Allowed: lower-case letters"):
        card_template(name)


def test_the_schema_explains_every_field_and_forbids_others() -> None:
    schema = card_schema()
    assert schema["required"] == ["name", "full_name", "build"]
    for part in (schema, *schema["$defs"].values()):
        assert part["additionalProperties"] is False
        assert all(field["description"] for field in part["properties"].values() if "$ref" not in field)
    assert "class" in schema["$defs"]["Build"]["properties"]
    json.dumps(schema)


# -- commands ------------------------------------------------------------------------------------------------


def run(*arguments: str | Path) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_card_check_says_what_is_built_and_what_is_missing(tmp_path: Path) -> None:
    bare = tmp_path / "bare.yaml"
    bare.write_text("name: bare\nfull_name: Bare\nbuild: {class: pyod.models.hbos.HBOS}\n")
    result = run("check", bare, *EXAMPLES)
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert len(lines) == 1 + len(EXAMPLES)
    assert "'bare' builds pyod.models.hbos.HBOS" in lines[0]
    assert "would work better with description" in lines[0] and "blind_spots" in lines[0]
    assert all("well described" in line for line in lines[1:])


def test_card_check_goes_on_after_a_bad_card_and_ends_with_its_error(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text(GOOD.replace("pyod.models.hbos.HBOS", "pyod.models.hboss.HBOS"))
    result = run("check", bad, EXAMPLES[0], tmp_path / "none.yaml")
    assert isinstance(result.exception, DetectorError)
    assert "Did you mean 'hbos'?" in str(result.exception)
    assert str(EXAMPLES[0]) in result.stdout
    assert "none.yaml: no such file" in result.stderr


def test_card_check_for_a_program_is_one_object(tmp_path: Path) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("name: [\n")
    result = run("check", bad, EXAMPLES[0], "--json")
    broken, good = json.loads(result.stdout)["cards"]
    assert result.exit_code == CardError.exit_code
    assert (broken["ok"], broken["error"]) == (False, "CardError")
    assert (good["ok"], good["name"], good["missing"]) == (True, load_card(EXAMPLES[0]).name, [])


def test_card_new_writes_a_card_that_check_accepts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("new", "mine").exit_code == 0
    assert run("check", "mine.yaml").exit_code == 0
    assert json.loads(run("new", "mine", "--output", "b.yaml", "--json").stdout) == {
        "name": "mine",
        "path": "b.yaml",
    }
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["b.yaml", "mine.yaml"]


def test_card_new_never_replaces_a_file_unless_told(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("precious")
    result = run("new", "mine", "--output", path)
    assert isinstance(result.exception, InputError)
    assert "is there already" in str(result.exception)
    assert path.read_text() == "precious"
    assert run("new", "mine", "--output", path, "--force").exit_code == 0
    assert load_card(path).name == "mine"


def test_card_new_that_cannot_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("new", "mine", "--output", tmp_path / "file" / "mine.yaml")
    assert isinstance(result.exception, StorageError)
    assert isinstance(run("new", "My Name", "--output", tmp_path / "x.yaml").exception, LlmdasError)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_card_schema_prints_the_schema() -> None:
    assert json.loads(run("schema").stdout) == card_schema()
