"""Sphinx: Markdown pages, tutorials that run when the site is built, API pages from the docstrings."""

import os
import sys
from importlib.metadata import version as installed
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "SNNergy"
author = "The SNNergy authors"
copyright = f"2026, {author}"
release = version = installed("snnergy")

extensions = [
    "house_docstrings",
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "furo"
html_title = f"SNNergy {release}"
html_static_path = ["_static"]
html_css_files = ["tables.css"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
myst_url_schemes = ("http", "https")

# Tutorials run from the start, in an empty folder each; a cell that fails fails the build.
nb_execution_mode = "force"
nb_execution_in_temp = True
nb_execution_raise_on_error = True
nb_execution_timeout = 600  # seconds a cell: only what hangs takes so long
nb_merge_streams = True
# Help texts are shown as wide as a page's column, without colours.
os.environ |= {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}

default_role = "code"
autodoc_default_options = {"members": True}
autodoc_member_order = "bysource"
autodoc_typehints = "none"  # signatures stay short; shapes and units stand in the docstrings
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]
napoleon_use_rtype = False
nitpick_ignore_regex = [
    ("py:exc", ".*"),  # named as in the source, without its module
    ("py:class", r"nir\..*"),  # described by nir itself
]
