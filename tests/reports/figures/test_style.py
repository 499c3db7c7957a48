"""The style of all figures: printed sizes, text that fits its room, files that repeat."""

from __future__ import annotations

import re
import time

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib")

from PIL import Image

from genebench import UserError
from genebench.reports.figures.drawing import Drawing, write_drawings
from genebench.reports.figures.style import (
    MARKS,
    ONE_COLUMN,
    SMALL,
    WIDTHS,
    canvas,
    head,
    place,
    style,
    text_width,
    wrapped,
    wrapped_apart,
)

POINT = 25.4 / 72


def drawing(name="one", width=ONE_COLUMN):
    figure = canvas(width, 40)
    head(figure, "λ of $10^3$ <b>", "a note")
    axes = place(figure, 15, 15, 50, 15)
    axes.plot([1, 2], [3, 4], label="line")
    axes.set_xlabel("MAE (std)", fontsize=SMALL)
    return Drawing(name, figure, pd.DataFrame({"x": [1, 2], "method": ["=1+1", "b"]}))


@pytest.mark.parametrize("width", WIDTHS)
def test_files_have_the_printed_size(width, tmp_path):
    pdf, svg, png, table = write_drawings((drawing(width=w) for w in [width]), tmp_path)
    box = re.search(rb"/MediaBox \[ ?0 0 ([0-9.]+) ([0-9.]+)", pdf.read_bytes())
    assert [float(end) * POINT for end in box.groups()] == pytest.approx([width, 40], abs=0.01)
    found = re.search(r'<svg [^>]*width="([0-9.]+)pt" height="([0-9.]+)pt"', svg.read_text())
    found = found or re.search(r'height="([0-9.]+)pt".*?width="([0-9.]+)pt"', svg.read_text())
    assert float(found[1]) * POINT == pytest.approx(width, abs=0.01)
    with Image.open(png) as picture:
        assert picture.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert picture.width == pytest.approx(width / 25.4 * 300, abs=1)
    assert table.read_text() == "x,method\n1,'=1+1\n2,b\n"


def test_text_of_svg_is_text_and_fonts_of_pdf_are_embedded_outlines(tmp_path):
    pdf, svg, *_ = write_drawings((drawing() for _ in "a"), tmp_path)
    text = svg.read_text("utf-8")
    assert "λ of $10^3$ &lt;b&gt;" in text, "text as it is, without formulas"
    assert "MAE (std)" in text
    sizes = [float(size) for size in re.findall(r"font(?:-size)?:[^;]*?([0-9.]+)px", text)]
    assert min(sizes) >= SMALL == 6
    content = pdf.read_bytes()
    assert b"/FontFile2" in content
    assert b"/Type3" not in content


def test_drawing_again_gives_the_same_bytes(tmp_path):
    first = [path.read_bytes() for path in write_drawings((drawing() for _ in "a"), tmp_path)]
    # Dates in files have a resolution of a second.
    time.sleep(1.1)
    assert first == [
        path.read_bytes() for path in write_drawings((drawing() for _ in "a"), tmp_path)
    ]


def test_a_figure_that_fails_replaces_no_file(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    before = {path: path.read_bytes() for path in write_drawings([drawing()], tmp_path)}
    save = Figure.savefig

    def broken(self, stream, **options):
        if options["format"] == "png":
            raise RuntimeError("no luck")
        save(self, stream, **options)

    monkeypatch.setattr(Figure, "savefig", broken)
    other = drawing()
    other.figure.text(0.5, 0.5, "new")
    with pytest.raises(RuntimeError):
        write_drawings([other], tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_folder_that_cannot_be_written_to_is_the_users_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        write_drawings([drawing()], tmp_path / "file")


@given(st.text(st.characters(codec="ascii"), min_size=1, max_size=90), st.integers(8, 60))
def test_lines_fit_their_room(text, room):
    lines = wrapped(text, room, lines=3)
    assert len(lines) <= 3
    assert all(text_width(line) <= room + 1e-9 for line in lines)


def test_lines_end_between_words_and_a_text_that_is_cut_says_so():
    assert wrapped("a method-with-a-long-name", 24, lines=2) == ["a method-with-a-long-", "name"]
    assert wrapped("short", 24) == ["short"]
    assert wrapped("one two three four five six", 15, lines=1)[0].endswith("…")


def test_texts_that_would_read_alike_have_more_lines():
    one, two, *others = wrapped_apart(
        ["net (width=100, depth=1)", "net (width=100, depth=2)", "knn", "knn"], 15, lines=1
    )
    assert one == ["net", "(width=100,", "depth=1)"]
    assert two == ["net", "(width=100,", "depth=2)"]
    assert others == [["knn"], ["knn"]]


def test_a_word_that_is_cut_after_an_underscore_gets_no_space():
    (line,) = wrapped("drop_input=false", 12, lines=1)
    assert line.startswith("drop_i")
    assert line.endswith("…")


def test_series_have_styles_of_their_own():
    assert len({style(position) for position in range(49)}) == 49 == len(MARKS) ** 2
