"""Equations that methods declare: their forms, bad LaTeX, hostile texts, and their pages."""

from __future__ import annotations

import re

import pytest

from genebench.leaderboard.assembly import build
from genebench.leaderboard.contents import Contents
from genebench.leaderboard.equations import equations, not_converted
from genebench.results.store import ResultsStore
from genebench.specs import MethodSpec
from tests.leaderboard.test_site import HOSTILE, Code, Page, identity, put

pytest.importorskip("docutils")

TEXT = r"""
    The bias $b$ is never penalised by `lam`:

    $$\hat{y} = W^\top x + b$$
"""


def test_paragraphs_inline_and_displayed_equations_and_code():
    paragraph, display = equations(TEXT).split("\n")
    assert paragraph.startswith("<p>The bias <math ")
    assert "<mi>b</mi></math> is never penalised by <code>lam</code>:" in paragraph
    assert display.startswith("<div class=equation tabindex=0 role=math><math ")
    assert "<msup><mi>W</mi><mi>\u22a4</mi></msup><mi>x</mi>" in display


@pytest.mark.parametrize(
    "latex", [r"\nosuch{x}", "x < y & z", "{" * 1900, r"\left< x", "}{", "\x00"]
)
def test_what_cannot_be_converted_is_shown_as_its_source(latex):
    html = equations(f"$${latex}$$")
    assert "<math" not in html
    assert "<code>" in html


def test_lists_and_tables_of_markdown():
    html = equations(
        "- $a$ is one\n  thing.\n- b\n\n| `x` | y |\n|---|:-:|\n| 1 | <i> |\n\n| no table |"
    )
    items, table, paragraph = html.split("\n")
    assert re.sub(r"<math.*?</math>", "a", items) == "<ul><li>a is one thing.<li>b</ul>"
    assert "<th scope=col class=text><code>x</code><th scope=col class=text>y</thead>" in table
    assert "<tr><th scope=row>1<td class=text>&lt;i&gt;</table>" in table
    assert paragraph == "<p>| no table |"


def test_a_list_below_a_sentence_and_an_empty_cell_of_markdown():
    sentence, items, table = equations("These:\n- a\n- b\n\n| x | |\n|---|---|\n| 1 | |").split(
        "\n"
    )
    assert (sentence, items) == ("<p>These:", "<ul><li>a<li>b</ul>")
    assert "<th scope=col class=text></thead>" in table
    assert "<th scope=row>1<td class=text></table>" in table


def test_control_characters_do_not_reach_the_page():
    html = equations("a\u202eb `\x1bc` $d\u2066$\n\n$$e\x00$$")
    assert all(letter.isprintable() or letter == "\n" for letter in html)
    assert html.count("�") == 4


def test_a_dollar_after_a_backslash_is_a_dollar():
    html = equations(r"It costs 5\$ for $x$, \$$y$ and $\$z$.")
    assert re.sub("<.*?>", "", html) == "It costs 5$ for x, $y and $z."
    assert html.count("<math") == 3


def test_latex_that_cannot_be_converted_is_found():
    text = "Good $x$, bad $\\nosuch{x}$ and `$`, code.\n\n$$y$$ $$\\left<\n z$$"
    assert list(not_converted(text)) == [r"\nosuch{x}", r"\left< z"]


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE, f"${HOSTILE}$", f"$${HOSTILE}$$", f"`{HOSTILE}`", rf"$\text{{{HOSTILE}}}$",
        r'$\hspace{1em" onclick="alert(1)}$', rf"$\operatorname{{{HOSTILE}}}$",
    ],
)  # fmt: skip
def test_no_html_of_a_text_survives(text):
    html = str(equations(text))
    assert "<script" not in html
    assert '" onclick' not in html


def test_the_page_of_a_method_of_a_third_party_has_its_equations(tmp_path, monkeypatch):
    store = ResultsStore(tmp_path / "results")
    store.prepare()
    theirs = Code(distribution="theirs", version="1", digest="ab")
    record = put(store, identity("their-method", code=theirs))
    spec = MethodSpec(
        name="their-method", title="Theirs", summary="linear", code="a:B", equations=TEXT + HOSTILE
    )
    monkeypatch.setattr(Contents, "spec_of", lambda *_: spec)
    build([store.root], tmp_path / "site")
    (path,) = (tmp_path / "site" / "methods").iterdir()
    page = Page(path)
    assert [tag for tag, _ in page.tags].count("math") == 2
    assert "<script>alert(1)" in page.text
    assert all(set(script) == {"defer", "src"} for script in page.all("script"))
    assert record.identity.method in page.text
