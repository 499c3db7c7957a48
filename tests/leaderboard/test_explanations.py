"""Explanations on the pages of runs: panels, marks, and folders that cannot be shown."""

from __future__ import annotations

import base64
import json
import shutil

import pytest

from genebench import api
from genebench.explaining.explanation import ABOUT, Explanation
from genebench.leaderboard.assembly import build
from genebench.leaderboard.explanations import shown_explanation
from genebench.leaderboard.reading import Run
from genebench.results.store import ResultsStore
from tests.leaderboard.test_browser import browser

__all__ = ["browser"]

PNG = b"\x89PNG\r\n\x1a\n and so on"
DOT = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAQAAAC1HAwCAAAAC0lEQVR42mNkYAAAAAYAAjCB0C8AAAAASUVORK5CYII="
"""A picture of one pixel, in Base64."""


@pytest.fixture(scope="module")
def explained(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("board") / "results"
    found = api.explain(
        "lsr", dataset="sim", preset="tiny", results=folder,
        profile_clusters=3, target_clusters=3, landmark_groups=3,
    )  # fmt: skip
    key = found.about["key"]
    place = folder / f"{key}.explanation"
    found.save(place, lambda new: [(new / f"panel-{p}.png").write_bytes(PNG) for p in "abcd"])
    return folder, key


@pytest.fixture
def results(explained, tmp_path):
    folder, key = explained
    return shutil.copytree(folder, tmp_path / "results"), key


def run_of(results, key):
    return Run(ResultsStore(results).read(key), results)


def test_the_page_of_a_run_shows_its_panels_checks_and_landmarks(results, tmp_path):
    folder, key = results
    built = build([folder], tmp_path / "site")
    assert built.problems == ()
    page = (tmp_path / "site" / "runs" / f"{key}.html").read_text()
    for letter in "abcd":
        assert f'src="../explanations/{key}-{letter}.png"' in page
        assert (tmp_path / "site" / "explanations" / f"{key}-{letter}.png").read_bytes() == PNG
    assert "adjusted Rand index of profile clusters" in page
    assert Explanation.read(folder / f"{key}.explanation").top["symbol"][0] in page
    # A new site takes the place of the old one.
    build([folder], tmp_path / "site")


@pytest.mark.browser
def test_a_browser_shows_the_panels(results, tmp_path, browser):
    """The content policy of a page has to allow its pictures."""
    folder, key = results
    dot = base64.b64decode(DOT)
    for path in (folder / f"{key}.explanation").glob("*.png"):
        path.write_bytes(dot)
    build([folder], tmp_path / "site")
    page, said = browser.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.goto((tmp_path / "site" / "runs" / f"{key}.html").as_uri())
    for picture in page.locator("img.panel").all():
        picture.scroll_into_view_if_needed()
        picture.evaluate("picture => picture.decode()")
    assert page.locator("img.panel").count() == 4
    page.close()
    assert said == []


def test_an_unstable_panel_is_marked(results):
    folder, key = results
    place = folder / f"{key}.explanation"
    trust = place / "trust.tsv"
    trust.write_text(trust.read_text().replace("True", "False"))
    shown = shown_explanation(run_of(folder, key))
    assert not any(check.sound for check in shown.checks)
    assert all(picture.letter in "abcd" for picture in shown.pictures)


def test_a_run_without_an_explanation_has_no_panels(results, tmp_path):
    folder, key = results
    shutil.rmtree(folder / f"{key}.explanation")
    assert shown_explanation(run_of(folder, key)) is None
    build([folder], tmp_path / "site")
    assert "<h2>Landmarks" not in (tmp_path / "site" / "runs" / f"{key}.html").read_text()
    assert not (tmp_path / "site" / "explanations").exists()


def test_without_pictures_the_tables_are_shown(results):
    folder, key = results
    for path in (folder / f"{key}.explanation").glob("*.png"):
        path.write_bytes(b"<svg onload='alert(1)'>")
    shown = shown_explanation(run_of(folder, key))
    assert shown.files == {}
    assert shown.pictures == []
    assert shown.clusters


def test_a_damaged_explanation_is_a_problem_and_its_run_is_shown(results, tmp_path):
    folder, key = results
    (folder / f"{key}.explanation" / "trust.tsv").write_text("x")
    built = build([folder], tmp_path / "site")
    assert any("Make it again" in problem for problem in built.problems)
    assert "Make it again" in (tmp_path / "site" / "problems.html").read_text()
    assert (tmp_path / "site" / "runs" / f"{key}.html").exists()


def test_the_explanation_of_another_model_is_not_shown(results):
    folder, key = results
    path = folder / f"{key}.explanation" / ABOUT
    path.write_text(json.dumps({**json.loads(path.read_text()), "key": "0" * 24}))
    assert "of another model" in shown_explanation(run_of(folder, key))


def test_text_of_an_explanation_is_escaped(results, tmp_path):
    folder, key = results
    path = folder / f"{key}.explanation" / "panel-b.tsv"
    symbol = Explanation.read(path.parent).top["symbol"][0]
    path.write_text(path.read_text().replace(symbol, "<script>alert(1)</script>"))
    build([folder], tmp_path / "site")
    page = (tmp_path / "site" / "runs" / f"{key}.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
