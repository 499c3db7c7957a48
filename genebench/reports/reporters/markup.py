"""Tables as Markdown and LaTeX source."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

from tabulate import tabulate

from genebench._util.text import printable
from genebench.reports.report import Report, Section, Table

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_",
    "{": r"\{", "}": r"\}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "±": r"$\pm$", "×": r"$\times$", "–": "--", "·": r"$\cdot$", "→": r"$\to$", "λ": r"$\lambda$",
    "−": "$-$", "ŷ": r"$\hat{y}$",
}  # fmt: skip


def markdown(report: Report) -> str:
    """Return pipe tables, the best value of a column in bold."""
    return "\n".join(_markdown_section(section) for section in report.sections())


def latex(report: Report) -> str:
    r"""Return ``table`` environments with booktabs rules (``\usepackage{booktabs}``)."""
    return "\n".join(
        _latex_table(section, table, last=table is section.tables[-1])
        for section in report.sections()
        for table in section.tables
    )


def _markdown_section(section: Section) -> str:
    parts = [
        f"## {_markdown_text(section.title)}",
        *(_markdown_table(table) for table in section.tables),
        _markdown_text(" ".join(section.verdict)),
        "\n".join(f"- {_markdown_text(note)}" for note in section.notes + section.details),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


def _markdown_table(table: Table) -> str:
    cells = _cells(table, _markdown_text, "**{}**")
    align = ("left", *["right"] * (len(table.columns) - 1))
    grid = tabulate(cells, table.columns, "pipe", disable_numparse=True, colalign=align)
    return f"{_markdown_text(table.title)}\n\n{grid}"


def _latex_table(section: Section, table: Table, *, last: bool) -> str:
    cells = _cells(table, _latex_text, r"\textbf{{{}}}")
    lines = [
        r"\begin{table}", r"\centering",
        rf"\caption{{{_latex_text(f'{section.title}: {table.title}')}}}",
        rf"\begin{{tabular}}{{l{'r' * (len(table.columns) - 1)}}}", r"\toprule",
        " & ".join(map(_latex_text, table.columns)) + r" \\", r"\midrule",
        *(" & ".join(row) + r" \\" for row in cells),
        r"\bottomrule", r"\end{tabular}",
        *(rf"\par\footnotesize {_latex_text(note)}" for note in _remarks(section) if last),
        r"\end{table}", "",
    ]  # fmt: skip
    return "\n".join(lines)


def _remarks(section: Section) -> tuple[str, ...]:
    return *section.verdict, *section.notes, *section.details


def _cells(table: Table, escape: Callable[[str], str], bold: str) -> list[list[str]]:
    return [
        [
            bold.format(escape(cell)) if column in row.best else escape(cell)
            for column, cell in enumerate(row.cells)
        ]
        for row in table.rows
    ]


def _markdown_text(text: str) -> str:
    # HTML first: its escapes hold no letter that Markdown would escape again.
    return re.sub(r"([\\`*_|\[\]])", r"\\\1", html.escape(printable(text), quote=False))


def _latex_text(text: str) -> str:
    return "".join(_LATEX.get(letter, letter) for letter in printable(text))
