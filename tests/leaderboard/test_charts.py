"""The tabs of charts in a real browser: what they draw, say and save, and how they are reached."""

from __future__ import annotations

import csv
import io
import shutil

import pytest

from genebench.leaderboard.assembly import build
from genebench.results.store import ResultsStore
from tests.leaderboard.test_browser import AXE, PHONE, axe, browser
from tests.leaderboard.test_site import HOSTILE, Code, identity, provenance, put

__all__ = ["axe", "browser"]
pytestmark = pytest.mark.browser

TABS = {
    "cost": "Error and cost", "pairs": "Pairs of methods", "protocols": "Methods × protocols",
    "genes": "Genes", "curves": "Curves", "history": "By date",
}  # fmt: skip
INK = """canvas => {
  const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
  let inked = 0;
  for (let at = 3; at < pixels.length; at += 4) inked += pixels[at] > 0;
  return inked;
}"""
"""Number of pixels that are drawn. A canvas begins transparent."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build a site of made-up runs: six methods, two protocols, three sizes, hostile texts."""
    folder = tmp_path_factory.mktemp("charts")
    store = ResultsStore(folder / "results")
    store.prepare()
    for number, (method, level) in enumerate(
        {"lsr": 0.30, "knn": 0.36, "knn-ge": 0.361, "dgex": 0.45}.items()
    ):
        for protocol in ("geo", "gtex"):
            put(store, identity(method, protocol=protocol, test=f"{protocol}/test"), level,
                provenance=provenance(started=f"2026-0{4 - number}-01T00:00:00+00:00"),
                seconds={"fit": 10.0**number, "predict": 0.1, "score": 0.1})  # fmt: skip
    for size in (100, 200):
        what = identity("lsr", protocol=f"geo-n{size}", train=f"geo/train/{size}-profiles")
        put(store, what, 0.5, profiles={"train": size, "validation": 40, "test": 24})
    for level, text in ((0.5, HOSTILE), (0.52, "{a|b}</script><img src=x onerror=alert(1)>")):
        put(store, identity("evil", params={"a": text}), level)
    mean = identity("train-mean", code=Code(distribution="genebench", version="1", digest="ab"))
    put(store, mean, 2.0)
    build([folder / "results"], folder / "site")
    return folder / "site"


@pytest.fixture
def board(site):
    """Return the path of the board of protocol geo."""
    (found,) = [
        p for p in site.glob("boards/*/all.html") if "protocol geo, " in p.read_text("utf-8")
    ]
    return found


@pytest.fixture
def visit(browser, site, board):
    """Open a tab of the board. At the end, nothing foreign was asked for, or complained."""
    asked, complaints, contexts = [], [], []

    def open_tab(tab="", **options):
        context = browser.new_context(**{"viewport": {"width": 1200, "height": 900}} | options)
        context.set_default_timeout(120_000)  # milliseconds, on a busy machine
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.goto(f"{board.as_uri()}{'#tab=' if tab else ''}{tab}")
        if tab:
            show(page, tab)
        return page

    yield open_tab
    for context in contexts:
        context.close()
    mine = (site.as_uri(), "data:", "blob:")
    assert ([url for url in asked if not url.startswith(mine)], complaints) == ([], [])


def wait_until(page, condition, argument=None):
    """Wait until a condition holds on a page, whose content policy forbids to poll inside it."""
    for _ in range(2400):
        if page.evaluate(condition, argument):
            return
        page.wait_for_timeout(50)
    pytest.fail(f"{condition} did not come true")


def show(page, tab):
    """Scroll to the charts, and wait until the tab is filled."""
    page.locator("#charts").scroll_into_view_if_needed()
    pane = page.locator(f"#pane-{tab}")
    pane.locator(".summary").first.wait_for()
    wait_until(page, f"document.getElementById('pane-{tab}').ariaBusy === 'false'")
    return pane


def saved(page, pane):
    """Return the rows of the file that the CSV button saves."""
    with page.expect_download() as download:
        pane.get_by_role("button", name="CSV").click()
    assert download.value.suggested_filename.endswith(".csv")
    text = download.value.path().read_text("utf-8")
    return list(csv.DictReader(io.StringIO(text)))


# Every tab


@pytest.mark.parametrize(
    ("viewport", "scheme"),
    [({"width": 1200, "height": 900}, "light"), (PHONE, "dark")],
    ids=["desktop", "phone"],
)
def test_each_tab_draws_and_says_what_it_shows(visit, axe, viewport, scheme):
    page = visit(viewport=viewport, color_scheme=scheme)
    page.evaluate(axe)
    for tab, title in TABS.items():
        page.get_by_role("tab", name=title).click()
        pane = show(page, tab)
        assert len(pane.locator(".summary").first.inner_text()) > 30
        assert pane.get_by_role("button", name="CSV").is_visible()
        assert pane.locator(".static").evaluate_all("all => all.every(one => one.hidden)")
        if tab != "protocols":
            assert pane.locator("canvas").evaluate(INK) > 500, tab
            assert len(pane.locator(".canvas").get_attribute("aria-label")) > 10
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"], tab
        assert page.evaluate(AXE) == [], tab


def test_arrow_keys_move_between_tabs_and_one_of_them_is_in_the_order_of_focus(visit):
    page = visit("cost")
    tabs = page.get_by_role("tab")
    assert tabs.all_inner_texts() == list(TABS.values())
    page.get_by_role("tab", name="Error and cost").focus()
    for key, title in (
        ("ArrowRight", "Pairs of methods"), ("ArrowLeft", "Error and cost"),
        ("ArrowLeft", "By date"), ("Home", "Error and cost"), ("End", "By date"),
    ):  # fmt: skip
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.textContent") == title
        assert page.locator("[role=tab][aria-selected=true]").all_inner_texts() == [title]
        assert page.locator("[role=tab][tabindex='0']").all_inner_texts() == [title]
        panels = page.locator("[role=tabpanel]:visible")
        assert panels.count() == 1
        controls = page.locator("[role=tab][aria-selected=true]").get_attribute("aria-controls")
        assert panels.get_attribute("id") == controls
    assert page.url.endswith("#tab=history")


def test_the_address_restores_a_tab_and_its_choices(visit):
    expect = pytest.importorskip("playwright.sync_api").expect
    page = visit("pairs")
    page.locator("#pane-pairs select").select_option(label="knn-ge")
    page.get_by_role("tab", name="Genes").click()
    pane = show(page, "genes")
    pane.locator("select").first.select_option(label="dgex")
    wait_until(page, "location.hash.includes('x=dgex')")
    again = visit()
    again.goto("about:blank")
    again.goto(page.url)
    chosen = show(again, "genes").locator("select").first.locator("option:checked")
    expect(chosen).to_have_text("dgex")
    again.get_by_role("tab", name="Pairs of methods").click()
    caption = show(again, "pairs").locator("caption")
    expect(caption).to_contain_text("of knn-ge minus that of each other method")


def test_without_scripts_each_tab_has_a_table_a_drawing_or_a_sentence(visit):
    page = visit(java_script_enabled=False)
    for tab, title in TABS.items():
        pane = page.locator(f".pane[data-name={tab}]")
        assert pane.get_by_role("heading", name=title).is_visible()
        assert pane.locator(".static").first.is_visible()
    assert page.locator("[data-name=cost] svg.wide").is_visible()
    assert page.locator("[data-name=protocols] td").count() > 10


def test_nothing_is_loaded_before_the_charts_are_near(visit):
    page = visit(viewport={"width": 1200, "height": 200})
    page.evaluate("document.getElementById('charts').style.marginTop = '4000px'")
    page.reload()
    page.wait_for_timeout(100)
    loaded = "() => performance.getEntriesByType('resource').map(one => one.name).join()"
    if page.evaluate("document.getElementById('charts').getBoundingClientRect().top > 700"):
        assert "echarts" not in page.evaluate(loaded)
    assert "genes.js" not in page.evaluate(loaded)


@pytest.mark.parametrize("tab", ["cost", "pairs", "genes", "curves", "history"])
def test_a_chart_follows_the_window_and_the_scheme(visit, tab):
    page = visit(tab)
    picture = "document.querySelector('.pane:not([hidden]) canvas').toDataURL()"
    light, wide = page.evaluate(picture), page.locator(".pane:visible canvas").bounding_box()
    page.emulate_media(color_scheme="dark")
    wait_until(page, f"(before) => {picture} !== before", light)
    page.set_viewport_size(PHONE)
    wait_until(page, "document.querySelector('.pane:not([hidden]) canvas').clientWidth < 361")
    assert page.locator(".pane:visible canvas").bounding_box()["width"] < wide["width"]


def test_a_file_that_is_missing_is_named(browser, site, board, tmp_path):
    shutil.copytree(site, tmp_path / "copy")
    (tmp_path / "copy" / board.relative_to(site)).with_name("tabs.js").unlink()
    page = browser.new_page()
    page.goto((tmp_path / "copy" / board.relative_to(site)).as_uri())
    page.locator("#charts").scroll_into_view_if_needed()
    assert "tabs.js is missing" in page.get_by_role("alert").inner_text()
    assert page.locator("[data-name=cost] svg.wide").is_visible()
    page.close()


# The metric


def test_every_tab_but_that_of_genes_follows_the_metric_that_ranks(visit):
    page = visit("cost")
    scores = {row["method"]: float(row["mae"]) for row in saved(page, page.locator("#pane-cost"))}
    picture = "document.querySelector('#pane-cost canvas').toDataURL()"
    before = page.evaluate(picture)
    page.get_by_label("Ranked by").select_option("CC")
    assert "metric=cc" in page.url
    wait_until(page, f"(before) => {picture} !== before", before)
    rows = saved(page, page.locator("#pane-cost"))
    # The made-up CC of a run is 1 − its MAE.
    for row in rows:
        assert float(row["cc"]) == pytest.approx(1 - scores[row["method"]], abs=1e-4)
    assert "its CC." in page.locator("#pane-cost .note").inner_text()
    assert page.locator("#pane-cost .tools").count() == 1
    columns = {
        "pairs": "cc_a", "protocols": "geo_cc", "genes": "difference", "curves": "CC",
        "history": "cc",
    }  # fmt: skip
    for tab, name in columns.items():
        page.get_by_role("tab", name=TABS[tab]).click()
        pane = show(page, tab)
        first = saved(page, pane)[0]
        assert any(column.startswith(name) for column in first), (tab, first)
    page.get_by_role("tab", name="Genes").click()
    assert "MAE" in page.locator("#pane-genes .note").inner_text()
    page.get_by_role("tab", name="Error and cost").click()
    page.get_by_label("Ranked by").select_option("MAE")
    assert "metric" not in page.url
    wait_until(page, "document.querySelector('#pane-cost .note').innerText.includes('its MAE.')")


def test_the_address_keeps_the_metric_of_a_chart(visit, board):
    page = visit()
    page.goto("about:blank")
    page.goto(f"{board.as_uri()}#tab=history&metric=cc")
    rows = saved(page, show(page, "history"))
    scores = [float(row["cc"]) for row in rows if row["best_so_far"] == "1"]
    assert scores == sorted(scores)
    assert page.get_by_label("Ranked by").input_value() == "cc"


# What is in them


def test_hostile_texts_stay_texts(visit):
    page = visit("pairs")
    for tab, title in TABS.items():
        page.get_by_role("tab", name=title).click()
        show(page, tab)
    assert page.locator("#charts img, #charts script").count() == 0
    options = page.locator("#pane-pairs option").all_inner_texts()
    assert any("<script>alert(1)</script>" in text for text in options)
    # Every cell of the matrix is pointed at, so that each tooltip is drawn.
    page.get_by_role("tab", name="Pairs of methods").click()
    drawing = page.locator("#pane-pairs canvas")
    size = drawing.bounding_box()
    for share in (0.5, 0.6, 0.7, 0.8, 0.9, 0.97):
        drawing.hover(position={"x": share * size["width"], "y": share * size["height"]})
    assert page.locator("#charts img, #charts script").count() == 0


def test_the_frontier_is_that_of_the_csv(visit):
    page = visit("cost")
    pane = page.locator("#pane-cost")
    rows = saved(page, pane)
    assert len(rows) == 7
    front = {row["method"] for row in rows if row["on_frontier"] == "1"}
    assert front == {"lsr"}
    assert "lsr (1.1 s" in pane.locator(".summary").inner_text()
    (control,) = [row for row in rows if row["control"] == "1"]
    assert (control["method"], control["rank"]) == ("train-mean", "")


def test_pairs_can_be_picked_in_the_matrix_and_saved(visit):
    page = visit("pairs")
    pane = page.locator("#pane-pairs")
    rows = saved(page, pane)
    assert len(rows) == 15
    first = rows[0]
    assert (first["a"], first["b"], first["a_is"]) == ("lsr", "knn", "better")
    assert float(first["difference"]) == pytest.approx(
        float(first["mae_a"]) - float(first["mae_b"]), abs=1e-6
    )
    drawing = pane.locator("canvas")
    size = drawing.bounding_box()
    # A click of the locator scrolls the drawing into view first. One of the mouse does not.
    drawing.click(position={"x": size["width"] * 0.6, "y": size["height"] - 16})
    wait_until(page, "location.hash.includes('method=evil')")
    assert pane.locator("caption").inner_text().startswith("MAE of evil")
    assert pane.locator("tbody tr").count() == 5


def test_protocols_are_sorted_and_compared(visit):
    page = visit("protocols")
    pane = page.locator("#pane-protocols")
    column = pane.locator(".heat tbody td:nth-of-type(2)")
    pane.get_by_role("button", name="gtex").click()
    values = [float(text) for text in column.all_inner_texts() if text != "–"]
    assert values == sorted(values)
    assert len(values) == 4
    pane.get_by_label("show").select_option(label="change from geo")
    assert "show=from" in page.url
    firsts = pane.locator(".heat tbody td:nth-of-type(1)").all_inner_texts()
    assert set(firsts) == {"0.0000"}


def test_genes_are_searched_sorted_and_marked(visit):
    page = visit("genes")
    pane = page.locator("#pane-genes")
    rows = pane.locator("tbody tr")
    assert rows.count() == 50
    pane.get_by_role("button", name="Show 200 more").click()
    assert rows.count() == 60
    differences = [
        float(text.replace("−", "-"))
        for text in pane.locator("tbody tr td:last-child").all_inner_texts()
    ]
    assert differences == sorted(differences)
    pane.get_by_label("search genes").fill("00000000007, 42")
    assert sorted(pane.locator("tbody button").all_inner_texts()) == [
        "ENSG00000000007", "ENSG00000000042"
    ]  # fmt: skip
    picture = "document.querySelector('#pane-genes canvas').toDataURL()"
    before = page.evaluate(picture)
    pane.get_by_role("button", name="ENSG00000000042").click()
    assert "gene=ENSG00000000042" in page.url
    wait_until(page, f"(before) => {picture} !== before", before)
    saved_rows = saved(page, pane)
    assert len(saved_rows) == 60
    row = next(row for row in saved_rows if row["gene"] == "ENSG00000000042")
    x, y = list(row.values())[3:5]
    assert float(row["difference"]) == pytest.approx(float(x) - float(y), abs=0.0011)


def test_genes_are_those_of_the_panel(visit):
    page = visit()
    page.goto(page.url.replace("all.html", "twin.html") + "#tab=genes")
    pane = show(page, "genes")
    assert pane.locator("tbody tr").count() == 10
    assert pane.locator(".summary").first.inner_text().startswith("10 genes")


def test_curves_offer_the_training_sizes_and_what_records_hold(visit):
    page = visit("curves")
    pane = page.locator("#pane-curves")
    assert pane.locator("option").all_inner_texts()[:2] == ["training size", "learning"]
    assert {row["training profiles"] for row in saved(page, pane)} == {"100", "200", "300"}
    pane.locator("select").first.select_option(label="learning")
    rows = saved(page, pane)
    assert len(rows) == 3 * 7
    assert {row["epoch"] for row in rows if row["chosen"] == "1"} == {"2"}


def test_dates_show_when_the_best_score_changed(visit):
    page = visit("history")
    pane = page.locator("#pane-history")
    rows = saved(page, pane)
    best = [row["method"] for row in rows if row["best_so_far"] == "1"]
    assert best[-1] == "lsr"
    assert all("train-mean" not in row["method"] for row in rows)
    assert [row["started"] for row in rows] == sorted(row["started"] for row in rows)
