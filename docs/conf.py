"""Configuration of Sphinx, which builds the documentation as a site: ``make docs``."""

from __future__ import annotations

import os
import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "genebench"
author = "the genebench developers"
version = release = version_of("genebench-suite")
language = "en"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "mathml",
    "generated",
    "accessibility",
]
exclude_patterns = ["_extensions", "examples/observer/*/*"]
suppress_warnings = ["myst.header"]  # a page may begin with a part of another
highlight_language = "console"

# The tour runs in a test. A build for readers, make docs, runs it to show its tables and figures.
nb_execution_mode = "force" if os.environ.get("GENEBENCH_RUN_TOUR") else "off"
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True

myst_enable_extensions = ["attrs_inline", "colon_fence", "deflist"]
myst_heading_anchors = 4
myst_links_external_new_tab = False

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
python_use_unqualified_type_names = True
add_module_names = False
toc_object_entries = False

copybutton_prompt_text = "$ "
copybutton_line_continuation_character = "\\"

html_theme = "pydata_sphinx_theme"
html_title = "genebench"
html_static_path = ["_static"]
html_css_files = ["genebench.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
# Excerpts in search results are fetched, which a browser forbids to pages from disk.
html_show_search_summary = False
html_math_renderer = "mathml"
html_theme_options = {
    "logo": {"text": "genebench"},
    "navbar_align": "left",
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 6,
    "collapse_navigation": True,
    "show_nav_level": 1,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"tutorial": [], "tour": [], "gallery": [], "glossary": []}
html_context = {"default_mode": "auto"}
copyright = "the genebench developers, MIT licence"  # noqa: A001  the name that Sphinx reads
