"""The leaderboard in a real browser: sorting, filters, links, keyboard, and a phone's screen.

The tests need a Chromium: that of ``GENEBENCH_CHROMIUM``, else the first one on PATH. Without one
they are skipped. They fail if ``GENEBENCH_REQUIRE_BROWSER`` is set, for CI with a browser.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from itertools import pairwise

import pytest

from genebench import api
from genebench.leaderboard.assembly import build

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PHONE = {"width": 360, "height": 740}
READABLE = 4.5
"""Least contrast of text by WCAG 2.1, level AA."""


@pytest.fixture(scope="module")
def site(tiny, tmp_path_factory):
    """Build a board of real runs, one of which failed."""
    folder = tmp_path_factory.mktemp("browser")
    results = folder / "results"
    done = api.run(
        "lsr,lsr-l2,knn,knn-ge", "geo,gtex", dataset="sim", preset="tiny", results=results
    )
    failing = next(
        r for r in done.records
        if (r.identity.method, r.identity.protocol) == ("knn-ge", "geo")
    )  # fmt: skip
    from genebench.results.record import Failure
    from genebench.results.store import ResultsStore

    failure = Failure(kind="ValueError", message="no luck", traceback="Traceback\nValueError")
    gone = {"status": "failed", "scores": {}, "failure": failure, "vectors": ""}
    ResultsStore(results).write(failing.model_copy(update=gone), {})
    build([results], folder / "site")
    return folder / "site"


def chromium_there_is() -> str:
    found = os.environ.get("GENEBENCH_CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), "")
    return found or lack("no Chromium; set GENEBENCH_CHROMIUM")


def playwright():
    try:
        from playwright import sync_api
    except ImportError:
        lack("no playwright; it is in the extra dev")
    return sync_api


def lack(what):
    """Skip a test that needs a browser, or fail if a browser is required."""
    if os.environ.get("GENEBENCH_REQUIRE_BROWSER"):
        pytest.fail(f"{what}, or unset GENEBENCH_REQUIRE_BROWSER")
    pytest.skip(what)


@pytest.mark.parametrize("needed", [chromium_there_is, playwright])
def test_without_a_browser_nothing_passes(needed, monkeypatch):
    for name, value in (
        ("PATH", ""),
        ("GENEBENCH_CHROMIUM", ""),
        ("GENEBENCH_REQUIRE_BROWSER", ""),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.setitem(sys.modules, "playwright", None)
    with pytest.raises(pytest.skip.Exception):
        needed()
    monkeypatch.setenv("GENEBENCH_REQUIRE_BROWSER", "1")
    with pytest.raises(pytest.fail.Exception):
        needed()


@pytest.fixture(scope="module")
def browser():
    executable = chromium_there_is()
    with playwright().sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=executable, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, site):
    """Open a page of the site. At the end, only files of the site may have been requested."""
    asked, complaints, contexts = [], [], []

    def open_page(path="index.html", **options):
        context = browser.new_context(**options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto((site / path).as_uri())
        return page

    yield open_page
    for context in contexts:
        context.close()
    foreign = [url for url in asked if not url.startswith((site.as_uri(), "data:,"))]
    assert asked
    assert (foreign, complaints) == ([], [])


@pytest.fixture
def board(site):
    """Return the path of the board of protocol geo, relative to the site."""
    (found,) = [
        path.relative_to(site)
        for path in (site / "boards").glob("*/all.html")
        if "protocol geo," in path.read_text("utf-8")
    ]
    return str(found)


def every_page(site):
    return sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))


def column(page, number):
    """Return the texts of one column of the ranked methods."""
    return page.locator(
        f"#standings tbody:first-of-type tr > :nth-child({number})"
    ).all_inner_texts()


def heading(page, name):
    return page.locator(
        "#standings thead th", has=page.get_by_role("button", name=name, exact=True)
    )


# Sort, filter, follow


def test_a_click_sorts_and_a_second_one_the_other_way(visit, board):
    page = visit(board)
    before = column(page, 3)
    assert len(before) > 2
    page.get_by_role("button", name="MAE", exact=True).click()
    ascending = [float(text.split()[0]) for text in column(page, 3)]
    assert ascending == sorted(ascending)
    assert heading(page, "MAE").get_attribute("aria-sort") == "ascending"
    page.get_by_role("button", name="MAE", exact=True).click()
    assert [float(text.split()[0]) for text in column(page, 3)] == ascending[::-1]
    assert heading(page, "MAE").get_attribute("aria-sort") == "descending"


def test_words_are_sorted_as_words_and_only_one_column_says_that_it_is_sorted(visit, board):
    page = visit(board)
    page.get_by_role("button", name="MAE", exact=True).click()
    page.get_by_role("button", name="method", exact=True).click()
    names = [text.split()[0] for text in column(page, 2)]
    assert names == sorted(names)
    assert page.locator("[aria-sort]").count() == 1


def test_controls_and_failures_keep_their_part_of_the_table(visit, board):
    page = visit(board)
    page.get_by_role("button", name="method", exact=True).click()
    parts = page.locator("#standings tbody")
    assert "train-mean" in parts.nth(1).inner_text()
    assert parts.nth(1).locator("tr").first.inner_text().startswith("controls")
    assert "knn-ge" in parts.nth(2).inner_text()


def test_the_keyboard_sorts(visit, board):
    page = visit(board)
    page.get_by_role("button", name="fit", exact=True).focus()
    page.keyboard.press("Enter")
    assert heading(page, "fit").get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert heading(page, "fit").get_attribute("aria-sort") == "descending"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent.trim()") == "predict"


def test_the_filter_leaves_rows_with_every_word_and_says_how_many(visit, board):
    page = visit(board)
    rows = page.locator("#standings tbody tr:not(:has(.group))")
    assert rows.count() == 6
    page.get_by_label("Filter").fill("LSR l2")
    left = page.locator("#standings tbody tr:visible:not(:has(.group))")
    assert [row.split()[2] for row in left.all_inner_texts()] == ["lsr-l2"]
    assert page.locator("output").inner_text() == "1 of 6 rows"
    page.get_by_label("Filter").fill("")
    assert left.count() == 6


def test_links_lead_from_the_index_to_a_board_a_method_a_run_and_back(visit):
    page = visit()
    page.get_by_role("link", name="GEO", exact=True).click()
    assert page.locator("h1").inner_text() == "GEO"
    page.locator("nav.tabs a", has_text="strict").click()
    assert page.locator("nav.tabs [aria-current]").inner_text().startswith("strict")
    page.get_by_role("link", name="lsr", exact=True).click()
    assert page.locator("h1").inner_text() == "lsr"
    page.get_by_role("link", name="0", exact=True).first.click()
    assert page.locator("h1").inner_text() == "lsr, seed 0, under geo"
    page.get_by_role("link", name="genebench leaderboard").click()
    assert page.locator("h1").inner_text() == "genebench leaderboard"


def test_a_failed_run_is_found_from_its_board(visit, board):
    page = visit(board)
    failed = page.locator("#standings tr", has=page.get_by_text("failed", exact=True)).last
    assert "knn-ge" in failed.inner_text()
    failed.get_by_role("link", name="0✗").click()
    assert "no luck" in page.locator("main").inner_text()


# Every page


def test_no_page_asks_for_anything_but_files_of_the_site_or_complains(visit, site):
    pages = every_page(site)
    assert len(pages) > 15
    page = visit()
    for path in pages:
        page.goto((site / path).as_uri())


def test_a_request_to_a_network_would_be_seen_and_is_forbidden_by_the_page(browser, site):
    """A foreign request is refused by the policy of the page, and seen by the fixture."""
    page = browser.new_page()
    said = []
    page.on("console", lambda message: said.append(message.text))
    page.goto((site / "index.html").as_uri())
    refused = page.evaluate("fetch('http://127.0.0.1:9/x').then(() => 'sent', () => 'refused')")
    page.close()
    assert refused == "refused"
    assert any("Content Security Policy" in text for text in said)


def test_no_page_scrolls_sideways_on_a_phone(visit, site):
    page = visit(viewport=PHONE)
    for path in every_page(site):
        page.goto((site / path).as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= PHONE["width"], path


def test_wide_tables_can_be_scrolled_with_the_keyboard(visit, board):
    page = visit(board, viewport=PHONE)
    box = page.get_by_role("region", name="Standings")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    box.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(50):  # the browser scrolls smoothly, in its own time
        if box.evaluate("box => box.scrollLeft"):
            return
        page.wait_for_timeout(20)
    pytest.fail("the arrow key did not scroll the table")


# Drawings

DRAWN = """() => [...document.querySelectorAll('.pair svg')].map((svg) => {
  const box = (element) => {
    const {left, right, top, bottom} = element.getBoundingClientRect();
    return {left, right, top, bottom};
  };
  const ticks = [...svg.querySelectorAll('.m text')].map(box);
  return {
    whole: box(svg), ticks, others: [...svg.querySelectorAll('.e text, :scope > text')].map(box),
    bars: [...svg.querySelectorAll(':scope > path:not([class])')].map(box),
    lines: [...svg.querySelectorAll('[class^=line]')].map(box),
  };
})"""


def inside(part, whole):
    return (
        part["left"] >= whole["left"] - 1 and part["right"] <= whole["right"] + 1
        and part["top"] >= whole["top"] - 1 and part["bottom"] <= whole["bottom"] + 1
    )  # fmt: skip


@pytest.mark.parametrize("viewport", [{"width": 1180, "height": 820}, PHONE])
def test_bars_fill_their_drawing_and_ticks_stand_below(visit, site, viewport):
    """The style sheet and the drawing each hold a part of the geometry. A browser combines them."""
    run = next(path for path in site.glob("runs/*.html") if "lsr-l2</a>" in path.read_text("utf-8"))
    drawings = visit(run.relative_to(site), viewport=viewport).evaluate(DRAWN)
    assert [(len(one["bars"]), len(one["lines"])) for one in drawings] == [(1, 0), (1, 0), (0, 1)]
    for one in drawings:
        (shape,) = one["bars"] or one["lines"]
        across = one["whole"]["right"] - one["whole"]["left"]
        assert shape["right"] - shape["left"] > 0.8 * across
        assert all(inside(part, one["whole"]) for part in (shape, *one["ticks"], *one["others"]))
        assert len(one["ticks"]) > 1
        assert all(tick["top"] >= shape["bottom"] - 2 for tick in one["ticks"])
        for left, right in pairwise(one["ticks"]):
            assert left["right"] < right["left"], "labels on one another"


BROKEN = """() => [...document.querySelectorAll('.box td')].flatMap((cell) => {
  const text = cell.firstChild;
  return [...text.data.matchAll(/\\S+/g)].filter((word) => {
    const range = document.createRange();
    range.setStart(text, word.index);
    range.setEnd(text, word.index + word[0].length);
    return range.getClientRects().length > 1;
  }).map((word) => word[0]);
})"""


def test_no_score_is_broken_in_two_on_a_phone(visit, site):
    run = next(path for path in site.glob("runs/*.html") if "lsr-l2</a>" in path.read_text("utf-8"))
    page = visit(run.relative_to(site), viewport=PHONE)
    assert page.locator(".box td").count() == 6
    assert page.evaluate(BROKEN) == []


# Colours

COLOURS = """() => [...document.querySelectorAll('body *')].flatMap((element) => {
  const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (!own || !element.getClientRects().length) return [];
  const style = getComputedStyle(element);
  let ground = element;
  while (ground && getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)')
    ground = ground.parentElement;
  const ink = element instanceof SVGElement ? style.fill : style.color;
  const paper = getComputedStyle(ground ?? document.body).backgroundColor;
  return [[ink, paper, `${element.tagName} ${element.className.baseVal ?? element.className}`]];
})"""


def luminance(colour):
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    linear = [
        c / 12.92 if c <= 0.03928 else ((c + 0.055) / 1.055) ** 2.4 for c in (red, green, blue)
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(ink, paper):
    light, dark = sorted((luminance(ink), luminance(paper)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_contrast_is_worked_out_as_wcag_has_it():
    assert contrast("rgb(0, 0, 0)", "rgb(255, 255, 255)") == pytest.approx(21)
    assert contrast("rgb(118, 118, 118)", "rgb(255, 255, 255)") == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_can_be_read_in_either_scheme(visit, site, board, scheme):
    page = visit(board, color_scheme=scheme)
    failed = next(path for path in site.glob("runs/*.html") if "no luck" in path.read_text("utf-8"))
    for path in (site / board, site / "index.html", failed, next(site.glob("methods/*.html"))):
        page.goto(path.as_uri())
        found = page.evaluate(COLOURS)
        assert len(found) > 10
        weak = [(ink, paper, what) for ink, paper, what in found if contrast(ink, paper) < READABLE]
        assert weak == [], path.name


def test_dark_mode_is_dark(visit):
    ground = "getComputedStyle(document.body).backgroundColor"
    light = visit(color_scheme="light").evaluate(ground)
    dark = visit(color_scheme="dark").evaluate(ground)
    assert luminance(light) > 0.8
    assert luminance(dark) < 0.05


# For readers of screens

FAULTS = """() => {
  const faults = [];
  const all = (query) => [...document.querySelectorAll(query)];
  if (!document.documentElement.lang) faults.push('no language');
  if (!document.title.trim()) faults.push('no title');
  if (all('h1').length !== 1) faults.push('not one h1');
  if (all('main').length !== 1) faults.push('not one main');
  for (const th of all('th')) if (!th.scope) faults.push(`no scope: ${th.textContent}`);
  for (const one of all('input')) if (!one.labels.length) faults.push('an input without label');
  for (const one of all('button, a')) if (!one.textContent.trim()) faults.push('nameless');
  for (const svg of all('svg'))
    if (!(svg.getAttribute('role') === 'img' && svg.getAttribute('aria-label')) && !svg.ariaHidden)
      faults.push('a drawing without words');
  for (const box of all('.scroll'))
    if (box.tabIndex !== 0 || !box.ariaLabel) faults.push('a scrolling box out of reach');
  const ids = all('[id]').map((element) => element.id);
  if (new Set(ids).size !== ids.length) faults.push('an id twice');
  return faults;
}"""


def test_every_page_has_what_assistive_technology_needs(visit, site):
    page = visit()
    for path in every_page(site):
        page.goto((site / path).as_uri())
        assert page.evaluate(FAULTS) == [], path
        levels = [
            int(name[1])
            for name in page.locator("h1, h2, h3").evaluate_all("all => all.map(h => h.tagName)")
        ]
        assert all(after - before <= 1 for before, after in pairwise(levels)), path


def test_pages_are_complete_without_scripts(visit, board):
    page = visit(board, java_script_enabled=False)
    assert page.get_by_role("link", name="lsr", exact=True).is_visible()
    assert page.locator("thead button").count() == 0
