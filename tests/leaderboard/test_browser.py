"""The leaderboard in a real browser: sorting, filters, links, keyboard, phones, paper, and axe.

The tests need a Chromium: that of ``GENEBENCH_CHROMIUM``, else the first one on PATH. Without one
they are skipped. They fail if ``GENEBENCH_REQUIRE_BROWSER`` is set, for CI with a browser.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import sys
from itertools import pairwise
from pathlib import Path

import pytest

from genebench import api
from genebench._util.hashing import key_of
from genebench.leaderboard.assembly import build
from genebench.leaderboard.equations import equations

pytestmark = pytest.mark.browser

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
PHONE = {"width": 360, "height": 740}
PAPER = {"width": 1047, "height": 718}
"""A4, landscape, without its margins, in pixels of style sheets."""
HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
# axe would read style sheets again by XMLHttpRequest, which a page from disk may not do.
AXE = "axe.run({preload: false}).then(r => r.violations.map(v => [v.id, v.nodes[0].html]))"
READABLE = 4.5
"""Least contrast of text by WCAG 2.1, level AA."""


@pytest.fixture(scope="module")
def site(tiny, tmp_path_factory):
    """Build a board of real runs. One failed, and one has a parameter that attacks pages."""
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
    store = ResultsStore(results)
    store.write(failing.model_copy(update=gone), {})
    lsr = next(
        r for r in done.records if (r.identity.method, r.identity.protocol) == ("lsr", "geo")
    )
    params = {**lsr.identity.params, "note": HOSTILE}
    identity = lsr.identity.model_copy(update={"params": params})
    hostile = lsr.model_copy(update={"identity": identity, "key": key_of(identity.model_dump())})
    store.write(hostile, store.vectors(lsr))
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
        context.set_default_timeout(120_000)  # milliseconds, on a busy machine
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        address, _, state = str(path).partition("#")
        page.goto(f"{(site / address).as_uri()}#{state}")
        return ready(page)

    yield open_page
    for context in contexts:
        context.close()
    foreign = [url for url in asked if not url.startswith((site.as_uri(), "data:,"))]
    assert asked
    assert (foreign, complaints) == ([], [])


def ready(page):
    """Wait for the table of a board, if scripts make one, and return the page."""
    scripted = page.context.browser and page.evaluate("!!globalThis.genebenchBoard")
    if scripted:
        page.locator("#standings-table[data-ready]").wait_for()
    return page


@pytest.fixture(scope="module")
def axe():
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")


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


TABLE = """field => {
  const sections = {};
  let section;
  for (const row of document.querySelectorAll('#standings-table .tabulator-row')) {
    if (row.matches('.tabulator-group')) sections[row.innerText.trim()] = section = [];
    else section.push(row.querySelector(`[tabulator-field="${field}"]`).innerText);
  }
  return sections;
}"""


def column(page, field, section="ranked"):
    """Return the texts of one column of a section."""
    sections = page.evaluate(TABLE, field)
    return next(texts for title, texts in sections.items() if title.startswith(section))


def rows_in(page):
    return [text for texts in page.evaluate(TABLE, "method").values() for text in texts]


def heading(page, name):
    return page.get_by_role("columnheader", name=name)


def press(page, name):
    page.get_by_role("button", name=name, exact=True).click()


# Sort, filter, choose, keep


def test_the_first_click_puts_the_best_first_and_a_second_the_worst(visit, board):
    page = visit(board)
    for name, field, best_first in (("MAE", "mae", 1), ("CC", "cc", -1)):
        press(page, name)
        values = [float(text) for text in column(page, field)]
        assert len(values) > 2
        assert values == sorted(values, reverse=best_first < 0)
        press(page, name)
        assert [float(text) for text in column(page, field)] == values[::-1]
        order = "descending" if best_first > 0 else "ascending"
        assert heading(page, name).first.get_attribute("aria-sort") == order


def test_controls_and_failures_keep_their_part_of_the_table(visit, board):
    page = visit(board)
    press(page, "method")
    assert "train-mean" in "".join(column(page, "method", "controls"))
    assert "knn-ge" in "".join(column(page, "method", "failed"))
    names = [text.split()[0] for text in column(page, "method")]
    assert names == sorted(names)


def test_the_keyboard_sorts(visit, board):
    page = visit(board)
    page.get_by_role("button", name="fit", exact=True).focus()
    page.keyboard.press("Enter")
    assert heading(page, "fit").get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert heading(page, "fit").get_attribute("aria-sort") == "descending"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent.trim()") == "predict"


def test_filters_leave_rows_with_every_word_and_of_a_family(visit, board):
    page = visit(board)
    total = len(rows_in(page))
    page.get_by_label("Filter").fill("LSR l2")
    assert [text.split()[0] for text in rows_in(page)] == ["lsr-l2"]
    assert page.locator(".filter output").first.inner_text() == f"1 of {total} rows"
    page.get_by_label("Filter").fill("")
    page.get_by_label("Family", exact=True).select_option("knn")
    assert {text.split()[0] for text in rows_in(page)} == {"knn", "knn-ge"}
    page.get_by_label("Family", exact=True).select_option("all")
    assert len(rows_in(page)) == total


def test_choices_survive_another_panel_leaving_and_back(visit, board):
    page = visit(board)
    press(page, "CC")
    page.get_by_label("Filter").fill("lsr")
    page.locator("summary", has_text="Columns").click()
    page.get_by_label("memory").uncheck()
    before = rows_in(page)

    def check():
        ready(page)
        assert page.get_by_label("Filter").input_value() == "lsr"
        assert rows_in(page) == before
        assert heading(page, "CC").get_attribute("aria-sort") == "descending"
        assert not page.get_by_role("button", name="memory", exact=True).is_visible()

    page.get_by_role("link", name="strict", exact=True).click()
    page.wait_for_url("**/strict.html*")
    ready(page)
    assert page.get_by_label("Filter").input_value() == "lsr"
    page.go_back()
    check()
    page.get_by_role("link", name="lsr-l2", exact=True).click()
    page.go_back()
    check()
    page.reload()
    check()


def test_ranks_follow_the_chosen_metric(visit, board):
    page = visit(board)
    page.get_by_label("Ranked by").select_option("CC")
    ready(page)
    values = [float(text) for text in column(page, "cc")]
    assert values == sorted(values, reverse=True)
    assert "leader" in column(page, "difference")[0]


def test_the_csv_has_the_rows_and_columns_that_are_shown(visit, board, tmp_path):
    page = visit(f"{board}#q=knn&columns=rank,mae")
    with page.expect_download() as started:
        press(page, "CSV of this table")
    started.value.save_as(tmp_path / "shown.csv")
    header, *lines = csv.reader((tmp_path / "shown.csv").read_text("utf-8").splitlines())
    assert header == ["rank", "method", "mae"]
    assert sorted(line[1] for line in lines) == ["knn", "knn-ge"]


def test_a_row_behind_the_leader_has_its_difference_and_one_axis(visit, board):
    page = visit(board)
    press(page, "MAE")
    texts = column(page, "difference")
    assert texts[0].startswith("leader")
    assert re.match(r"\+0\.\d{4}\s+\[[+−]0\.\d{4}, \+0\.\d{4}\]", texts[-1])
    zeros = page.locator("#standings-table .drawn .zero").evaluate_all(
        "all => all.map(line => line.getAttribute('d'))"
    )
    assert len(zeros) == len(texts)
    assert len(set(zeros)) == 1
    sizes = page.locator("#standings-table .drawn svg").evaluate_all(
        "all => all.map(drawing => [drawing.clientWidth, drawing.viewBox.baseVal.width])"
    )
    assert {drawn == unit for drawn, unit in sizes} == {True}


def test_a_wide_space_in_an_equation_scrolls_in_its_paragraph(visit, board, site):
    page = visit(board, viewport=PHONE)
    for text in (r"$a \hspace{9999em} b$", r"$$a \hspace{9999em} b$$", r"$\hspace{-9999em} b$"):
        html = f"<div class=maths>{equations(text)}</div>"
        page.evaluate("html => { document.querySelector('main').innerHTML = html }", html)
        page.locator(".maths math").wait_for(state="attached")
        assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], text


def test_names_from_a_record_are_shown_as_text(visit, board):
    page = visit(board)
    assert any(HOSTILE[:20] in text for text in rows_in(page))
    assert page.locator("#standings-table img, #charts img").count() == 0
    assert page.get_by_role("link", name=HOSTILE).first.is_visible()


def test_links_lead_from_the_index_to_a_board_a_method_a_run_and_back(visit):
    page = visit()
    page.get_by_role("link", name="GEO", exact=True).click()
    assert page.locator("h1").inner_text() == "GEO"
    page.get_by_role("link", name="gtex", exact=True).click()
    assert page.locator("h1").inner_text() == "GEO → 1000 Genomes → GTEx"
    page.get_by_role("link", name="strict", exact=True).click()
    assert page.locator("nav.axes [aria-current]").all_inner_texts() == [
        "sim", "gtex", "strict", "tiny"
    ]  # fmt: skip
    page.get_by_role("link", name="lsr", exact=True).click()
    assert page.locator("h1").inner_text() == "lsr"
    page.get_by_role("link", name="0", exact=True).first.click()
    assert page.locator("h1").inner_text() == "lsr, seed 0, under geo"
    page.get_by_role("link", name="genebench leaderboard").click()
    assert page.locator("h1").inner_text() == "genebench leaderboard"


def test_a_failed_run_is_found_from_its_board(visit, board):
    page = visit(board)
    failed = page.locator("#standings-table .tabulator-row", has_text="knn-ge").first
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


@pytest.mark.parametrize(
    ("viewport", "media"),
    [(PHONE, "screen"), ({"width": 800, "height": 900}, "screen"), (PAPER, "print")],
    ids=["phone", "tablet", "paper"],
)
def test_no_page_is_wider_than_its_window_or_its_paper(visit, site, viewport, media):
    page = visit(viewport=viewport)
    page.emulate_media(media=media)
    for path in every_page(site):
        page.goto((site / path).as_uri())
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= viewport["width"], path
        # Wide tables scroll in their boxes. Their captions are read without.
        captions = page.evaluate(
            "[...document.querySelectorAll('caption')].map(c => c.getBoundingClientRect().right)"
        )
        assert all(right <= viewport["width"] for right in captions), path


def test_a_laptop_shows_all_columns_up_to_the_family(visit, board):
    page = visit(board, viewport={"width": 1180, "height": 820})
    family = heading(page, "family").bounding_box()
    box = page.locator("#standings-table").bounding_box()
    assert family["x"] + family["width"] <= box["x"] + box["width"]


def test_wide_tables_can_be_scrolled_with_the_keyboard(visit, board):
    page = visit(board, viewport=PHONE)
    box = page.locator("#standings-table .tabulator-tableholder")
    assert box.evaluate("box => box.scrollWidth > box.clientWidth")
    box.focus()
    page.keyboard.press("ArrowRight")
    for _ in range(50):  # the browser scrolls smoothly, in its own time
        if box.evaluate("box => box.scrollLeft"):
            return
        page.wait_for_timeout(20)
    pytest.fail("the arrow key did not scroll the table")


# Drawings

DRAWN = """() => [...document.querySelectorAll('.box th svg, .pair svg')].map((svg) => {
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
        if one["bars"]:
            assert across > 50
            continue
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


@pytest.mark.parametrize(
    "screen",
    [
        {"viewport": {"width": 1400, "height": 900}, "color_scheme": "light"},
        {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
    ],
    ids=["desktop", "phone"],
)
def test_axe_finds_nothing_on_any_kind_of_page(visit, site, board, axe, screen):
    page = visit(board, **screen)
    kinds = {path.split("/")[0]: path for path in every_page(site)} | {"boards": board}
    methods = {
        path: (site / path).read_text("utf-8") for path in every_page(site) if "methods/" in path
    }
    kinds["methods"] = next(path for path, text in methods.items() if "<math" in text)
    kinds["failed"] = next(
        p for p in every_page(site) if "no luck" in (site / p).read_text("utf-8")
    )
    assert len(kinds) > 5
    for path in kinds.values():
        page.goto((site / path).as_uri())
        ready(page)
        page.evaluate(axe)
        assert page.evaluate(AXE) == [], path


def test_axe_would_notice(visit, axe):
    page = visit()
    page.evaluate("document.querySelector('main').append(document.createElement('img'))")
    page.evaluate(axe)
    assert "image-alt" in [name for name, _ in page.evaluate(AXE)]


def test_paper_has_every_column_and_the_rows_of_the_filter(visit, board):
    page = visit(f"{board}#q=lsr-l2", viewport=PAPER)
    page.emulate_media(media="print")
    table = page.locator("#standings")
    assert table.is_visible()
    assert not page.locator("#standings-table").is_visible()
    right = table.evaluate("table => table.getBoundingClientRect().right")
    assert right <= PAPER["width"]
    assert page.locator("#standings thead th:visible").count() == 14
    assert page.locator("#standings tbody tr[data-id]:visible").count() == 1


def test_headings_and_names_stay_in_sight(visit, board):
    page = visit(board, viewport=PHONE)
    page.locator("#standings-table .tabulator-tableholder").evaluate("box => box.scrollLeft = 300")
    name = page.locator("#standings-table .tabulator-row .name").first.bounding_box()
    assert 0 <= name["x"] < PHONE["width"] / 2


def test_pages_are_complete_without_scripts(visit, board):
    page = visit(board, java_script_enabled=False)
    assert page.get_by_role("link", name="lsr", exact=True).is_visible()
    assert page.get_by_role("region", name="Standings").is_visible()
    assert page.get_by_role("link", name="gtex", exact=True).first.is_visible()
    assert page.locator("thead button").count() == 0
