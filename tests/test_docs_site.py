"""The documentation as a site: built without a warning, accessible, complete and searched offline.

``GENEBENCH_DOCS_SITE`` names a site that ``make docs`` has built, and whose build ends at a
warning. A site that is older than its sources is refused. Without it, the site is built here.
The tests in a browser need a Chromium: that of ``GENEBENCH_CHROMIUM``, else the first one on PATH.
Without one they are skipped. They fail if ``GENEBENCH_REQUIRE_BROWSER`` is set.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from genebench.files import lock

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
KINDS = [
    "index", "tutorial", "guides/index", "howto/cluster", "reference/commands",
    "reference/methods/index", "reference/methods/ggan", "reference/offered", "reference/python",
    "reference/hooks", "reference/record", "explanation/science", "decisions/index", "gallery",
    "glossary", "search", "genindex",
]  # fmt: skip
"""Pages, at least one of each kind."""
SCREENS = {
    "desktop": {"viewport": {"width": 1400, "height": 900}, "color_scheme": "light"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "dark"},
}
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
# axe would read style sheets again by XMLHttpRequest, which a page from disk may not do.
AXE = "axe.run({preload: false}).then(r => r.violations.map(v => [v.id, v.nodes[0].html]))"


def is_older(site, sources):
    """Return whether a file was changed since the site was built. Each build writes its index."""
    files = (path for path in sources.rglob("*") if "__pycache__" not in path.parts)
    newest = max(path.stat().st_mtime for path in files if path.is_file())
    return (site / "searchindex.js").stat().st_mtime < newest


@pytest.fixture(scope="session")
def built(shared):
    """Build the site once for all processes that run tests.

    Return its folder and the messages, or None for messages of an earlier build.
    """
    if site := os.environ.get("GENEBENCH_DOCS_SITE"):
        if is_older(Path(site), DOCS):
            pytest.fail(f"{site} is older than docs. Run make docs, or unset GENEBENCH_DOCS_SITE")
        return Path(site), None
    site, messages = shared / "docs-site", shared / "docs-messages.txt"
    (shared / "docs.lock").touch()
    with lock(shared / "docs.lock", wait=True):
        if not messages.exists():
            done = subprocess.run(
                [sys.executable, "-m", "sphinx", "--quiet", "--fresh-env",
                 "--doctree-dir", shared / "docs-trees", DOCS, site],
                cwd=ROOT, capture_output=True, text=True, check=False,
            )  # fmt: skip
            messages.write_text(done.stderr, "utf-8")
    return site, messages.read_text("utf-8")


@pytest.fixture
def site(built):
    return built[0]


def test_the_site_is_built_without_a_warning(built):
    _, messages = built
    if messages is None:
        pytest.skip("GENEBENCH_DOCS_SITE names a site whose build ends at a warning")
    assert messages == ""


def test_a_site_is_old_once_a_source_changed(tmp_path):
    source, site = tmp_path / "docs" / "guides" / "page.md", tmp_path / "site"
    for path in (source, site / "searchindex.js"):
        path.parent.mkdir(parents=True)
        path.touch()
    os.utime(source, (1, 1))
    assert not is_older(site, tmp_path / "docs")
    os.utime(site / "searchindex.js", (0, 0))
    assert is_older(site, tmp_path / "docs")


def test_the_site_has_every_page(site):
    pages = {path.relative_to(DOCS).with_suffix(".html") for path in DOCS.rglob("*.md")}
    assert pages <= {path.relative_to(site) for path in site.rglob("*.html")}


def test_the_reference_has_commands_parameters_hooks_and_keys(site):
    def page(name):
        return (site / "reference" / f"{name}.html").read_text("utf-8")

    assert 'id="cmdoption-genebench-run-train-size"' in page("commands")
    assert "genebench data prepare" in page("commands")
    assert "lambda_max" in page("methods/linear")
    assert "<math" in page("methods/linear")
    assert "genebench_job_finished" in page("hooks")
    assert "Source of the method: paper, equation, code." in page("hooks")
    assert "factory&gt;" not in page("hooks")
    assert "peak_memory_scope" in page("record")


def lack(what):
    """Skip a test that needs a browser, or fail if a browser is required."""
    if os.environ.get("GENEBENCH_REQUIRE_BROWSER"):
        pytest.fail(f"{what}, or unset GENEBENCH_REQUIRE_BROWSER")
    pytest.skip(what)


@pytest.fixture(scope="module")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
    found = os.environ.get("GENEBENCH_CHROMIUM") or next(filter(None, map(shutil.which, names)), "")
    if not found:
        lack("no Chromium; set GENEBENCH_CHROMIUM")
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        lack("no playwright; it is in the extra dev")
    with sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=found, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def axe():
    import axe_playwright_python

    return (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")


@pytest.fixture
def visit(browser, site):
    """Open a page from disk. At the end, no fault and no request outside the site is allowed."""
    asked, faults, contexts = [], [], []

    def open_page(address, screen="desktop"):
        contexts.append(browser.new_context(**SCREENS[screen]))
        contexts[-1].set_default_timeout(120_000)  # milliseconds, on a busy machine
        page = contexts[-1].new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("requestfailed", lambda request: faults.append(request.url))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda line: faults.append(line.text) if line.type in {"error", "warning"} else None,
        )
        path, _, query = address.partition("?")
        page.goto(f"{(site / f'{path}.html').as_uri()}?{query}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    foreign = [url for url in asked if not url.startswith((site.as_uri(), "data:"))]
    assert asked
    assert (foreign, faults) == ([], [])


@pytest.mark.browser
@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_accessible_and_fits(kind, screen, visit, axe):
    page = visit(kind, screen)
    page.evaluate(axe)
    assert page.evaluate(AXE) == []
    width, shown = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= shown


@pytest.mark.browser
def test_what_is_not_accessible_is_noticed(visit, axe):
    page = visit("index")
    page.evaluate("document.querySelector('.bd-article img').removeAttribute('alt')")
    page.evaluate(axe)
    assert "image-alt" in [name for name, _ in page.evaluate(AXE)]


@pytest.mark.browser
@pytest.mark.parametrize(
    ("screen", "picture"), [("desktop", "board.png"), ("phone", "board-phone.png")]
)
def test_the_first_page_shows_a_board_as_on_this_screen(screen, picture, visit):
    shown = visit("index", screen).locator(".bd-article img:visible")
    assert shown.get_attribute("src").endswith(f"/{picture}")


@pytest.mark.browser
@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("nyström", "reference/methods/kernel.html"),
        ("peak_memory_scope", "reference/record.html"),
        ("train-size", "reference/commands.html"),
    ],
)
def test_a_search_from_disk_finds_a_page(words, target, visit):
    page = visit(f"search?q={words}")
    page.locator(f"#search-results a[href*='{target}']").first.wait_for()


@pytest.mark.browser
def test_the_search_of_any_page_leads_to_results(visit):
    page = visit("tutorial")
    page.keyboard.press("Control+k")
    page.keyboard.type("concordance")
    page.keyboard.press("Enter")
    page.locator("#search-results a[href*='explanation/science.html']").first.wait_for()


@pytest.mark.browser
def test_colours_follow_the_system(visit):
    def lightness(screen):
        colour = "getComputedStyle(document.body).backgroundColor.match(/[0-9]+/g).map(Number)"
        return sum(visit("index", screen).evaluate(colour)[:3])

    assert lightness("phone") < 200
    assert lightness("desktop") > 600
