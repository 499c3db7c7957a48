"""Words for screen readers, where a page has none: buttons of the sidebar, empty table headers."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx


def name_buttons(
    app: Sphinx,  # noqa: ARG001  given to every listener
    page: str,  # noqa: ARG001
    template: str,  # noqa: ARG001
    context: dict[str, Any],
    doctree: object,  # noqa: ARG001
) -> None:
    """Have the theme's navigation say what its buttons do."""
    navigation = context["generate_toctree_html"]

    def named(*arguments: Any, **options: Any) -> str:
        html = str(navigation(*arguments, **options))
        return html.replace("<summary>", '<summary aria-label="Pages of this part">')

    context["generate_toctree_html"] = named


def name_headers(app: Sphinx, document: nodes.document) -> None:  # noqa: ARG001
    """Name the headers of tables that are left empty, such as the one above names of rows."""
    for head in document.findall(nodes.thead):
        for entry in head.findall(nodes.entry):
            if not entry.astext().strip():
                hidden = nodes.inline("", "row", classes=["visually-hidden"])
                entry.append(nodes.paragraph("", "", hidden))


def setup(app: Sphinx) -> dict[str, Any]:
    """Listen after the theme, which makes the navigation at the usual priority of 500."""
    app.connect("doctree-read", name_headers)
    app.connect("html-page-context", name_buttons, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
