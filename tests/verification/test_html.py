"""The report as a page: all of it is there, nothing of it does anything, and anyone can read it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from pages import Page
from sklearn.decomposition import PCA
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from llmdas_agent.cards import BlindSpot, DetectorCard, Paper
from llmdas_agent.errors import DetectorError
from llmdas_agent.programs import Proposal, SynthesisProgram
from llmdas_agent.registry import Registry, resolve
from llmdas_agent.report import Verdict, VerificationReport
from llmdas_agent.verification import SCENARIOS, ToyBench, Trial, judge, try_program
from llmdas_agent.verification import html as html_package
from llmdas_agent.verification.html import render_html
from llmdas_agent.verification.html.code import coloured_lines
from llmdas_agent.verification.html.grids import Cell, Column, facts_of, grids_of, in_words
from llmdas_agent.verification.html.pictures import draw_rows, draw_scores, window
from llmdas_agent.verification.html.scenes import Plane, scene_of
from llmdas_agent.verification.verify import ROWS
from places import ROOT

SEED = 3
SHIPPED = Registry().get("iforest")
FAR = """
import numpy as np


def generate_hard_anomalies(n_samples, model, X_train, rng):
    return X_train.mean(axis=0) + 1e40 * rng.normal(size=(n_samples, X_train.shape[1]))
"""
STYLE = (Path(html_package.__file__).parent / "report.css").read_text(encoding="utf-8")
ATTACK = "</pre></style><script>alert(1)</script><img src=http://127.0.0.1/x onerror=alert(1)>\"'>"


def tried(source: str) -> Trial:
    return try_program(SynthesisProgram(source), ToyBench(resolve("iforest"), SEED, SCENARIOS[:4]))


@pytest.fixture(scope="module")
def trial() -> Trial:
    return tried(SHIPPED.proposal.program.source)


@pytest.fixture(scope="module")
def report(trial: Trial) -> VerificationReport:
    return judge(trial)


@pytest.fixture(scope="module")
def page(trial: Trial, report: VerificationReport) -> Page:
    return Page(
        render_html(
            trial,
            report,
            proposal=SHIPPED.proposal,
            profile=SHIPPED.profile,
            provenance=SHIPPED.provenance,
        )
    )


@pytest.fixture(scope="module")
def unparsable() -> Trial:
    return tried("def generate_hard_anomalies(:\n    return 1\n")


def test_everything_is_told(page: Page, report: VerificationReport) -> None:
    told = page.text
    proposal, card = SHIPPED.proposal, SHIPPED.card
    for verdict in report.verdicts:
        assert " ".join(verdict.message.split()) in told
    for spot in card.blind_spots:
        assert spot.what in told and spot.why in told
    for words in (
        card.full_name,
        *card.assumptions,
        *card.steps,
        *card.strengths,
        *card.weaknesses,
        card.build.class_path,
        proposal.blind_spot,
        proposal.borderline,
        proposal.strategy,
        report.program_digest,
        f"numpy {np.__version__}",
        SHIPPED.provenance["registered"],
        SHIPPED.provenance["run"],
    ):
        assert " ".join(words.split()) in told
    for score in SHIPPED.profile.families:
        assert f"{score.auroc:.2f} {score.low:.2f} to {score.high:.2f}" in told


def test_the_verdict_comes_first(trial: Trial, report: VerificationReport) -> None:
    passed = tuple(verdict for verdict in report.verdicts if verdict.passed)
    good = Page(render_html(trial, report.model_copy(update={"verdicts": passed})))
    assert f"Accepted The program passes all {len(passed)} checks." in good.text[: good.text.index("Checks")]
    assert [one.text for one in good.find("title")] == ["iforest: accepted – verification report"]
    bad = judge(tried(FAR))
    told = Page(render_html(trial, bad)).text
    assert "Not accepted" in told[: told.index("Checks")]
    for verdict in bad.failures():
        assert verdict.code in told[: told.index("Provenance")]
        assert f"What to change. {verdict.hint}" in told


def test_the_program_is_shown_letter_by_letter(page: Page) -> None:
    lines = [element.text for element in page.find("code") if element.has_class("line")]
    assert "\n".join(lines) + "\n" == SHIPPED.proposal.program.source


def test_each_scenario_has_its_two_pictures(page: Page, trial: Trial) -> None:
    assert trial.evidence is not None
    named = [one.attributes["aria-label"] for one in page.elements if one.attributes.get("role") == "img"]
    assert len(named) == 2 * len(trial.evidence.runs)
    for run in trial.evidence.runs:
        about = [label for label in named if f"scenario {run.name} " in label or f"{run.name}:" in label]
        assert len(about) == 2, run.name
        normal, made = run.toy.score_beside_normals(run.rows)
        share = np.mean(made <= np.quantile(normal, 0.95))
        assert f"{100 * share:.0f} % of the made rows" in about[1]


def references(page: Page) -> Iterator[tuple[str, str]]:
    """Yield everything in a page that a browser might follow or fetch."""
    fetching = {"href", "src", "srcset", "xlink:href", "action", "formaction", "data", "poster", "background"}
    for element in page.elements:
        for name, value in element.attributes.items():
            if name in fetching:
                yield element.tag, value
            for target in re.findall(r"url\(\s*[\"']?([^\"')]*)", value):
                yield element.tag, target
    for element in page.find("style"):
        for target in re.findall(r"url\(\s*[\"']?([^\"')]*)|@import\s*([^;]*)", element.text):
            yield "style", "".join(target)


def assert_inert(page: Page) -> None:
    tags = {element.tag for element in page.elements}
    assert not tags & {"script", "img", "iframe", "object", "embed", "link", "base", "form"}
    for element in page.elements:
        assert not [name for name in element.attributes if name.startswith("on")]
    assert all(target.startswith("#") for _, target in references(page))


def test_the_page_needs_nothing_else(page: Page) -> None:
    ids = [element.attributes["id"] for element in page.elements if "id" in element.attributes]
    assert len(ids) == len(set(ids)), "an id is there twice"
    found = list(references(page))
    assert found
    for tag, target in found:
        assert target.startswith("#") and target[1:] in ids, f"<{tag}> asks for {target!r}"
    assert_inert(page)
    policy = page.find("meta", **{"http-equiv": "Content-Security-Policy"})[0].attributes["content"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy


class _Refusing:
    """A detector that fits nothing, and says so in its own way."""

    def __init__(self, random_state: int | None) -> None: ...

    def fit(self, X: Any, y: None = None) -> None:
        raise ValueError(ATTACK)

    def decision_function(self, X: Any) -> Any: ...


def test_what_strangers_wrote_comes_out_inert(trial: Trial, report: VerificationReport) -> None:
    name = f"x-{ATTACK}"
    card = DetectorCard(
        name="evil",
        full_name=ATTACK,
        build=SHIPPED.card.build.model_copy(update={"params": {"x": ATTACK}}),
        description=ATTACK,
        assumptions=(ATTACK,),
        steps=(ATTACK,),
        blind_spots=(BlindSpot(what=ATTACK, why=ATTACK),),
        paper=Paper(short=ATTACK),
        default_params={"y": [ATTACK]},
    )
    source = f'"""{ATTACK}"""\nx = {ATTACK!r}  # {ATTACK}\n{ATTACK}\n'
    bench = ToyBench(replace(trial.bench.source, make=_Refusing, card=card, name=name), SEED, SCENARIOS[:4])
    with pytest.raises(DetectorError, match="script"):
        list(bench.toys())
    evil = Verdict(
        code=name,
        passed=False,
        message=ATTACK,
        hint=ATTACK,
        evidence={
            ATTACK: ATTACK,
            "list": [ATTACK],
            "grid": {ATTACK: {ATTACK: 1.0, "b": ATTACK}},
            "deep": {"a": [{"b": {ATTACK: ATTACK}}]},
        },
    )
    profile = SHIPPED.profile.model_copy(
        update={
            "families": (SHIPPED.profile.families[0].model_copy(update={"family": ATTACK}),),
            "notes": (ATTACK,),
        }
    )
    page = Page(
        render_html(
            replace(trial, program=SynthesisProgram(source), bench=bench),
            report.model_copy(update={"verdicts": (*report.verdicts, evil), "versions": {ATTACK: ATTACK}}),
            proposal=Proposal(SynthesisProgram(source), ATTACK, ATTACK, ATTACK),
            profile=profile,
            provenance={ATTACK: ATTACK},
        )
    )
    assert_inert(page)
    assert page.text.count("<script>alert(1)</script>") >= 25
    code = [element.text for element in page.find("code") if element.has_class("line")]
    assert "\n".join(code) + "\n" == source


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**400), 10**400) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)
EVIDENCE = st.dictionaries(st.text(), plain, max_size=5)


@settings(max_examples=60, deadline=None)
@given(
    source=st.text(),
    message=st.text(),
    evidence=EVIDENCE,
    origin=st.dictionaries(st.text(), plain, max_size=3),
)
def test_any_text_and_any_evidence_make_a_whole_page(
    unparsable: Trial, source: str, message: str, evidence: dict[str, Any], origin: dict[str, Any]
) -> None:
    program = SynthesisProgram(source)
    verdict = Verdict(code="any", passed=False, message=message, evidence=evidence, hint=message)
    report = unparsable.report().model_copy(update={"verdicts": (verdict,)})
    text = render_html(replace(unparsable, program=program), report, provenance=origin)
    text.encode("utf-8")
    assert_inert(Page(text))


@given(evidence=EVIDENCE)
def test_no_evidence_is_left_out(evidence: dict[str, Any]) -> None:
    grids = grids_of(evidence)
    told = [value for value in evidence.values() if value is not None]
    assert len(facts_of(evidence)) + len(grids) == len(told)
    for grid in grids:
        for _, cells in grid.rows:
            assert len(cells) == len(grid.columns)
            assert all(0 <= cell.at <= 100 for cell in cells if cell.at is not None)
        assert all(0 <= column.zero <= 100 for column in grid.columns)


def test_numbers_by_scenario_become_a_grid_on_one_scale() -> None:
    evidence = {
        "scenarios": {"a": {"auroc": 0.25}, "b": {"auroc": 1.0}},
        "scored": {"a": 50, "b": 1200},
        "direction": None,
        "gain": {"a": -0.5, "b": 0.25},
    }
    shares, counts, gains = grids_of(evidence)
    assert (shares.name, shares.columns) == ("scenarios", (Column("AUROC", 0.0),))
    assert shares.rows == (("a", (Cell("0.25", 25.0),)), ("b", (Cell("1.00", 100.0),)))
    assert [cells[0].text for _, cells in counts.rows] == ["50", "1\N{NARROW NO-BREAK SPACE}200"]
    assert gains.columns[0].zero == pytest.approx(100 / 3)
    assert [cells[0].text for _, cells in gains.rows] == ["−0.50", "0.25"]
    assert facts_of(evidence) == []
    assert (in_words(False), in_words([]), in_words(["a", 2])) == ("no", "none", "a, 2")


@given(
    source=st.text(st.characters(exclude_characters="\ufeff")).map(lambda text: SynthesisProgram(text).source)
)
def test_colouring_changes_no_letter(source: str) -> None:
    lines = [unescape(re.sub(r"<[^>]*>", "", line)) for line in coloured_lines(source)]
    assert "\n".join(lines) + "\n" == source
    for line in coloured_lines(source):
        assert line.count("<span") == line.count("</span>")


def test_a_program_that_did_not_run_has_its_line_marked(unparsable: Trial) -> None:
    page = Page(render_html(unparsable, unparsable.report()))
    assert not page.find("figure")
    assert "The checks after that did not run" in page.text
    marked = [element for element in page.find("code") if element.has_class("fault")]
    assert [element.attributes["id"] for element in marked] == ["line-1"]


def test_the_same_trial_gives_the_same_page(trial: Trial, report: VerificationReport) -> None:
    assert render_html(trial, report) == render_html(trial, report)


def test_rows_beyond_all_measure_are_drawn_on_the_edge() -> None:
    trial = tried(FAR)
    page = Page(render_html(trial, judge(trial)))
    assert f"{ROWS} rows lie beyond the frame" in page.text
    assert not re.search(r"\b(nan|inf)\b", page.source)


lines = arrays(np.float64, st.integers(1, 40), elements=st.floats(-1e6, 1e6))


@given(normal=lines, others=lines, room=st.floats(0, 3))
def test_a_window_holds_the_normal_rows_and_does_not_run_away(normal: Any, others: Any, room: float) -> None:
    low, high = window(normal, others, room)
    first, last = np.quantile(normal, [0.005, 0.995])
    assert low < high
    assert low <= first and last <= high
    width = (last - first) or max(abs(last), 1.0)
    assert high - low <= (1 + 2 * room) * width * 1.1 + 1e-9 * abs(high)


def test_two_columns_are_shown_as_they_are_and_more_on_their_principal_axes() -> None:
    rng = np.random.default_rng(0)
    two = rng.normal(size=(50, 2))
    assert np.array_equal(Plane.of(two).project(two), two)
    one = two[:, :1]
    assert np.array_equal(Plane.of(one).project(one), np.column_stack([one, np.zeros(50)]))
    many = rng.normal(size=(80, 6)) @ rng.normal(size=(6, 6)) * np.logspace(-3, 3, 6)
    expected = PCA(2).fit(StandardScaler().fit_transform(many))
    found = Plane.of(many)
    scores = expected.transform(StandardScaler().fit_transform(many))
    assert np.allclose(np.abs(found.project(many)), np.abs(scores), atol=1e-6)
    assert f"({expected.explained_variance_ratio_[0]:.0%})" in found.labels[0]


def test_every_scenario_of_the_package_can_be_drawn(trial: Trial) -> None:
    assert trial.evidence is not None
    bench = ToyBench(resolve("pca"), SEED)
    with threadpool_limits(1):
        toys = list(bench.toys())
    for toy in toys:
        run = replace(trial.evidence.runs[0], toy=toy, rows=toy.X_held_out[:20])
        scene = scene_of(run, bench.rng(toy.scenario, "picture"))
        drawn = np.vstack([scene.normal, scene.made, *scene.anomalous.values()])
        assert drawn.shape[1] == 2 and np.isfinite(drawn).all(), scene.name
        assert len(scene.anomalous) >= 2, scene.name
        draw_rows(scene, list(scene.anomalous))
        draw_scores(scene)


def luminance(colour: str) -> float:
    """Return the relative luminance of a colour (WCAG 2.2)."""
    parts = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


def contrast(first: str, second: str) -> float:
    darker, lighter = sorted([luminance(first), luminance(second)])
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_colours_stand_out(scheme: int) -> None:
    block = re.findall(r":root \{(.*?)\}", STYLE, flags=re.DOTALL)[scheme]
    colours = dict(re.findall(r"--([\w-]+): (#\w{6});", block))
    for name in ("ink", "soft", "passed", "failed", "keyword", "string", "number", "comment", "function"):
        assert contrast(colours[name], colours["paper"]) >= 4.5, name
        assert contrast(colours[name], colours["tint"]) >= 4.5, name
    for name in ("passed", "failed"):
        assert contrast(colours[name], colours[f"{name}-tint"]) >= 4.5, name
    for name in ("normal", "anomalous", "made"):
        assert contrast(colours[name], colours["paper"]) >= 3, name


def test_headings_and_tables_are_in_order(page: Page) -> None:
    levels = [int(element.tag[1]) for element in page.elements if re.fullmatch("h[1-6]", element.tag)]
    assert levels.count(1) == 1 and levels[0] == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.find("html")[0].attributes["lang"] == "en"
    for header in page.find("th"):
        assert header.attributes.get("scope") in {"col", "row"}


def test_the_python_of_its_page_of_the_docs_runs() -> None:
    text = (ROOT / "docs" / "verification-report.md").read_text(encoding="utf-8")
    block = re.findall(r"^```python\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)[0]
    scope: dict[str, Any] = {"source": SHIPPED.proposal.program.source}
    exec(compile(block, "verification-report.md", "exec"), scope)
    assert len(Page(scope["page"]).find("figure")) == len(scope["trial"].evidence.runs)
